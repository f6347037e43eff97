package streams

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// The public topics.
const (
	TopicActivity    = "kith.activity.v1"
	TopicGraph       = "kith.graph.v1"
	TopicUsers       = "kith.users.v1"
	TopicLatestUsers = "kith.users.latest.v1" // compacted: the newest of each user
	TopicContent     = "kith.content.v1"      // inbound
	TopicDeadLetter  = "kith.deadletter.v1"   // what of the inbound cannot be used
)

// Topic is a topic as it is made where it is missing.
type Topic struct {
	Name        string
	Partitions  int32
	Replication int16 // -1: what the brokers think right
	Configs     map[string]string
}

// Topics returns the public topics as an outside Kafka should have them: they
// forget after retention, except that the latest of each user stays.
func Topics(partitions int32, retention time.Duration) []Topic {
	forget := map[string]string{"cleanup.policy": "delete", "retention.ms": strconv.FormatInt(retention.Milliseconds(), 10)}
	compact := map[string]string{"cleanup.policy": "compact"}
	var topics []Topic
	for name, configs := range map[string]map[string]string{
		TopicActivity: forget, TopicGraph: forget, TopicUsers: forget, TopicContent: forget, TopicDeadLetter: forget, TopicLatestUsers: compact,
	} {
		topics = append(topics, Topic{Name: name, Partitions: partitions, Replication: -1, Configs: configs})
	}
	return topics
}

// EnsureTopics makes the topics that are missing. Those that exist stay as they
// are: whoever made them may have had reasons.
func EnsureTopics(ctx context.Context, adm *kadm.Client, topics []Topic) error {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	details, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for _, t := range topics {
		d := details[t.Name]
		if d.Err == nil {
			continue
		}
		if !errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("look for topic %s: %w", t.Name, d.Err)
		}
		configs := make(map[string]*string, len(t.Configs))
		for k, v := range t.Configs {
			configs[k] = &v
		}
		made, err := adm.CreateTopic(ctx, t.Partitions, t.Replication, configs, t.Name)
		if err == nil {
			err = made.Err
		}
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("make topic %s: %w", t.Name, err)
		}
	}
	return nil
}
