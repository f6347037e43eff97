package kafka_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"kith/test/services"
)

// configs returns how many partitions a topic has, and what it was told.
func configs(t *testing.T, admin *kadm.Client, topic string) (partitions int, told map[string]string) {
	t.Helper()
	topics, err := admin.ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	resources, err := admin.DescribeTopicConfigs(t.Context(), topic)
	if err != nil || len(resources) != 1 {
		t.Fatalf("the configuration of %s: %v, %v", topic, resources, err)
	}
	told = make(map[string]string)
	for _, c := range resources[0].Configs {
		if c.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
			told[c.Key] = c.MaybeValue()
		}
	}
	return len(topics[topic].Partitions), told
}

// made waits until the topics that a server makes are there.
func made(t *testing.T, admin *kadm.Client) {
	t.Helper()
	await(t, "the topics are made", func() bool {
		topics, err := admin.ListTopics(t.Context(), topicActivity, topicGraph, topicUsers, topicLatest, topicContent, topicDead)
		return err == nil && topics.Error() == nil
	})
}

func TestMissingTopicsAreMadeAsStated(t *testing.T) {
	t.Parallel()
	brokers := services.Kafka(t)
	admin := kadm.NewClient(connect(t, brokers))
	start(t, brokers)
	made(t, admin)
	forget := map[string]string{"cleanup.policy": "delete", "retention.ms": "604800000"} // a week
	for topic, want := range map[string]map[string]string{
		topicActivity: forget, topicGraph: forget, topicUsers: forget, topicContent: forget, topicDead: forget,
		topicLatest: {"cleanup.policy": "compact"},
	} {
		if n, told := configs(t, admin, topic); n != 6 || !maps.Equal(told, want) {
			t.Errorf("%s has %d partitions and %v, want 6 and %v", topic, n, told, want)
		}
	}
	all, err := admin.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all.FilterInternal()
	if len(all) != 6 {
		t.Errorf("the topics are %v", slices.Sorted(maps.Keys(all)))
	}
}

func TestTopicsThatExistStayAsTheyAre(t *testing.T) {
	t.Parallel()
	brokers := services.Kafka(t)
	admin := kadm.NewClient(connect(t, brokers))
	kept, policy := "123456789", "compact,delete"
	for topic, c := range map[string]map[string]*string{
		topicActivity: {"retention.ms": &kept}, topicLatest: {"cleanup.policy": &policy}, topicContent: {"retention.ms": &kept},
	} {
		if _, err := admin.CreateTopic(t.Context(), 2, -1, c, topic); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, brokers, "KITH_KAFKA_RETENTION=2d")
	ada := register(t, s, "ada")
	want(t, http.StatusCreated)(ada.record(t.Context(), "a"))
	s.Restart()
	want(t, http.StatusCreated)(ada.record(t.Context(), "b"))
	made(t, admin)
	published(t, s)
	for topic, want := range map[string]map[string]string{
		topicActivity: {"retention.ms": kept}, topicLatest: {"cleanup.policy": policy}, topicContent: {"retention.ms": kept},
	} {
		if n, told := configs(t, admin, topic); n != 2 || !maps.Equal(told, want) {
			t.Errorf("%s has %d partitions and %v, want 2 and %v", topic, n, told, want)
		}
	}
	if _, told := configs(t, admin, topicGraph); told["retention.ms"] != "172800000" {
		t.Errorf("%s was missing and has %v, want what the setting says", topicGraph, told)
	}
	if told := once(t, read(t, brokers, topicActivity)[topicActivity])[ada.uid]; len(told) != 2 {
		t.Errorf("%d records, want 2", len(told))
	}
}
