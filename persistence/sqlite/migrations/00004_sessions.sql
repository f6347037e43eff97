-- +goose Up

-- A refresh token is signed and names the generation of its session, so that
-- nothing of it is stored.
ALTER TABLE sessions DROP COLUMN refresh_hash;
ALTER TABLE sessions ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
-- When the newest generations before it were replaced: 8 bytes each, big endian.
ALTER TABLE sessions ADD COLUMN rotations BLOB NOT NULL DEFAULT x'';
ALTER TABLE sessions ADD COLUMN access_until INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Sessions whose access tokens are refused although they have not expired. seq
-- never returns: it is the cursor of those who read along.
CREATE TABLE ended_sessions (
    seq   INTEGER PRIMARY KEY AUTOINCREMENT,
    id    BLOB    NOT NULL UNIQUE,
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX ended_sessions_until ON ended_sessions (until);
