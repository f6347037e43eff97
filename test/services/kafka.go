package services

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
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

var (
	//nolint:gochecknoglobals // of the process, as the others are
	sharedKafka = sync.OnceValues(func() (string, error) {
		if configured := os.Getenv(KafkaVariable); configured != "" {
			return configured, nil
		}
		y, err := yard()
		if err != nil {
			return "", err
		}
		k, err := y.Kafka(context.Background(), server.KafkaConfig{})
		if err != nil {
			return "", err
		}
		return k.Addr(), nil
	})
	// kafkaFree is held by the test that has the Kafka of this process.
	kafkaFree = make(chan struct{}, 1) //nolint:gochecknoglobals // of the process
)

// Kafka returns the brokers of a Kafka, host:port with commas in between, that has
// no topic and no group of Kith, and which nobody else uses while the test runs:
// names of topics are the same for all. Tests that want one wait for each other.
func Kafka(tb testing.TB) string {
	tb.Helper()
	_, err := server.Find(server.KindKafka)
	if os.Getenv(KafkaVariable) == "" {
		must(tb, server.KindKafka, err)
	}
	kafkaFree <- struct{}{}
	tb.Cleanup(func() { <-kafkaFree })
	at, err := sharedKafka()
	must(tb, server.KindKafka, err)
	lock, err := lockKafka(at)
	must(tb, server.KindKafka, err)
	tb.Cleanup(func() { check(tb, lock.Close()) })
	check(tb, forget(tb.Context(), at))
	return at
}

// lockKafka keeps other processes of this machine from a Kafka until the file is
// closed.
func lockKafka(at string) (*os.File, error) {
	sum := sha256.Sum256([]byte(at))
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "kith-kafka-"+hex.EncodeToString(sum[:6])+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("services: lock a Kafka: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("services: lock a Kafka: %w", err), f.Close())
	}
	return f, nil
}

// forget deletes what tests before have left, and waits until it is gone.
func forget(ctx context.Context, at string) error {
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
