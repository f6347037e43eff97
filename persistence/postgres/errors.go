package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"kith/persistence"
)

// Why a database cannot be used. The errors say what to do about it.
var (
	ErrOutdated = errors.New("the tables are of an older kith; stop all servers and run kith migrate up")
	ErrNewer    = errors.New("the tables are of a newer kith; start that version, or a later one")
	ErrForeign  = errors.New("the tables are not those of kith; name another database, or an empty schema by search_path")
	ErrBouncer  = errors.New("migrations need a session of their own, which pgbouncer in transaction mode does not give; run kith migrate up with the URL of the database itself")
	ErrAsync    = errors.New("the role commits without waiting for the disk, and behind pgbouncer that cannot be changed for a session; run ALTER ROLE … SET synchronous_commit = on")
)

// ErrClosed is matched when the database was closed. Nothing was written.
var ErrClosed = fmt.Errorf("postgres: closed: %w", persistence.ErrNotCommitted)

// The codes (SQLSTATE) that decide anything here.
const (
	codeProtocol        = "08P01"
	codeUnique          = "23505"
	codeReadOnly        = "25006"
	codeSerialization   = "40001"
	codeDeadlock        = "40P01"
	codeLockTimeout     = "55P03"
	codeCanceled        = "57014"
	codeDatabaseDropped = "57P04"
	codeIO              = "58030"

	classConnection = "08"
	classData       = "22"
	classConstraint = "23"
	classResources  = "53" // too many connections, disk full, out of memory
	classOperator   = "57" // starting up, shutting down, in recovery
)

// Away reports whether err says that the database is away for now: unreachable,
// starting up or shutting down, read-only, out of connections or of disk, or too
// slow. The same may work a little later. It is false for what somebody must mend
// first, such as a password, a name or a permission.
func Away(err error) bool {
	if anyOf(err, context.Canceled, ErrClosed, ErrNewer, ErrOutdated, ErrForeign, ErrBouncer, ErrAsync) {
		return false
	}
	away, connecting := false, false
	for e := range tree(err) {
		switch e := e.(type) { //nolint:errorlint // tree unwraps
		case *pgconn.PgError:
			if !transient(e) {
				return false
			}
			away = true
		case *tls.CertificateVerificationError, x509.UnknownAuthorityError, x509.HostnameError, x509.CertificateInvalidError:
			return false
		case net.Error:
			away = true
		case *pgconn.ConnectError:
			// Whatever else kept the two from agreeing may pass; but not that one wants
			// TLS and the other has none, for which there is only a text.
			connecting = !strings.HasSuffix(e.Error(), "server refused TLS connection")
		}
	}
	return away || connecting || anyOf(err, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded, pgconn.ErrConnClosed,
		pgconn.ErrReadOnlyConnection, pgconn.ErrStandbyConnection)
}

func anyOf(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}

func transient(e *pgconn.PgError) bool {
	switch e.Code {
	case codeReadOnly, codeSerialization, codeDeadlock, codeLockTimeout, codeIO:
		return true
	case codeDatabaseDropped:
		return false
	case codeProtocol: // pgbouncer says everything by it
		return !unsupportedParameter(e)
	}
	switch class(e) {
	case classConnection, classResources, classOperator:
		return true
	}
	return false
}

func class(e *pgconn.PgError) string { return e.Code[:min(2, len(e.Code))] }

// tree yields err and all errors that it wraps.
func tree(err error) func(func(error) bool) {
	var walk func(error, func(error) bool) bool
	walk = func(err error, yield func(error) bool) bool {
		if err == nil {
			return true
		}
		if !yield(err) {
			return false
		}
		switch e := err.(type) { //nolint:errorlint // this unwraps
		case interface{ Unwrap() error }:
			return walk(e.Unwrap(), yield)
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				if !walk(inner, yield) {
					return false
				}
			}
		}
		return true
	}
	return func(yield func(error) bool) { walk(err, yield) }
}

// certain reports whether a transaction, of which err is the first error, left
// nothing behind: it never began, or the server said that it failed. A server
// that ends a session (FATAL) may do so right after it has committed, and one
// that does not answer may still.
func certain(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.SeverityUnlocalized == "ERROR" && class(e) != classConnection
	}
	return pgconn.SafeToRetry(err) || errors.Is(err, persistence.ErrNotCommitted)
}

// notCommitted marks an error after which nothing was written.
func notCommitted(err error) error {
	if err == nil || errors.Is(err, persistence.ErrNotCommitted) {
		return err
	}
	return fmt.Errorf("%w: %w", persistence.ErrNotCommitted, err)
}

// settled marks err if nothing was written.
func settled(err error) error {
	if certain(err) {
		return notCommitted(err)
	}
	return err
}

// unsupportedParameter reports whether it was a setting in the startup message that
// was refused, as pgbouncer does.
func unsupportedParameter(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == codeProtocol && strings.HasPrefix(e.Message, "unsupported startup parameter")
}

// readOnly reports whether the server takes no writes: a standby, or a primary
// that has become one.
func readOnly(err error) bool { return coded(err, codeReadOnly) }

func coded(err error, code string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == code
}
