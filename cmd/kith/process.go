package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const (
	// drain is how long requests in flight may take after a SIGTERM; grace is how
	// long everything may take.
	drain = 20 * time.Second
	grace = 28 * time.Second
)

// process is what runs together and what must be closed afterwards, wired and not
// started.
type process struct {
	logger   *slog.Logger
	registry *prometheus.Registry
	parts    []part
	closes   []func() error // in reverse order
	shown    []any          // what the line that says ready shows
}

func newProcess(logger *slog.Logger) *process {
	p := &process{logger: logger, registry: prometheus.NewRegistry()}
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	return p
}

// add adds a part. Those added later run on those added before.
func (p *process) add(name string, run func(context.Context) error) {
	p.parts = append(p.parts, part{name, run})
}

// closing adds what is to be closed when all parts have stopped.
func (p *process) closing(f func() error) { p.closes = append(p.closes, f) }

// run runs until ctx ends, then drains.
func (p *process) run(ctx context.Context) error {
	p.logger.Info("kith is ready", append(p.shown, "version", version())...)
	err := runParts(ctx, p.logger, grace, p.parts)
	return errors.Join(err, p.close())
}

func (p *process) close() error {
	var errs []error
	for _, f := range slices.Backward(p.closes) {
		errs = append(errs, f())
	}
	p.closes = nil
	return errors.Join(errs...)
}

// listen takes a port.
func (p *process) listen(ctx context.Context, setting, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, cannotListen(setting, addr, errors.Unwrap(err))
	}
	p.closing(func() error { return closeListener(l) })
	return l, nil
}

func cannotListen(setting, addr string, cause error) error {
	return fmt.Errorf("cannot listen on %s=%s: %w; choose another address, or stop what uses it", setting, addr, cause)
}

// closeListener closes a listener, unless it is closed.
func closeListener(l net.Listener) error {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close a listener: %w", err)
	}
	return nil
}

// front is the handler of a listener, which can be exchanged.
type front struct{ handler atomic.Pointer[http.Handler] }

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*f.handler.Load()).ServeHTTP(w, r)
}

func (f *front) show(h http.Handler) { f.handler.Store(&h) }

// serveHTTP serves from now on, and returns a part that goes on until its context
// ends, then finishes what is in flight.
func (p *process) serveHTTP(l net.Listener, s *http.Server) func(context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	p.closing(func() error { return s.Close() }) // if the part never ran
	return func(ctx context.Context) error {
		select {
		case err := <-failed:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
		}
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
		defer cancel()
		err := s.Shutdown(stop)
		if err != nil {
			p.logger.Warn("requests were still in flight", "error", err)
			err = s.Close()
		}
		if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
		return err
	}
}

// version is the version that the binary was built as.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "dev"
	}
	return info.Main.Version
}
