package redis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"kith/actors/user"
	"kith/persistence"
)

const (
	cardTTL = 24 * time.Hour
	// Redis does nothing else while it answers a batch: these are some 0.3 ms.
	maxGets = 512
	maxPuts = 256
	// tries are how many generations a batch follows that begin under it.
	tries = 4
)

// Cards is a cache of cards in Redis. While Redis is away, nothing is found, and
// Put fails.
type Cards struct {
	client *Client
	recent recent
	script *redis.Script
	gets   batcher[*lookup]
	puts   batcher[*store]
}

var _ persistence.Cards = (*Cards)(nil)

// NewCards makes Cards. A process makes one of a client.
func NewCards(c *Client) *Cards {
	s := &Cards{client: c, recent: recent{now: c.now}, script: redis.NewScript(putScript)}
	s.gets = batcher[*lookup]{flush: s.flushGets, limit: maxGets}
	s.puts = batcher[*store]{flush: s.flushPuts, limit: maxPuts}
	return s
}

// lookup is what one caller looks for: cards, or a name.
type lookup struct {
	ids    []user.ID
	name   string // if there are no ids
	values []any  // strings, nil where nothing was found; or nil
	err    error
}

// Get implements persistence.Cards.
func (s *Cards) Get(ctx context.Context, ids []user.ID) ([]*persistence.CachedCard, error) {
	cards := make([]*persistence.CachedCard, len(ids))
	if len(ids) == 0 {
		return cards, nil
	}
	l := &lookup{ids: ids}
	s.gets.do(ctx, l, len(ids))
	if l.err != nil {
		return nil, l.err
	}
	for i, v := range l.values {
		stored, ok := v.(string)
		if !ok {
			continue
		}
		c, err := decodeCard(stored)
		switch {
		case errors.Is(err, errFormat): // of a node of another version
		case err != nil || c.Card.ID != ids[i]:
			s.client.metrics.failures.WithLabelValues(opGet).Inc()
		default:
			cards[i] = c
		}
	}
	return cards, nil
}

// IDByUsername implements persistence.Cards.
func (s *Cards) IDByUsername(ctx context.Context, username string) (user.ID, bool, error) {
	l := &lookup{name: username}
	s.gets.do(ctx, l, 1)
	if l.err != nil || len(l.values) == 0 {
		return 0, false, l.err
	}
	stored, ok := l.values[0].(string)
	if !ok {
		return 0, false, nil
	}
	id, err := strconv.ParseUint(stored, 10, 64)
	if err != nil {
		return 0, false, fmt.Errorf("redis: the id of a name: %w", err)
	}
	return user.ID(id), true, nil
}

// flushGets asks for everything at once. When the generation is not the one in
// Redis any more, it asks again in that one.
func (s *Cards) flushGets(ctx context.Context, batch []*lookup) {
	ctx, cancel := s.client.bound(ctx)
	defer cancel()
	for range tries {
		g := s.client.settled(ctx)
		if g == nil {
			return
		}
		var values []any
		err := s.client.do(ctx, opGet, func(ctx context.Context) (err error) {
			values, err = s.client.rdb.MGet(ctx, lookupKeys(g, batch)...).Result()
			return err
		})
		switch {
		case errors.Is(err, ErrAway):
			return
		case err != nil:
			for _, l := range batch {
				l.err = err
			}
			return
		case values[0] != g.value:
			s.client.leave(g)
		case s.client.current.Load() == g: // if not, the server may have become another
			values = values[1:]
			for _, l := range batch {
				n := max(1, len(l.ids))
				l.values, values = values[:n], values[n:]
			}
			return
		}
	}
}

func lookupKeys(g *generation, batch []*lookup) []string {
	keys := make([]string, 1, 1+len(batch))
	keys[0] = generationKey
	for _, l := range batch {
		if len(l.ids) == 0 {
			keys = append(keys, g.names+l.name)
		}
		for _, id := range l.ids {
			keys = append(keys, g.cards+strconv.FormatUint(uint64(id), 10))
		}
	}
	return keys
}

// store is what one caller puts.
type store struct {
	cards []*persistence.CachedCard
	err   error
}

// Put implements persistence.Cards. After an error the cards of this cache are
// left, all of them, before any is read again.
func (s *Cards) Put(ctx context.Context, cards []*persistence.CachedCard) error {
	for _, c := range cards {
		if len(c.Card.Username) > math.MaxUint16 {
			return fmt.Errorf("redis: put the card of user %d: the username has %d bytes", c.Card.ID, len(c.Card.Username))
		}
	}
	cards = s.recent.newest(cards)
	for len(cards) > 0 {
		n := min(len(cards), maxPuts)
		p := &store{cards: cards[:n]}
		if s.puts.do(ctx, p, n); p.err != nil {
			return p.err
		}
		cards = cards[n:]
	}
	return nil
}

// putScript stores the cards in KEYS[2...] that are newer than what is there. It
// stores nothing, and returns 0, when KEYS[1] does not hold the generation
// ARGV[1]. Versions are compared in halves, since the numbers of Lua hold 53 bits.
//
//	ARGV[2] the life of an entry in milliseconds
//	ARGV[3] the beginning of the keys of names
//	then, for each card, its id and its stored form
const putScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
	return 0
end
local function head(s)
	local high, low, deleted, length = struct.unpack('>I4I4I1I2', s)
	return high, low, deleted == 1, string.sub(s, 12, 11 + length)
end
for i = 2, #KEYS do
	local id, new = ARGV[2 * i], ARGV[2 * i + 1]
	local high, low, deleted, name = head(new)
	local old = redis.call('GET', KEYS[i])
	local newer, same, before = true, false, ''
	if old then
		local h, l, was
		h, l, was, before = head(old)
		same = not deleted and not was and high == h and low == l
		if deleted ~= was then
			newer = deleted
		else
			newer = high > h or high == h and low > l
		end
	end
	if newer then
		redis.call('SET', KEYS[i], new, 'PX', ARGV[2])
	end
	-- A name that stays is not written with every change. It may expire before its
	-- card; then a reader has not found it, and fills in what it read elsewhere.
	if not deleted and (newer and name ~= before or same) then
		redis.call('SET', ARGV[3] .. name, id, 'PX', ARGV[2])
	elseif newer and deleted and before ~= '' and redis.call('GET', ARGV[3] .. before) == id then
		redis.call('DEL', ARGV[3] .. before)
	end
end
return 1`

// flushPuts stores everything at once. When the generation is not the one in
// Redis any more, it stores again in that one.
func (s *Cards) flushPuts(ctx context.Context, batch []*store) {
	ctx, cancel := s.client.bound(ctx)
	defer cancel()
	err := ErrAway
	for range tries {
		g := s.client.settled(ctx)
		if g == nil {
			break
		}
		keys, args := storeArgs(g, batch)
		taken := false
		err = s.client.do(ctx, opPut, func(ctx context.Context) (err error) {
			taken, err = s.script.Run(ctx, s.client.rdb, keys, args...).Bool()
			return err
		})
		if err != nil {
			break
		}
		if taken && s.client.current.Load() == g {
			return
		}
		if !taken {
			s.client.leave(g)
		}
		err = ErrAway
	}
	s.client.owe()
	for _, p := range batch {
		p.err = fmt.Errorf("redis: put cards: %w", err)
	}
}

func storeArgs(g *generation, batch []*store) (keys []string, args []any) {
	keys = append(keys, generationKey)
	args = append(args, g.value, cardTTL.Milliseconds(), g.names)
	for _, p := range batch {
		for _, c := range p.cards {
			id := strconv.FormatUint(uint64(c.Card.ID), 10)
			keys = append(keys, g.cards+id)
			args = append(args, id, encodeCard(c))
		}
	}
	return keys, args
}
