-- +goose Up

-- Nothing refers to users by a foreign key: a deleted user's rows go in steps.
-- Texts that are compared or ordered have the collation "C", so that no upgrade
-- of a locale library can change an index.

-- The hot row of a user. A follow updates it in place (HOT): no column that
-- changes has an index, and each page keeps room.
CREATE TABLE users (
    id               bigint PRIMARY KEY,
    uid              uuid        NOT NULL,
    username         text        COLLATE "C" NOT NULL,
    name             text        NOT NULL,
    role             text        NOT NULL,
    picture          text        NOT NULL,
    followers        bigint      NOT NULL,
    following        bigint      NOT NULL,
    streams          bigint      NOT NULL,
    videos           bigint      NOT NULL,
    privacy          smallint    NOT NULL, -- bits: 1 profile, 2 watch history, 4 ratings
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    version          bigint      NOT NULL, -- the length of the journal
    crew_members     bigint      NOT NULL,
    studios          bigint      NOT NULL,
    last_activity_at timestamptz           -- of the newest behaviour event ever recorded
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX users_uid ON users (uid);
CREATE UNIQUE INDEX users_username ON users (username);

-- The rest of an account: what seldom changes and can be long.
CREATE TABLE profiles (
    user_id     bigint PRIMARY KEY,
    email       text NOT NULL,
    bio         text NOT NULL,
    preferences jsonb -- NULL: the default
);

CREATE TABLE deleted_users (
    id           bigint PRIMARY KEY,
    uid          uuid        NOT NULL,
    username     text        COLLATE "C" NOT NULL,
    name         text        NOT NULL,
    role         text        NOT NULL,
    picture      text        NOT NULL,
    followers    bigint      NOT NULL,
    following    bigint      NOT NULL,
    streams      bigint      NOT NULL,
    videos       bigint      NOT NULL,
    privacy      smallint    NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    version      bigint      NOT NULL,
    crew_members bigint      NOT NULL,
    studios      bigint      NOT NULL,
    email        text        NOT NULL,
    bio          text        NOT NULL,
    preferences  jsonb,
    deleted_at   timestamptz NOT NULL
);

-- place packs the global position: lane << 56 | pos. A lane is one range of the
-- key, appended to at its end.
CREATE TABLE journal (
    place    bigint PRIMARY KEY,
    user_id  bigint      NOT NULL,
    seq      bigint      NOT NULL,
    at       timestamptz NOT NULL,
    kind     smallint    NOT NULL,
    event_id text        COLLATE "C",
    payload  bytea       NOT NULL
);
CREATE UNIQUE INDEX journal_user ON journal (user_id, seq);
CREATE UNIQUE INDEX journal_event ON journal (user_id, event_id) WHERE event_id IS NOT NULL;
-- Covers what a feed asks first: profile changes (2), behaviour events (11) and
-- their deletions (13).
CREATE INDEX journal_activity ON journal (user_id, seq DESC) INCLUDE (at, place, kind) WHERE kind IN (2, 11, 13);

-- seq is that of the record in the journal of user_id with which the edge began:
-- it orders the list, and it is the place in it.
CREATE TABLE following (
    user_id bigint      NOT NULL,
    id      bigint      NOT NULL,
    seq     bigint      NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX following_newest ON following (user_id, seq DESC, id) INCLUDE (at);

CREATE TABLE followers (
    user_id bigint      NOT NULL,
    id      bigint      NOT NULL,
    seq     bigint      NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX followers_newest ON followers (user_id, seq DESC, id) INCLUDE (at);

CREATE TABLE followed_crew (
    user_id bigint      NOT NULL,
    id      bigint      NOT NULL,
    seq     bigint      NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX followed_crew_newest ON followed_crew (user_id, seq DESC, id) INCLUDE (at);

CREATE TABLE followed_studios (
    user_id bigint      NOT NULL,
    id      bigint      NOT NULL,
    seq     bigint      NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX followed_studios_newest ON followed_studios (user_id, seq DESC, id) INCLUDE (at);

-- How far a user has seen the notifications: a seq of the journal.
CREATE TABLE notifications_seen (
    user_id bigint PRIMARY KEY,
    seq     bigint NOT NULL
);

CREATE TABLE snapshots (
    user_id bigint PRIMARY KEY,
    seq     bigint NOT NULL,
    state   bytea  NOT NULL
);

-- loose while the user's row does not bear the value: only those can ever be
-- swept, so the sweep does not read the others.
CREATE TABLE claims (
    kind    smallint    NOT NULL,
    value   text        COLLATE "C" NOT NULL,
    user_id bigint      NOT NULL,
    at      timestamptz NOT NULL,
    loose   boolean     NOT NULL,
    PRIMARY KEY (kind, value)
);
CREATE INDEX claims_user ON claims (user_id);
CREATE INDEX claims_loose ON claims (at) WHERE loose;

-- For each beginning of each word of a name, the username: a search is one range
-- of the key, in the order of its pages.
CREATE TABLE name_prefixes (
    prefix   text COLLATE "C" NOT NULL,
    username text COLLATE "C" NOT NULL,
    PRIMARY KEY (prefix, username)
);

CREATE TABLE credentials (
    user_id       bigint PRIMARY KEY,
    password_hash text NOT NULL
);

CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    user_id      bigint        NOT NULL,
    generation   bigint        NOT NULL,
    rotations    timestamptz[] NOT NULL, -- when the newest generations before it were replaced, oldest first
    created_at   timestamptz   NOT NULL,
    expires_at   timestamptz   NOT NULL,
    access_until timestamptz   NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Sessions whose access tokens are refused although they have not expired. seq is
-- the cursor of those who read along: it is given in the order of the commits.
CREATE TABLE ended_sessions (
    seq   bigint PRIMARY KEY,
    id    uuid        NOT NULL UNIQUE,
    until timestamptz NOT NULL
);
CREATE INDEX ended_sessions_until ON ended_sessions (until);

-- A batch locks its node's row at its epoch FOR KEY SHARE. The constraint makes
-- the epoch part of a key: so the lock keeps the epoch, and lets the lease be
-- renewed.
CREATE TABLE nodes (
    id          text        COLLATE "C" PRIMARY KEY,
    epoch       bigint      NOT NULL,
    lease_until timestamptz NOT NULL,
    UNIQUE (id, epoch)
);

CREATE TABLE lanes (
    lane smallint PRIMARY KEY,
    node text     COLLATE "C" NOT NULL
);

CREATE TABLE tails (
    name text     COLLATE "C" NOT NULL,
    lane smallint NOT NULL,
    pos  bigint   NOT NULL,
    PRIMARY KEY (name, lane)
) WITH (fillfactor = 20);

CREATE TABLE parked (
    target bigint      NOT NULL, -- 0: the record could not be read
    lane   smallint    NOT NULL,
    pos    bigint      NOT NULL,
    at     timestamptz NOT NULL,
    reason text        NOT NULL,
    PRIMARY KEY (target, lane, pos)
);

CREATE TABLE severings (
    user_id bigint PRIMARY KEY,
    pos     bigint NOT NULL,
    cursor  bigint NOT NULL
);

-- How far the partitions of the embedded broker had come.
CREATE TABLE broker_ends (
    topic     text    COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    pos       bigint  NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- One row while the users are published again: everyone up to this id has been.
CREATE TABLE broker_refill (
    one   boolean PRIMARY KEY CHECK (one),
    up_to bigint NOT NULL
);

-- One row: the next user id, and the next seq of ended_sessions.
CREATE TABLE counters (
    one           boolean PRIMARY KEY CHECK (one),
    next_user     bigint NOT NULL,
    next_ended    bigint NOT NULL
);
INSERT INTO counters (one, next_user, next_ended) VALUES (true, 1, 1);
