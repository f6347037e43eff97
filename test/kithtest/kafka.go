package kithtest

import (
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// kafkaShown finds Kafka in the log line that says that the server listens.
var kafkaShown = regexp.MustCompile(`\bkafka=(\S+)`)

// KafkaAddr returns where the Kafka is that the process that runs now, and is
// ready, publishes to.
func (s *Server) KafkaAddr() string {
	s.tb.Helper()
	text, _ := s.out.state(s.current().from)
	m := kafkaShown.FindStringSubmatch(text)
	if m == nil {
		s.tb.Fatal("the log does not say where Kafka is")
	}
	return m[1]
}

// The first and the last port that FreePort returns: below those that systems
// give to connections that go out, or it could be taken while a server restarts.
const (
	firstPort, lastPort = 20_000, 32_000
	portTries           = 100
)

// FreePort returns the address of a port on which nobody listens, for a server
// that is to be found there again after a restart.
func FreePort(tb testing.TB) string {
	tb.Helper()
	for range portTries {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(firstPort+rand.IntN(lastPort-firstPort))) //nolint:gosec // any will do
		l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", addr)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			tb.Fatal(err)
		}
		return addr
	}
	tb.Fatalf("none of %d ports is free", portTries)
	return ""
}

// Metric returns a series of the metrics, written as there, such as
// `kith_tail_lag_records{tail="broker"}`; 0 when there is none.
func (s *Server) Metric(series string) float64 {
	s.tb.Helper()
	a, err := s.Client().Do(s.tb.Context(), Request{Method: http.MethodGet, Path: "/metrics", Ops: true})
	if err != nil || a.Status != http.StatusOK {
		s.tb.Fatalf("read the metrics: %v %s", err, a)
	}
	for line := range strings.Lines(string(a.Body)) {
		value, ok := strings.CutPrefix(strings.TrimSpace(line), series+" ")
		if !ok {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			s.tb.Fatalf("read the metric %s: %v", series, err)
		}
		return number
	}
	return 0
}
