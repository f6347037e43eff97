package crash_test

import (
	"slices"
	"sync"

	"kith/test/kithtest"
)

// oracle knows the accounts that clients made and what may be true of them. It
// has never seen the server: it knows requests and answers. Each account is
// changed by one client, one request after the other; everybody reads.
type oracle struct {
	mu       sync.Mutex
	accounts []*account
}

// account is what may be true of one account. Usernames are never used again
// while clients run, so that a username means one account.
type account struct {
	username string
	token    string // once it is registered
	exists   fact[bool]
	deleted  fact[bool]
	name     fact[string]
	follows  map[*account]*fact[bool]
	events   map[string]*fact[eventState]
}

// eventState is what may be true of a behaviour event.
type eventState string

const (
	never    eventState = "never recorded"
	recorded eventState = "recorded"
	erased   eventState = "erased"
)

// fact holds the values that something may have now: one when the last answer
// said so, more when an answer is missing, in the order of the requests.
type fact[T comparable] struct{ may []T }

// could reports whether the value is possible.
func (f *fact[T]) could(v T) bool { return slices.Contains(f.may, v) }

// surely reports whether no other value is possible.
func (f *fact[T]) surely(v T) bool {
	return !slices.ContainsFunc(f.may, func(other T) bool { return other != v })
}

// change is a request that is under way: it makes a fact have a value, unless it
// is refused.
type change[T comparable] struct {
	oracle *oracle
	fact   *fact[T]
	before []T
	after  T
}

// begin notes that a request is about to be sent: from now on both what was
// possible and what it asks for are. If no answer comes, that stays so.
func begin[T comparable](o *oracle, f *fact[T], after T) change[T] {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := change[T]{o, f, f.may, after}
	if !f.surely(after) {
		f.may = append(slices.Clone(f.may), after)
	}
	return c
}

// saw notes that a value was read while clients write. It is committed, and what
// was asked for before it is out of the question. A request behind it whose answer
// is missing may have been done all the same where the database was killed and the
// server lives, which serves what it knows until it hears of it; a server that was
// killed has read what there is.
func saw[T comparable](o *oracle, f *fact[T], v T) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !kithtest.Production() {
		f.may = []T{v}
		return
	}
	f.may = append([]T{v}, f.may[slices.Index(f.may, v)+1:]...)
}

// done notes that the request was acknowledged.
func (c change[T]) done() {
	c.oracle.mu.Lock()
	defer c.oracle.mu.Unlock()
	c.fact.may = []T{c.after}
}

// refused notes that the request was answered and changed nothing.
func (c change[T]) refused() {
	c.oracle.mu.Lock()
	defer c.oracle.mu.Unlock()
	c.fact.may = c.before
}

// add makes an account that does not exist yet.
func (o *oracle) add(username, name string) *account {
	a := &account{
		username: username, name: fact[string]{[]string{name}},
		exists: fact[bool]{[]bool{false}}, deleted: fact[bool]{[]bool{false}},
		follows: make(map[*account]*fact[bool]), events: make(map[string]*fact[eventState]),
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.accounts = append(o.accounts, a)
	return a
}

// all returns the accounts so far.
func (o *oracle) all() []*account {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.accounts)
}

// edge returns the fact whether a follows b.
func (o *oracle) edge(a, b *account) *fact[bool] {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := a.follows[b]
	if f == nil {
		f = &fact[bool]{[]bool{false}}
		a.follows[b] = f
	}
	return f
}

// can reports whether a value of a fact is possible; must whether no other is.
func can[T comparable](o *oracle, f *fact[T], v T) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return f.could(v)
}

func must[T comparable](o *oracle, f *fact[T], v T) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return f.surely(v)
}

// followingBounds returns the least and the most that the counter of a may show
// as following: edges to accounts that may be deleted may be gone or not yet.
func (o *oracle) followingBounds(a *account) (least, most int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for b, f := range a.follows {
		if f.surely(true) && b.deleted.surely(false) {
			least++
		}
		if f.could(true) {
			most++
		}
	}
	return least, most
}
