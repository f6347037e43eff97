package broker

import (
	"strconv"

	"kith/streams"
)

// partitions is the number of partitions of every topic: enough for a few
// consumers of a group, while each has to hold more than a batch.
const partitions = 3

// The sizes.
const (
	defaultBytes = 256 << 20
	// leastBytes is the least size of a partition. It is above what a batch can
	// have, or the newest could be dropped, and the offsets begin again.
	leastBytes = 4 << 20
	// MinBytes is the least total size.
	MinBytes = 16 * partitions * leastBytes
	// segments is the number of files that a partition's size is cut into: files
	// are dropped whole.
	segments = 8
)

// topics returns the topics with the size shared between them. What is stored in
// half-dropped files comes on top: at most a segment a partition.
func topics(bytes int64) []streams.Topic {
	share := func(sixteenths int64) string { return strconv.FormatInt(bytes*sixteenths/16/partitions, 10) }
	file := func(sixteenths int64) string {
		return strconv.FormatInt(bytes*sixteenths/16/partitions/segments, 10)
	}
	topic := func(name, policy string, sixteenths int64) streams.Topic {
		return streams.Topic{Name: name, Partitions: partitions, Replication: 1, Configs: map[string]string{
			"cleanup.policy":  policy,
			"retention.ms":    "-1",
			"retention.bytes": share(sixteenths),
			"segment.bytes":   file(sixteenths),
		}}
	}
	return []streams.Topic{
		topic(streams.TopicActivity, "delete", 6),
		topic(streams.TopicGraph, "delete", 3),
		topic(streams.TopicUsers, "delete", 1),
		topic(streams.TopicLatestUsers, "compact", 4),
		topic(streams.TopicContent, "delete", 1),
		topic(streams.TopicDeadLetter, "delete", 1),
	}
}

// recordBytes is about the least that a published record takes.
const recordBytes = 64

// reach returns the marks from which as many records follow as the topics could
// hold, each lane by its share.
func reach(bytes int64, heads [lanes]uint64) (marks [lanes]uint64) {
	room := uint64(bytes / recordBytes) //nolint:gosec // positive
	var total uint64
	for _, head := range heads {
		total += head
	}
	if total <= room {
		return marks
	}
	kept := float64(room) / float64(total)
	for lane, head := range heads {
		marks[lane] = head - min(head, uint64(kept*float64(head)))
	}
	return marks
}
