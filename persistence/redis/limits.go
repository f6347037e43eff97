package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"kith/persistence"
)

const maxLimits = 256

// Limits counts in Redis, by the clock of Redis, in microseconds: a rate of more
// than a million a second is one of a million. While Redis is away it counts in
// the fallback, so that n nodes allow n times as much at most.
//
// Counts have no generation. One that comes back old forgives what was taken
// since; one that is lost begins anew.
type Limits struct {
	client   *Client
	fallback persistence.Limits
	script   *redis.Script
	asks     batcher[*ask]
}

var _ persistence.Limits = (*Limits)(nil)

// NewLimits makes Limits. The fallback counts in the process.
func NewLimits(c *Client, fallback persistence.Limits) (*Limits, error) {
	if fallback == nil {
		return nil, errors.New("redis: limits need a fallback")
	}
	l := &Limits{client: c, fallback: fallback, script: redis.NewScript(limitScript)}
	l.asks = batcher[*ask]{flush: l.flush, limit: maxLimits}
	return l, nil
}

// ask is one question, in microseconds.
type ask struct {
	key         string
	burst, need int64
	allowed     bool
	reach       int64 // how far what was taken reaches from now
	err         error
}

// Allow implements persistence.Limits.
func (l *Limits) Allow(ctx context.Context, key string, rate persistence.Rate, cost int) (persistence.Allowance, error) {
	if rate.Count <= 0 || rate.Per <= 0 || cost <= 0 {
		return persistence.Allowance{Allowed: true, Remaining: max(0, rate.Count)}, nil
	}
	// With an interval that was rounded, the burst is rounded likewise: it is
	// Count, not one less.
	count := int64(rate.Count)
	interval := max(1, rate.Per.Microseconds()/count)
	// One more than Count is never allowed, and is what a larger cost waits for.
	a := &ask{key: "kith:limit:" + key, burst: interval * count, need: interval * (min(int64(cost)-1, count) + 1)}
	l.asks.do(ctx, a, 1)
	if a.err != nil {
		allowance, err := l.fallback.Allow(ctx, key, rate, cost)
		if err != nil {
			return persistence.Allowance{}, fmt.Errorf("redis: count while redis is away: %w", err)
		}
		return allowance, nil
	}
	allowance := persistence.Allowance{
		Allowed: a.allowed, Remaining: int(max(0, a.burst-a.reach) / interval), Reset: micros(a.reach),
	}
	if !a.allowed {
		allowance.RetryAfter = micros(a.reach + a.need - a.burst)
	}
	return allowance, nil
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// limitScript asks about each of KEYS, with its burst and what it needs in ARGV.
// It returns for each whether it is allowed, and how far what was taken reaches
// from now. A key holds its theoretical arrival time, until that has passed.
//
// The library go-redis/redis_rate keeps that time in 14 digits, and says of a
// refusal that nothing remains, however little was asked too much.
const limitScript = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answers = {}
for i = 1, #KEYS do
	local burst, need = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
	local due = math.max(now, tonumber(redis.call('GET', KEYS[i]) or 0))
	local next = due + need
	if next - burst > now then
		answers[2 * i - 1], answers[2 * i] = 0, due - now
	else
		redis.call('SET', KEYS[i], string.format('%.0f', next), 'PX', math.ceil((next - now) / 1000))
		answers[2 * i - 1], answers[2 * i] = 1, next - now
	end
end
return answers`

func (l *Limits) flush(ctx context.Context, batch []*ask) {
	ctx, cancel := l.client.bound(ctx)
	defer cancel()
	keys := make([]string, len(batch))
	args := make([]any, 0, 2*len(batch))
	for i, a := range batch {
		keys[i] = a.key
		args = append(args, a.burst, a.need)
	}
	var answers []int64
	err := l.client.do(ctx, opLimit, func(ctx context.Context) (err error) {
		answers, err = l.script.Run(ctx, l.client.rdb, keys, args...).Int64Slice()
		if err == nil && len(answers) != 2*len(batch) {
			err = fmt.Errorf("%d answers to %d questions", len(answers), len(batch))
		}
		return err
	})
	for i, a := range batch {
		if a.err = err; err == nil {
			a.allowed, a.reach = answers[2*i] == 1, answers[2*i+1]
		}
	}
}
