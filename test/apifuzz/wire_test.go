package apifuzz_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// request is one request as it is sent, whatever that is.
type request struct {
	operation *operation // nil when it is not certain to be one's
	method    string
	target    string
	header    [][2]string
	body      []byte
	announce  int64  // Content-Length of a body that is never sent, 0 for none
	chunked   bool   // the body is written in chunks, by whoever made it
	what      string // is special about it
	keep      bool   // it is sent whatever the numbers are
	expect    expectation
}

// expectation is what a request's answer must be beside what is documented.
type expectation struct {
	statuses []int // one of them; empty for any
	accepted bool  // not refused for what it holds
	refused  bool  // 4xx
}

// String shows a request in the failure of a test.
func (r *request) String() string {
	body := fmt.Sprintf("%.300q", r.body)
	if r.announce > 0 {
		body = fmt.Sprintf("%d bytes", r.announce)
	}
	var header strings.Builder
	for _, h := range r.header {
		fmt.Fprintf(&header, " %s: %.120q;", h[0], h[1])
	}
	return fmt.Sprintf("%s %.300q (%s)%s body %s", r.method, r.target, r.what, header.String(), body)
}

// wellFormed reports whether a request is HTTP. What is not, net/http answers by
// itself.
func (r *request) wellFormed() bool {
	if _, err := url.ParseRequestURI(r.target); err != nil || strings.ContainsAny(r.target, " \x7f") || strings.HasPrefix(r.target, "//") {
		return false
	}
	for _, h := range r.header {
		if strings.ContainsFunc(h[1], func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) {
			return false
		}
	}
	return r.method != http.MethodConnect
}

func (r *request) problem() bool {
	for _, h := range r.header {
		if h[0] == "Accept" && h[1] == contentProblem {
			return true
		}
	}
	return false
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// String shows an answer in the failure of a test.
func (a *answer) String() string { return fmt.Sprintf("%d %.600s", a.status, bytes.TrimSpace(a.body)) }

// wire is one connection to a server, made again when it was closed. It is for
// one goroutine.
type wire struct {
	address string
	conn    net.Conn
	in      *bufio.Reader
}

// wireTime bounds one exchange, on a machine that is busy with other tests.
const wireTime = 30 * time.Second

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close() // nothing is lost: all answers were read
		w.conn = nil
	}
}

func (w *wire) do(r *request) (*answer, error) {
	if w.conn == nil {
		conn, err := net.DialTimeout("tcp", w.address, wireTime) //nolint:noctx // bounded by its own time
		if err != nil {
			return nil, fmt.Errorf("connect: %w", err)
		}
		w.conn, w.in = conn, bufio.NewReader(conn)
	}
	a, last, err := w.exchange(r)
	if err != nil || last {
		w.close()
	}
	return a, err
}

// longHeader is less than the 4 KiB that net/http has read of a request, at least,
// when it refuses one that is none.
const longHeader = 2 << 10

// text returns a request as it goes over the wire. Of one that is not HTTP,
// net/http does not read the end, and its answer could be lost with the connection:
// such a request goes without its body, and without a header that is long.
func (r *request) text(host string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.method, r.target, host)
	body, wellFormed := r.body, r.wellFormed()
	for _, h := range r.header {
		if wellFormed || len(h[1]) < longHeader {
			fmt.Fprintf(&out, "%s: %s\r\n", h[0], h[1])
		}
	}
	switch {
	case !wellFormed:
		body = nil
	case r.announce > 0:
		fmt.Fprintf(&out, "Content-Length: %d\r\n", r.announce)
	case r.chunked:
		out.WriteString("Transfer-Encoding: chunked\r\n")
	case r.body != nil:
		fmt.Fprintf(&out, "Content-Length: %d\r\n", len(r.body))
	}
	out.WriteString("\r\n")
	out.Write(body)
	return out.Bytes()
}

func (w *wire) exchange(r *request) (a *answer, last bool, err error) {
	if err := w.conn.SetDeadline(time.Now().Add(wireTime)); err != nil {
		return nil, true, fmt.Errorf("set a deadline: %w", err)
	}
	// A server may answer before it has read everything.
	conn, out, sent := w.conn, r.text(w.address), make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = conn.Write(out) // the answer tells whether it mattered
	}()
	response, err := http.ReadResponse(w.in, &http.Request{Method: r.method}) //nolint:bodyclose // it is read to its end below
	if err != nil {
		w.close()
		<-sent
		return nil, true, fmt.Errorf("read the answer: %w", err)
	}
	text, err := io.ReadAll(response.Body)
	last = response.Close || r.announce > 0
	if err != nil || last {
		w.close()
	}
	<-sent
	if err != nil {
		return nil, true, fmt.Errorf("read the body of the answer: %w", err)
	}
	return &answer{response.StatusCode, response.Header, text}, last, nil
}
