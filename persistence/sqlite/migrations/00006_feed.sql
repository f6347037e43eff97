-- +goose Up

-- Covers what followers are told of: profile changes (2), behaviour events (11)
-- and their deletions (13). A page of a feed begins at a time, and for one user
-- the order of times and seqs is that of the seqs.
DROP INDEX journal_activity;
CREATE INDEX journal_activity ON journal (user_id, at, seq, kind) WHERE kind IN (2, 11, 13);
