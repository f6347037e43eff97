package disk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/prometheus/client_golang/prometheus"

	"kith/persistence"
	"kith/persistence/disk"
)

func TestAPhotoIsReadAsItWasPut(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	for _, tt := range []struct {
		contentType string
		bytes       []byte
	}{{persistence.TypeJPEG, jpegOf(40, 30)}, {persistence.TypePNG, pngOf(40, 30)}, {persistence.TypeWebP, webp(webpLossy)}} {
		put := a.puts(tt.contentType, tt.bytes) // each replaces the one before
		info, err := a.Stat(t.Context(), photo)
		if err != nil || info != put || info.Size != int64(len(tt.bytes)) || info.ContentType != tt.contentType || info.ModTime.IsZero() {
			t.Errorf("%s: put %+v, stat %+v, %v", tt.contentType, put, info, err)
		}
		if err := persistence.CheckPhoto(info); err != nil {
			t.Error(err)
		}
		b, err := a.Open(t.Context(), photo)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if err := errors.Join(err, b.Close()); err != nil || !bytes.Equal(got, tt.bytes) || b.BlobInfo != info {
			t.Errorf("%s: %d bytes, %+v, %v", tt.contentType, len(got), b.BlobInfo, err)
		}
	}
	if files := a.files(); len(files) != 1 || files[0] != filepath.FromSlash(photo) {
		t.Errorf("files %q", files)
	}
	err := filepath.WalkDir(a.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestABlobCanBeServed(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	want := pngOf(40, 30)
	a.puts(persistence.TypePNG, want)
	b, err := a.Open(t.Context(), photo)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/media/"+photo, http.NoBody)
	r.Header.Set("Range", "bytes=8-15")
	w.Header().Set("Content-Type", b.ContentType)
	http.ServeContent(w, r, "", b.ModTime, b)
	if w.Code != http.StatusPartialContent || !bytes.Equal(w.Body.Bytes(), want[8:16]) {
		t.Errorf("status %d, %q", w.Code, w.Body)
	}
}

func TestWhatIsNoPhotoIsRefusedAndLeavesNothing(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	before := a.puts(persistence.TypeJPEG, jpegOf(9, 9))
	limit := append(jpegOf(9, 9), make([]byte, persistence.MaxPhotoBytes)...)
	boom := errors.New("the client went away")
	for name, tt := range map[string]struct {
		contentType string
		body        io.Reader
		want        error
	}{
		"a text":            {persistence.TypeJPEG, strings.NewReader("not a photo, but a text"), persistence.ErrNotPhoto},
		"nothing":           {persistence.TypeJPEG, strings.NewReader(""), persistence.ErrNotPhoto},
		"another kind":      {persistence.TypeJPEG, bytes.NewReader(pngOf(3, 3)), persistence.ErrNotPhoto},
		"too large":         {persistence.TypeJPEG, bytes.NewReader(limit[:persistence.MaxPhotoBytes+1]), persistence.ErrTooLarge},
		"without an end":    {persistence.TypeJPEG, endless{}, persistence.ErrTooLarge},
		"a body that fails": {persistence.TypeJPEG, io.MultiReader(bytes.NewReader(jpegOf(9, 9)), iotest.ErrReader(boom)), boom},
	} {
		info, err := a.Put(t.Context(), a.authorised(tt.contentType), tt.body)
		if !errors.Is(err, tt.want) || info != (persistence.BlobInfo{}) {
			t.Errorf("%s: %+v, error %v, want %v", name, info, err, tt.want)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Put(canceled, a.authorised(persistence.TypeJPEG), bytes.NewReader(jpegOf(3, 3))); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if info, err := a.Stat(t.Context(), photo); err != nil || info != before {
		t.Errorf("%+v, %v, want %+v", info, err, before)
	}
	if files := a.files(); len(files) != 1 {
		t.Errorf("files %q", files)
	}
	a.puts(persistence.TypeJPEG, limit[:persistence.MaxPhotoBytes]) // the limit itself
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestWhoReadsGoesOnReadingTheOldPhoto(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	old := jpegOf(60, 60)
	a.puts(persistence.TypeJPEG, old)
	b, err := a.Open(t.Context(), photo)
	if err != nil {
		t.Fatal(err)
	}
	half := make([]byte, len(old)/2)
	if _, err := io.ReadFull(b, half); err != nil {
		t.Fatal(err)
	}
	a.puts(persistence.TypePNG, pngOf(5, 5))
	if err := a.Delete(t.Context(), photo); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(b)
	if err := errors.Join(err, b.Close()); err != nil || !bytes.Equal(slices.Concat(half, rest), old) {
		t.Errorf("%d bytes of %d, %v", len(half)+len(rest), len(old), err)
	}
}

func TestReadersSeeWholePhotosWhileTheyAreReplaced(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	photos := [][]byte{jpegOf(30, 30), jpegOf(31, 29), jpegOf(80, 10)}
	a.puts(persistence.TypeJPEG, photos[0])
	var running sync.WaitGroup
	running.Go(func() { // one upload of a path at a time
		for i := range 60 {
			if _, err := a.Put(t.Context(), persistence.Upload{Path: photo, ContentType: persistence.TypeJPEG}, bytes.NewReader(photos[i%3])); err != nil {
				t.Error(err)
			}
		}
	})
	for range photos {
		running.Go(func() {
			for range 200 {
				b, err := a.Open(t.Context(), photo)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(b)
				whole := false
				for _, p := range photos {
					whole = whole || bytes.Equal(got, p)
				}
				if err := errors.Join(err, b.Close()); err != nil || !whole || b.Size != int64(len(got)) {
					t.Errorf("%d bytes that are none of the photos, %v", len(got), err)
				}
			}
		})
	}
	running.Wait()
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	a.puts(persistence.TypeJPEG, jpegOf(3, 3))
	for _, path := range append(badPaths(), "x", "ProfileProto", "ProfileProto/users", photo+"/x", photo+"x") {
		if _, err := a.Stat(t.Context(), path); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("stat %q: error %v", path, err)
		}
		if b, err := a.Open(t.Context(), path); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("open %q: %+v, error %v", path, b, err)
		}
	}
	for _, path := range []string{"x", photo + "/x", "a/b/c"} {
		if err := a.Delete(t.Context(), path); err != nil {
			t.Errorf("delete %q: %v", path, err)
		}
	}
	for range 2 { // again is no error
		if err := a.Delete(t.Context(), photo); err != nil {
			t.Error(err)
		}
	}
	if _, err := a.Stat(t.Context(), photo); !errors.Is(err, persistence.ErrNotFound) {
		t.Errorf("after its deletion: %v", err)
	}
}

// badPaths lead out of the directory, into its hidden part, or nowhere.
func badPaths() []string {
	return []string{
		"", "/", ".", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "a//b", "a/", "/a", "./a", "a/./b", ".pending", ".pending/x", "a/.hidden",
		"a\\..\\b", "a b", "a\x00b", "é", "a%2e%2e", "a\nb", strings.Repeat("a", 300), "~root", "a:b",
	}
}

func TestNoPathLeadsOutOfTheDirectory(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret.jpg")
	if err := os.WriteFile(secret, jpegOf(3, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(a.dir, "link")); err != nil {
		t.Fatal(err)
	}
	if b, err := a.Open(t.Context(), "link/secret.jpg"); err == nil {
		t.Errorf("open through a link: %+v", b)
	}
	for _, path := range append(badPaths(), "link/secret.jpg", "link/new.jpg") {
		if _, err := a.Put(t.Context(), persistence.Upload{Path: path, ContentType: persistence.TypePNG}, bytes.NewReader(pngOf(2, 2))); err == nil {
			t.Errorf("put to %q", path)
		}
		if err := a.Delete(t.Context(), path); err == nil {
			t.Errorf("delete %q: no error", path)
		}
	}
	files, err := os.ReadDir(outside)
	if err != nil || len(files) != 1 {
		t.Errorf("files %v, %v", files, err)
	}
	if b, err := os.ReadFile(secret); err != nil || !bytes.Equal(b, jpegOf(3, 3)) {
		t.Errorf("the secret has changed, %v", err)
	}
}

// other is a path beside photo.
const other = "ProfileProto/users/0190a1b2c3d4e5f60718293a4b5c6d7f.jpg"

// slowly begins an upload, and returns what ends it well.
func slowly(t *testing.T, s *disk.Store, path string) (end func()) {
	t.Helper()
	body, w := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := s.Put(context.WithoutCancel(t.Context()), persistence.Upload{Path: path, ContentType: persistence.TypeJPEG}, body)
		done <- err
	}()
	b := jpegOf(9, 9)
	if _, err := w.Write(b[:5]); err != nil { // it has begun
		t.Fatal(err)
	}
	return func() {
		_, err := w.Write(b[5:])
		if err := errors.Join(err, w.Close(), <-done); err != nil {
			t.Error(err)
		}
	}
}

func TestUploadsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	registry := prometheus.NewRegistry()
	s := a.open(disk.Config{Uploads: 1, Registerer: registry})
	put := func(path string) error {
		_, err := s.Put(t.Context(), persistence.Upload{Path: path, ContentType: persistence.TypeJPEG}, bytes.NewReader(jpegOf(9, 9)))
		return err
	}
	end := slowly(t, s, photo)
	if err := put(other); !errors.Is(err, persistence.ErrBusy) {
		t.Errorf("error %v", err)
	}
	end()
	if err := put(other); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	results := make(map[string]float64)
	for _, m := range families[0].GetMetric() {
		results[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	if families[0].GetName() != "kith_disk_uploads_total" || len(results) != 2 || results["busy"] != 1 || results["stored"] != 2 {
		t.Errorf("metrics %v", results)
	}
}

// Whoever has one URL has one place, and the others stay free.
func TestUploadsToOnePathAreOneAtATime(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	end := slowly(t, a.Store, photo)
	upload := persistence.Upload{Path: photo, ContentType: persistence.TypeJPEG}
	for range 40 { // more than there are places
		if _, err := a.Put(t.Context(), upload, bytes.NewReader(jpegOf(3, 3))); !errors.Is(err, persistence.ErrBusy) {
			t.Errorf("error %v", err)
		}
	}
	if _, err := a.Put(t.Context(), persistence.Upload{Path: other, ContentType: persistence.TypeJPEG}, bytes.NewReader(jpegOf(3, 3))); err != nil {
		t.Errorf("to another path: %v", err)
	}
	end()
	// One that fails gives its place back, too.
	if _, err := a.Put(t.Context(), upload, strings.NewReader("no photo")); !errors.Is(err, persistence.ErrNotPhoto) {
		t.Errorf("error %v", err)
	}
	a.puts(persistence.TypeJPEG, jpegOf(3, 3))
}

func TestWhatACrashLeftBehindIsCleared(t *testing.T) {
	t.Parallel()
	a := newAlbum(t)
	put := a.puts(persistence.TypeJPEG, jpegOf(3, 3))
	if err := os.WriteFile(filepath.Join(a.dir, ".pending", "half"), jpegOf(3, 3)[:9], 0o600); err != nil {
		t.Fatal(err)
	}
	again := a.open(disk.Config{})
	if files := a.files(); len(files) != 1 {
		t.Errorf("files %q", files)
	}
	if info, err := again.Stat(t.Context(), photo); err != nil || info != put {
		t.Errorf("%+v, %v, want %+v", info, err, put)
	}
}

func TestABadConfigIsRefused(t *testing.T) {
	t.Parallel()
	good := disk.Config{Dir: t.TempDir(), Base: base, Secret: make([]byte, 32)}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*disk.Config){
		"no directory": func(c *disk.Config) { c.Dir = "" },
		"a file":       func(c *disk.Config) { c.Dir = file },
		"short secret": func(c *disk.Config) { c.Secret = c.Secret[:31] },
		"no base":      func(c *disk.Config) { c.Base = "" },
	} {
		cfg := good
		change(&cfg)
		if _, err := disk.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPhotosThatBreakTheLimitsAreTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		info persistence.BlobInfo
		want error
	}{
		{persistence.BlobInfo{Size: persistence.MaxPhotoBytes, ContentType: persistence.TypeWebP}, nil},
		{persistence.BlobInfo{Size: persistence.MaxPhotoBytes + 1, ContentType: persistence.TypeWebP}, persistence.ErrTooLarge},
		{persistence.BlobInfo{Size: 9}, persistence.ErrNotPhoto},
		{persistence.BlobInfo{Size: 9, ContentType: "text/html"}, persistence.ErrNotPhoto},
	} {
		if err := persistence.CheckPhoto(tt.info); !errors.Is(err, tt.want) {
			t.Errorf("%+v: error %v, want %v", tt.info, err, tt.want)
		}
	}
}
