package disk_test

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kith/persistence"
	"kith/persistence/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	base  = "http://127.0.0.1:8080/uploads"
	photo = "ProfileProto/users/0190a1b2c3d4e5f60718293a4b5c6d7e.jpg"
)

// album is a store with a clock of its own.
type album struct {
	*disk.Store
	t   *testing.T
	dir string
	now time.Time
}

func newAlbum(t *testing.T) *album {
	t.Helper()
	a := &album{t: t, dir: filepath.Join(t.TempDir(), "uploads"), now: time.Unix(1_700_000_000, 250_000_000)}
	a.Store = a.open(disk.Config{})
	return a
}

func (a *album) open(cfg disk.Config) *disk.Store {
	a.t.Helper()
	cfg.Dir, cfg.Base, cfg.Secret = a.dir, base, bytes.Repeat([]byte("s"), 32)
	cfg.Now = func() time.Time { return a.now }
	s, err := disk.New(cfg)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			a.t.Error(err)
		}
	})
	return s
}

// url returns an upload URL of the photo for 20 minutes, in its parts.
func (a *album) url(contentType string) (string, string) {
	a.t.Helper()
	raw, err := a.UploadURL(a.t.Context(), photo, contentType, persistence.UploadTTL)
	if err != nil {
		a.t.Fatal(err)
	}
	u, err := url.Parse(raw)
	if err != nil || !strings.HasPrefix(raw, base+"/") {
		a.t.Fatalf("URL %s: %v", raw, err)
	}
	return strings.TrimPrefix(u.Path, "/uploads/"), u.RawQuery
}

func (a *album) authorised(contentType string) persistence.Upload {
	a.t.Helper()
	u, err := a.Authorise(a.url(contentType))
	if err != nil {
		a.t.Fatal(err)
	}
	return u
}

// puts stores the photo through an upload URL.
func (a *album) puts(contentType string, b []byte) persistence.BlobInfo {
	a.t.Helper()
	info, err := a.Put(a.t.Context(), a.authorised(contentType), bytes.NewReader(b))
	if err != nil {
		a.t.Fatal(err)
	}
	return info
}

// files returns the files below the directory.
func (a *album) files() (files []string) {
	a.t.Helper()
	err := filepath.WalkDir(a.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			relative, e := filepath.Rel(a.dir, path)
			files, err = append(files, relative), e
		}
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
	return files
}

func picture(w, h int) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for x := range w {
		for y := range h {
			m.Set(x, y, color.RGBA{uint8(x), uint8(y), uint8(x * y), 255})
		}
	}
	return m
}

func jpegOf(w, h int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture(w, h), nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func pngOf(w, h int) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, picture(w, h)); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// WebP files of one pixel, as encoders make them.
const (
	webpLossy    = "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA"
	webpLossless = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
	webpExtended = "UklGRkoAAABXRUJQVlA4WAoAAAAQAAAAAAAAAAAAQUxQSAwAAAARBxAR/Q9ERP8DAABWUDggGAAAABQBAJ0BKgEAAQAAAP4AAA3AAP7mtQAAAA=="
	webpAnimated = "UklGRlIAAABXRUJQVlA4WAoAAAASAAAAAAAAAAAAQU5JTQYAAAD/////AABBTk1GJgAAAAAAAAAAAAAAAAAAAGQAAABWUDhMDQAAAC8AAAAQBxAREYiI/gcA"
)

func webp(s string) []byte {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
