-- Times are Unix milliseconds (`_ms`); `lease_until` is in seconds of the owner's monotonic clock.

CREATE TABLE declared (
    seq          INTEGER PRIMARY KEY,
    kind         TEXT    NOT NULL,
    namespace    TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    uid          TEXT    NOT NULL,
    generation   INTEGER NOT NULL,
    fingerprint  TEXT    NOT NULL,
    created_ms   INTEGER NOT NULL,
    applied_ms   INTEGER NOT NULL,
    deleted_ms   INTEGER,           -- Endpoints only: gone, but messages may still refer to it
    held         INTEGER NOT NULL,  -- Endpoints only: suspended, rejected or deleted, so its messages wait
    rejected     INTEGER NOT NULL,  -- the spec column holds a Rejection
    labels       TEXT    NOT NULL,
    run_now      TEXT,
    last_slot_ms INTEGER,
    spec         BLOB    NOT NULL,
    UNIQUE (kind, namespace, name)
);
CREATE INDEX declared_deleted ON declared (deleted_ms) WHERE deleted_ms IS NOT NULL;

-- What an object names; a Topic with a selector names every Endpoint of its namespace: target_name '*'.
CREATE TABLE mentions (
    namespace   TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_name TEXT NOT NULL,
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    PRIMARY KEY (namespace, target_kind, target_name, kind, name)
) WITHOUT ROWID;
CREATE INDEX mentions_by_source ON mentions (namespace, kind, name);

CREATE TABLE credentials (
    namespace TEXT NOT NULL,
    name      TEXT NOT NULL,
    hash      BLOB NOT NULL UNIQUE,
    access    TEXT NOT NULL,
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID;

CREATE TABLE signing_keys (
    namespace TEXT    NOT NULL PRIMARY KEY,
    current   TEXT    NOT NULL,
    next      TEXT    NOT NULL,
    adopted   INTEGER NOT NULL
) WITHOUT ROWID;

-- Where each Schedule stands, and the newest results that outlive its runs.
CREATE TABLE schedules (
    uid             TEXT    NOT NULL PRIMARY KEY,
    namespace       TEXT    NOT NULL,
    name            TEXT    NOT NULL,
    considered_ms   INTEGER NOT NULL,
    wake_ms         INTEGER,
    run_now_seen    TEXT,
    skipped         INTEGER NOT NULL,
    completed       INTEGER NOT NULL,
    runs            INTEGER NOT NULL,  -- the number of the newest run
    last_slot_ms    INTEGER,
    last_success_ms INTEGER,
    last_failure_ms INTEGER
) WITHOUT ROWID;
CREATE UNIQUE INDEX schedules_by_name ON schedules (namespace, name);
CREATE INDEX schedules_wake ON schedules (wake_ms) WHERE wake_ms IS NOT NULL;

CREATE TABLE runs (
    seq          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    namespace    TEXT    NOT NULL,
    schedule     TEXT    NOT NULL,
    schedule_uid TEXT    NOT NULL,
    number       INTEGER NOT NULL,   -- from 1, without gaps, per schedule_uid
    slot_ms      INTEGER NOT NULL,
    trigger      TEXT    NOT NULL,
    run_now      TEXT,
    listed       INTEGER,            -- 1: among the newest; 0: no more, its messages are to be looked at; NULL: done
    pending      INTEGER NOT NULL DEFAULT 0,  -- messages that are not terminal
    delivered    INTEGER NOT NULL DEFAULT 0,
    failed       INTEGER NOT NULL DEFAULT 0,
    reason       TEXT    NOT NULL DEFAULT '',
    error        TEXT    NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX runs_slot ON runs (schedule_uid, slot_ms) WHERE trigger = 'Slot';
CREATE UNIQUE INDEX runs_manual ON runs (schedule_uid, run_now) WHERE trigger = 'Manual';
CREATE UNIQUE INDEX runs_number ON runs (schedule_uid, number);
CREATE INDEX runs_active ON runs (schedule_uid) WHERE pending > 0;
CREATE INDEX runs_left ON runs (listed) WHERE listed = 0;
CREATE INDEX runs_namespace ON runs (namespace);

CREATE TABLE messages (
    seq           INTEGER PRIMARY KEY,
    id            TEXT    NOT NULL UNIQUE,
    namespace     TEXT    NOT NULL,
    lane          TEXT    NOT NULL,  -- '<namespace>/<lane>'
    url           TEXT,
    endpoint      TEXT,
    endpoint_name TEXT,
    topic         TEXT,
    schedule      TEXT,
    run           INTEGER,           -- runs.seq
    labels        TEXT,              -- JSON array, NULL when there are none
    caller_ip     TEXT,
    method        TEXT    NOT NULL,
    headers       BLOB    NOT NULL,  -- JSON
    timeout_ms    INTEGER NOT NULL,
    max_retries   INTEGER NOT NULL,
    retry_delay   TEXT,
    created_ms    INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    state         TEXT    NOT NULL,
    retried       INTEGER NOT NULL,
    due_ms        INTEGER NOT NULL,
    lease         INTEGER NOT NULL,  -- how often it was leased: the fence
    owner         TEXT,
    lease_until   REAL,
    finished_ms   INTEGER,
    aging_ms      INTEGER            -- finished_ms until the retention of messages has passed, then NULL
);
CREATE INDEX messages_waiting ON messages (lane, due_ms) WHERE state IN ('Waiting', 'Retrying');
CREATE INDEX messages_leased ON messages (owner, lease_until) WHERE state = 'Delivering';
CREATE INDEX messages_aging ON messages (aging_ms) WHERE aging_ms IS NOT NULL;
CREATE INDEX messages_run ON messages (run) WHERE run IS NOT NULL;

CREATE TABLE bodies (
    message INTEGER PRIMARY KEY,     -- messages.seq; an empty body has no row
    body    BLOB NOT NULL
);

CREATE VIEW message_rows AS
SELECT m.*, b.body, r.id AS run_id, r.schedule_uid, r.slot_ms, r.trigger
FROM messages AS m
LEFT JOIN bodies AS b ON b.message = m.seq
LEFT JOIN runs AS r ON r.seq = m.run;

-- The earliest due time of each lane that has waiting messages: what a claim looks at first.
CREATE TABLE lanes (
    lane      TEXT    NOT NULL PRIMARY KEY,
    namespace TEXT    NOT NULL,
    endpoint  TEXT,
    due_ms    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX lanes_due ON lanes (due_ms);

CREATE TABLE attempts (
    message     INTEGER NOT NULL,
    number      INTEGER NOT NULL,
    time_ms     INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    status      INTEGER NOT NULL,    -- 0: no HTTP response
    error       TEXT    NOT NULL,
    PRIMARY KEY (message, number)
) WITHOUT ROWID;

CREATE TABLE log (
    id               INTEGER PRIMARY KEY,
    namespace        TEXT    NOT NULL,
    time_ms          INTEGER NOT NULL,
    state            TEXT    NOT NULL,
    message          INTEGER NOT NULL,
    url              TEXT    NOT NULL,
    error            TEXT    NOT NULL,
    next_ms          INTEGER,
    response_status  INTEGER,
    response_headers BLOB,
    response_body    BLOB
);
CREATE INDEX log_time ON log (namespace, time_ms);
CREATE INDEX log_message ON log (message);

CREATE TABLE dead_letters (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    namespace        TEXT    NOT NULL,
    created_ms       INTEGER NOT NULL,
    message          INTEGER NOT NULL UNIQUE,
    url              TEXT    NOT NULL,
    error            TEXT    NOT NULL,
    response_status  INTEGER,
    response_headers BLOB,
    response_body    BLOB
);
CREATE INDEX dead_letters_time ON dead_letters (namespace, created_ms);

CREATE TABLE endpoint_stats (
    namespace   TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    uid         TEXT    NOT NULL,
    failures    INTEGER NOT NULL,    -- attempts since the last 2xx
    message_id  TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    time_ms     INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    status      INTEGER NOT NULL,
    error       TEXT    NOT NULL,
    PRIMARY KEY (namespace, name)
) WITHOUT ROWID;

-- What each tenant holds; also the list of tenants that ever held anything.
CREATE TABLE usage (
    namespace    TEXT    NOT NULL PRIMARY KEY,
    waiting      INTEGER NOT NULL,   -- messages that are not terminal
    stored_bytes INTEGER NOT NULL,   -- of bodies
    dead_letters INTEGER NOT NULL
) WITHOUT ROWID;

-- Which object of that name each tenant's namespace is; a tenant that was never looked at has no row.
CREATE TABLE identities (
    namespace TEXT NOT NULL PRIMARY KEY,
    uid       TEXT NOT NULL
) WITHOUT ROWID;
