package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

const (
	generationKey  = "kith:gen"
	generationName = 12 // letters of base 32
)

// generation is a name for the cards that may be read, on the server that it
// began on.
type generation struct {
	value string // in Redis: the name, ":" and the run_id
	run   string
	cards string // the beginning of the keys of cards
	names string // the beginning of the keys of names
}

func newGeneration(value string) (*generation, error) {
	name, run, ok := strings.Cut(value, ":")
	if !ok || len(name) != generationName || run == "" {
		return nil, fmt.Errorf("the value of %s is not a generation", generationKey)
	}
	return &generation{value: value, run: run, cards: "kith:" + name + ":card:", names: "kith:" + name + ":name:"}, nil
}

// generations is what a client knows of the generation.
type generations struct {
	current atomic.Pointer[generation] // nil: cards may not be read or put
	agree   *redis.Script

	settling chan struct{} // holds one of the one caller that agrees
	mu       sync.Mutex    // for all below, and for writes of current
	run      string        // of the server that last took a connection
	// owed counts the puts that Redis did not take, paid how many of them an own
	// generation has made good.
	owed, paid uint64
}

// agreeScript returns the generation to work in. That is the one of ARGV[1] if
// one must begin: because there is none, or it began on another server, or the
// caller, with ARGV[2] "1", has to leave the one there is.
const agreeScript = `
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local have = redis.call('GET', KEYS[1])
if have and ARGV[2] ~= '1' and string.sub(have, -#run - 1) == ':' .. run then
	return have
end
local value = ARGV[1] .. ':' .. run
redis.call('SET', KEYS[1], value)
return value`

func (c *Client) begin() {
	c.agree = redis.NewScript(agreeScript)
	c.settling = make(chan struct{}, 1)
	c.owed = 1 // what the process before this one may owe
}

// connected looks at the server behind a new connection. Data from before a
// restart, or of a replica, must not be read as ours.
func (c *Client) connected(ctx context.Context, conn *redis.Conn) error {
	info, err := conn.Info(ctx, "server").Result()
	if err != nil {
		return fmt.Errorf("ask for the run_id: %w", err)
	}
	_, run, ok := strings.Cut(info, "run_id:")
	if !ok {
		return errors.New("the server does not tell its run_id")
	}
	run, _, _ = strings.Cut(run, "\r")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run = run
	if g := c.current.Load(); g != nil && g.run != run {
		c.current.Store(nil)
	}
	return nil
}

// leave ends the use of a generation that is not the one in Redis any more.
func (c *Client) leave(g *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current.CompareAndSwap(g, nil)
}

// owe notes that a put was not taken.
func (c *Client) owe() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owed++
	c.current.Store(nil)
}

// Doubt begins a new generation before cards are read or put again: one who takes over
// does not know which cards the one before has committed and not put.
func (c *Client) Doubt() { c.owe() }

// settled returns the generation to work in, or nil. When there is none, one
// caller agrees on one with Redis. The others wait for it: a put that was refused
// meanwhile would cost the next generation. While Redis is away they do without.
func (c *Client) settled(ctx context.Context) *generation {
	if g := c.current.Load(); g != nil {
		return g
	}
	select {
	case c.settling <- struct{}{}:
	default:
		if c.breaker.isOpen() {
			return nil
		}
		select {
		case c.settling <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
	}
	defer func() { <-c.settling }()
	if g := c.current.Load(); g != nil {
		return g // of the caller before
	}
	c.mu.Lock()
	owed, leave := c.owed, "0"
	if c.owed != c.paid {
		leave = "1"
	}
	c.mu.Unlock()
	name := rand.Text()[:generationName]
	var g *generation
	err := c.do(ctx, opGeneration, func(ctx context.Context) error {
		value, err := c.agree.Run(ctx, c.rdb, []string{generationKey}, name, leave).Text()
		if err != nil {
			return err
		}
		g, err = newGeneration(value)
		return err
	})
	if err != nil {
		return nil // counted and, when it lasts, logged
	}
	if strings.HasPrefix(g.value, name) {
		c.metrics.generations.Inc()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if leave == "1" {
		c.paid = owed
	}
	if c.owed != c.paid || c.run != g.run {
		return nil // meanwhile a put failed, or the server became another
	}
	c.current.Store(g)
	return g
}
