package main

import (
	"context"
	"fmt"
	"time"
)

const (
	accountConns = 8
	accountCount = 200
)

// measureAccounts measures registration and login, for information: what they
// cost is what a password hash costs, and that is a choice.
func (b *bench) measureAccounts(ctx context.Context, r *rig) error {
	count := b.scaled(accountCount, 2*accountConns)
	stopProfile := b.profile(ctx, r.kith, phaseAccount, 2*time.Second)
	for _, kind := range []string{loadRegister, loadLogin} {
		s, err := r.kith.load(ctx, job{Kind: kind, Connections: accountConns, Count: count}, nil)
		if err != nil {
			return err
		}
		b.say("%s: %.1f/s, %.1f ms of CPU", kind, s.rate(), s.each()/1000)
		b.report.add(fmt.Sprintf("for information: `POST /auth/%s`, %d connections", kind, accountConns),
			fmt.Sprintf("%.0f/s (CPU %.1f ms; p50 %s)", s.rate(), s.each()/1000, milliseconds(s.Latency.quantile(.5))), unjudged)
	}
	return stopProfile()
}
