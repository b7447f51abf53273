-- What waits to be sent, and where to. Spans are named by ranges of their row ids,
-- which are unbroken within one commit.

CREATE TABLE destinations (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,   -- hash of backend, endpoint and headers: no secret is here
    name TEXT NOT NULL,         -- of the backend
    label TEXT NOT NULL,        -- where it is, for people
    transient INTEGER NOT NULL, -- 1: it is gone with the process that sends to it
    holder TEXT,                -- the writer that sends now
    held_until INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    destination INTEGER NOT NULL,
    first INTEGER NOT NULL,     -- row ids of spans, both included
    last INTEGER NOT NULL,
    writer TEXT NOT NULL        -- the process whose spans they are
);
CREATE INDEX outbox_by_destination ON outbox (destination, first);

CREATE TABLE set_aside (        -- what a destination would not take
    id INTEGER PRIMARY KEY,
    destination INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    count INTEGER NOT NULL,     -- how many of them, where it took the others
    writer TEXT NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX set_aside_by_destination ON set_aside (destination, first);
