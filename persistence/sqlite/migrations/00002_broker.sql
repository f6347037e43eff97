-- +goose Up

-- How far the partitions of the embedded broker had come.
CREATE TABLE broker_ends (
    topic     TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    pos       INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;

-- One row while the users are published again: everyone up to this id has been.
CREATE TABLE broker_refill (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    up_to INTEGER NOT NULL
) STRICT;
