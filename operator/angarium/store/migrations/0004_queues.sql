-- Queues, flow control, deduplication, callbacks and objects made over the API.

ALTER TABLE declared ADD COLUMN origin TEXT NOT NULL DEFAULT 'Resource';

-- `queued`: waits for a place in its queue, since `joined_ms`; without `queued` and not ended it holds a place.
-- `holding`: has ended, but its callbacks have not, so its place in the queue is still taken.
-- `flow`: the flow-control key it was accepted with. `source`: id of the message that a callback reports on.
-- `extras`: JSON of what few messages have (callbacks, redaction, flow-control limits), NULL without any.
ALTER TABLE messages ADD COLUMN queue TEXT;
ALTER TABLE messages ADD COLUMN joined_ms INTEGER;
ALTER TABLE messages ADD COLUMN queued INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN holding INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN flow TEXT;
ALTER TABLE messages ADD COLUMN source TEXT;
ALTER TABLE messages ADD COLUMN extras BLOB;

DROP INDEX messages_waiting;
CREATE INDEX messages_waiting ON messages (lane, due_ms) WHERE state IN ('Waiting', 'Retrying') AND queued = 0;
CREATE INDEX messages_queued ON messages (namespace, queue, joined_ms, seq) WHERE queued = 1;
CREATE INDEX messages_queued_to ON messages (namespace, endpoint) WHERE queued = 1;
CREATE INDEX messages_in_queue ON messages (namespace, queue, queued) WHERE queue IS NOT NULL AND finished_ms IS NULL;
CREATE INDEX messages_holding ON messages (finished_ms) WHERE holding = 1;
CREATE INDEX messages_held ON messages (namespace, queue) WHERE holding = 1;
CREATE INDEX messages_flow ON messages (namespace, flow) WHERE flow IS NOT NULL AND finished_ms IS NULL;
CREATE INDEX messages_source ON messages (source) WHERE source IS NOT NULL;

DROP VIEW message_rows;
CREATE VIEW message_rows AS
SELECT m.*, b.body, r.id AS run_id, r.schedule_uid, r.slot_ms, r.trigger
FROM messages AS m
LEFT JOIN bodies AS b ON b.message = m.seq
LEFT JOIN runs AS r ON r.seq = m.run;

-- A lane: what shares its destination and its flow-control key. `destination` is what the dispatcher's caps count.
DROP TABLE lanes;
CREATE TABLE lanes (
    lane        TEXT    NOT NULL PRIMARY KEY,
    namespace   TEXT    NOT NULL,
    destination TEXT    NOT NULL,
    endpoint    TEXT,
    flow        TEXT,               -- NULL: nothing but its destination limits it
    due_ms      INTEGER NOT NULL,
    seq         INTEGER NOT NULL    -- of its first message
) WITHOUT ROWID;
CREATE INDEX lanes_due ON lanes (due_ms, seq);
CREATE INDEX lanes_flow ON lanes (namespace, flow) WHERE flow IS NOT NULL;

-- How full each queue is; its settings are declared.
CREATE TABLE queues (
    namespace TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    active    INTEGER NOT NULL,      -- places taken
    lag       INTEGER NOT NULL,      -- messages that are not terminal
    tail_ms   INTEGER NOT NULL,      -- the newest joined_ms of a message that joined at once
    next_ms   INTEGER,               -- when a message can take a place that is free: NULL, nothing to wait for
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID;
CREATE INDEX queues_next ON queues (next_ms) WHERE next_ms IS NOT NULL;

-- Limits of 0 are none. `opens_ms`: when a message may start; NULL: something else has to happen first.
CREATE TABLE flow_controls (
    namespace          TEXT    NOT NULL,
    key                TEXT    NOT NULL,
    parallelism        INTEGER NOT NULL,
    rate               INTEGER NOT NULL,
    period_ms          INTEGER NOT NULL,
    paused             INTEGER NOT NULL,
    pinned_parallelism INTEGER NOT NULL,
    pinned_rate        INTEGER NOT NULL,
    active             INTEGER NOT NULL,
    started            INTEGER NOT NULL,
    window_ms          INTEGER,
    opens_ms           INTEGER,
    used_ms            INTEGER NOT NULL,
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID;
CREATE INDEX flow_controls_opens ON flow_controls (opens_ms) WHERE opens_ms IS NOT NULL;
CREATE INDEX flow_controls_used ON flow_controls (used_ms);
CREATE INDEX flow_controls_fixed ON flow_controls (namespace, key) WHERE paused + pinned_parallelism + pinned_rate > 0;

-- Which message a deduplication key stands for, until then.
CREATE TABLE deduplication (
    namespace  TEXT    NOT NULL,
    key        BLOB    NOT NULL,
    message_id TEXT    NOT NULL,
    url        TEXT    NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID;
CREATE INDEX deduplication_expires ON deduplication (expires_ms);
