package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"kith/actors/user"
	"kith/actors/usergrain"
)

// operator does what an operator may ask for, whether the server runs or not.
type operator interface {
	// Token returns an access token of an existing user, good for ttl.
	Token(ctx context.Context, username string, ttl time.Duration) (string, error)
	// SetRole gives an existing user a role.
	SetRole(ctx context.Context, username string, role user.Role) error
	// Verify checks the stored data; progress is told the number of users done.
	Verify(ctx context.Context, progress func(users int)) (usergrain.Report, error)
	// Reindex builds the index of the search engine anew; progress is told the number
	// of users done, of about how many.
	Reindex(ctx context.Context, progress func(done, total int)) (reindexed, error)
}

// access is what an operator needs where no server runs.
type access struct {
	storage
	key    secret // of tokens; "": the one in the data dir
	search searchSettings
}

// withOperator calls f with an operator of the data dir: through the socket of
// the server that runs on it, or else on the data itself.
func withOperator(ctx context.Context, a access, f func(operator) error) (err error) {
	if err := a.check(); err != nil {
		return err
	}
	socket := filepath.Join(a.DataDir, socketFile)
	if conn, dialErr := (&net.Dialer{}).DialContext(ctx, "unix", socket); dialErr == nil {
		_ = conn.Close() // it only shows that somebody is there
		return f(newRemoteOperator(socket))
	}
	if _, err := os.Stat(filepath.Join(a.DataDir, databaseFile)); err != nil && a.DatabaseURL == "" {
		return fmt.Errorf("no database in %s; is KITH_DATA_DIR right?", a.DataDir)
	}
	local, closeAll, err := openOperator(ctx, a)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	return f(local)
}

// What crosses the admin socket: JSON, errors as {"error":"…"} with a status.
type (
	tokenRequest struct {
		Username string        `json:"username"`
		TTL      time.Duration `json:"ttl"` // nanoseconds
	}
	tokenAnswer struct {
		Token string `json:"token"`
	}
	roleRequest struct {
		Username string `json:"username"`
		Role     string `json:"role"`
	}
	roleAnswer struct{}
	// line is one line of the answer to what takes long: how far it is, and in the
	// last line the result or an error.
	line struct {
		Done   int             `json:"done,omitempty"`
		Total  int             `json:"total,omitempty"` // about; 0: nobody knows
		Result json.RawMessage `json:"result,omitempty"`
		Error  string          `json:"error,omitempty"`
	}
	errorAnswer struct {
		Error string `json:"error"`
	}
)

const maxAdminBody = 4 << 10

// adminHandler serves o to whoever may open the socket: its file mode decides.
func adminHandler(o operator) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		var in tokenRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAdminBody)).Decode(&in); err != nil {
			writeAdmin(w, http.StatusBadRequest, errorAnswer{"not a token request: " + err.Error()})
			return
		}
		token, err := o.Token(r.Context(), in.Username, in.TTL)
		if err != nil {
			writeAdmin(w, http.StatusUnprocessableEntity, errorAnswer{err.Error()})
			return
		}
		writeAdmin(w, http.StatusOK, tokenAnswer{token})
	})
	mux.HandleFunc("POST /role", func(w http.ResponseWriter, r *http.Request) {
		var in roleRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxAdminBody)).Decode(&in); err != nil {
			writeAdmin(w, http.StatusBadRequest, errorAnswer{"not a role request: " + err.Error()})
			return
		}
		role, err := parseRole(in.Role)
		if err == nil {
			err = o.SetRole(r.Context(), in.Username, role)
		}
		if err != nil {
			writeAdmin(w, http.StatusUnprocessableEntity, errorAnswer{err.Error()})
			return
		}
		writeAdmin(w, http.StatusOK, roleAnswer{})
	})
	mux.HandleFunc("GET /verify", func(w http.ResponseWriter, r *http.Request) {
		answerLines(w, r, func(ctx context.Context, tell func(done, total int)) (any, error) {
			return o.Verify(ctx, func(users int) { tell(users, 0) })
		})
	})
	mux.HandleFunc("POST /reindex", func(w http.ResponseWriter, r *http.Request) {
		answerLines(w, r, func(ctx context.Context, tell func(done, total int)) (any, error) { return o.Reindex(ctx, tell) })
	})
	return mux
}

// answerLines answers with lines: what do tells, and its result.
func answerLines(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, tell func(done, total int)) (any, error)) {
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	_ = flush.Flush() // so that who is cut off knows that it had begun
	result, err := do(r.Context(), func(done, total int) {
		// A reader who has gone ends the request's context.
		_ = out.Encode(line{Done: done, Total: total})
		_ = flush.Flush()
	})
	var last line
	if err == nil {
		last.Result, err = json.Marshal(result)
	}
	if err != nil {
		last = line{Error: err.Error()}
	}
	_ = out.Encode(last)
}

func writeAdmin(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a reader who has gone needs no answer
}

// listenAdmin listens on the admin socket. A socket file that is there belongs to
// a process that is gone: the lock on the data dir is ours.
func listenAdmin(ctx context.Context, d *dataDir) (net.Listener, error) {
	path := d.file(socketFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old admin socket: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on the admin socket (a path of more than about 100 characters is too long for one): %w", err)
	}
	// Until here the directory, which only its owner enters, has kept others out.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protect the admin socket: %w", err), l.Close())
	}
	return l, nil
}

// remoteOperator asks the server that runs.
type remoteOperator struct{ client *http.Client }

func newRemoteOperator(socket string) remoteOperator {
	return remoteOperator{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true,
	}}}
}

// Token implements operator.
func (o remoteOperator) Token(ctx context.Context, username string, ttl time.Duration) (string, error) {
	body, err := json.Marshal(tokenRequest{Username: username, TTL: ttl})
	if err != nil {
		return "", fmt.Errorf("ask for a token: %w", err)
	}
	var answer tokenAnswer
	err = o.call(ctx, http.MethodPost, "/token", body, func(r io.Reader) error { return json.NewDecoder(r).Decode(&answer) })
	return answer.Token, err
}

// SetRole implements operator.
func (o remoteOperator) SetRole(ctx context.Context, username string, role user.Role) error {
	body, err := json.Marshal(roleRequest{Username: username, Role: string(role)})
	if err != nil {
		return fmt.Errorf("ask for a role: %w", err)
	}
	return o.call(ctx, http.MethodPost, "/role", body, func(io.Reader) error { return nil })
}

// Verify implements operator.
func (o remoteOperator) Verify(ctx context.Context, progress func(users int)) (report usergrain.Report, err error) {
	err = o.lines(ctx, http.MethodGet, "/verify", func(done, _ int) { progress(done) }, &report)
	return report, err
}

// Reindex implements operator.
func (o remoteOperator) Reindex(ctx context.Context, progress func(done, total int)) (r reindexed, err error) {
	err = o.lines(ctx, http.MethodPost, "/reindex", progress, &r)
	return r, err
}

// lines reads an answer of lines.
func (o remoteOperator) lines(ctx context.Context, method, path string, progress func(done, total int), result any) error {
	ended := false
	err := o.call(ctx, method, path, nil, func(r io.Reader) error {
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var l line
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				return fmt.Errorf("read a line: %w", err)
			}
			switch {
			case l.Error != "":
				return errors.New(l.Error)
			case l.Result == nil:
				progress(l.Done, l.Total)
				continue
			}
			if err := json.Unmarshal(l.Result, result); err != nil {
				return fmt.Errorf("read the result: %w", err)
			}
			ended = true
		}
		return lines.Err()
	})
	if err == nil && !ended {
		err = errors.New("the server ended before it was done")
	}
	return err
}

func (o remoteOperator) call(ctx context.Context, method, path string, body []byte, read func(io.Reader) error) (err error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://kith"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	response, err := o.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		var answer errorAnswer
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Error == "" {
			return fmt.Errorf("the server answered %s", response.Status)
		}
		return errors.New(answer.Error)
	}
	return read(response.Body)
}
