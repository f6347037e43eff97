package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"kith/persistence"
	"kith/streams"
	"kith/streams/broker"
	"kith/streams/content"
	"kith/streams/publish"
)

// kafkaPartitions is how many partitions a topic is made with in an outside
// Kafka.
const kafkaPartitions = 6

// kafkaSettings say which Kafka is published to.
type kafkaSettings struct {
	KafkaBrokers   string   `name:"kafka-brokers" env:"KITH_KAFKA_BROKERS" placeholder:"HOST:PORT,…" help:"Kafka to publish to. Default: an embedded broker."`
	KafkaListen    string   `name:"kafka-listen" env:"KITH_KAFKA_LISTEN" default:"127.0.0.1:9092" placeholder:"HOST:PORT" help:"Where the embedded broker listens for any Kafka client; port 0 picks a free one."`
	KafkaRetention lifetime `name:"kafka-retention" env:"KITH_KAFKA_RETENTION" default:"7d" placeholder:"TIME" help:"How long the topics of an outside Kafka keep records. The embedded broker forgets by size alone."`
}

func (s *kafkaSettings) seeds() []string {
	var seeds []string
	for seed := range strings.SplitSeq(s.KafkaBrokers, ",") {
		if seed = strings.TrimSpace(seed); seed != "" {
			seeds = append(seeds, seed)
		}
	}
	return seeds
}

func (s *kafkaSettings) check() error {
	for _, seed := range s.seeds() {
		if host, _, err := net.SplitHostPort(seed); err != nil || host == "" || checkAddr(seed) != nil {
			return badSetting("KITH_KAFKA_BROKERS", s.KafkaBrokers, "host:port, several separated by commas")
		}
	}
	if checkAddr(s.KafkaListen) != nil {
		return badSetting("KITH_KAFKA_LISTEN", s.KafkaListen, "host:port with a port from 0 to 65535, such as 127.0.0.1:9092")
	}
	if err := s.KafkaRetention.check(); err != nil {
		return badSetting("KITH_KAFKA_RETENTION", string(s.KafkaRetention), err.Error())
	}
	return nil
}

// kafka adds what connects the journal with Kafka: the embedded broker unless
// there is another, the publish tail, and the consumer of inbound content.
func (v *server) kafka(ctx context.Context) error {
	cfg := publish.Config{
		Name: persistence.TailPublish, Journal: v.db, Lanes: v.db, Directory: v.db, Committer: v.committer,
		Logger: v.logger, Registerer: v.registry,
	}
	if seeds := v.settings.seeds(); len(seeds) > 0 {
		cfg.Client = []kgo.Opt{kgo.SeedBrokers(seeds...)}
		cfg.Topics = streams.Topics(kafkaPartitions, v.settings.KafkaRetention.duration())
		v.shown = append(v.shown, "kafka", strings.Join(seeds, ","))
	} else {
		b, err := broker.Open(ctx, broker.Config{
			Dir: filepath.Join(v.dir.path, brokerDir), Listen: v.settings.KafkaListen, Advertise: v.publicHost(),
			Ledger: v.db, Heads: v.db.Heads, Node: v.committer.Node, Logger: v.logger, Registerer: v.registry,
		})
		if err != nil {
			return fmt.Errorf("start the embedded broker (KITH_KAFKA_LISTEN=%s): %w", v.settings.KafkaListen, err)
		}
		v.closing(b.Close)
		v.add("embedded broker", b.Run)
		cfg.Name, cfg.Client, cfg.Topics, cfg.Ends = persistence.TailBroker, b.Client(), b.Topics(), b
		v.shown = append(v.shown, "kafka", b.Addr())
	}
	tail, err := publish.New(cfg)
	if err != nil {
		return fmt.Errorf("make the publish tail: %w", err)
	}
	v.add("publish tail", tail.Run)
	v.degraded = append(v.degraded, func() string {
		if tail.Health() != nil {
			return "kafka"
		}
		return ""
	})
	consumer, err := content.New(content.Config{Grains: v.client, Directory: v.db, Client: cfg.Client, Topics: cfg.Topics, Logger: v.logger, Registerer: v.registry})
	if err != nil {
		return fmt.Errorf("make the consumer of content: %w", err)
	}
	v.add("inbound content", consumer.Run)
	return nil
}
