-- +goose Up

-- Covers what a feed asks first: profile changes (2), behaviour events (11) and
-- their deletions (13), by time, which is where a page begins. For one user the
-- order of times and seqs is that of the seqs.
CREATE INDEX journal_feed ON journal (user_id, at DESC, seq DESC) INCLUDE (place, kind) WHERE kind IN (2, 11, 13);
