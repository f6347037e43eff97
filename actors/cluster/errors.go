package cluster

import "errors"

// Failures of a request, apart from what the grain itself answers.
var (
	// ErrNotOwned: this node does not own the identity. Nothing was processed.
	ErrNotOwned = errors.New("cluster: the identity belongs to another node")
	// ErrStopping: the node activates nothing any more. Nothing was processed.
	ErrStopping = errors.New("cluster: the node is stopping")
	// ErrFull: twice Config.MaxActivations are active. Nothing was processed.
	ErrFull = errors.New("cluster: too many activations")
	// ErrBusy: the mailbox of the grain is full. Nothing was processed.
	ErrBusy = errors.New("cluster: the mailbox is full")
	// ErrUnreachable: every activation that was tried had ended before it came to
	// the request. Nothing was processed.
	ErrUnreachable = errors.New("cluster: no activation took the request")
	// ErrUnknownKind: no such kind was configured. Nothing was processed.
	ErrUnknownKind = errors.New("cluster: unknown kind")
	// ErrTimeout: no answer came in time. The outcome is unknown.
	ErrTimeout = errors.New("cluster: no answer in time")
	// ErrFailed: the grain panicked over the request. The outcome is unknown.
	ErrFailed = errors.New("cluster: the grain failed")
)

// Reasons of the error responses that a mailbox gives in place of its grain.
const (
	reasonBusy   = "KITH_MAILBOX_FULL"
	reasonFailed = "KITH_GRAIN_FAILED"
)
