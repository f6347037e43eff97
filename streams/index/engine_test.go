package index_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"kith/actors/user"
	"kith/persistence"
)

var errAway = errors.New("the engine is away")

// engine is a search engine in memory, that fails when it is told to.
type engine struct {
	mu    sync.Mutex
	used  *contents // nil: there is no index
	next  *contents // nil: none is being built
	away  bool
	hook  func(step string) // called before what changes something, without the lock
	calls int
	// switching makes the next Index meet an index that is just being left.
	switching bool
	refuse    user.ID
	told      chan struct{} // has one after every call that was made
}

// contents are the documents of an index, and the versions of those that were removed.
type contents struct {
	docs map[user.ID]persistence.SearchDocument
}

func newEngine() *engine { return &engine{told: make(chan struct{}, 1)} }

func newContents() *contents {
	return &contents{make(map[user.ID]persistence.SearchDocument)}
}

func (c *contents) put(d persistence.SearchDocument) {
	if d.Version > c.docs[d.ID].Version {
		c.docs[d.ID] = d
	}
}

func (e *engine) enter(step string) (leave func(), err error) {
	e.mu.Lock()
	hook := e.hook
	e.mu.Unlock()
	if hook != nil {
		hook(step)
	}
	e.mu.Lock()
	e.calls++
	if e.away {
		err = errAway
	}
	return func() {
		e.mu.Unlock()
		select {
		case e.told <- struct{}{}:
		default:
		}
	}, err
}

func (e *engine) Index(_ context.Context, docs []persistence.SearchDocument) (refused []persistence.RefusedDocument, err error) {
	leave, err := e.enter("index")
	defer leave()
	if err != nil {
		return nil, err
	}
	if e.switching {
		e.switching = false
		return nil, persistence.ErrNoIndex
	}
	for _, d := range docs {
		if e.next != nil {
			e.next.put(d)
		}
		switch {
		case e.used == nil:
			err = persistence.ErrNoIndex
		case d.ID == e.refuse:
			refused = append(refused, persistence.RefusedDocument{ID: d.ID, Reason: "odd"})
		default:
			e.used.put(d)
		}
	}
	return refused, err
}

func (e *engine) HasIndex(context.Context) (bool, error) {
	leave, err := e.enter("has")
	defer leave()
	return e.used != nil, err
}

func (e *engine) Search(context.Context, persistence.SearchQuery, persistence.SearchCursor, int) ([]persistence.SearchHit, error) {
	return nil, errors.New("nobody searches here")
}

func (e *engine) Tidy(context.Context) error {
	leave, err := e.enter("tidy")
	defer leave()
	if err == nil {
		e.next = nil
	}
	return err
}

func (e *engine) Build(context.Context) (persistence.SearchBuild, error) {
	leave, err := e.enter("build")
	defer leave()
	if err != nil {
		return nil, err
	}
	e.next = newContents()
	return &build{e, e.next}, nil
}

type build struct {
	e *engine
	c *contents
}

func (b *build) Index(_ context.Context, docs []persistence.SearchDocument) ([]persistence.RefusedDocument, error) {
	leave, err := b.e.enter("fill")
	defer leave()
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		b.c.put(d)
	}
	return nil, nil
}

func (b *build) Switch(context.Context) error {
	leave, err := b.e.enter("switch")
	defer leave()
	if err == nil {
		b.e.used, b.e.next = b.c, nil
	}
	return err
}

func (b *build) Abandon(context.Context) error {
	leave, err := b.e.enter("abandon")
	defer leave()
	if err == nil && b.e.used != b.c {
		b.e.next = nil
	}
	return err
}

// onStep has f called before each step that changes something; nil: nothing is.
func (e *engine) onStep(f func(step string)) {
	e.becomes(func(e *engine) { e.hook = f })
}

// becomes changes the engine.
func (e *engine) becomes(f func(e *engine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e)
}

// documents returns what is found, by id.
func (e *engine) documents() []persistence.SearchDocument {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.used == nil {
		return nil
	}
	var docs []persistence.SearchDocument
	for _, d := range e.used.docs {
		if !d.Gone {
			docs = append(docs, d)
		}
	}
	slices.SortFunc(docs, func(a, b persistence.SearchDocument) int { return cmp.Compare(a.ID, b.ID) })
	return docs
}
