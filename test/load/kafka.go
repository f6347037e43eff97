package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"kith/persistence"
	programs "kith/test/services/server"
)

// kafka is a Kafka of our own, of one node, with nobody else on it.
type kafka struct {
	*programs.Kafka

	yard *programs.Yard
}

// kafkaLogs says where Kafka keeps what it writes: like every Kafka, in memory until
// the system writes it out, for whatever it has acknowledged other nodes have too.
const kafkaLogs = "acknowledged before it is on disk"

// addKafka starts a Kafka beside stores.
func (b *bench) addKafka(ctx context.Context, s *stores) error {
	yard, err := programs.Open()
	if err != nil {
		return fmt.Errorf("start Kafka: %w", err)
	}
	server, err := yard.Kafka(ctx, programs.KafkaConfig{Java: programs.LargeJava()})
	if err != nil {
		return errors.Join(fmt.Errorf("start Kafka: %w", err), yard.Close())
	}
	s.kafka = &kafka{server, yard}
	version, err := s.kafka.version(ctx)
	if err != nil {
		return err
	}
	b.report.kafka = fmt.Sprintf("Kafka (%s) of one node, %s", version, kafkaLogs)
	return nil
}

// version asks Kafka what it is.
func (k *kafka) version(ctx context.Context) (string, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addr()))
	if err != nil {
		return "", fmt.Errorf("ask Kafka for its version: %w", err)
	}
	defer client.Close()
	versions, err := kadm.NewClient(client).ApiVersions(ctx)
	if err != nil {
		return "", fmt.Errorf("ask Kafka for its version: %w", err)
	}
	for _, of := range versions.Sorted() {
		if of.Err == nil {
			return of.VersionGuess(), nil
		}
	}
	return "", errors.New("ask Kafka for its version: no node answers")
}

// close ends it and removes what it stored. One that was not started does nothing.
func (k *kafka) close() error {
	if k == nil {
		return nil
	}
	return errors.Join(k.Remove(), k.yard.Close())
}

// publishTail is the tail that publishes where there are these stores.
func (s *stores) publishTail() persistence.TailName {
	if s != nil && s.kafka != nil {
		return persistence.TailPublish
	}
	return persistence.TailBroker
}
