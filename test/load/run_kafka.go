package main

import (
	"context"
	"errors"
	"fmt"

	programs "kith/test/services/server"
)

// phasesKafka runs the phases about what comes out of kith, and out of its tails: each
// on the embedded stores, and on those of production where they are installed.
func (b *bench) phasesKafka(ctx context.Context) error {
	for _, phase := range []struct {
		name     string
		beside   programs.Kind // what it needs beside stores; "": nothing
		embedded bool
		run      func(ctx context.Context, name string, on *stores) error
	}{
		{phaseTopics, programs.KindKafka, true, b.measureTopics},
		{phasePublishKafka, programs.KindKafka, false, b.measurePublishKafka},
		{phaseStar, "", true, b.measureStar},
		{phaseIndex, programs.KindSearch, false, b.measureIndex},
	} {
		if !b.wants(phase.name) {
			continue
		}
		if phase.embedded {
			if err := phase.run(ctx, phase.name, nil); err != nil {
				return fmt.Errorf("phase %s: %w", phase.name, err)
			}
		}
		if err := b.onStores(ctx, phase.name, phase.beside, phase.run); err != nil {
			return fmt.Errorf("phase %s: %w", phase.name, err)
		}
	}
	return nil
}

// onStores runs a phase on stores of its own, with a Kafka if that is what it needs
// beside them. Where they are not installed and nobody asked for the phase, the table says that it is left out.
func (b *bench) onStores(ctx context.Context, name string, beside programs.Kind, run func(ctx context.Context, name string, on *stores) error) (err error) {
	kinds := []programs.Kind{programs.KindPostgres, programs.KindRedis}
	if beside != "" {
		kinds = append(kinds, beside)
	}
	if err := installed(kinds...); err != nil {
		if len(b.only) > 0 {
			return err
		}
		b.report.add(name+" on stores of production", fmt.Sprintf("left out: %v", err), met(false))
		return nil
	}
	on, err := b.startStores(ctx, name+"-stores")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, on.close()) }()
	if beside == programs.KindKafka {
		if err := b.addKafka(ctx, on); err != nil {
			return err
		}
	}
	return run(ctx, name+"-pg", on)
}

// installed returns why servers of these kinds cannot be started here, or nil.
func installed(kinds ...programs.Kind) error {
	for _, kind := range kinds {
		if _, err := programs.Find(kind); err != nil {
			return fmt.Errorf("start servers: %w", err)
		}
	}
	return nil
}
