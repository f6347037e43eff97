package disk_test

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"kith/persistence"
	"kith/persistence/disk"
)

func TestAnUploadURLSaysWhatItAuthorises(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	path, query := a.url(persistence.TypePNG)
	u, err := a.Authorise(path, query)
	if err != nil {
		t.Fatal(err)
	}
	if u.Path != photo || u.ContentType != persistence.TypePNG || u.Expires.Before(a.now.Add(persistence.UploadTTL)) || u.Expires.After(a.now.Add(persistence.UploadTTL+time.Second)) {
		t.Errorf("upload %+v", u)
	}
	// Clients may escape what needs no escaping, and reorder.
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	reordered := "signature=" + values.Get("signature") + "&content_type=image%2Fpng&expires=" + values.Get("expires")
	if again, err := a.Authorise(path, reordered); err != nil || again != u {
		t.Errorf("%+v, %v", again, err)
	}
}

func TestAnUploadURLExpires(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	path, query := a.url(persistence.TypeJPEG)
	a.now = a.now.Add(persistence.UploadTTL - time.Nanosecond)
	if _, err := a.Authorise(path, query); err != nil {
		t.Errorf("after 20 minutes less a moment: %v", err)
	}
	a.now = a.now.Add(time.Second)
	if _, err := a.Authorise(path, query); !errors.Is(err, persistence.ErrUpload) {
		t.Errorf("a second later: error %v", err)
	}
}

func TestNothingOfAnUploadURLCanBeChanged(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	path, query := a.url(persistence.TypeJPEG)
	other := strings.Replace(photo, "7e", "7f", 1)
	for name, u := range map[string][2]string{
		"path":             {other, query},
		"content type":     {path, strings.Replace(query, "jpeg", "png", 1)},
		"expiry":           {path, strings.Replace(query, "expires=1", "expires=2", 1)},
		"no signature":     {path, query[:strings.LastIndex(query, "&")]},
		"empty signature":  {path, query[:strings.LastIndex(query, "=")+1]},
		"short signature":  {path, query[:len(query)-4]},
		"another one":      {path, query + "&expires=1"},
		"one more":         {path, query + "&x=1"},
		"nothing":          {path, ""},
		"bad escape":       {path, query + "%zz"},
		"very long":        {path, query + strings.Repeat("&", 300)},
		"dots in the path": {"x/../" + path, query},
		"slash before":     {"/" + path, query},
		"escaped":          {strings.ReplaceAll(path, "/", "%2F"), query},
	} {
		if u, err := a.Authorise(u[0], u[1]); !errors.Is(err, persistence.ErrUpload) || u != (persistence.Upload{}) {
			t.Errorf("%s: %+v, error %v", name, u, err)
		}
	}
	for i := range query { // any one character
		changed := []byte(query)
		changed[i] ^= 1
		if _, err := a.Authorise(path, string(changed)); err == nil {
			t.Errorf("%s is authorised like %s", changed, query)
		}
	}
	foreign, err := disk.New(disk.Config{Dir: t.TempDir(), Base: base, Secret: bytes.Repeat([]byte("x"), 32), Now: func() time.Time { return a.now }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := foreign.Authorise(path, query); !errors.Is(err, persistence.ErrUpload) {
		t.Errorf("under another secret: %v", err)
	}
	if err := foreign.Close(); err != nil {
		t.Error(err)
	}
}

func TestNoURLForWhatIsNoPhoto(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	for _, contentType := range []string{"", "image/gif", "image/svg+xml", "text/html", "IMAGE/PNG", "image/png&x=1", "image/png\n"} {
		if _, err := a.UploadURL(t.Context(), photo, contentType, time.Minute); !errors.Is(err, persistence.ErrNotPhoto) {
			t.Errorf("%q: error %v", contentType, err)
		}
	}
	for _, path := range badPaths() {
		if u, err := a.UploadURL(t.Context(), path, persistence.TypePNG, time.Minute); err == nil {
			t.Errorf("%q: URL %s", path, u)
		}
	}
}

// FuzzAuthorise must authorise nothing but what was signed.
func FuzzAuthorise(f *testing.F) {
	now := time.Unix(1_700_000_000, 0)
	store, err := disk.New(disk.Config{Dir: f.TempDir(), Base: base, Secret: bytes.Repeat([]byte("s"), 32), Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			f.Error(err)
		}
	}()
	raw, err := store.UploadURL(context.Background(), photo, persistence.TypePNG, persistence.UploadTTL)
	if err != nil {
		f.Fatal(err)
	}
	query := raw[strings.IndexByte(raw, '?')+1:]
	f.Add(photo, query)
	f.Add(photo, "content_type=image/png&expires=1&signature=AA")
	f.Add(photo, "signature=AA")
	f.Add("../etc/passwd", query)
	f.Add("", "")
	f.Fuzz(func(t *testing.T, path, rawQuery string) {
		u, err := store.Authorise(path, rawQuery)
		if err != nil {
			if !errors.Is(err, persistence.ErrUpload) {
				t.Errorf("error %v", err)
			}
			return
		}
		if u.Path != photo || u.ContentType != persistence.TypePNG || u.Expires != now.Add(persistence.UploadTTL).UTC() {
			t.Errorf("%q?%s authorises %+v", path, rawQuery, u)
		}
	})
}
