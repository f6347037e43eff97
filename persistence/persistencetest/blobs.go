//nolint:thelper // the functions of a suite are the tests themselves
package persistencetest

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"kith/persistence"
)

// blobPath is where the suite puts photos, each test in a store of its own.
const blobPath = "ProfileProto/users/0190a1b2c3d4e5f60718293a4b5c6d7e.jpg"

// Photo returns a photo of a kind, larger the wider it is, except of WebP.
func Photo(kind string, width int) []byte {
	m := image.NewRGBA(image.Rect(0, 0, width, width))
	for x := range width {
		for y := range width {
			m.Set(x, y, color.RGBA{uint8(x), uint8(y), uint8(x * y), 255}) //nolint:gosec // any colour will do
		}
	}
	var b bytes.Buffer
	var err error
	switch kind {
	case persistence.TypeJPEG:
		err = jpeg.Encode(&b, m, nil)
	case persistence.TypePNG:
		err = png.Encode(&b, m)
	case persistence.TypeWebP: // one pixel, as an encoder made it
		var pixel []byte
		pixel, err = base64.StdEncoding.DecodeString("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA")
		b.Write(pixel)
	default:
		err = errors.New("there is no such kind of photo")
	}
	if err != nil {
		panic(err)
	}
	return b.Bytes()
}

// PutPhoto sends bytes to an upload URL as a client does, and returns the status.
func PutPhoto(t *testing.T, to, contentType string, body []byte) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, to, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Close = true // a server that refuses may not read all of it
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return a.StatusCode
}

// RunBlobs runs the suite of uploaded files, on the real clock, against stores that
// are empty and whose upload URLs some server takes. The tests run in parallel.
func RunBlobs(t *testing.T, open func(t *testing.T) persistence.Blobs) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, persistence.Blobs){
		"what is put is there, whole and as what it is": blobsArePut,
		"what is not there is not found":                blobsAreMissing,
		"what is deleted is gone, and may come again":   blobsAreDeleted,
		"no URL for what is no photo":                   blobsOfNoKind,
		"no path leads elsewhere":                       blobsNowhere,
		"a URL is bound to its content type":            blobsOfAnotherType,
		"nothing of a URL can be changed":               blobsWithChangedURLs,
		"a URL expires":                                 blobsTooLate,
		"what is no photo is refused or told":           blobsThatAreNone,
		"what is too large is refused or told":          blobsTooLarge,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func uploadURL(t *testing.T, b persistence.Blobs, kind string) string {
	t.Helper()
	return must(b.UploadURL(t.Context(), blobPath, kind, persistence.UploadTTL))(t)
}

func accepted(status int) bool { return status == http.StatusOK || status == http.StatusCreated }

// put puts a photo and returns what is there then.
func put(t *testing.T, b persistence.Blobs, kind string, body []byte) persistence.BlobInfo {
	t.Helper()
	if status := PutPhoto(t, uploadURL(t, b, kind), kind, body); !accepted(status) {
		t.Fatalf("put %s: status %d", kind, status)
	}
	return must(b.Stat(t.Context(), blobPath))(t)
}

// nothing wants nothing to be there.
func nothing(t *testing.T, b persistence.Blobs, why string) {
	t.Helper()
	if info, err := b.Stat(t.Context(), blobPath); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("%s: %+v, error %v, want %v", why, info, err, persistence.ErrNotFound)
	}
}

func blobsArePut(t *testing.T, b persistence.Blobs) {
	for _, kind := range []string{persistence.TypeJPEG, persistence.TypePNG, persistence.TypeWebP} {
		body := Photo(kind, 40) // each replaces the one before
		info := put(t, b, kind, body)
		if info.Size != int64(len(body)) || info.ContentType != kind || persistence.CheckPhoto(info) != nil {
			t.Errorf("%s of %d bytes: %+v", kind, len(body), info)
		}
		if age := time.Since(info.ModTime); age < -time.Minute || age > time.Minute {
			t.Errorf("%s: it was made at %s", kind, info.ModTime)
		}
	}
	again := uploadURL(t, b, persistence.TypeJPEG)
	for width := 10; width < 13; width++ {
		body := Photo(persistence.TypeJPEG, width)
		if status := PutPhoto(t, again, persistence.TypeJPEG, body); !accepted(status) {
			t.Errorf("put again: status %d", status)
		}
		if info := must(b.Stat(t.Context(), blobPath))(t); info.Size != int64(len(body)) {
			t.Errorf("put again: %+v, want %d bytes", info, len(body))
		}
	}
}

func blobsAreMissing(t *testing.T, b persistence.Blobs) {
	nothing(t, b, "at first")
	put(t, b, persistence.TypeJPEG, Photo(persistence.TypeJPEG, 9))
	for _, path := range []string{"x", "ProfileProto", "ProfileProto/users", blobPath + "/x", blobPath + "x"} {
		if info, err := b.Stat(t.Context(), path); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("%s: %+v, error %v", path, info, err)
		}
	}
}

func blobsAreDeleted(t *testing.T, b persistence.Blobs) {
	for range 2 {
		put(t, b, persistence.TypePNG, Photo(persistence.TypePNG, 9))
		for range 2 { // nothing being there is no error
			if err := b.Delete(t.Context(), blobPath); err != nil {
				t.Error(err)
			}
			nothing(t, b, "after its deletion")
		}
	}
	if err := b.Delete(t.Context(), "never/was"); err != nil {
		t.Error(err)
	}
}

func blobsOfNoKind(t *testing.T, b persistence.Blobs) {
	for _, kind := range []string{"", "image/gif", "image/svg+xml", "text/html", "IMAGE/PNG", "image/png&x=1", "image/png\n"} {
		if u, err := b.UploadURL(t.Context(), blobPath, kind, time.Minute); !errors.Is(err, persistence.ErrNotPhoto) {
			t.Errorf("%q: URL %q, error %v", kind, u, err)
		}
	}
}

func blobsNowhere(t *testing.T, b persistence.Blobs) {
	for _, path := range []string{
		"", "/", ".", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "a//b", "a/", "/a", "./a", "a/./b", ".hidden", "a/.hidden",
		"a\\..\\b", "a b", "a\x00b", "é", "a%2e%2e", "a\nb", "a?b", "a#b", strings.Repeat("a", 300), "~root", "a:b",
	} {
		if u, err := b.UploadURL(t.Context(), path, persistence.TypePNG, time.Minute); err == nil {
			t.Errorf("%q: URL %s", path, u)
		}
		if info, err := b.Stat(t.Context(), path); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("%q: %+v, error %v", path, info, err)
		}
		if err := b.Delete(t.Context(), path); err == nil {
			t.Errorf("delete %q: no error", path)
		}
	}
}

func blobsOfAnotherType(t *testing.T, b persistence.Blobs) {
	to := uploadURL(t, b, persistence.TypeJPEG)
	for _, tt := range []struct {
		kind string
		body []byte
	}{
		{persistence.TypePNG, Photo(persistence.TypePNG, 9)},
		{persistence.TypeWebP, Photo(persistence.TypeWebP, 1)},
		{"text/html", []byte("<!DOCTYPE html><script>alert(1)</script>")},
		{"image/svg+xml", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`)},
	} {
		if status := PutPhoto(t, to, tt.kind, tt.body); status != http.StatusForbidden && status != http.StatusUnsupportedMediaType {
			t.Errorf("put %s to a URL for a JPEG: status %d", tt.kind, status)
		}
	}
	nothing(t, b, "after uploads of another type")
}

func blobsWithChangedURLs(t *testing.T, b persistence.Blobs) {
	good := must(url.Parse(uploadURL(t, b, persistence.TypeJPEG)))(t)
	body := Photo(persistence.TypeJPEG, 9)
	refused := func(what string, u url.URL) {
		t.Helper()
		// A server may say that it cannot read what was changed.
		if status := PutPhoto(t, u.String(), persistence.TypeJPEG, body); status != http.StatusForbidden && status != http.StatusBadRequest {
			t.Errorf("%s: status %d", what, status)
		}
	}
	path := *good
	path.Path = strings.Replace(path.Path, "7e.jpg", "7f.jpg", 1)
	refused("another path", path)
	bare := *good
	bare.RawQuery = ""
	refused("no query", bare)
	for name, values := range good.Query() {
		for what, change := range map[string]func(url.Values){
			"without": func(v url.Values) { v.Del(name) },
			"empty":   func(v url.Values) { v.Set(name, "") },
			"another": func(v url.Values) { v.Set(name, another(values[0])) },
		} {
			changed, query := *good, good.Query()
			change(query)
			changed.RawQuery = query.Encode()
			refused(what+" "+name, changed)
		}
	}
	nothing(t, b, "after uploads to changed URLs")
	if info, err := b.Stat(t.Context(), strings.Replace(blobPath, "7e.jpg", "7f.jpg", 1)); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("at another path: %+v, %v", info, err)
	}
	if status := PutPhoto(t, good.String(), persistence.TypeJPEG, body); !accepted(status) {
		t.Errorf("unchanged: status %d", status)
	}
}

// another changes one sign in the middle of a value.
func another(value string) string {
	b := []byte(value)
	if at := len(b) / 2; b[at] == '1' {
		b[at] = '2'
	} else {
		b[at] = '1'
	}
	return string(b)
}

func blobsTooLate(t *testing.T, b persistence.Blobs) {
	const longest = time.Minute // of waiting for a second to pass
	to := must(b.UploadURL(t.Context(), blobPath, persistence.TypeJPEG, time.Second))(t)
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	body := Photo(persistence.TypeJPEG, 9)
	for {
		status := PutPhoto(t, to, persistence.TypeJPEG, body)
		if status == http.StatusForbidden {
			return
		}
		if !accepted(status) {
			t.Fatalf("status %d", status)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("a URL for a second works after %s", longest)
		}
	}
}

func blobsThatAreNone(t *testing.T, b persistence.Blobs) {
	whole := Photo(persistence.TypeJPEG, 9)
	for name, body := range map[string][]byte{
		"a text":                   []byte("this is a text, and not a photo at all"),
		"nothing":                  {},
		"a few bytes":              whole[:5],
		"the beginning of a photo": whole[:20],
		"a page that begins so":    append([]byte("\xff\xd8\xff\xe0"), bytes.Repeat([]byte("<script>"), 50)...),
		"a photo of another kind":  Photo(persistence.TypePNG, 9),
	} {
		refusedOrTold(t, b, name, body, persistence.ErrNotPhoto, http.StatusUnsupportedMediaType)
	}
}

func blobsTooLarge(t *testing.T, b persistence.Blobs) {
	body := append(Photo(persistence.TypeJPEG, 9), make([]byte, persistence.MaxPhotoBytes)...)
	refusedOrTold(t, b, "one byte more", body[:persistence.MaxPhotoBytes+1], persistence.ErrTooLarge, http.StatusRequestEntityTooLarge)
	if info := put(t, b, persistence.TypeJPEG, body[:persistence.MaxPhotoBytes]); persistence.CheckPhoto(info) != nil {
		t.Errorf("the limit itself: %+v", info)
	}
}

// refusedOrTold puts what breaks a limit: it is refused, or told afterwards.
func refusedOrTold(t *testing.T, b persistence.Blobs, what string, body []byte, limit error, status int) {
	t.Helper()
	switch got := PutPhoto(t, uploadURL(t, b, persistence.TypeJPEG), persistence.TypeJPEG, body); {
	case got == status:
		nothing(t, b, what)
	case accepted(got):
		info := must(b.Stat(t.Context(), blobPath))(t)
		if err := persistence.CheckPhoto(info); !errors.Is(err, limit) || info.Size != int64(len(body)) {
			t.Errorf("%s of %d bytes: %+v, %v", what, len(body), info, err)
		}
	default:
		t.Errorf("%s: status %d", what, got)
	}
}
