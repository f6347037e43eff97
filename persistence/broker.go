package persistence

import (
	"context"

	"kith/actors/user"
)

// The tails that publish. An outside Kafka and the embedded broker have a mark
// each: whoever changes from one to the other gets the whole history there.
const (
	TailPublish TailName = "publish"
	TailBroker  TailName = "broker"
)

// EndOffset is where a partition ends: the offset of its next record.
type EndOffset struct {
	Topic     string
	Partition int32
	Offset    int64
}

// BrokerState is what is known of the embedded broker without asking it.
type BrokerState struct {
	Ends []EndOffset // by topic and partition
	// Refilling is set while the users below the marks must be published again;
	// everyone up to Refilled has been.
	Refilling bool
	Refilled  user.ID
}

// BrokerLedger keeps how far the embedded broker's files had come, since they
// are only as good as the disk cache: a broker that has less than the ledger
// says has lost records.
type BrokerLedger interface {
	// BrokerState returns what is kept.
	BrokerState(ctx context.Context) (BrokerState, error)
	// SaveEnds keeps the end offsets; one below that which is kept is ignored.
	SaveEnds(ctx context.Context, n Node, ends []EndOffset) error
	// RestartBroker forgets all end offsets, sets marks of TailBroker to the given
	// ones, which may be lower, and begins a refill, in one transaction.
	RestartBroker(ctx context.Context, n Node, marks [LaneCount]uint64) error
	// SaveRefill keeps how far the refill has come, or with done ends it.
	SaveRefill(ctx context.Context, n Node, upTo user.ID, done bool) error
}
