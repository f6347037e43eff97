package cluster

import (
	"context"
	"log/slog"
)

// newLibraryLogger returns the logger that proto.actor gets: warnings and errors
// only, and never a payload. The library reports every start and stop, and the
// messages of its dead letters with all they hold.
func newLibraryLogger(l *slog.Logger) *slog.Logger {
	return slog.New(libraryHandler{l.Handler()}).With("lib", "proto.actor")
}

type libraryHandler struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h libraryHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h libraryHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "message" && a.Key != "request" {
			clean.AddAttrs(a)
		}
		return true
	})
	return h.Handler.Handle(ctx, clean) //nolint:wrapcheck // a handler passes on what the next one says
}

// WithAttrs implements slog.Handler.
func (h libraryHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return libraryHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h libraryHandler) WithGroup(name string) slog.Handler {
	return libraryHandler{h.Handler.WithGroup(name)}
}
