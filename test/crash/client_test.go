package crash_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"

	"kith/test/kithtest"
)

const (
	password = "correct horse battery staple"
	// stars are the accounts that are followed more than others, so that many
	// turns meet in one grain.
	stars = 3
	// A client begins with so many accounts and has at most so many at a time.
	ownFirst, ownMost = 2, 3
)

// client is one of many that write at the same time. What it does to an account
// is one request after the other; only it writes to its accounts.
type client struct {
	storm *storm
	id    int
	rng   *rand.Rand
	http  *kithtest.Client
	own   []*account // alive, as far as it knows
	made  int        // registrations, for names
	said  int        // behaviour events, for ids
}

// outcome is what an answer says about a write.
type outcome int

const (
	unknown outcome = iota // no answer, or one that says so
	done                   // acknowledged
	refused                // answered; nothing was written
)

// run registers, and then writes until the storm is over.
func (c *client) run(registered *sync.WaitGroup) {
	arrive := sync.OnceFunc(registered.Done)
	defer arrive()
	for range ownFirst {
		c.register()
	}
	arrive()
	registered.Wait()
	for {
		c.step()
	}
}

// send sends one request and judges its answer. While the server is away it
// waits. An answer that is neither of the wanted ones nor an honest failure
// fails the test. Once the storm is over it ends the client.
func (c *client) send(what string, do func(context.Context) (*kithtest.Answer, error), wanted ...int) (*kithtest.Answer, outcome) {
	life := c.storm.awaitUp()
	select {
	case <-c.storm.over:
		runtime.Goexit()
	default:
	}
	a, err := do(c.storm.t.Context())
	switch {
	case err != nil:
		c.storm.lost(life, what, err)
		return nil, unknown
	case slices.Contains(wanted, a.Status):
		if a.Status < http.StatusBadRequest {
			return a, done
		}
		return a, refused
	case a.Status == http.StatusServiceUnavailable && a.Code == "busy":
		return a, refused
	case a.Status == http.StatusServiceUnavailable && (a.Code == "outcome_unknown" || a.Code == "unavailable"):
		return a, unknown
	}
	c.storm.t.Errorf("%s: %s", what, a)
	return a, unknown
}

// step does one thing at random.
func (c *client) step() {
	if len(c.own) == 0 {
		c.register()
		return
	}
	a := c.own[c.rng.IntN(len(c.own))]
	switch n := c.rng.IntN(1000); {
	case n < 420:
		c.follow(a)
	case n < 570:
		c.unfollow(a)
	case n < 650:
		c.rename(a)
	case n < 790:
		c.record(a)
	case n < 850:
		c.erase(a)
	case n < 880:
		c.taste(a)
	case n < 900:
		c.configure(a)
	case n < 980:
		c.read(a)
	case n < 987:
		c.remove(a)
	case n < 993:
		c.logout(a)
	case len(c.own) < ownMost:
		c.register()
	}
}

// register makes an account. When the answer is missing it asks again, and then
// logs in: a name that is taken and no password for it is a claim without an
// account, which is given up later.
func (c *client) register() {
	// A password costs so much that more at a time would only wait.
	c.storm.registering <- struct{}{}
	defer func() { <-c.storm.registering }()
	o := c.storm.oracle
	c.made++
	username := fmt.Sprintf("user_%d_%d", c.id, c.made)
	name := "Name of " + username
	a := o.add(username, name)
	for {
		change := begin(o, &a.exists, true)
		answer, result := c.send("register "+a.username, func(ctx context.Context) (*kithtest.Answer, error) {
			return c.http.Register(ctx, kithtest.Registration{Username: a.username, Name: name, Password: password})
		}, http.StatusCreated, http.StatusConflict)
		switch {
		case result == refused && answer.Status == http.StatusConflict:
			if must(o, &fact[bool]{change.before}, false) {
				c.storm.t.Errorf("register %s, never asked for before: %s", a.username, answer)
			}
			answer, result = c.login(a)
			if result == refused {
				begin(o, &a.exists, false).done()
				return
			}
		case result == refused: // busy
			change.refused()
			continue
		}
		if result == done {
			change.done()
			c.storm.acknowledged()
			a.token = answer.Token
			c.own = append(c.own, a)
			return
		}
	}
}

func (c *client) login(a *account) (*kithtest.Answer, outcome) {
	for {
		answer, result := c.send("log in as "+a.username, func(ctx context.Context) (*kithtest.Answer, error) {
			return c.http.Login(ctx, a.username, password)
		}, http.StatusOK, http.StatusUnauthorized)
		if result == done || result == refused && answer.Status == http.StatusUnauthorized {
			return answer, result
		}
	}
}

// target chooses whom to act on: somebody else, who may be deleted. There are
// others, since every client begins with a registration.
func (c *client) target(a *account) *account {
	for {
		all := c.storm.oracle.all()
		n := len(all)
		if c.rng.IntN(4) == 0 {
			n = min(n, stars+1)
		}
		if b := all[c.rng.IntN(n)]; b != a && must(c.storm.oracle, &b.exists, true) {
			return b
		}
	}
}

// follow follows somebody, who may be deleted meanwhile. A missing answer is
// asked for again half of the time.
func (c *client) follow(a *account) { c.setEdge(a, true) }

func (c *client) unfollow(a *account) { c.setEdge(a, false) }

func (c *client) setEdge(a *account, follows bool) {
	o, t := c.storm.oracle, c.storm.t
	b := c.target(a)
	edge := o.edge(a, b)
	for {
		wasGone := must(o, &b.deleted, true)
		change := begin(o, edge, follows)
		what := fmt.Sprintf("%s follows %s: %t", a.username, b.username, follows)
		answer, result := c.send(what, func(ctx context.Context) (*kithtest.Answer, error) {
			if follows {
				return c.http.As(a.token).Follow(ctx, b.username)
			}
			return c.http.As(a.token).Unfollow(ctx, b.username)
		}, http.StatusOK, http.StatusCreated, http.StatusNotFound)
		switch result {
		case done:
			alive := must(o, &b.deleted, false)
			switch before := (fact[bool]{change.before}); {
			case wasGone:
				t.Errorf("%s, which was deleted before: %s", what, answer)
			case answer.Following == nil || *answer.Following != follows:
				t.Errorf("%s: %s", what, answer)
			case alive && follows && before.surely(true) && answer.Status != http.StatusOK,
				alive && follows && before.surely(false) && answer.Status != http.StatusCreated:
				t.Errorf("%s, before %v: %s", what, change.before, answer)
			}
			change.done()
			c.storm.acknowledged()
			return
		case refused:
			if answer.Status == http.StatusNotFound && !can(o, &b.deleted, true) {
				t.Errorf("%s, whom nobody deleted: %s", what, answer)
			}
			change.refused()
			return
		case unknown:
			if c.rng.IntN(2) == 0 {
				return
			}
		}
	}
}

// rename changes the name of an account.
func (c *client) rename(a *account) {
	name := fmt.Sprintf("Name %d of %d", c.rng.IntN(1_000_000), c.id)
	change := begin(c.storm.oracle, &a.name, name)
	answer, result := c.send("rename "+a.username, func(ctx context.Context) (*kithtest.Answer, error) {
		return c.http.As(a.token).Update(ctx, map[string]string{"name": name})
	}, http.StatusOK)
	switch result {
	case done:
		if answer.User == nil || answer.User.Name != name {
			c.storm.t.Errorf("rename %s to %q: %s", a.username, name, answer)
		}
		change.done()
		c.storm.acknowledged()
	case refused:
		change.refused()
	case unknown:
	}
}

// remove deletes an account, which is used no more, whatever the answer was. A
// missing answer is asked for again half of the time.
func (c *client) remove(a *account) {
	c.own = slices.DeleteFunc(c.own, func(b *account) bool { return a == b })
	for maybe := false; ; {
		change := begin(c.storm.oracle, &a.deleted, true)
		answer, result := c.send("delete "+a.username, func(ctx context.Context) (*kithtest.Answer, error) {
			return c.http.As(a.token).Delete(ctx, a.username)
		}, http.StatusOK, http.StatusNotFound)
		switch {
		case result == done:
			change.done()
			c.storm.acknowledged()
			return
		case result == refused && answer.Status == http.StatusNotFound:
			if !maybe {
				c.storm.t.Errorf("delete %s: %s", a.username, answer)
			}
			change.done()
			return
		case result == refused:
			change.refused()
		case c.rng.IntN(2) == 0:
			return
		default:
			maybe = true
		}
	}
}

// read looks at what the account itself must see right after its own writes.
func (c *client) read(a *account) {
	o, t := c.storm.oracle, c.storm.t
	answer, result := c.send("read "+a.username, func(ctx context.Context) (*kithtest.Answer, error) {
		return c.http.As(a.token).User(ctx, a.username)
	}, http.StatusOK)
	if result == done {
		least, most := o.followingBounds(a)
		if u := answer.User; u == nil || !can(o, &a.name, u.Name) || u.Following < least || u.Following > most {
			t.Errorf("read %s: %s; following must be from %d to %d, the name one of %q", a.username, answer, least, most, a.name.may)
		} else {
			saw(o, &a.name, u.Name)
		}
	}
	b := c.target(a)
	wasGone := must(o, &b.deleted, true)
	answer, result = c.send("read "+b.username, func(ctx context.Context) (*kithtest.Answer, error) {
		return c.http.As(a.token).User(ctx, b.username)
	}, http.StatusOK, http.StatusNotFound)
	switch {
	case result == done && wasGone:
		t.Errorf("read %s, which was deleted: %s", b.username, answer)
	case result == done:
		edge := o.edge(a, b)
		if answer.Following == nil || must(o, &b.deleted, false) && !can(o, edge, *answer.Following) {
			t.Errorf("%s reads %s: %s; following must be one of %v", a.username, b.username, answer, edge.may)
		} else {
			saw(o, edge, *answer.Following)
		}
	case result == refused && answer.Status == http.StatusNotFound && !can(o, &b.deleted, true):
		t.Errorf("read %s, whom nobody deleted: %s", b.username, answer)
	}
}
