package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"
)

// The phases, in the order in which they run.
const (
	phaseLookup     = "lookup"
	phaseFollow     = "follow"
	phaseEvents     = "events"
	phaseAccount    = "account"
	phaseActivation = "activation"
	phaseList       = "list"
	phaseMillion    = "million"
	phasePublish    = "publish"

	// Sockets of GET /ws.
	phaseSocketsIdle    = "ws-idle"
	phaseSocketsFanout  = "ws-fanout"
	phaseSocketsLatency = "ws-latency"
	phaseSocketsResume  = "ws-resume"
	phaseSocketsMixed   = "ws-mixed"

	// The same on PostgreSQL and Redis.
	phaseLookupPostgres     = "lookup-pg"
	phaseFollowPostgres     = "follow-pg"
	phaseEventsPostgres     = "events-pg"
	phaseActivationPostgres = "activation-pg"
	phaseScalePostgres      = "scale-pg"

	// What comes out of the tails.
	phaseTopics       = "kafka-latency"
	phasePublishKafka = "publish-kafka"
	phaseStar         = "effects-star"
	phaseIndex        = "search-index"
)

func phaseNames() []string {
	return []string{
		phaseLookup, phaseFollow, phaseEvents, phaseAccount, phaseActivation, phaseList, phaseMillion, phasePublish,
		phaseSocketsIdle, phaseSocketsFanout, phaseSocketsLatency, phaseSocketsResume, phaseSocketsMixed,
		phaseLookupPostgres, phaseFollowPostgres, phaseEventsPostgres, phaseActivationPostgres, phaseScalePostgres,
		phaseTopics, phasePublishKafka, phaseStar, phaseIndex,
	}
}

// bench is one run.
type bench struct {
	options
	dir    string // of this run
	kith   string // path of the binary
	report report
	log    io.Writer
}

// measure runs the phases and writes the table.
func measure(ctx context.Context, o options) (err error) {
	b := &bench{options: o, log: os.Stderr}
	if b.dir, err = os.MkdirTemp(o.dir, "kith-load-"); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	if o.keep {
		b.say("everything is in %s", b.dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	}
	if o.profileDir != "" {
		if err := os.MkdirAll(o.profileDir, 0o750); err != nil {
			return fmt.Errorf("make the directory for profiles: %w", err)
		}
	}
	start := time.Now()
	if b.report.machine, err = lookAround(b.dir); err != nil {
		return err
	}
	b.report.scale = o.scale
	b.say("building kith")
	if err := b.build(ctx); err != nil {
		return err
	}
	if err := b.phases(ctx); err != nil {
		return err
	}
	b.say("done in %s", time.Since(start).Round(time.Second))
	return b.write()
}

func (b *bench) phases(ctx context.Context) error {
	if b.wants(phaseLookup, phaseFollow, phaseEvents, phaseAccount) {
		if err := b.servers(ctx); err != nil {
			return err
		}
	}
	if b.wants(phaseActivation) {
		if err := b.measureActivation(ctx, phaseActivation, nil); err != nil {
			return fmt.Errorf("phase %s: %w", phaseActivation, err)
		}
	}
	if b.wants(phaseList, phaseMillion) {
		if err := b.crowds(ctx); err != nil {
			return err
		}
	}
	if b.wants(phasePublish) {
		if err := b.measurePublish(ctx, publishCase{phasePublish, publishUsers, "the embedded broker", nil, brokerHas}, nil); err != nil {
			return fmt.Errorf("phase %s: %w", phasePublish, err)
		}
	}
	for _, phase := range []struct {
		name string
		run  func(context.Context) error
	}{
		{phaseSocketsIdle, b.measureIdleSockets},
		{phaseSocketsFanout, b.measureFanout},
		{phaseSocketsLatency, b.measureFrames},
		{phaseSocketsResume, b.measureResumes},
		{phaseSocketsMixed, b.measureMixed},
	} {
		if !b.wants(phase.name) {
			continue
		}
		if err := phase.run(ctx); err != nil {
			return fmt.Errorf("phase %s: %w", phase.name, err)
		}
	}
	if err := b.phasesPostgres(ctx); err != nil {
		return err
	}
	return b.phasesKafka(ctx)
}

// crowds runs the phases that are about how many users there are.
func (b *bench) crowds(ctx context.Context) (err error) {
	w, err := b.startWorlds(ctx, false, b.wants(phaseMillion))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if b.wants(phaseList) {
		if err := b.measureList(ctx, w); err != nil {
			return fmt.Errorf("phase %s: %w", phaseList, err)
		}
	}
	if b.wants(phaseMillion) {
		if err := b.measureMillion(ctx, w, millionGoal); err != nil {
			return fmt.Errorf("phase %s: %w", phaseMillion, err)
		}
	}
	return nil
}

// servers runs the phases that ask servers.
func (b *bench) servers(ctx context.Context) (err error) {
	r, err := b.newRig(ctx, "servers", nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	if err := r.start(ctx, b, "", 0); err != nil {
		return err
	}
	for _, phase := range []struct {
		name string
		run  func(context.Context, *rig) error
	}{
		{phaseLookup, func(ctx context.Context, r *rig) error {
			return b.measureLookups(ctx, r, lookupCase{phaseLookup, "bare net/http and SQLite", lookupGoal})
		}},
		{phaseFollow, b.measureFollows},
		{phaseEvents, func(ctx context.Context, r *rig) error { return b.measureEvents(ctx, r, eventsGoal) }},
		{phaseAccount, b.measureAccounts},
	} {
		if !b.wants(phase.name) {
			continue
		}
		if err := phase.run(ctx, r); err != nil {
			return fmt.Errorf("phase %s: %w", phase.name, err)
		}
	}
	if err := r.stop(); err != nil {
		return err
	}
	return b.verify(ctx, r)
}

// verify has kith compare all that it stored: figures of a server that loses
// something mean nothing.
func (b *bench) verify(ctx context.Context, r *rig) error {
	b.say("verifying what kith stored")
	c := exec.CommandContext(ctx, b.kith, "verify") //nolint:gosec // what we built
	c.Env = append(os.Environ(), r.at.env()...)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("kith verify: %w\n%s", err, out)
	}
	b.report.add("`kith verify`"+r.on()+" after all of the above", "no differences", met(true))
	return nil
}

// build builds the kith of this checkout.
func (b *bench) build(ctx context.Context) error {
	b.kith = filepath.Join(b.dir, "kith")
	// Without -trimpath, so that what was compiled to run us is not compiled again.
	c := exec.CommandContext(ctx, "go", "build", "-o", b.kith, "kith/cmd/kith") //nolint:gosec // our own path
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("build kith: %w\n%s", err, out)
	}
	return nil
}

// wants reports whether one of the phases is to run.
func (b *bench) wants(phases ...string) bool {
	return len(b.only) == 0 || slices.ContainsFunc(phases, func(phase string) bool { return slices.Contains(b.only, phase) })
}

// say writes a line of progress. That it cannot be written stops nothing.
func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.log, "load: "+format+"\n", args...)
}

// bar shows progress on a terminal, and nothing elsewhere.
func (b *bench) bar(steps int, what string) *progressbar.ProgressBar {
	info, err := os.Stderr.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return progressbar.NewOptions(steps, progressbar.OptionSetWriter(b.log), progressbar.OptionSetDescription("load: "+what),
		progressbar.OptionSetVisibility(terminal), progressbar.OptionClearOnFinish())
}

// scaled returns n at the scale of the run, and at least least.
func (b *bench) scaled(n, least int) int { return max(least, int(float64(n)*b.scale)) }

// lasting returns a duration at the scale of the run. Above 1 only users scale.
func (b *bench) lasting(d time.Duration) time.Duration {
	return max(300*time.Millisecond, time.Duration(float64(d)*min(1, b.scale)))
}

// newSecret returns a key that signs tokens.
func newSecret() ([]byte, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return nil, fmt.Errorf("make a secret: %w", err)
	}
	return hex.AppendEncode(nil, raw), nil
}
