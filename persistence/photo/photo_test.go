package photo_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"testing"

	"kith/persistence"
	"kith/persistence/persistencetest"
	"kith/persistence/photo"
)

func TestPhotosAreTakenForWhatTheyAre(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		bytes []byte
		is    string
	}{
		"jpeg":                    {jpegOf(), persistence.TypeJPEG},
		"png":                     {pngOf(), persistence.TypePNG},
		"lossy webp":              {webp(webpLossy), persistence.TypeWebP},
		"lossless webp":           {webp(webpLossless), persistence.TypeWebP},
		"webp with transparency":  {webp(webpExtended), persistence.TypeWebP},
		"webp with an odd chunk":  {riff(slices.Concat(webp(webpExtended)[12:30], []byte("ICCP\x05\x00\x00\x00abcde\x00"), webp(webpLossy)[12:])), persistence.TypeWebP},
		"animated webp":           {webp(webpAnimated), persistence.TypeWebP},
		"nothing":                 {nil, ""},
		"text":                    {[]byte("this is a text, and not a photo at all"), ""},
		"a page":                  {[]byte("<!DOCTYPE html><script>alert(1)</script>"), ""},
		"gif":                     {[]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04"), ""},
		"svg":                     {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>`), ""},
		"a page that begins jpeg": {append([]byte("\xff\xd8\xff\xe0"), bytes.Repeat([]byte("<script>"), 50)...), ""},
		"the beginning of a jpeg": {jpegOf()[:20], ""},
		"the beginning of a png":  {pngOf()[:20], ""},
		"a png of another sum":    {flip(pngOf(), 30), ""},
		"the beginning of a webp": {webp(webpLossy)[:24], ""},
		"webp without an image":   {riff([]byte("ICCP\x04\x00\x00\x00abcd")), ""},
		"sound":                   {flip(webp(webpLossy), 8), ""},
		"webp that says more":     {patch(webp(webpLossy), 4, 500), ""},
		"chunk that says more":    {patch(webp(webpLossy), 16, 0xffffffff), ""},
		"webp without width":      {patch(webp(webpLossy), 26, 0), ""},
		"extended without image":  {webp(webpExtended)[:12+18+20], ""},
	} {
		if got := photo.Kind(bytes.NewReader(tt.bytes), int64(len(tt.bytes))); got != tt.is {
			t.Errorf("%s is %q, want %q", name, got, tt.is)
		}
		if tt.is != "" && photo.Magic(tt.bytes[:12]) != tt.is {
			t.Errorf("%s begins like %q", name, photo.Magic(tt.bytes[:12]))
		}
	}
}

func flip(b []byte, at int) []byte {
	b[at] ^= 0xff
	return b
}

func patch(b []byte, at int, v uint32) []byte {
	binary.LittleEndian.PutUint32(b[at:], v)
	return b
}

func riff(chunks []byte) []byte {
	b := append([]byte("RIFF\x00\x00\x00\x00WEBP"), chunks...)
	return patch(b, 4, uint32(len(b)-8))
}

// FuzzKind must neither panic nor take long, and takes nothing that does not begin
// like its kind.
func FuzzKind(f *testing.F) {
	for _, b := range [][]byte{jpegOf(), pngOf(), webp(webpLossy), webp(webpLossless), webp(webpExtended), webp(webpAnimated), []byte("text"), nil} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kind := photo.Kind(bytes.NewReader(b), int64(len(b)))
		if kind != "" && (photo.Magic(b) != kind || !persistence.PhotoType(kind)) {
			t.Errorf("%q is %s and begins like %q", b, kind, photo.Magic(b))
		}
	})
}

func jpegOf() []byte { return persistencetest.Photo(persistence.TypeJPEG, 3) }

func pngOf() []byte { return persistencetest.Photo(persistence.TypePNG, 3) }

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
