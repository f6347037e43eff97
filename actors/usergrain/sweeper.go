package usergrain

import (
	"context"
	"slices"
	"time"

	"kith/persistence"
)

const (
	// snapshotEvery is the number of records after which a snapshot is due. A
	// large state is snapshotted less often, after as many records as a quarter of
	// its edges: so encoding costs a bounded amount a record, whatever the size,
	// and replaying stays a fraction of reading the snapshot.
	snapshotEvery      = 256
	maxQueuedSnapshots = 1024 // full: dropped, the next one covers it
	snapshotBatch      = 128
	snapshotTimeout    = 10 * time.Second
	// sweepShards is how many of the shards one sweep looks at.
	sweepShards = 8
)

func (g *Grain) snapshotDue() bool {
	return g.since >= max(snapshotEvery, (g.state.Following.Len()+g.state.Followers.Len())/4)
}

// snapshot hands the state, between turns, to be saved outside the commit path.
func (g *Grain) snapshot() {
	if g.since == 0 || !g.state.Registered() {
		return
	}
	encoded, err := EncodeSnapshot(&g.state)
	if err != nil {
		g.host.metrics.snapshots.WithLabelValues("failed").Inc()
		g.host.cfg.Logger.Error("a snapshot cannot be encoded", "user_id", g.id, "error", err)
		return
	}
	select {
	case g.host.snapshots <- persistence.Snapshot{User: g.id, Seq: g.state.Version, State: encoded}:
		g.since = 0
	default:
		g.host.metrics.snapshots.WithLabelValues("dropped").Inc()
	}
}

func (h *Host) snapshotLoop(ctx context.Context) {
	batch := make([]persistence.Snapshot, 0, snapshotBatch)
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-h.snapshots:
			batch = append(batch[:0], s)
		}
	gather:
		for len(batch) < snapshotBatch {
			select {
			case s := <-h.snapshots:
				batch = append(batch, s)
			default:
				break gather
			}
		}
		save, cancel := context.WithTimeout(ctx, snapshotTimeout)
		err := h.cfg.Journal.SaveSnapshots(save, batch)
		cancel()
		result := "saved"
		if err != nil {
			result = "failed" // the journal says it all; the next one covers it
			h.cfg.Logger.Warn("snapshots could not be saved", "snapshots", len(batch), "error", err)
		}
		h.metrics.snapshots.WithLabelValues(result).Add(float64(len(batch)))
	}
}

// sweepLoop passivates what is idle, a few shards at a time, and above the cap
// the longest idle of all.
func (h *Host) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(h.cfg.SweepEvery)
	defer tick.Stop()
	for first := 0; ; first = (first + sweepShards) % activationShards {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		idle := h.cfg.Now().Add(-h.cfg.IdleAfter).Unix()
		for i := range sweepShards {
			h.active.eachOf(first+i, func(g *Grain) { h.passivateBefore(g, idle) })
		}
		if excess := h.active.len() - h.cfg.MaxActivations; excess > 0 {
			h.shrink(excess)
		}
	}
}

// shrink passivates about the given number of activations, the longest idle ones.
func (h *Host) shrink(excess int) {
	used := make([]int64, 0, h.active.len())
	h.active.each(func(g *Grain) { used = append(used, g.used.Load()) })
	if len(used) == 0 {
		return
	}
	slices.Sort(used)
	border := used[min(excess, len(used))-1]
	h.active.each(func(g *Grain) { h.passivateBefore(g, border) })
}

// passivateBefore asks g to passivate if it was last used at border or before. It
// does so only between turns and with nothing waiting.
func (h *Host) passivateBefore(g *Grain, border int64) {
	if g.used.Load() <= border {
		h.root.Send(g.pid, passivate{})
	}
}
