package s3_test

import (
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/test/kithtest"
	"kith/test/services"
)

// bound is the longest that a request may wait for a store that does not answer, on
// a busy machine.
const bound = 10 * time.Second

// unavailable wants a request to be answered 503 in bounded time.
func unavailable(t *testing.T, what string, ask func() (*kithtest.Answer, error)) {
	t.Helper()
	begun := time.Now()
	a := want(t, http.StatusServiceUnavailable)(ask())
	if took := time.Since(begun); took > bound || a.Code != "unavailable" || a.Header.Get("Retry-After") == "" {
		t.Errorf("%s: after %s: %s", what, took, a)
	}
}

// rest wants everything to go on that needs no photos.
func rest(t *testing.T, server *kithtest.Server, p person, name string) {
	t.Helper()
	other := register(t, server, name)
	want(t, http.StatusCreated)(p.Follow(t.Context(), name))
	want(t, http.StatusOK)(p.Update(t.Context(), map[string]any{"name": "Another", "profile_picture": "https://example.com/a.jpg"}))
	want(t, http.StatusOK)(p.Update(t.Context(), map[string]any{"profile_picture": ""}))
	want(t, http.StatusOK)(other.Delete(t.Context(), name)) // the photo, if there is one, is erased later
	soon(t, "the other does not count any more", func() bool {
		return want(t, http.StatusOK)(p.Client.User(t.Context(), p.Username)).User.Following == 0
	})
}

func TestAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	s := services.StartS3(t)
	bucket := s.Bucket()
	server := kith.Start(t, kithtest.Options{Env: bucket.Env()})
	ada, eve := register(t, server, "away_ada"), register(t, server, "away_eve")
	for _, p := range []person{ada, eve} {
		if status := persistencetest.PutPhoto(t, p.upload(t, persistence.TypePNG), persistence.TypePNG, persistencetest.Photo(persistence.TypePNG, 9)); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	degraded(t, server, false)

	s.Kill()
	unavailable(t, "a picture", func() (*kithtest.Answer, error) { return ada.wears(t.Context()) })
	degraded(t, server, true)
	unavailable(t, "a picture that is not looked for", func() (*kithtest.Answer, error) { return ada.wears(t.Context()) })
	unavailable(t, "an upload", func() (*kithtest.Answer, error) { return ada.Do(t.Context(), uploading(persistence.TypePNG)) })
	want(t, http.StatusOK)(eve.Delete(t.Context(), eve.Username))
	for i := range 17 { // more than are severed at a time: none waits for the store
		p := register(t, server, "away_"+strconv.Itoa(i))
		want(t, http.StatusOK)(p.Delete(t.Context(), p.Username))
	}
	rest(t, server, ada, "away_bob")

	// A start does not need it either.
	server.Restart()
	degraded(t, server, true)

	s.Start()
	degraded(t, server, false)
	want(t, http.StatusOK)(ada.wears(t.Context()))
	gone(t, look(t, bucket), eve)
}

func TestABucketThatIsNotThereOrRefuses(t *testing.T) {
	t.Parallel()
	good := services.S3(t)
	for name, change := range map[string]func(*services.Bucket){
		"not there": func(b *services.Bucket) { b.Name += "-x" },
		"refuses":   func(b *services.Bucket) { b.SecretKey += "x" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bucket := good
			change(&bucket)
			server := kith.Start(t, kithtest.Options{Env: bucket.Env()})
			degraded(t, server, true)
			ada := register(t, server, "refused_ada")
			unavailable(t, "a picture", func() (*kithtest.Answer, error) { return ada.wears(t.Context()) })
			unavailable(t, "an upload", func() (*kithtest.Answer, error) { return ada.Do(t.Context(), uploading(persistence.TypePNG)) })
			rest(t, server, ada, "refused_bob")
		})
	}
}

// A store that takes connections and says nothing is the worst of them.
func TestAStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	bucket := services.Bucket{Endpoint: "http://" + silent.Addr().String(), Name: "photos", Region: "us-east-1", AccessKey: "access", SecretKey: "secret"}
	server := kith.Start(t, kithtest.Options{Env: bucket.Env()})
	ada := register(t, server, "silent_ada")
	unavailable(t, "a picture", func() (*kithtest.Answer, error) { return ada.wears(t.Context()) })
	degraded(t, server, true)
	unavailable(t, "an upload", func() (*kithtest.Answer, error) { return ada.Do(t.Context(), uploading(persistence.TypePNG)) })
	rest(t, server, ada, "silent_bob")
	server.Stop() // in the time that it promises
}
