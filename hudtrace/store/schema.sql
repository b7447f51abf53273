-- Version 1. Times are unix nanoseconds, ids and hashes raw bytes.

CREATE TABLE sources (          -- who recorded a span: resource and scope, once
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    resource BLOB NOT NULL,     -- OTLP bytes, as fields of a request
    scope BLOB NOT NULL,
    schema_url TEXT
);

CREATE TABLE spans (
    id INTEGER PRIMARY KEY,
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    parent_id BLOB,
    name TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    status INTEGER NOT NULL,    -- 0 unset, 1 ok, 2 error
    operation TEXT,
    model TEXT,
    phase TEXT,
    turn INTEGER,
    node BLOB,                  -- last node of a model call's conversation
    replies INTEGER,            -- how many messages at its end are the reply
    tools BLOB,                 -- message hash of the tool definitions
    source INTEGER NOT NULL,
    body BLOB NOT NULL          -- the OTLP span, without the conversation
);
CREATE UNIQUE INDEX spans_by_trace ON spans (trace_id, span_id);

CREATE TABLE messages (         -- content by its hash
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    body BLOB NOT NULL          -- UTF-8 JSON
);

CREATE TABLE nodes (            -- a conversation is a chain: hash of parent + message
    hash BLOB PRIMARY KEY,
    parent BLOB,
    message BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE verdicts (         -- every reward span, early and late
    span_id BLOB PRIMARY KEY,
    trace_id BLOB NOT NULL,     -- of the episode that is judged
    name TEXT NOT NULL,
    value REAL,
    label TEXT,
    kind TEXT,                  -- code, model, human
    evaluator TEXT,
    version TEXT,
    supersedes BLOB,            -- span id of an older verdict
    at INTEGER NOT NULL,
    late INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX verdicts_by_trace ON verdicts (trace_id, name);
CREATE INDEX verdicts_by_superseded ON verdicts (supersedes)
    WHERE supersedes IS NOT NULL;

CREATE TABLE episodes (         -- a fold over the spans of a trace; see fold.py
    trace_id BLOB PRIMARY KEY,
    root_id BLOB,
    name TEXT,
    start INTEGER NOT NULL,
    end INTEGER,                -- null until the root has arrived
    env TEXT,
    scenario TEXT,
    args TEXT,                  -- of the scenario, JSON; content
    task_id TEXT,
    job_id TEXT,
    group_id TEXT,
    model TEXT,
    agent TEXT,
    variant TEXT,
    attempt INTEGER,
    env_digest TEXT,
    outcome TEXT,
    failure TEXT,
    stopped_by TEXT,
    first_reward REAL,          -- as the root has it
    reward REAL,                -- of the newest verdict that nothing supersedes
    input_tokens INTEGER,
    output_tokens INTEGER,
    cost REAL,
    turns INTEGER,
    tool_calls INTEGER,
    tool_errors INTEGER,
    span_count INTEGER,
    pinned INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX episodes_by_start ON episodes (start);
CREATE INDEX episodes_by_model ON episodes (model, start);
CREATE INDEX episodes_by_job ON episodes (job_id, start) WHERE job_id IS NOT NULL;

CREATE TABLE writers (          -- processes that write here
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_start INTEGER NOT NULL,
    heartbeat INTEGER NOT NULL,
    closed INTEGER              -- when it ended in good order
) WITHOUT ROWID;

CREATE TABLE open_spans (       -- start records of spans that take a while
    span_id BLOB PRIMARY KEY,
    trace_id BLOB NOT NULL,
    parent_id BLOB,
    name TEXT NOT NULL,
    start INTEGER NOT NULL,
    writer TEXT NOT NULL,
    body BLOB NOT NULL          -- OTLP attributes so far
) WITHOUT ROWID;
CREATE INDEX open_spans_by_trace ON open_spans (trace_id);
