package server

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaConfig says how a Kafka is to be. The zero value is fine.
type KafkaConfig struct {
	Settings map[string]string // of server.properties
	// Secure opens a second listener, which wants TLS and a password.
	Secure bool
	// Java are the options of Java; nil: little memory and a fast start.
	Java []string
}

// Kafka is a Kafka of one node, through all its restarts. What it acknowledged
// survives a SIGKILL.
type Kafka struct {
	daemon

	yard   *Yard
	java   java
	config KafkaConfig
	ports  kafkaPorts
	secure *kafkaSecurity // nil: one listener
}

type kafkaPorts struct{ plain, controller, secure int }

// Kafka makes a Kafka and starts it.
func (y *Yard) Kafka(ctx context.Context, c KafkaConfig) (*Kafka, error) {
	dir, err := y.subdirectory(KindKafka.folder())
	if err != nil {
		return nil, err
	}
	k := &Kafka{yard: y, daemon: daemon{name: string(KindKafka), dir: dir}, config: c}
	if k.java, err = y.java(ctx, KindKafka, dir, c.Java); err != nil {
		return nil, errors.Join(err, k.Remove())
	}
	for try := 1; ; try++ {
		if err = k.format(ctx); err == nil {
			err = k.Start(ctx)
		}
		switch {
		case err == nil:
			return k, nil
		case !portTaken(k.logPath()) || try == startTries:
			return nil, errors.Join(err, k.Remove())
		}
		if err = os.RemoveAll(k.dataPath()); err != nil {
			return nil, errors.Join(fmt.Errorf("server: remove the data of Kafka: %w", err), k.Remove())
		}
	}
}

// format chooses ports and makes an empty store.
func (k *Kafka) format(ctx context.Context) (err error) {
	for _, port := range []*int{&k.ports.plain, &k.ports.controller, &k.ports.secure} {
		if *port, err = freePort(ctx); err != nil {
			return err
		}
	}
	args := []string{"kafka.tools.StorageTool", "format", "-t", "kith-of-the-tests-000A", "-c", k.configPath()}
	if k.config.Secure {
		if k.secure, err = k.security(); err != nil {
			return err
		}
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, k.secure.user, k.secure.password))
		}
	}
	if err := k.yard.write(k.configPath(), k.properties()); err != nil {
		return err
	}
	p, err := k.run(args...)
	if err != nil {
		return err
	}
	if !p.await() || p.status.ExitStatus() != 0 {
		return fmt.Errorf("server: format the store of Kafka: %s\n%s", p.how(), logEnd(k.logPath()))
	}
	return nil
}

// properties returns the configuration. What is small here would be replicated in
// production.
func (k *Kafka) properties() string {
	all := map[string]string{
		"process.roles":                    "broker,controller",
		"node.id":                          "1",
		"controller.quorum.voters":         fmt.Sprintf("1@127.0.0.1:%d", k.ports.controller),
		"controller.listener.names":        "CONTROLLER",
		"listener.security.protocol.map":   "PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
		"inter.broker.listener.name":       "PLAIN",
		"listeners":                        fmt.Sprintf("PLAIN://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", k.ports.plain, k.ports.controller),
		"log.dirs":                         k.dataPath(),
		"auto.create.topics.enable":        "false",
		"group.initial.rebalance.delay.ms": "0",
		"broker.heartbeat.interval.ms":     "500",
		"broker.session.timeout.ms":        "3000",

		"num.partitions":                                   "1",
		"offsets.topic.num.partitions":                     "1",
		"offsets.topic.replication.factor":                 "1",
		"transaction.state.log.num.partitions":             "1",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"share.coordinator.state.topic.num.partitions":     "1",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
	}
	if k.secure != nil {
		all["listeners"] += fmt.Sprintf(",SECURE://127.0.0.1:%d", k.ports.secure)
		maps.Copy(all, k.secure.properties(k.keyPath()))
	}
	maps.Copy(all, k.config.Settings)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString(name + "=" + all[name] + "\n")
	}
	return b.String()
}

// run runs a class of Kafka.
func (k *Kafka) run(args ...string) (*process, error) {
	return k.yard.begin(k.java.command(&k.daemon, append([]string{"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"}, args...)...))
}

// Start starts the server again, on its ports, and waits until it answers.
func (k *Kafka) Start(ctx context.Context) error {
	process, err := k.run("kafka.Kafka", k.configPath())
	if err != nil {
		return err
	}
	k.runs(process)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addr()), kgo.RequestRetries(0))
	if err != nil {
		return errors.Join(fmt.Errorf("server: %w", err), k.Kill())
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	last := errors.New("it was not asked")
	if !poll(startTime, func() bool {
		if last = dial(ctx, k.Addr()); last == nil {
			last = ready(ctx, admin)
		}
		return last == nil || process.hasEnded() || ctx.Err() != nil
	}) || last != nil {
		err := fmt.Errorf("server: Kafka does not answer: %w; %s\n%s", last, process.how(), logEnd(k.logPath()))
		return errors.Join(err, k.Kill())
	}
	return nil
}

// errFenced says that no broker takes part yet.
var errFenced = errors.New("server: no broker takes part yet")

// ready returns nil when the broker answers, and leads what it has.
func ready(ctx context.Context, admin *kadm.Client) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	m, err := admin.Metadata(ctx)
	if err != nil {
		return fmt.Errorf("ask for the brokers: %w", err)
	}
	if len(m.Brokers) == 0 || m.Controller < 0 {
		return errFenced
	}
	for _, topic := range m.Topics {
		for _, p := range topic.Partitions {
			if p.Err != nil || p.Leader < 0 {
				return errFenced
			}
		}
	}
	return nil
}

// Addr returns where it listens. It stays the same.
func (k *Kafka) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(k.ports.plain)) }

func (k *Kafka) configPath() string { return filepath.Join(k.dir, "server.properties") }
func (k *Kafka) dataPath() string   { return filepath.Join(k.dir, "data") }
