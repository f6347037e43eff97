package gateway_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kith/actors/user"
	"kith/gateway"
	"kith/persistence"
)

const (
	photoPath = "ProfileProto/users/00000000000000000000000000000001.jpg"
	mediaPath = "/media/" + photoPath
)

// uploadURL asks for an upload and returns the path and query of its URL.
func (w *world) uploadURL(tb testing.TB, token, body string) string {
	tb.Helper()
	got := w.call(tb, call{method: http.MethodPost, path: "/users/profile-photo/upload", token: token, body: body}).is(tb, 200)
	url, _ := got.body["gateway_url"].(string)
	return strings.TrimPrefix(url, "http://kith.test")
}

func (w *world) put(tb testing.TB, url, body string) reply {
	tb.Helper()
	return w.call(tb, call{method: http.MethodPut, path: url, body: body, header: []string{"Content-Type", "image/jpeg"}})
}

func TestAPhotoIsUploadedAndServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	got := w.call(t, call{method: http.MethodPost, path: "/users/profile-photo/upload", token: token}).is(t, 200)
	want := `{"status":"success","message":"Profile photo upload URL generated","gateway_url":"http://kith.test/uploads/` + photoPath +
		`?content_type=image/jpeg&expires=20240115105000&signature=signed","path":"` + photoPath + `"}`
	if strings.TrimSpace(got.Body.String()) != want || got.Header().Get("Cache-Control") != "no-store" {
		t.Error(got.Body, got.Header())
	}
	w.get(t, "", mediaPath).refused(t, 404, "photo_not_found", "Photo not found")
	for _, step := range []struct{ body, bytes, kind string }{
		{"", jpegBytes, "image/jpeg"}, {"{}", jpegBytes, "image/jpeg"}, {`{"content_type":null}`, jpegBytes, "image/jpeg"}, {`{"content_type":"image/png"}`, pngBytes, "image/png"},
	} {
		w.pass(time.Second)
		if got := w.put(t, w.uploadURL(t, token, step.body), step.bytes).is(t, 200); got.Body.String() != `{"status":"success","message":"Profile photo uploaded"}`+"\n" {
			t.Error(got.Body)
		}
		served := w.raw(t, call{method: http.MethodGet, path: mediaPath})
		if served.Code != 200 || served.Body.String() != step.bytes || served.Header().Get("Content-Type") != step.kind || served.Header().Get("X-Content-Type-Options") != "nosniff" ||
			served.Header().Get("ETag") == "" || served.Header().Get("Cache-Control") != "public, no-cache" || served.Header().Get("Last-Modified") == "" {
			t.Errorf("%d %q %v", served.Code, served.Body, served.Header())
		}
	}
	w.call(t, call{method: http.MethodPut, path: "/users/self", token: token, body: `{"profile_picture":"` + photoPath + `"}`}).is(t, 200)
	for body, message := range map[string]string{
		`{"content_type":"image/gif"}`: "Content type must be image/jpeg, image/png or image/webp", `{"content_type":"IMAGE/JPEG"}`: "Content type must be image/jpeg, image/png or image/webp",
	} {
		w.call(t, call{method: http.MethodPost, path: "/users/profile-photo/upload", token: token, body: body}).refused(t, 400, "invalid_content_type", message)
	}
	w.call(t, call{method: http.MethodPost, path: "/users/profile-photo/upload", token: token, body: `[]`}).refused(t, 400, "invalid_body", "Invalid request body")
	w.call(t, call{method: http.MethodPost, path: "/users/profile-photo/upload"}).is(t, 401)
	w.do(t, "alice", user.Delete{At: w.clock()})
	w.call(t, call{method: http.MethodPost, path: "/users/profile-photo/upload", token: token}).refused(t, 401, "unauthorized", "Missing or invalid authentication token")
}

func TestUploadsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	url := w.uploadURL(t, token, "")
	const forbidden = "The upload URL is expired or not valid"
	for _, bad := range []string{strings.Replace(url, "signed", "forged", 1), strings.SplitN(url, "?", 2)[0], "/uploads/ProfileProto/users/x?signature=signed&expires=20240115105000&content_type=image/jpeg"} {
		w.put(t, bad, jpegBytes).refused(t, 403, "upload_forbidden", forbidden)
	}
	w.put(t, url, "GIF89a").refused(t, 415, "not_a_photo", "The bytes are not such an image")
	w.put(t, url, pngBytes).refused(t, 415, "not_a_photo", "The bytes are not such an image")
	large := jpegBytes + strings.Repeat("x", persistence.MaxPhotoBytes-len(jpegBytes))
	w.put(t, url, large).is(t, 200)
	for _, known := range []bool{true, false} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(large+"x"))
		if !known {
			r.ContentLength = -1
		}
		w.send(t, r).refused(t, 413, "photo_too_large", "Photo must be at most 5 MiB")
	}
	w.pass(20*time.Minute - time.Second)
	w.put(t, url, jpegBytes).is(t, 200)
	w.pass(time.Second)
	w.put(t, url, jpegBytes).refused(t, 403, "upload_forbidden", forbidden)
}

// A URL outlives the account; nothing that comes by it does.
func TestADeletedUsersPhotoIsNotSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	url := w.uploadURL(t, token, "")
	w.put(t, url, jpegBytes).is(t, 200)
	w.afterPut = func() { w.do(t, "alice", user.Delete{At: w.clock()}) }
	w.put(t, url, jpegBytes).refused(t, 403, "upload_forbidden", "The upload URL is expired or not valid") // crossed
	if len(w.photos) != 0 {
		t.Error("the photo that crossed the deletion is there")
	}
	w.afterPut = nil
	w.put(t, url, jpegBytes).refused(t, 403, "upload_forbidden", "The upload URL is expired or not valid")
	w.photos[photoPath] = photo{bytes: []byte(jpegBytes)} // not severed yet
	w.get(t, "", mediaPath).refused(t, 404, "photo_not_found", "Photo not found")
	for _, path := range []string{"x.jpg", "..%2Fx", "00000000000000000000000000000001.png", "0000000000000000000000000000000G.jpg", strings.Repeat("0", 33) + ".jpg"} {
		w.get(t, "", "/media/ProfileProto/users/"+path).refused(t, 404, "photo_not_found", "Photo not found")
	}
	w.get(t, "", "/media/other").refused(t, 404, "not_found", "Not found")
}

func TestAPictureMustBeWithinTheLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	put := func() reply {
		return w.call(t, call{method: http.MethodPut, path: "/users/self", token: token, body: `{"profile_picture":"` + photoPath + `"}`})
	}
	patch := func() reply { return w.patch(t, token, "profile", `{"avatar_url":"`+photoPath+`"}`) }
	// It may be set first and uploaded then.
	if got := put().is(t, 200); got.user("profile_picture") != photoPath {
		t.Error(got.Body)
	}
	patch().is(t, 200)
	for _, bytes := range []string{"GIF89a", "", jpegBytes + strings.Repeat("x", persistence.MaxPhotoBytes)} { // as another store may hold
		w.photos[photoPath] = photo{bytes: []byte(bytes)}
		put().refused(t, 400, "invalid_profile_picture", "The photo must be a JPEG, PNG or WebP image of at most 5 MiB")
		patch().refused(t, 400, "invalid_avatar_url", "The photo must be a JPEG, PNG or WebP image of at most 5 MiB")
		w.get(t, "", mediaPath).refused(t, 404, "photo_not_found", "Photo not found")
	}
	w.photos[photoPath] = photo{bytes: []byte(pngBytes)}
	put().is(t, 200)
	w.failStores = errors.New("away")
	put().is(t, 500)
}

func TestRangesAndConditionsOfPhotos(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.join(t, "alice")
	w.photos[photoPath] = photo{bytes: []byte(jpegBytes), at: w.clock()}
	get := func(header ...string) *httptest.ResponseRecorder {
		return w.raw(t, call{method: http.MethodGet, path: mediaPath, header: header})
	}
	tag := get().Header().Get("ETag")
	for _, c := range []struct {
		header, value string
		status        int
		body          string
	}{
		{"Range", "bytes=0-2", 206, jpegBytes[:3]},
		{"Range", "bytes=4-", 206, jpegBytes[4:]},
		{"Range", "bytes=-4", 206, jpegBytes[4:]},
		{"Range", "bytes=0-999", 206, jpegBytes},
		{"Range", "items=1-2", 200, jpegBytes},
		{"Range", "lines=9-", 200, jpegBytes},
		{"Range", "bytes 0-1", 200, jpegBytes},
		{"If-None-Match", tag, 304, ""},
		{"If-None-Match", `"x"`, 200, jpegBytes},
		{"If-Modified-Since", "Mon, 15 Jan 2024 10:30:00 GMT", 304, ""},
		{"If-Match", `"x"`, 200, jpegBytes},
		{"If-Unmodified-Since", "Mon, 15 Jan 2020 10:30:00 GMT", 200, jpegBytes},
	} {
		if got := get(c.header, c.value); got.Code != c.status || got.Body.String() != c.body {
			t.Errorf("%s: %s: %d %q", c.header, c.value, got.Code, got.Body)
		}
	}
	for _, r := range []string{"bytes=8-", "bytes=9-12", "bytes=5-4", "bytes=x", "bytes=-0", "bytes=+1-2", "bytes="} {
		got := w.call(t, call{method: http.MethodGet, path: mediaPath, header: []string{"Range", r}})
		if got.refused(t, 416, "range_not_satisfiable", "Range not satisfiable"); got.Header().Get("Content-Range") != "bytes */8" || got.Header().Get("ETag") != "" {
			t.Errorf("%s: %v", r, got.Header())
		}
	}
	head := w.raw(t, call{method: http.MethodHead, path: mediaPath})
	if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != "8" {
		t.Errorf("%d %v", head.Code, head.Header())
	}
}

// Whatever the range, an answer of 416 is an envelope.
func FuzzRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-1", "bytes=-1", "bytes=1-,0-2", "bytes=,", "bytes= 0-1", "x", "bytes=0-1,9-", "bytes=--1", "bytes=0- 1"} {
		f.Add(seed)
	}
	w := newWorld(f)
	w.join(f, "alice")
	w.photos[photoPath] = photo{bytes: []byte(jpegBytes)}
	f.Fuzz(func(t *testing.T, header string) {
		got := w.raw(t, call{method: http.MethodGet, path: mediaPath, header: []string{"Range", header}})
		if got.Code == 416 && !strings.Contains(got.Body.String(), "range_not_satisfiable") || got.Code >= 500 {
			t.Errorf("%q: %d %s", header, got.Code, got.Body)
		}
	})
}

// A client that uploads and stops is no fault of ours.
func TestAnUploadThatStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.join(t, "alice")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, w.uploadURL(t, token, ""), io.MultiReader(strings.NewReader(jpegBytes), broken{}))
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, r)
	if got.Code >= 500 || len(w.photos) != 0 || strings.Contains(w.log.String(), "request failed") {
		t.Errorf("answered %d; %s", got.Code, w.log)
	}
}

// pipes is a listener whose connections are in memory, on the clock of a bubble.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	if c, ok := <-p.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.conns) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// A client that stops, or goes on too slowly to ever end, is told so and gives its
// place to others; one that is merely slow is not.
func TestSlowUploads(t *testing.T) {
	t.Parallel()
	large := jpegBytes + strings.Repeat("x", 1<<20-len(jpegBytes))
	for name, tt := range map[string]struct {
		step    int // bytes sent at a time
		every   time.Duration
		body    string
		status  string
		at, end time.Duration // between which the answer comes
	}{
		"nothing comes":             {step: 0, body: large, status: "408", at: 10 * time.Second, end: 10 * time.Second},
		"a byte a second":           {step: 1, every: time.Second, body: large, status: "408", at: 10 * time.Second, end: 10 * time.Second},
		"a little less than enough": {step: 7 << 10, every: 9 * time.Second, body: large, status: "408", at: 10 * time.Second, end: 20 * time.Second},
		"16 KiB in 9 seconds":       {step: 16 << 10, every: 9 * time.Second, body: large[:128<<10], status: "200", at: 60 * time.Second, end: 64 * time.Second},
		"too long in all":           {step: 16 << 10, every: 9 * time.Second, body: large, status: "408", at: 2 * time.Minute, end: 2 * time.Minute},
		"at once":                   {step: 1 << 20, body: large, status: "200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				url := w.uploadURL(t, w.join(t, "alice"), "")
				server, listener := gateway.HTTPServer(w.handler, w.config().Logger), &pipes{conns: make(chan net.Conn, 1)}
				var running sync.WaitGroup
				running.Go(func() {
					if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
						t.Error(err)
					}
				})
				conn, far := net.Pipe()
				listener.conns <- far
				start := time.Now()
				running.Go(func() {
					_, err := fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", url, len(tt.body))
					for rest := tt.body; err == nil && tt.step > 0 && rest != ""; rest = rest[min(tt.step, len(rest)):] {
						if _, err = io.WriteString(conn, rest[:min(tt.step, len(rest))]); err == nil && tt.every > 0 {
							<-time.After(tt.every)
						}
					}
				})
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took < tt.at || took > tt.end || !strings.HasPrefix(answer.Status, tt.status) {
					t.Errorf("%s after %s", answer.Status, took)
				}
				if err := errors.Join(answer.Body.Close(), conn.Close(), server.Shutdown(t.Context())); err != nil {
					t.Error(err)
				}
				running.Wait()
			})
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) {
	return 0, fmt.Errorf("the peer is gone: %w", io.ErrUnexpectedEOF)
}

// With a store of its own, clients go to that.
func TestPhotosOfAnotherStoreAreNotServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cfg := w.config()
	cfg.Registerer = nil
	cfg.Blobs = elsewhere{blobs{w}}
	s, err := gateway.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.handler = s.Handler()
	token := w.join(t, "alice")
	url := w.uploadURL(t, token, "")
	w.put(t, url, jpegBytes).refused(t, 404, "not_found", "Not found")
	w.get(t, "", mediaPath).refused(t, 404, "not_found", "Not found")
}

// elsewhere hides that a store can be served from here.
type elsewhere struct{ persistence.Blobs }
