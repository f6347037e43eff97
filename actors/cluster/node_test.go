package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	pcluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/prometheus/client_golang/prometheus"

	"kith/actors/cluster"
)

//nolint:paralleltest // a port touches state of the whole process; see Config.Listen
func TestStartRefuses(t *testing.T) {
	var listen net.ListenConfig
	taken, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for name, cfg := range map[string]cluster.Config{
		"a kind twice":             {Kinds: []*pcluster.Kind{kindOf(nil), kindOf(nil)}},
		"a kind without a name":    {Kinds: []*pcluster.Kind{pcluster.NewKind("", actor.PropsFromProducer(func() actor.Actor { return &grain{} }))}},
		"a kind with a slash":      {Kinds: []*pcluster.Kind{pcluster.NewKind("a/b", actor.PropsFromProducer(func() actor.Actor { return &grain{} }))}},
		"an address without port":  {Listen: "127.0.0.1"},
		"an address of a bad port": {Listen: "127.0.0.1:http"},
		"a port above 65535":       {Listen: "127.0.0.1:65536"},
		"a port that is taken":     {Listen: taken.Addr().String()},
	} {
		reg := prometheus.NewRegistry()
		cfg.Registerer = reg
		if n, err := cluster.Start(t.Context(), cfg); err == nil {
			t.Errorf("%s: started", name)
			_ = n.Stop(context.Background())
		}
		if families, err := reg.Gather(); err != nil || len(families) > 0 {
			t.Errorf("%s: left %d metrics behind, %v", name, len(families), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cluster.Start(ctx, cluster.Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("started with an ended context: %v", err)
	}
}

func TestMetricsEndWithTheNode(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	for range 2 {
		n, err := cluster.Start(t.Context(), cluster.Config{Registerer: reg, Kinds: []*pcluster.Kind{kindOf(nil)}})
		if err != nil {
			t.Fatal(err)
		}
		ask(t, n, "1", whoAreYou{})
		families, err := reg.Gather()
		if err != nil || len(families) == 0 {
			t.Fatalf("%d metrics, %v", len(families), err)
		}
		for _, f := range families {
			if !strings.HasPrefix(f.GetName(), "kith_cluster_") {
				t.Errorf("the metric %s is not of this part", f.GetName())
			}
		}
		if err := n.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := cluster.Start(t.Context(), cluster.Config{Registerer: conflicting()}); err == nil {
		t.Error("started beside a foreign metric of the same name")
	}
}

// conflicting holds a metric whose name a node wants.
func conflicting() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kith_cluster_activated_total", Help: "Another."}, []string{"x"}))
	return reg
}

func TestLogsHoldNoPayload(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer // every line is written before Stop returns
	n, err := cluster.Start(t.Context(), cluster.Config{
		Kinds:  []*pcluster.Kind{kindOf(nil)},
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	n.System().Root.Send(actor.NewPID(n.System().Address(), "nobody"), "secret")
	n.System().Logger().Error("dead letter", slog.Any("message", "secret"), slog.Any("request", "secret"), slog.String("kept", "this"))
	ask(t, n, "1", failLater{})
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if lines := log.String(); strings.Contains(lines, "secret") || !strings.Contains(lines, "kept=this") || !strings.Contains(lines, "a grain panicked") {
		t.Errorf("log:\n%s", lines)
	}
}
