package redis_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"kith/actors/user"
	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/persistence/redis"
)

func TestCards(t *testing.T) {
	t.Parallel()
	persistencetest.RunCards(t, func(t *testing.T) persistence.Cards {
		t.Helper()
		return redis.NewCards(client(t, redis.Config{URL: database(t)}))
	})
}

// The processes know nothing of each other: what holds here, the scripts hold.
func TestCardsOfTwoProcesses(t *testing.T) {
	t.Parallel()
	persistencetest.RunCards(t, func(t *testing.T) persistence.Cards {
		t.Helper()
		url := database(t)
		return &inTurn{cards: [2]*redis.Cards{
			redis.NewCards(client(t, redis.Config{URL: url})), redis.NewCards(client(t, redis.Config{URL: url})),
		}}
	})
}

// inTurn makes one call through one process, and the next through the other.
type inTurn struct {
	cards [2]*redis.Cards
	calls atomic.Int64
}

func (c *inTurn) next() *redis.Cards { return c.cards[c.calls.Add(1)%2] }

func (c *inTurn) Get(ctx context.Context, ids []user.ID) ([]*persistence.CachedCard, error) {
	return c.next().Get(ctx, ids)
}

func (c *inTurn) IDByUsername(ctx context.Context, username string) (user.ID, bool, error) {
	return c.next().IDByUsername(ctx, username)
}

func (c *inTurn) Put(ctx context.Context, cards []*persistence.CachedCard) error {
	return c.next().Put(ctx, cards)
}

func TestVersionsAreComparedInFull(t *testing.T) {
	t.Parallel()
	url := database(t)
	one, two := redis.NewCards(client(t, redis.Config{URL: url})), redis.NewCards(client(t, redis.Config{URL: url}))
	for _, v := range []uint64{1, 255, 256, math.MaxUint32, math.MaxUint32 + 1, 1 << 53, 1<<53 + 1, math.MaxUint64 - 1} {
		put(t, one, card(1, v))
		put(t, two, card(1, v-1))
		if got := get(t, one, 1); got == nil || got.Card.Version != v {
			t.Fatalf("found %+v, want version %d", got, v)
		}
	}
}

func TestATombstoneTakesTheNameWithIt(t *testing.T) {
	t.Parallel()
	c := redis.NewCards(client(t, redis.Config{URL: database(t)}))
	put(t, c, card(1, 1), persistence.NewTombstone(1, 2))
	if id, found, err := c.IDByUsername(t.Context(), "name1"); err != nil || found {
		t.Fatalf("the name leads to %d, %v", id, err)
	}
}

func TestALateFillDoesNotReplaceWhatWasEvicted(t *testing.T) {
	t.Parallel()
	url := database(t)
	var now clock
	c := redis.NewCards(client(t, redis.Config{URL: url, Now: now.now}))
	rdb := raw(t, url)
	evict := func() {
		keys, err := rdb.Keys(t.Context(), "kith:*:card:*").Result()
		must(t, err)
		must(t, rdb.Del(t.Context(), keys...).Err())
	}
	put(t, c, card(1, 2), persistence.NewTombstone(2, 3))
	evict()
	put(t, c, card(1, 1), card(2, 9))
	for id := range user.ID(2) {
		if got := get(t, c, id+1); got != nil {
			t.Fatalf("found version %d, which is old", got.Card.Version)
		}
	}
	put(t, c, card(1, 2))
	if got := get(t, c, 1); got == nil {
		t.Fatal("the same version was not put again")
	}
	evict()
	now.advance(time.Minute)
	put(t, c, card(1, 1), card(3, 1)) // the memory is for a while, not for ever
	now.advance(time.Minute)
	put(t, c, card(1, 1))
	if got := get(t, c, 1); got == nil {
		t.Fatal("an old version is refused after its time")
	}
}

func TestEveryEntryExpires(t *testing.T) {
	t.Parallel()
	url := database(t)
	put(t, redis.NewCards(client(t, redis.Config{URL: url})), card(1, 1), persistence.NewTombstone(2, 1))
	rdb := raw(t, url)
	keys, err := rdb.Keys(t.Context(), "kith:*:*").Result()
	must(t, err)
	if len(keys) != 3 {
		t.Fatalf("keys %q", keys)
	}
	for _, k := range keys {
		ttl, err := rdb.TTL(t.Context(), k).Result()
		must(t, err)
		if ttl <= 23*time.Hour || ttl > 24*time.Hour {
			t.Errorf("%s lives %s", k, ttl)
		}
	}
}

func TestAPutLargerThanABatch(t *testing.T) {
	t.Parallel()
	c := redis.NewCards(client(t, redis.Config{URL: database(t)}))
	const n = 1500
	cards, ids := make([]*persistence.CachedCard, n), make([]user.ID, n)
	for i := range cards {
		ids[i] = user.ID(i + 1)
		cards[i] = card(ids[i], 1)
	}
	put(t, c, cards...)
	got, err := c.Get(t.Context(), ids)
	must(t, err)
	for i, c := range got {
		if c == nil || c.Card.ID != ids[i] {
			t.Fatalf("at %d: %+v", i, c)
		}
	}
}

func TestCallersAtTheSameTimeGetTheirOwn(t *testing.T) {
	t.Parallel()
	c := redis.NewCards(client(t, redis.Config{URL: database(t)}))
	var running sync.WaitGroup
	for n := range user.ID(64) {
		running.Go(func() {
			for i := range user.ID(50) {
				id := n*1000 + i + 1
				if err := c.Put(t.Context(), []*persistence.CachedCard{card(id, 1)}); err != nil {
					t.Error(err)
					return
				}
				got, err := c.Get(t.Context(), []user.ID{id, id + 500})
				if err != nil || got[0] == nil || got[0].Card.ID != id || got[1] != nil {
					t.Errorf("of %d: %v, %v", id, got, err)
					return
				}
				if named, _, err := c.IDByUsername(t.Context(), card(id, 1).Card.Username); err != nil || named != id {
					t.Errorf("the name of %d leads to %d, %v", id, named, err)
				}
			}
		})
	}
	running.Wait()
}

func TestAPutOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	c := redis.NewCards(client(t, redis.Config{URL: database(t)}))
	put(t, c, card(1, 1))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, c.Put(gone, []*persistence.CachedCard{card(2, 1)}))
	if get(t, c, 1) == nil || get(t, c, 2) == nil {
		t.Fatal("a caller who went away cost the cache its cards")
	}
}

func TestWhatIsStoredIsGolden(t *testing.T) {
	t.Parallel()
	c := card(0x0102, 0x0304)
	c.Card.UID = user.UID{15: 0xff}
	c.Card.Picture, c.Card.Privacy = "/p", user.Privacy{Profile: true, Ratings: true}
	c.Card.Followers, c.Card.Following, c.Card.Streams, c.Card.Videos = 300, 1, 0, -1
	c.JSON = []byte(`{}`)
	for want, c := range map[string]*persistence.CachedCard{
		"0000000000000304" + "00" + "0007" + hex.EncodeToString([]byte("name258")) +
			"01" + "0000000000000102" + strings.Repeat("00", 15) + "ff" + "05" +
			"04" + hex.EncodeToString([]byte("Name")) + "04" + hex.EncodeToString([]byte("user")) + "02" + hex.EncodeToString([]byte("/p")) +
			"d804" + "02" + "00" + "01" + "8080f28183898506" + "888cf28183898506" + "7b7d": c,
		"0000000000000305" + "01" + "0000" + "01" + "0000000000000102": persistence.NewTombstone(0x0102, 0x0305),
	} {
		if got := hex.EncodeToString(redis.EncodeCard(c)); got != want {
			t.Errorf("stored\n%s, want\n%s", got, want)
		}
	}
}

func TestACardIsReadAsItWasStored(t *testing.T) {
	t.Parallel()
	when := func(t *rapid.T) time.Time {
		return time.UnixMicro(rapid.Int64Range(-62135596800e6, 253402300799e6).Draw(t, "time")).UTC()
	}
	rapid.Check(t, func(t *rapid.T) {
		want := &persistence.CachedCard{Card: user.Card{ID: user.ID(rapid.Uint64().Draw(t, "id")), Version: rapid.Uint64().Draw(t, "version")}}
		if want.Deleted = rapid.Bool().Draw(t, "deleted"); !want.Deleted {
			c := &want.Card
			copy(c.UID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uid"))
			c.Username, c.Name = rapid.StringN(-1, -1, 999).Draw(t, "username"), rapid.String().Draw(t, "name")
			c.Role, c.Picture = user.Role(rapid.String().Draw(t, "role")), rapid.String().Draw(t, "picture")
			c.Followers, c.Following = rapid.Int64().Draw(t, "followers"), rapid.Int64().Draw(t, "following")
			c.Streams, c.Videos = rapid.Int64().Draw(t, "streams"), rapid.Int64().Draw(t, "videos")
			c.Privacy = user.Privacy{Profile: rapid.Bool().Draw(t, "profile"), WatchHistory: rapid.Bool().Draw(t, "history"), Ratings: rapid.Bool().Draw(t, "ratings")}
			c.CreatedAt, c.UpdatedAt = when(t), when(t)
			want.JSON = rapid.SliceOf(rapid.Byte()).Draw(t, "json")
		}
		stored := string(redis.EncodeCard(want))
		got, err := redis.DecodeCard(stored)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(bytes.Equal)); diff != "" {
			t.Fatal(diff)
		}
		body := len(stored) - len(want.JSON)
		if c, err := redis.DecodeCard(stored[:rapid.IntRange(0, body-1).Draw(t, "cut")]); err == nil {
			t.Fatalf("half a card is read as %+v", c)
		}
	})
}

func FuzzDecodeCard(f *testing.F) {
	f.Add(string(redis.EncodeCard(card(1, 1))))
	f.Add(string(redis.EncodeCard(persistence.NewTombstone(1, 1))))
	f.Fuzz(func(t *testing.T, stored string) {
		c, err := redis.DecodeCard(stored)
		if (c == nil) != (err != nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err != nil {
			return
		}
		again, err := redis.DecodeCard(string(redis.EncodeCard(c)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, again, cmp.Comparer(bytes.Equal)); diff != "" && !c.Deleted {
			t.Fatal(diff)
		}
	})
}

func TestWhatCannotBeReadIsNotFound(t *testing.T) {
	t.Parallel()
	url := database(t)
	c := redis.NewCards(client(t, redis.Config{URL: url}))
	put(t, c, card(1, 1), card(2, 1))
	rdb := raw(t, url)
	keys, err := rdb.Keys(t.Context(), "kith:*:card:1").Result()
	must(t, err)
	other := redis.EncodeCard(card(1, 1))
	other[8+1+2+len("name1")]++ // the format
	for _, stored := range [][]byte{[]byte("x"), redis.EncodeCard(card(2, 1)), other} {
		must(t, rdb.Set(t.Context(), keys[0], stored, 0).Err())
		if got := get(t, c, 1); got != nil {
			t.Fatalf("read %q as %+v", stored, got)
		}
	}
	if get(t, c, 2) == nil {
		t.Fatal("others suffer")
	}
}

// card is a card of "name" and its id.
func card(id user.ID, version uint64) *persistence.CachedCard {
	start := time.Unix(1_700_000_000, 0).UTC()
	return persistence.NewCard(user.Card{
		ID: id, Version: version, Username: fmt.Sprintf("name%d", id), Name: "Name", Role: user.RoleUser,
		CreatedAt: start, UpdatedAt: start.Add(time.Duration(version%1000) * time.Microsecond),
	})
}

func put(tb testing.TB, c persistence.Cards, cards ...*persistence.CachedCard) {
	tb.Helper()
	must(tb, c.Put(tb.Context(), cards))
}

func get(tb testing.TB, c persistence.Cards, id user.ID) *persistence.CachedCard {
	tb.Helper()
	cards, err := c.Get(tb.Context(), []user.ID{id})
	if err != nil && !errors.Is(err, redis.ErrAway) {
		tb.Fatal(err)
	}
	return cards[0]
}

func BenchmarkGet(b *testing.B) {
	c := redis.NewCards(client(b, redis.Config{URL: database(b)}))
	for id := range user.ID(1000) {
		put(b, c, card(id+1, 1))
	}
	var callers atomic.Uint64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		id := user.ID(callers.Add(1))
		for pb.Next() {
			id = id%1000 + 1
			if got, err := c.Get(context.Background(), []user.ID{id}); err != nil || got[0] == nil {
				b.Error(got, err)
				return
			}
		}
	})
}
