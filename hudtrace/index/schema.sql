-- What is made from a store to find things in it. May be deleted at any time.
-- No table has the name of one of the store, which is attached beside these.

CREATE TABLE progress (         -- how far the store has been read
    one INTEGER PRIMARY KEY CHECK (one = 1),
    episodes INTEGER NOT NULL,  -- last span whose episode has been copied
    begun INTEGER,              -- last span when the first copy of all began
    copied_start INTEGER,       -- and the episode that it has come to
    copied_trace BLOB,
    spans INTEGER NOT NULL,     -- last span that has been read
    span_id BLOB,               -- its id, to know the store again
    first INTEGER NOT NULL      -- first span that was there when traces were forgotten
);
INSERT INTO progress (one, episodes, spans, first) VALUES (1, 0, 0, 0);

CREATE TABLE traces (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- no number twice
    trace_id BLOB NOT NULL UNIQUE,
    start INTEGER NOT NULL,
    end INTEGER,                -- null until a span of it has ended
    spans INTEGER NOT NULL DEFAULT 0,
    errors INTEGER NOT NULL DEFAULT 0,
    name TEXT,                  -- of the root, else of its first span
    service TEXT,
    named_at INTEGER            -- start of the span of that name, -1 for the root
);
CREATE INDEX traces_by_start ON traces (start);

CREATE TABLE services (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE trace_services (   -- what each service has in a trace
    service INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    spans INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    PRIMARY KEY (service, trace)
) WITHOUT ROWID;
CREATE INDEX trace_services_by_trace ON trace_services (trace);
CREATE TABLE operations (
    id INTEGER PRIMARY KEY,
    service INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,      -- of OTLP: 1 internal, 2 server, 3 client, …
    UNIQUE (service, name, kind)
);
CREATE TABLE trace_operations (
    operation INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    PRIMARY KEY (operation, trace)
) WITHOUT ROWID;
CREATE INDEX trace_operations_by_trace ON trace_operations (trace);

CREATE TABLE listed (           -- of each episode, what lists ask for
    trace INTEGER PRIMARY KEY,
    start INTEGER NOT NULL,
    end INTEGER,
    took INTEGER,
    env TEXT,
    scenario TEXT,
    task_id TEXT,
    job_id TEXT,
    group_id TEXT,
    model TEXT,
    agent TEXT,
    variant TEXT,
    attempt INTEGER,
    outcome TEXT,
    failure TEXT,
    stopped_by TEXT,
    reward REAL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    tokens INTEGER,
    cost REAL,
    turns INTEGER,
    tool_calls INTEGER,
    tool_errors INTEGER
);
CREATE INDEX listed_by_start ON listed (start);
CREATE INDEX listed_by_job ON listed (job_id, start) WHERE job_id IS NOT NULL;
CREATE INDEX listed_by_reward ON listed (reward);
CREATE INDEX listed_by_took ON listed (took);
CREATE INDEX listed_by_tokens ON listed (tokens);
CREATE INDEX listed_by_cost ON listed (cost);
CREATE INDEX listed_unended ON listed (trace) WHERE end IS NULL;

CREATE TABLE facts (            -- tool, failed, error, model, tag: which there are
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    UNIQUE (kind, value)
);
CREATE TABLE trace_facts (
    fact INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    PRIMARY KEY (fact, trace)
) WITHOUT ROWID;
CREATE INDEX trace_facts_by_trace ON trace_facts (trace);

CREATE TABLE trace_tools (      -- calls of a tool (a fact) in a trace, in ns
    tool INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    took INTEGER NOT NULL,
    longest INTEGER NOT NULL,
    PRIMARY KEY (tool, trace)
) WITHOUT ROWID;
CREATE INDEX trace_tools_by_trace ON trace_tools (trace);

CREATE TABLE jobs (             -- what a job's own trace says of it
    job_id TEXT PRIMARY KEY,
    trace INTEGER NOT NULL,
    name TEXT,
    planned INTEGER,            -- how many episodes it is to have
    start INTEGER NOT NULL,
    end INTEGER                 -- null until it has ended
) WITHOUT ROWID;
CREATE INDEX jobs_by_trace ON jobs (trace);

CREATE TABLE texts (            -- each once, however many traces have it
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    scope TEXT NOT NULL,        -- messages, tools, errors, reward
    role TEXT,
    text TEXT NOT NULL
);
CREATE VIRTUAL TABLE words USING fts5 (
    text,
    content = 'texts',
    content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TABLE trace_texts (      -- and the span of a trace that had it first
    text INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    span_id BLOB NOT NULL,
    PRIMARY KEY (text, trace)
) WITHOUT ROWID;
CREATE INDEX trace_texts_by_trace ON trace_texts (trace);
CREATE TABLE heads (            -- nodes that the model calls of a trace ended with
    trace INTEGER NOT NULL,
    node BLOB NOT NULL,
    PRIMARY KEY (trace, node)
) WITHOUT ROWID;
