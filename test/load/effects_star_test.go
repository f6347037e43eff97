package main

import (
	"testing"
	"time"

	"kith/actors/usergrain"
	"kith/persistence"
)

// What the fans have committed is all there, and the star knows of none of it.
func TestFollowersOfTheStarAreLeftToTheEffects(t *testing.T) {
	t.Parallel()
	const fans = 300
	ctx, at := t.Context(), place{Dir: t.TempDir()}
	people, err := newPopulation(fans+1, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	people.Active = 10
	if err := people.logIn(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	if err := loadWorld(ctx, at, people, tails(), func(int) {}); err != nil {
		t.Fatal(err)
	}
	steps := 0
	if err := followStar(ctx, at, people, func(n int) { steps += n }); err != nil || steps != fans {
		t.Fatalf("%d steps, want %d: %v", steps, fans, err)
	}
	db := openDB(t, at.file())
	heads, err := db.Heads(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for tail, behind := range map[persistence.TailName]uint64{persistence.TailBroker: 0, persistence.TailEffects: fans} {
		marks, err := db.Marks(ctx, tail)
		if err != nil {
			t.Fatal(err)
		}
		var lag uint64
		for lane, head := range heads {
			lag += head - marks[lane]
		}
		if lag != behind {
			t.Errorf("%d records lie before %s, want %d", lag, tail, behind)
		}
	}
	s := server{process: &process{name: "kith"}, setup: setup{at: at}}
	if s.reader, err = at.read(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.reader.close(); err != nil {
			t.Error(err)
		}
	})
	if following, followers, err := s.sums(ctx); err != nil || following != fans || followers != 0 {
		t.Errorf("%d follow, %d are followers (%v), want %d and none", following, followers, err, fans)
	}
	report, err := usergrain.Verify(ctx, db, nil)
	if err != nil || report.Differences > 0 || report.Records != 2*fans+1 {
		t.Errorf("verify: %+v (%v)", report, err)
	}
}

func TestOnlyActive(t *testing.T) {
	t.Parallel()
	p := newPeople(t, 500)
	p.Active = 50
	few := p.onlyActive()
	if len(few.People) != 50 || few.Active != 50 {
		t.Fatalf("%d people, %d active, want 50", len(few.People), few.Active)
	}
	for k := range p.Active {
		if few.People[few.active(k)] != p.People[p.active(k)] {
			t.Fatalf("the active one number %d is another", k)
		}
	}
}

func TestQuantileOfAllThatOthersAsk(t *testing.T) {
	t.Parallel()
	var a asked
	for range 98 {
		a.lookups.Latency.record(time.Microsecond)
	}
	for range 2 {
		a.events.Latency.record(5 * time.Microsecond)
	}
	if p50, p99 := a.quantile(.5), a.quantile(.99); p50 != time.Microsecond || p99 != 5*time.Microsecond {
		t.Errorf("p50 %s, p99 %s", p50, p99)
	}
	if a.lookups.Latency.total != 98 {
		t.Error("what was asked is changed")
	}
}

func TestPartsNameWhatWasUsed(t *testing.T) {
	t.Parallel()
	s := sample{outcome: outcome{Done: 10}, usage: usage{Server: 5 * time.Millisecond, Database: 3 * time.Millisecond, Topics: time.Millisecond}}
	if got := made([]sample{s}, 1); got != ": server 500.0 + PostgreSQL 300.0 + Kafka 100.0" {
		t.Errorf("parts%s", got)
	}
	if s.each() != 900 {
		t.Errorf("%.0f µs each, want 900", s.each())
	}
	if left := s.minus(s.usage); left != (usage{}) {
		t.Errorf("less itself it is %+v", left)
	}
}

func TestTailThatPublishes(t *testing.T) {
	t.Parallel()
	var none *stores
	for want, on := range map[persistence.TailName]*stores{persistence.TailBroker: {}, persistence.TailPublish: {kafka: &kafka{}}} {
		if got := on.publishTail(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := none.publishTail(); got != persistence.TailBroker {
		t.Errorf("without stores: %s", got)
	}
	if err := (*kafka)(nil).close(); err != nil {
		t.Error(err)
	}
	if u, err := none.usage(); err != nil || u != (usage{}) {
		t.Errorf("what no stores use: %+v (%v)", u, err)
	}
}
