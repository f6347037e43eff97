package s3_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/persistence/s3"
	"kith/test/services"
)

// server answers instead of one.
type server func(*http.Request) (*http.Response, error)

func (s server) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

// says is an answer.
func says(status int, body string, header ...string) (*http.Response, error) {
	a := &http.Response{
		StatusCode: status, Status: http.StatusText(status), ContentLength: int64(len(body)),
		Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{},
	}
	for i := 0; i < len(header); i += 2 {
		a.Header.Set(header[i], header[i+1])
	}
	return a, nil
}

func saysCode(status int, code string) (*http.Response, error) {
	return says(status, `<?xml version="1.0"?><Error><Code>`+code+`</Code><Message>It is so.</Message></Error>`)
}

// missing is what a server says of an object that is not there.
func missing(*http.Request) (*http.Response, error) {
	return saysCode(http.StatusNotFound, "NoSuchKey")
}

// faked returns what a store on a server that is none needs.
func faked(s server) s3.Config {
	return s3.Config{Endpoint: "https://s3.example.com", Bucket: "photos", AccessKey: "access", SecretKey: "secret", Prefix: prefix, Transport: s}
}

func TestABadConfigIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*s3.Config){
		"no endpoint":           func(c *s3.Config) { c.Endpoint = "" },
		"another scheme":        func(c *s3.Config) { c.Endpoint = "s3://photos" },
		"an endpoint in a path": func(c *s3.Config) { c.Endpoint += "/photos" },
		"a user":                func(c *s3.Config) { c.Endpoint = "https://user:pass@s3.example.com" },
		"a query":               func(c *s3.Config) { c.Endpoint += "?x=1" },
		"no bucket":             func(c *s3.Config) { c.Bucket = "" },
		"a short bucket":        func(c *s3.Config) { c.Bucket = "ab" },
		"a bucket in capitals":  func(c *s3.Config) { c.Bucket = "Photos" },
		"a bucket with a slash": func(c *s3.Config) { c.Bucket = "photos/x" },
		"dots in a row":         func(c *s3.Config) { c.Bucket = "a..b" },
		"a region with a space": func(c *s3.Config) { c.Region = "us east" },
		"no access key":         func(c *s3.Config) { c.AccessKey = "" },
		"a slash in the key":    func(c *s3.Config) { c.AccessKey = "a/b" },
		"no secret key":         func(c *s3.Config) { c.SecretKey = "" },
		"a line end":            func(c *s3.Config) { c.SecretKey += "\n" },
		"no prefix of paths":    func(c *s3.Config) { c.Prefix = "/" },
		"a negative timeout":    func(c *s3.Config) { c.Timeout = -1 },
	} {
		cfg := faked(missing)
		change(&cfg)
		if _, err := s3.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), cfg.SecretKey) && cfg.SecretKey != "" {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	registry := prometheus.NewRegistry()
	cfg := faked(missing)
	cfg.Registerer = registry
	open(t, cfg)
	if _, err := s3.New(cfg); err == nil {
		t.Error("metrics are registered twice")
	}
}

func TestAnUploadURLBindsTheContentTypeAndTheTime(t *testing.T) {
	t.Parallel()
	cfg := faked(missing)
	cfg.Now = func() time.Time { return time.Date(2024, 5, 6, 7, 8, 9, 999_999_999, time.UTC) }
	s := open(t, cfg)
	raw, err := s.UploadURL(t.Context(), path, persistence.TypePNG, persistence.UploadTTL)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if u.Host != "s3.example.com" || u.Path != "/photos/"+path || q.Get("X-Amz-SignedHeaders") != "content-type;host" ||
		q.Get("X-Amz-Date") != "20240506T070809Z" || q.Get("X-Amz-Expires") != "1201" || !strings.HasPrefix(q.Get("X-Amz-Credential"), "access/20240506/us-east-1/s3/") {
		t.Errorf("URL %s", raw)
	}
	if strings.Contains(raw, "secret") {
		t.Error("the URL holds the key")
	}
	for _, ttl := range []time.Duration{-time.Second, 0, time.Millisecond, 8 * 24 * time.Hour} {
		if _, err := s.UploadURL(t.Context(), path, persistence.TypePNG, ttl); err == nil {
			t.Errorf("a URL for %s", ttl)
		}
	}
}

// What a server says, and what that means.
func TestWhatTheServerCannotDoIsAway(t *testing.T) {
	t.Parallel()
	const jpeg = "\xff\xd8\xff"
	for name, tt := range map[string]struct {
		answer server
		want   error
	}{
		"no such object":                         {missing, persistence.ErrNotFound},
		"no such bucket":                         {func(*http.Request) (*http.Response, error) { return saysCode(404, "NoSuchBucket") }, persistence.ErrAway},
		"not found, it is said by somebody else": {func(*http.Request) (*http.Response, error) { return says(404, "<html>") }, persistence.ErrAway},
		"refused":                                {func(*http.Request) (*http.Response, error) { return saysCode(403, "AccessDenied") }, persistence.ErrAway},
		"elsewhere":                              {func(*http.Request) (*http.Response, error) { return saysCode(301, "PermanentRedirect") }, persistence.ErrAway},
		"too many":                               {func(*http.Request) (*http.Response, error) { return saysCode(503, "SlowDown") }, persistence.ErrAway},
		"no connection":                          {func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, persistence.ErrAway},
		"no time":                                {func(*http.Request) (*http.Response, error) { return says(200, jpeg) }, persistence.ErrAway},
		"half of it":                             {func(*http.Request) (*http.Response, error) { return half(jpeg) }, persistence.ErrAway},
		"of unknown length": {func(*http.Request) (*http.Response, error) {
			a, err := says(200, jpeg, "Last-Modified", "Mon, 06 May 2024 07:08:09 GMT")
			a.ContentLength = -1
			return a, err
		}, persistence.ErrAway},
	} {
		s := open(t, faked(tt.answer))
		if _, err := s.Stat(t.Context(), path); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
}

// half is an answer that breaks off.
func half(body string) (*http.Response, error) {
	a, err := says(http.StatusOK, body, "Last-Modified", "Mon, 06 May 2024 07:08:09 GMT")
	a.Body = io.NopCloser(io.MultiReader(strings.NewReader(body), broken{}))
	a.ContentLength = 1000
	return a, err
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A photo that was uploaded as another kind would be served as that.
func TestAPhotoOfAnotherContentTypeIsNone(t *testing.T) {
	t.Parallel()
	png := string(persistencetest.Photo(persistence.TypePNG, 3))
	for contentType, want := range map[string]string{persistence.TypePNG: persistence.TypePNG, persistence.TypeJPEG: "", "text/html": "", "": ""} {
		s := open(t, faked(func(*http.Request) (*http.Response, error) {
			return says(http.StatusOK, png, "Last-Modified", "Mon, 06 May 2024 07:08:09 GMT", "Content-Type", contentType)
		}))
		info, err := s.Stat(t.Context(), path)
		if err != nil || info.ContentType != want || info.Size != int64(len(png)) || !info.ModTime.Equal(time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)) {
			t.Errorf("%q: %+v, %v", contentType, info, err)
		}
	}
}

func TestWhoDoesNotWaitIsNoFailure(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(t.Context())
	cfg := faked(func(r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	cfg.Registerer = registry
	s := open(t, cfg)
	if _, err := s.Stat(ctx, path); !errors.Is(err, context.Canceled) || errors.Is(err, persistence.ErrAway) {
		t.Errorf("error %v", err)
	}
	if n := metric(t, registry, "kith_s3_failures_total"); n != 0 {
		t.Errorf("%v failures", n)
	}
}

// metric returns the sum of a metric.
func metric(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func TestACallIsBoundedWhateverTheServerDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		s := open(t, faked(hangs))
		start := time.Now()
		failed := make(chan error)
		const callers = 40 // more than may look at once
		for range callers {
			go func() {
				_, err := s.Stat(t.Context(), path)
				failed <- err
			}()
		}
		busy := 0
		for range callers {
			switch err := <-failed; {
			case errors.Is(err, persistence.ErrBusy):
				busy++
			case !errors.Is(err, persistence.ErrAway):
				t.Errorf("error %v", err)
			}
		}
		if err := s.Delete(t.Context(), path); !errors.Is(err, persistence.ErrAway) {
			t.Errorf("delete: error %v", err)
		}
		if busy == 0 || busy == callers {
			t.Errorf("%d of %d had no place", busy, callers)
		}
		if took := time.Since(start); took > 2*3*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }

// run runs a part until the test ends.
func run(t *testing.T, part func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- part(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// changing is a server that changes.
type changing struct {
	mu     sync.Mutex
	now    server
	called int
}

func (c *changing) to(s server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = s
}

func (c *changing) answer(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.called++
	return c.now(r)
}

func (c *changing) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.called
}

func TestABucketGoesAndComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		var changing changing
		changing.to(missing)
		cfg := faked(changing.answer)
		cfg.Registerer = registry
		s := open(t, cfg)
		run(t, s.Run)
		state := func(when string, away bool) {
			t.Helper()
			synctest.Wait()
			want := 0.0
			if away {
				want = 1
			}
			if s.Degraded() != away || metric(t, registry, "kith_s3_away") != want {
				t.Fatalf("%s: degraded %t", when, s.Degraded())
			}
		}
		state("at first", false)
		changing.to(func(*http.Request) (*http.Response, error) {
			return saysCode(http.StatusForbidden, "InvalidAccessKeyId")
		})
		// Whoever asks finds out, and the others do not have to.
		if _, err := s.Stat(t.Context(), path); !errors.Is(err, persistence.ErrAway) {
			t.Errorf("error %v", err)
		}
		state("after a call that failed", true)
		before := changing.asked()
		if _, err := s.Stat(t.Context(), path); !errors.Is(err, persistence.ErrAway) {
			t.Errorf("stat: error %v", err)
		}
		if err := s.Delete(t.Context(), path); !errors.Is(err, persistence.ErrAway) {
			t.Errorf("delete: error %v", err)
		}
		if u, err := s.UploadURL(t.Context(), path, persistence.TypePNG, time.Minute); !errors.Is(err, persistence.ErrAway) {
			t.Errorf("URL %s, error %v", u, err)
		}
		if changing.asked() != before {
			t.Error("a bucket that is away was asked")
		}
		changing.to(missing)
		pass(time.Second + time.Millisecond)
		state("a second after it came back", false)
		if _, err := s.Stat(t.Context(), path); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("error %v", err)
		}
		changing.to(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
		pass(10 * time.Second)
		state("when nobody asks", true)
		if n := metric(t, registry, "kith_s3_failures_total"); n < 3 {
			t.Errorf("%v failures", n)
		}
	})
}

func TestARealBucketThatRefusesIsAway(t *testing.T) {
	t.Parallel()
	good := config(services.S3(t))
	for name, change := range map[string]func(*s3.Config){
		"of another name":  func(c *s3.Config) { c.Bucket += "-x" },
		"of another key":   func(c *s3.Config) { c.AccessKey += "x" },
		"of another seal":  func(c *s3.Config) { c.SecretKey += "x" },
		"of another place": func(c *s3.Config) { c.Region = "eu-central-1" },
	} {
		cfg := good
		change(&cfg)
		s := open(t, cfg)
		if _, err := s.Stat(t.Context(), path); !errors.Is(err, persistence.ErrAway) {
			t.Errorf("a bucket %s: stat: error %v", name, err)
		}
		if err := s.Delete(t.Context(), path); !errors.Is(err, persistence.ErrAway) {
			t.Errorf("a bucket %s: delete: error %v", name, err)
		}
	}
}
