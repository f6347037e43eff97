-- +goose Up

-- Marks the file as a Kith database ("Kith" in ASCII).
PRAGMA application_id = 1265210472;

-- Times are integer microseconds since 1970, UTC. Nothing refers to users by a
-- foreign key: a deleted user's rows go in steps.

CREATE TABLE users (
    id               INTEGER PRIMARY KEY,
    uid              BLOB    NOT NULL,
    username         TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    role             TEXT    NOT NULL,
    picture          TEXT    NOT NULL,
    followers        INTEGER NOT NULL,
    following        INTEGER NOT NULL,
    streams          INTEGER NOT NULL,
    videos           INTEGER NOT NULL,
    privacy          INTEGER NOT NULL, -- bits: 1 profile, 2 watch history, 4 ratings
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    version          INTEGER NOT NULL, -- the length of the journal
    email            TEXT    NOT NULL,
    bio              TEXT    NOT NULL,
    preferences      TEXT,             -- JSON; NULL: the default
    crew_members     INTEGER NOT NULL,
    studios          INTEGER NOT NULL,
    last_activity_at INTEGER           -- of the newest behaviour event ever recorded
) STRICT;
CREATE UNIQUE INDEX users_uid ON users (uid);
CREATE UNIQUE INDEX users_username ON users (username);

CREATE TABLE deleted_users (
    id               INTEGER PRIMARY KEY,
    uid              BLOB    NOT NULL,
    username         TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    role             TEXT    NOT NULL,
    picture          TEXT    NOT NULL,
    followers        INTEGER NOT NULL,
    following        INTEGER NOT NULL,
    streams          INTEGER NOT NULL,
    videos           INTEGER NOT NULL,
    privacy          INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    version          INTEGER NOT NULL,
    email            TEXT    NOT NULL,
    bio              TEXT    NOT NULL,
    preferences      TEXT,
    crew_members     INTEGER NOT NULL,
    studios          INTEGER NOT NULL,
    deleted_at       INTEGER NOT NULL
) STRICT;

-- place packs the global position: lane << 56 | pos. A lane is one range of the
-- table, appended to at its end.
CREATE TABLE journal (
    place    INTEGER PRIMARY KEY,
    user_id  INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    kind     INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    event_id TEXT,
    payload  BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_user ON journal (user_id, seq);
CREATE UNIQUE INDEX journal_event ON journal (user_id, event_id) WHERE event_id IS NOT NULL;
-- Covers what a feed asks first: profile changes (2), behaviour events (11) and
-- their deletions (13).
CREATE INDEX journal_activity ON journal (user_id, seq, kind, at) WHERE kind IN (2, 11, 13);

CREATE TABLE following (
    user_id INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX following_newest ON following (user_id, at, id);

CREATE TABLE followers (
    user_id INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX followers_newest ON followers (user_id, at, id);

CREATE TABLE followed_crew (
    user_id INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX followed_crew_newest ON followed_crew (user_id, at, id);

CREATE TABLE followed_studios (
    user_id INTEGER NOT NULL,
    id      INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (user_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX followed_studios_newest ON followed_studios (user_id, at, id);

CREATE TABLE snapshots (
    user_id INTEGER PRIMARY KEY,
    seq     INTEGER NOT NULL,
    state   BLOB    NOT NULL
) STRICT;

-- loose is 1 while the user's row does not bear the value: only those can ever
-- be swept, so the sweep does not read the others.
CREATE TABLE claims (
    kind    INTEGER NOT NULL,
    value   TEXT    NOT NULL,
    user_id INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    loose   INTEGER NOT NULL,
    PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_user ON claims (user_id);
CREATE INDEX claims_loose ON claims (at) WHERE loose = 1;

CREATE TABLE credentials (
    user_id       INTEGER PRIMARY KEY,
    password_hash TEXT NOT NULL
) STRICT;

CREATE TABLE sessions (
    id           BLOB    NOT NULL PRIMARY KEY,
    user_id      INTEGER NOT NULL,
    refresh_hash BLOB    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE nodes (
    id          TEXT    NOT NULL PRIMARY KEY,
    epoch       INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE lanes (
    lane INTEGER PRIMARY KEY,
    node TEXT NOT NULL
) STRICT;

CREATE TABLE tails (
    name TEXT    NOT NULL,
    lane INTEGER NOT NULL,
    pos  INTEGER NOT NULL,
    PRIMARY KEY (name, lane)
) STRICT, WITHOUT ROWID;

CREATE TABLE parked (
    target INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    lane   INTEGER NOT NULL,
    pos    INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    PRIMARY KEY (target, lane, pos)
) STRICT, WITHOUT ROWID;

CREATE TABLE severings (
    user_id INTEGER PRIMARY KEY,
    pos     INTEGER NOT NULL,
    cursor  INTEGER NOT NULL
) STRICT;

-- One row: the next user id.
CREATE TABLE ids (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    next INTEGER NOT NULL
) STRICT;
INSERT INTO ids (one, next) VALUES (1, 1);
