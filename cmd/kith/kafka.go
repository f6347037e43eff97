package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

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
	KafkaTLS       string   `name:"kafka-tls" env:"KITH_KAFKA_TLS" default:"off" placeholder:"on|off" help:"Whether an outside Kafka is reached over TLS."`
	KafkaTLSCA     string   `name:"kafka-tls-ca" env:"KITH_KAFKA_TLS_CA" placeholder:"FILE" help:"PEM file of the authorities that vouch for the brokers. Default: those that the system trusts."`
	KafkaMechanism string   `name:"kafka-sasl-mechanism" env:"KITH_KAFKA_SASL_MECHANISM" placeholder:"NAME" help:"How to log in to an outside Kafka: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. Default: not at all."`
	KafkaUsername  string   `name:"kafka-sasl-username" env:"KITH_KAFKA_SASL_USERNAME" placeholder:"NAME" help:"Who logs in to an outside Kafka."`
	KafkaPassword  secret   `name:"kafka-sasl-password" env:"KITH_KAFKA_SASL_PASSWORD" placeholder:"PASSWORD" help:"With which password."`
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
	return s.checkSecurity()
}

// checkSecurity wants nothing that would be ignored: who sets a password does not
// think that the broker is open.
func (s *kafkaSettings) checkSecurity() error {
	for _, set := range []struct {
		name, value string
		is          bool
	}{
		{"KITH_KAFKA_TLS", s.KafkaTLS, s.KafkaTLS != "off"},
		{"KITH_KAFKA_SASL_MECHANISM", s.KafkaMechanism, s.KafkaMechanism != ""},
	} {
		if set.is && len(s.seeds()) == 0 {
			return badSetting(set.name, set.value, "to leave it unset without KITH_KAFKA_BROKERS: the embedded broker has neither TLS nor passwords")
		}
	}
	if s.KafkaTLS != "on" && s.KafkaTLS != "off" {
		return badSetting("KITH_KAFKA_TLS", s.KafkaTLS, "on or off")
	}
	if _, err := s.tls(); err != nil {
		return badSetting("KITH_KAFKA_TLS_CA", s.KafkaTLSCA, fmt.Sprintf("a PEM file of certificates, and KITH_KAFKA_TLS=on (%v)", err))
	}
	if s.KafkaMechanism != "" && s.login() == nil {
		return badSetting("KITH_KAFKA_SASL_MECHANISM", s.KafkaMechanism, "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
	}
	for _, set := range []struct{ name, value, shown string }{
		{"KITH_KAFKA_SASL_USERNAME", s.KafkaUsername, s.KafkaUsername},
		{"KITH_KAFKA_SASL_PASSWORD", string(s.KafkaPassword), s.KafkaPassword.String()},
	} {
		if (set.value != "") != (s.KafkaMechanism != "") {
			return badSetting(set.name, set.shown, "to set it together with KITH_KAFKA_SASL_MECHANISM, or to leave both unset")
		}
	}
	return nil
}

// tls returns how brokers are told from others, nil when TLS is off.
func (s *kafkaSettings) tls() (*tls.Config, error) {
	if s.KafkaTLS != "on" {
		if s.KafkaTLSCA != "" {
			return nil, errors.New("TLS is off")
		}
		return nil, nil //nolint:nilnil // said above
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.KafkaTLSCA == "" {
		return c, nil
	}
	pem, err := os.ReadFile(s.KafkaTLSCA)
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("it holds no certificate")
	}
	return c, nil
}

// login returns how to log in, nil when that is not known or not wanted.
func (s *kafkaSettings) login() sasl.Mechanism {
	auth := scram.Auth{User: s.KafkaUsername, Pass: string(s.KafkaPassword)}
	switch s.KafkaMechanism {
	case "PLAIN":
		return plain.Auth{User: s.KafkaUsername, Pass: string(s.KafkaPassword)}.AsMechanism()
	case "SCRAM-SHA-256":
		return auth.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return auth.AsSha512Mechanism()
	}
	return nil
}

// way returns how an outside Kafka is reached.
func (s *kafkaSettings) way() ([]kgo.Opt, error) {
	way := []kgo.Opt{kgo.SeedBrokers(s.seeds()...)}
	c, err := s.tls()
	if err != nil {
		return nil, fmt.Errorf("prepare TLS to Kafka (KITH_KAFKA_TLS_CA=%s): %w", s.KafkaTLSCA, err)
	}
	if c != nil {
		way = append(way, kgo.DialTLSConfig(c))
	}
	if login := s.login(); login != nil {
		way = append(way, kgo.SASL(login))
	}
	return way, nil
}

// kafka adds what connects the journal with Kafka: the embedded broker unless
// there is another, the publish tail, and the consumer of inbound content.
func (v *server) kafka(ctx context.Context) (err error) {
	cfg := publish.Config{
		Name: persistence.TailPublish, Journal: v.db, Lanes: v.db, Directory: v.db, Committer: v.committer,
		Logger: v.logger, Registerer: v.registry,
	}
	if seeds := v.settings.seeds(); len(seeds) > 0 {
		if cfg.Client, err = v.settings.way(); err != nil {
			return err
		}
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
