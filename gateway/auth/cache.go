package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// cacheShards bounds contention between requests. A digest is uniform, so that
// its first byte picks the shard.
const cacheShards = 16

// evictSample is how many entries are looked at to make room for another.
const evictSample = 8

type tokenDigest = [sha256.Size]byte

// digest is what tokens are looked up by: how long a lookup takes then says
// nothing about the tokens in the cache.
func digest(token string) tokenDigest { return sha256.Sum256([]byte(token)) }

// cache keeps verified tokens until they expire. Full: of a few entries the one
// that expires first makes room.
type cache struct {
	perShard int
	shards   [cacheShards]cacheShard
}

type cacheShard struct {
	mu     sync.RWMutex
	tokens map[tokenDigest]*Token
}

func newCache(size int) *cache {
	c := &cache{perShard: max(1, size/cacheShards)}
	for i := range c.shards {
		c.shards[i].tokens = make(map[tokenDigest]*Token)
	}
	return c
}

func (c *cache) shard(key tokenDigest) *cacheShard { return &c.shards[key[0]%cacheShards] }

// get returns the token, or nil when it is not there or expired by now.
func (c *cache) get(key tokenDigest, now time.Time) *Token {
	s := c.shard(key)
	s.mu.RLock()
	t := s.tokens[key]
	s.mu.RUnlock()
	if t == nil || !now.Before(t.ExpiresAt) {
		return nil
	}
	return t
}

func (c *cache) put(key tokenDigest, t *Token, now time.Time) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.tokens[key]; !there && len(s.tokens) >= c.perShard {
		s.makeRoom(now)
	}
	s.tokens[key] = t
}

// makeRoom drops what has expired of a few entries, and at least one. The order
// of a map's iteration picks them.
func (s *cacheShard) makeRoom(now time.Time) {
	var (
		first   tokenDigest
		expires time.Time
		seen    int
		dropped bool
	)
	for key, t := range s.tokens {
		if !now.Before(t.ExpiresAt) {
			delete(s.tokens, key)
			dropped = true
		} else if expires.IsZero() || t.ExpiresAt.Before(expires) {
			first, expires = key, t.ExpiresAt
		}
		if seen++; seen == evictSample {
			break
		}
	}
	if !dropped {
		delete(s.tokens, first)
	}
}

func (c *cache) len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.tokens)
		s.mu.RUnlock()
	}
	return n
}
