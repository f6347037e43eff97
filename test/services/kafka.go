package services

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"kith/test/services/server"
)

// KafkaVariable names a Kafka: host:port, several separated by commas.
const KafkaVariable = "KITH_TEST_KAFKA_BROKERS"

// ownTopics begins the names of the topics and groups of a Kafka that is tested on.
const ownTopics = "kith."

//nolint:gochecknoglobals // of the process, as the others are
var sharedKafka = oneByOne(server.KindKafka, KafkaVariable, func(y *server.Yard) (string, error) {
	k, err := y.Kafka(context.Background(), server.KafkaConfig{})
	if err != nil {
		return "", err
	}
	return k.Addr(), nil
}, forgetTopics)

// Kafka returns the brokers of a Kafka, host:port with commas in between, that has
// no topic and no group of Kith, and which nobody else uses while the test runs:
// names of topics are the same for all. Tests that want one wait for each other.
func Kafka(tb testing.TB) string {
	tb.Helper()
	return sharedKafka.take(tb)
}

// forgetTopics deletes what tests before have left, and waits until it is gone.
func forgetTopics(ctx context.Context, at string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(at, ",")...), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		return fmt.Errorf("services: the brokers of %s: %w", KafkaVariable, err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	for {
		topics, err := admin.ListTopics(ctx)
		if err != nil {
			return fmt.Errorf("services: list the topics of a Kafka: %w", err)
		}
		topics.FilterInternal()
		var names []string
		for _, name := range topics.Names() {
			if strings.HasPrefix(name, ownTopics) {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			break
		}
		if _, err := admin.DeleteTopics(ctx, names...); err != nil {
			return fmt.Errorf("services: delete topics of a Kafka: %w", err)
		}
	}
	groups, err := admin.ListGroups(ctx)
	if err != nil {
		return fmt.Errorf("services: list the groups of a Kafka: %w", err)
	}
	for _, name := range groups.Groups() {
		if strings.HasPrefix(name, ownTopics) {
			if err := forgetGroup(ctx, client, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgetGroup deletes a group. Those who were killed are its members still, for as
// long as it believes that they live.
func forgetGroup(ctx context.Context, client *kgo.Client, name string) error {
	admin := kadm.NewClient(client)
	groups, err := admin.DescribeGroups(ctx, name)
	if err != nil {
		return fmt.Errorf("services: look at a group of a Kafka: %w", err)
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = name
	for _, m := range groups[name].Members {
		member := kmsg.NewLeaveGroupRequestMember()
		member.MemberID = m.MemberID
		leave.Members = append(leave.Members, member)
	}
	if len(leave.Members) > 0 {
		if _, err := leave.RequestWith(ctx, client); err != nil {
			return fmt.Errorf("services: empty a group of a Kafka: %w", err)
		}
	}
	if _, err := admin.DeleteGroup(ctx, name); err != nil {
		return fmt.Errorf("services: delete a group of a Kafka: %w", err)
	}
	return nil
}

// KafkaConfig says how a Kafka is to be.
type KafkaConfig = server.KafkaConfig

// KafkaServer is a Kafka of one's own. What it acknowledged survives a SIGKILL.
type KafkaServer struct {
	*server.Kafka

	tb testing.TB
}

// StartKafka starts a Kafka that ends with the test.
func StartKafka(tb testing.TB, c KafkaConfig) *KafkaServer {
	tb.Helper()
	_, err := server.Find(server.KindKafka)
	must(tb, server.KindKafka, err)
	y, err := yard()
	must(tb, server.KindKafka, err)
	k, err := y.Kafka(tb.Context(), c)
	must(tb, server.KindKafka, err)
	tb.Cleanup(func() { check(tb, k.Remove()) })
	return &KafkaServer{k, tb}
}

// Kill ends the server with SIGKILL and waits until it is gone.
func (k *KafkaServer) Kill() {
	k.tb.Helper()
	check(k.tb, k.Kafka.Kill())
}

// Stop shuts the server down and waits until it is gone.
func (k *KafkaServer) Stop() {
	k.tb.Helper()
	check(k.tb, k.Kafka.Stop())
}

// Start starts the server again, on the same ports, and waits until it answers.
func (k *KafkaServer) Start() {
	k.tb.Helper()
	check(k.tb, k.Kafka.Start(k.tb.Context()))
}
