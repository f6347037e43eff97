package services_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/test/services"
)

// kafkaClient connects to a Kafka for the time of a test.
func kafkaClient(t *testing.T, addr string) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAKafkaIsEmptyForEachTest(t *testing.T) {
	t.Parallel()
	for range 2 {
		t.Run("one after another", func(t *testing.T) {
			admin := kadm.NewClient(kafkaClient(t, services.Kafka(t)))
			topics, err := admin.ListTopics(t.Context())
			if err != nil || topics.Has("kith.mine") {
				t.Errorf("topics %v, %v; want none of another test", topics.Names(), err)
			}
			if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "kith.mine"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestKafkaKeepsWhatItAcknowledgedThroughKillAndStop(t *testing.T) {
	t.Parallel()
	k := services.StartKafka(t, services.KafkaConfig{Settings: map[string]string{"num.partitions": "2"}})
	c := kafkaClient(t, k.Addr())
	if _, err := kadm.NewClient(c).CreateTopic(t.Context(), -1, -1, nil, "kept"); err != nil {
		t.Fatal(err)
	}
	for i, end := range []func(){k.Kill, k.Stop} {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "kept", Value: []byte("a")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		end()
		if k.PID() != 0 {
			t.Error("it runs")
		}
		k.Start()
		ends, err := kadm.NewClient(c).ListEndOffsets(t.Context(), "kept")
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		ends.Each(func(o kadm.ListedOffset) { sum += o.Offset })
		if sum != int64(i+1) || len(ends["kept"]) != 2 {
			t.Errorf("%d records in %d partitions, want %d in 2", sum, len(ends["kept"]), i+1)
		}
	}
}
