package services

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// leaseTime is how long a logical database belongs to a test that does not
	// give it back, because its process was killed.
	leaseTime = time.Hour
	// leaseWait bounds the wait for one of a Redis that has few, and leasePoll is
	// how often they are looked through.
	leaseWait = 5 * time.Minute
	leasePoll = 100 * time.Millisecond
	// leasePrefix begins the keys, in database 0, of those that are in use.
	leasePrefix = "kith:test:database:"
)

// leaseDatabase finds a logical database that nobody uses and empties it.
func leaseDatabase(tb testing.TB, at string) string {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	options, err := redis.ParseURL(at)
	if err != nil {
		tb.Fatalf("%s is no URL of a Redis", RedisVariable) // it may hold a password
	}
	options.DB, options.PoolSize = 0, 1
	options.DialTimeout, options.ReadTimeout = stepTime, stepTime
	registry := redis.NewClient(options)
	tb.Cleanup(func() {
		if err := registry.Close(); err != nil {
			tb.Errorf("close a connection to the Redis of the tests: %v", err)
		}
	})
	databases := 16 // of a Redis that does not tell
	if told, err := registry.ConfigGet(ctx, "databases").Result(); err == nil {
		if n, err := strconv.Atoi(told["databases"]); err == nil {
			databases = n
		}
	}
	number := lease(tb, registry, databases)
	key := leasePrefix + strconv.Itoa(number)
	check(tb, flush(ctx, options, number))
	tb.Cleanup(func() {
		check(tb, flush(ctx, options, number))
		if err := registry.Del(ctx, key).Err(); err != nil {
			tb.Errorf("give back database %d of the Redis of the tests: %v", number, err)
		}
	})
	u, err := url.Parse(at)
	if err != nil {
		tb.Fatalf("%s is no URL of a Redis", RedisVariable)
	}
	u.Path = "/" + strconv.Itoa(number)
	return u.String()
}

// lease takes one of the databases from 1 on, waiting for one when all are in use.
func lease(tb testing.TB, registry *redis.Client, databases int) int {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), leaseWait)
	defer cancel()
	ticker := time.NewTicker(leasePoll)
	defer ticker.Stop()
	for {
		for number := 1; number < databases; number++ {
			err := registry.SetArgs(ctx, leasePrefix+strconv.Itoa(number), tb.Name(), redis.SetArgs{Mode: "NX", TTL: leaseTime}).Err()
			switch {
			case err == nil:
				return number
			case strings.HasPrefix(err.Error(), "MOVED"), strings.HasPrefix(err.Error(), "CROSSSLOT"):
				tb.Fatalf("%s is a cluster, which has no logical databases", RedisVariable)
			case !errors.Is(err, redis.Nil):
				tb.Fatalf("ask the Redis of the tests: %v", err)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			tb.Fatalf("all %d databases of the Redis of the tests are in use for %s: keys %s* of database 0", databases-1, leaseWait, leasePrefix)
		}
	}
}

// flush empties a logical database.
func flush(ctx context.Context, to *redis.Options, number int) error {
	options := *to
	options.DB = number
	c := redis.NewClient(&options)
	if err := errors.Join(c.FlushDB(ctx).Err(), c.Close()); err != nil {
		return fmt.Errorf("services: empty database %d of Redis: %w", number, err)
	}
	return nil
}
