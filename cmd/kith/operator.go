package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
	"kith/gateway/auth"
	"kith/persistence"
	"kith/persistence/memory"
	"kith/streams/index"
)

// localOperator does the operator's commands on the data itself.
type localOperator struct {
	db       database
	indexes  *index.Builder // of a search engine; nil: there is none
	tokens   *auth.Tokens
	commands commander
}

// Token implements operator. The token belongs to no session: it ends by itself.
func (o *localOperator) Token(ctx context.Context, username string, ttl time.Duration) (string, error) {
	account, err := o.find(ctx, username)
	if err != nil {
		return "", err
	}
	return o.tokens.Issue(account.UID, auth.SessionID{}, ttl)
}

// Verify implements operator.
func (o *localOperator) Verify(ctx context.Context, progress func(users int)) (usergrain.Report, error) {
	return usergrain.Verify(ctx, o.db, progress)
}

// SetRole implements operator.
func (o *localOperator) SetRole(ctx context.Context, username string, role user.Role) error {
	account, err := o.find(ctx, username)
	if err != nil || account.Role == role {
		return err
	}
	return o.commands(ctx, func(client *usergrain.Client) error {
		if _, err := client.Do(ctx, account.ID, user.UpdateProfile{Role: &role}); err != nil {
			return fmt.Errorf("set the role: %w", err)
		}
		return nil
	})
}

func (o *localOperator) find(ctx context.Context, username string) (*user.Account, error) {
	account, err := o.db.ByUsername(ctx, username)
	if errors.Is(err, persistence.ErrNotFound) {
		return nil, fmt.Errorf("no user is called %q", username)
	}
	if err != nil {
		return nil, fmt.Errorf("find the user: %w", err)
	}
	return account, nil
}

// commander lends what carries out commands to users.
type commander func(ctx context.Context, f func(*usergrain.Client) error) error

// running lends the client of a server that runs.
func running(client *usergrain.Client) commander {
	return func(_ context.Context, f func(*usergrain.Client) error) error { return f(client) }
}

// starting lends a client of grains that run in this process, for as long as f
// takes: a command is decided by its grain and goes through the journal, whether
// the server runs or not. What follows from it, the server's tails do when it
// starts.
func starting(d *dataDir, db database) commander {
	return func(ctx context.Context, f func(*usergrain.Client) error) (err error) {
		p := newProcess(slog.New(slog.DiscardHandler)) // what fails is returned
		defer func() { err = errors.Join(err, p.close()) }()
		cards, err := memory.NewCards(memory.Config{})
		if err != nil {
			return fmt.Errorf("make the card cache: %w", err)
		}
		committer, err := p.takeLanes(ctx, d, db, cards)
		if err != nil {
			return err
		}
		client, err := p.startGrains(ctx, db, committer)
		if err != nil {
			return err
		}
		parts, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- runParts(parts, p.logger, grace, p.parts) }()
		err = f(client)
		stop()
		return errors.Join(err, <-ended)
	}
}

// openOperator opens the data of a data dir on which no server runs.
func openOperator(ctx context.Context, a access) (_ operator, closeAll func() error, err error) {
	p := newProcess(slog.New(slog.DiscardHandler)) // what fails is returned
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	d, err := openDataDir(a.DataDir)
	if err != nil {
		return nil, nil, err
	}
	p.closing(d.close)
	key := []byte(a.key)
	if len(key) == 0 {
		if key, err = d.secret(); err != nil {
			return nil, nil, err
		}
	}
	tokens, err := auth.New(auth.Config{Secret: key})
	if err != nil {
		return nil, nil, err
	}
	db, err := a.openDatabase(ctx, d, databaseOptions{})
	if err != nil {
		return nil, nil, err
	}
	p.closing(db.Close)
	o := &localOperator{db: db, tokens: tokens, commands: starting(d, db)}
	engine, err := a.search.engine(nil, nil)
	if err != nil {
		return nil, nil, err
	}
	if engine != nil {
		p.closing(engine.Close)
		o.indexes = index.NewBuilder(db, engine, slog.New(slog.DiscardHandler))
	}
	return o, p.close, nil
}
