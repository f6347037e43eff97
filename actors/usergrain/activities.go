package usergrain

import (
	"context"
	"errors"
	"fmt"
	"time"

	pcluster "github.com/asynkron/protoactor-go/cluster"

	"kith/actors/user"
	kithv1 "kith/proto/kith/v1"
)

// ActivityResult is what became of one behaviour event.
type ActivityResult struct {
	EventID string
	// Err is nil when the event was recorded, user.ErrAlreadyRecorded when its id
	// was before, by this request or another, user.ErrEventDeleted when it was and
	// the event was deleted since.
	Err error
	// At is when the event was recorded, in microseconds; only without Err.
	At time.Time
}

// RecordActivities records behaviour events of one user, each refused for itself,
// and returns what became of them, in their order. Those recorded commit
// together. Sending them again is safe: what was recorded is found to be so. An
// error means that none was answered for; after ErrOutcomeUnknown all or none may
// be recorded.
func (c *Client) RecordActivities(ctx context.Context, id user.ID, activities []user.Activity) ([]ActivityResult, error) {
	if len(activities) == 0 {
		return nil, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("record %d events of user %d: %w", len(activities), id, err)
	}
	m := &kithv1.RecordActivities{Activities: make([]*kithv1.Activity, len(activities))}
	for i := range activities {
		m.Activities[i] = activityToProto(activities[i])
	}
	r, err := c.grain(id).Execute(&kithv1.Command{Command: &kithv1.Command_RecordActivities{RecordActivities: m}})
	if err != nil {
		return nil, c.judge(err)
	}
	if n := len(r.GetActivities()); n != len(activities) {
		return nil, fmt.Errorf("record events of user %d: %d answers to %d events", id, n, len(activities))
	}
	results := make([]ActivityResult, len(activities))
	for i, a := range r.GetActivities() {
		err := activityError(a.GetCode())
		if err != nil && !errors.Is(err, user.ErrAlreadyRecorded) && !errors.Is(err, user.ErrEventDeleted) {
			// It is about the user, not about this event.
			return nil, fmt.Errorf("record event %d of user %d: %w", i, id, err)
		}
		results[i] = ActivityResult{EventID: a.GetEventId(), Err: err}
		if err == nil {
			results[i].At = time.UnixMicro(a.GetRecordedAtUs()).UTC()
		}
	}
	return results, c.judge(nil)
}

// activityError is the inverse of the code that activityResult writes.
func activityError(code string) error {
	if code == "" {
		return nil
	}
	if sentinel := failures()[code]; sentinel != nil {
		return sentinel
	}
	switch code {
	case reasonInvalid, pcluster.ErrorReason_INTERNAL:
		return errors.New(code)
	}
	return user.Refusal(code)
}
