package effects

import (
	"context"
	"fmt"
	"sync"

	"kith/actors/user"
	"kith/persistence"
)

const (
	severPage    = 512 // neighbours read at a time; the cursor moves after each page
	severWorkers = 64  // calls of one job in flight
	severJobs    = 16  // at a time; the others wait in the database
	eraseRows    = 1000
)

// deletions are the deletion records of one lane that wait for every earlier
// effect of their lane, in order. Bounded by the records in flight.
type deletions struct {
	mu      sync.Mutex
	waiting []deletion
}

type deletion struct {
	user user.ID
	pos  uint64
}

// noteDeletion makes a deletion wait for its turn.
func (t *Tail) noteDeletion(ctx context.Context, r *persistence.Record) {
	d := &t.deletions[r.Lane]
	d.mu.Lock()
	d.waiting = append(d.waiting, deletion{r.User, r.Pos})
	d.mu.Unlock()
	t.beginDeletion(ctx, r.Lane, t.tail.Done(r.Lane))
}

// beginDeletion begins with the deletion that follows on what is done in a lane,
// if there is one.
func (t *Tail) beginDeletion(ctx context.Context, lane uint8, done uint64) {
	d := &t.deletions[lane]
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) == 0 || d.waiting[0].pos != done+1 {
		return
	}
	next := d.waiting[0]
	if d.waiting = d.waiting[1:]; len(d.waiting) == 0 {
		d.waiting = nil
	}
	t.running.Go(func() { t.deletion(ctx, lane, next) })
}

// deletion opens the severing of a user, so that it is stored before the mark
// moves, and gives up the user's names. Twice is harmless: a job that was closed
// opens without neighbours.
func (t *Tail) deletion(ctx context.Context, lane uint8, d deletion) {
	job := []persistence.Severing{{User: d.user, Pos: d.pos}}
	if t.putSeverings(ctx, job) != nil {
		return
	}
	if t.persist(ctx, "release the claims of a deleted user", func(ctx context.Context) error {
		return t.cfg.Directory.Release(ctx, d.user, nil)
	}) != nil {
		return
	}
	select {
	case t.opened <- struct{}{}:
	default:
	}
	t.ack(ctx, lane, d.pos)
}

func (t *Tail) putSeverings(ctx context.Context, jobs []persistence.Severing) error {
	return t.persist(ctx, "store a severing", func(ctx context.Context) error {
		return t.cfg.Lanes.PutSeverings(ctx, t.cfg.Committer.Node(), jobs)
	})
}

// severLoop runs the open severings. They are stored, so nothing is lost when it
// ends; one that runs again finds its cursor.
func (t *Tail) severLoop(ctx context.Context) {
	var (
		jobs     sync.WaitGroup
		running  = make(map[user.ID]bool)
		finished = make(chan user.ID, severJobs)
		open     []persistence.Severing // as read last, without those that run
		unread   = true                 // there may be others
	)
	defer jobs.Wait()
	for {
		if unread && len(open) == 0 {
			all, err := t.readSeverings(ctx)
			if err != nil {
				return
			}
			unread = false
			for _, s := range all {
				if !running[s.User] {
					open = append(open, s)
				}
			}
			t.metrics.severings.Set(float64(len(all)))
		}
		for len(open) > 0 && len(running) < severJobs {
			job := open[0]
			open = open[1:]
			running[job.User] = true
			jobs.Go(func() {
				t.sever(ctx, job)
				finished <- job.User // never blocks: it holds all that run
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-t.opened:
			unread = true
		case id := <-finished:
			delete(running, id)
			unread = true // it may have been opened again while it ran
			t.metrics.severings.Dec()
		}
	}
}

func (t *Tail) readSeverings(ctx context.Context) ([]persistence.Severing, error) {
	var all []persistence.Severing
	err := t.persist(ctx, "read the open severings", func(ctx context.Context) error {
		var err error
		if all, err = t.cfg.Lanes.Severings(ctx); err != nil {
			return fmt.Errorf("read the open severings: %w", err)
		}
		return nil
	})
	return all, err
}

// sever makes all neighbours of a deleted user drop their edges, erases what the
// user left, and closes the job. It ends early when ctx does.
func (t *Tail) sever(ctx context.Context, job persistence.Severing) {
	lane := persistence.LaneOf(job.User)
	for {
		var ids []user.ID
		if t.persist(ctx, "read the neighbours of a deleted user", func(ctx context.Context) error {
			var err error
			if ids, err = t.cfg.Lanes.Neighbours(ctx, job.User, job.Cursor, severPage); err != nil {
				return fmt.Errorf("read neighbours: %w", err)
			}
			return nil
		}) != nil {
			return
		}
		if len(ids) == 0 {
			break
		}
		if each(ids, severWorkers, func(id user.ID) error {
			err := t.reach(ctx, severErrand(t.cfg.Grains, id, job.User, lane, job.Pos))
			if err == nil || gone(err) {
				t.metrics.severed.Inc()
				return nil
			}
			return err
		}) != nil {
			return
		}
		job.Cursor = uint64(ids[len(ids)-1])
		if t.putSeverings(ctx, []persistence.Severing{job}) != nil {
			return
		}
	}
	if t.erase(ctx, job.User) != nil {
		return
	}
	_ = t.persist(ctx, "close a severing", func(ctx context.Context) error {
		return t.cfg.Lanes.CloseSevering(ctx, t.cfg.Committer.Node(), job.User)
	})
}

// erase removes the content that a deleted user left.
func (t *Tail) erase(ctx context.Context, id user.ID) error {
	for done := false; !done; {
		if err := t.persist(ctx, "erase what a deleted user left", func(ctx context.Context) error {
			var err error
			if done, err = t.cfg.Journal.EraseUser(ctx, id, eraseRows); err != nil {
				return fmt.Errorf("erase: %w", err)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if t.cfg.Photos == nil {
		return nil
	}
	return t.persist(ctx, "erase the photo of a deleted user", func(ctx context.Context) error {
		return t.cfg.Photos.DeletePhoto(ctx, id)
	})
}
