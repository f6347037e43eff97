package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/actors/user"
)

// Schemas of the tables that the baseline on PostgreSQL works with. It reads those
// of Kith, and follows in its own: a follow there would be none that a grain knows.
const (
	schemaKith = "public"
	schemaBare = "bare"
)

// bareTables are tables of the baseline's own with the names, and the columns, that
// it also finds in Kith's. One table of follows serves both directions.
const bareTables = `
CREATE SCHEMA bare;
CREATE TABLE bare.users (
	id bigint PRIMARY KEY, uid uuid NOT NULL, username text COLLATE "C" NOT NULL, name text NOT NULL, role text NOT NULL, picture text NOT NULL,
	followers bigint NOT NULL, following bigint NOT NULL, streams bigint NOT NULL, videos bigint NOT NULL,
	created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX users_uid ON bare.users (uid);
CREATE UNIQUE INDEX users_username ON bare.users (username);
CREATE TABLE bare.following (user_id bigint NOT NULL, id bigint NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (user_id, id));
CREATE INDEX following_id ON bare.following (id, at);
`

// They go by unique indexes and primary keys.
const (
	bareLookup = `SELECT c.id, u.id, u.uid, u.username, u.name, u.role, u.picture, u.followers, u.following, u.streams, u.videos, u.created_at, u.updated_at,
			EXISTS (SELECT 1 FROM following f WHERE f.user_id = c.id AND f.id = u.id)
		FROM users c CROSS JOIN users u WHERE c.uid = $1 AND u.username = $2`
	bareExists   = `SELECT EXISTS (SELECT 1 FROM users WHERE uid = $1)`
	bareFollow   = `INSERT INTO following (user_id, id, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`
	bareFollowed = `UPDATE users SET followers = followers + 1 WHERE id = $1 RETURNING followers, following`
	bareFollows  = `UPDATE users SET following = following + 1 WHERE id = $1`
)

// barePostgres is the baseline's database in PostgreSQL: a pool of pgx, which
// prepares each statement once a connection.
type barePostgres struct{ pool *pgxpool.Pool }

func openBarePostgres(ctx context.Context, cfg *baselineConfig) (*barePostgres, error) {
	pool, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, errors.New("the URL of the database cannot be read")
	}
	pool.ConnConfig.RuntimeParams["search_path"] = cfg.Schema
	pool.MaxConns, pool.MinConns = int32(cfg.Conns), int32(cfg.Conns) //nolint:gosec // small
	p, err := pgxpool.NewWithConfig(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return &barePostgres{p}, nil
}

func (s *barePostgres) close() error {
	s.pool.Close()
	return nil
}

// lookup implements bareStore.
func (s *barePostgres) lookup(ctx context.Context, caller user.UID, username string) (id user.ID, c user.Card, following bool, err error) {
	err = s.pool.QueryRow(ctx, bareLookup, [16]byte(caller), username).Scan(&id, &c.ID, (*[16]byte)(&c.UID), &c.Username, &c.Name, &c.Role, &c.Picture,
		&c.Followers, &c.Following, &c.Streams, &c.Videos, &c.CreatedAt, &c.UpdatedAt, &following)
	if err != nil {
		return 0, c, false, fmt.Errorf("look a user up: %w", err)
	}
	c.CreatedAt, c.UpdatedAt = c.CreatedAt.UTC(), c.UpdatedAt.UTC()
	return id, c, following, nil
}

// exists implements bareStore.
func (s *barePostgres) exists(ctx context.Context, uid user.UID) (found bool, err error) {
	if err := s.pool.QueryRow(ctx, bareExists, [16]byte(uid)).Scan(&found); err != nil {
		return false, fmt.Errorf("look for a user: %w", err)
	}
	return found, nil
}

// follow implements bareStore. Rows are locked in the order of their ids, so that
// two who follow each other do not wait for each other.
func (s *barePostgres) follow(ctx context.Context, caller user.ID, target *user.Card) (created bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, bareFollow, caller, target.ID, time.Now())
		if err != nil {
			return fmt.Errorf("insert: %w", err)
		}
		if created = tag.RowsAffected() > 0; !created {
			return nil
		}
		own := func() error {
			if _, err := tx.Exec(ctx, bareFollows, caller); err != nil {
				return fmt.Errorf("count the follower's: %w", err)
			}
			return nil
		}
		others := func() error {
			if err := tx.QueryRow(ctx, bareFollowed, target.ID).Scan(&target.Followers, &target.Following); err != nil {
				return fmt.Errorf("count the target's: %w", err)
			}
			return nil
		}
		if caller < target.ID {
			return inOrder(own, others)
		}
		return inOrder(others, own)
	})
	if err != nil {
		return false, fmt.Errorf("follow: %w", err)
	}
	return created, nil
}

func inOrder(first, second func() error) error {
	if err := first(); err != nil {
		return err
	}
	return second()
}

// fillBarePostgres makes the baseline's own tables of people who have ids.
func fillBarePostgres(ctx context.Context, s *stores, people *population) error {
	return s.with(ctx, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, bareTables); err != nil {
			return fmt.Errorf("fill the baseline: make the tables: %w", err)
		}
		n := len(people.People)
		users := pgx.CopyFromSlice(n, func(i int) ([]any, error) {
			c := people.card(i)
			return []any{
				int64(c.ID), [16]byte(c.UID), c.Username, c.Name, string(c.Role), c.Picture, //nolint:gosec // ids fit
				c.Followers, c.Following, c.Streams, c.Videos, c.CreatedAt, c.UpdatedAt,
			}, nil
		})
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{schemaBare, "users"}, []string{
			"id", "uid", "username", "name", "role", "picture", "followers", "following", "streams", "videos", "created_at", "updated_at",
		}, users); err != nil {
			return fmt.Errorf("fill the baseline: users: %w", err)
		}
		degree := len(people.Offsets)
		follows := pgx.CopyFromSlice(n*degree, func(k int) ([]any, error) {
			i, o := k/degree, people.Offsets[k%degree]
			return []any{int64(people.People[i].ID), int64(people.People[(i+o)%n].ID), people.At}, nil //nolint:gosec // ids fit
		})
		if _, err := conn.CopyFrom(ctx, pgx.Identifier{schemaBare, "following"}, []string{"user_id", "id", "at"}, follows); err != nil {
			return fmt.Errorf("fill the baseline: follows: %w", err)
		}
		return nil
	})
}
