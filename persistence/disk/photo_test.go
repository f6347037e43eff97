package disk_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"kith/persistence"
	"kith/persistence/disk"
)

func TestPhotosAreTakenForWhatTheyAre(t *testing.T) {
	t.Parallel()
	kinds := []string{persistence.TypeJPEG, persistence.TypePNG, persistence.TypeWebP}
	for name, tt := range map[string]struct {
		bytes []byte
		is    string
	}{
		"jpeg":                    {jpegOf(3, 2), persistence.TypeJPEG},
		"png":                     {pngOf(3, 2), persistence.TypePNG},
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
		"the beginning of a jpeg": {jpegOf(3, 2)[:20], ""},
		"the beginning of a png":  {pngOf(3, 2)[:20], ""},
		"a png of another sum":    {flip(pngOf(3, 2), 30), ""},
		"the beginning of a webp": {webp(webpLossy)[:24], ""},
		"webp without an image":   {riff([]byte("ICCP\x04\x00\x00\x00abcd")), ""},
		"sound":                   {flip(webp(webpLossy), 8), ""},
		"webp that says more":     {patch(webp(webpLossy), 4, 500), ""},
		"chunk that says more":    {patch(webp(webpLossy), 16, 0xffffffff), ""},
		"webp without width":      {patch(webp(webpLossy), 26, 0), ""},
		"extended without image":  {webp(webpExtended)[:12+18+20], ""},
	} {
		for _, kind := range kinds {
			if got := disk.IsPhoto(tt.bytes, kind); got != (kind == tt.is) {
				t.Errorf("%s is %s: %v", name, kind, got)
			}
		}
		if tt.is != "" && disk.Magic(tt.bytes[:12]) != tt.is {
			t.Errorf("%s begins like %q", name, disk.Magic(tt.bytes[:12]))
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

// FuzzIsPhoto must neither panic nor take long, and takes nothing that does not
// begin like its kind.
func FuzzIsPhoto(f *testing.F) {
	for _, b := range [][]byte{jpegOf(3, 2), pngOf(3, 2), webp(webpLossy), webp(webpLossless), webp(webpExtended), webp(webpAnimated), []byte("text"), nil} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, kind := range []string{persistence.TypeJPEG, persistence.TypePNG, persistence.TypeWebP, "text/html", ""} {
			if disk.IsPhoto(b, kind) && (disk.Magic(b) != kind || !persistence.PhotoType(kind)) {
				t.Errorf("%q is %s and begins like %q", b, kind, disk.Magic(b))
			}
		}
	})
}
