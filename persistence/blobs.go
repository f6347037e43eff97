package persistence

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
)

// MaxPhotoBytes is the size that a photo may have.
const MaxPhotoBytes = 5 << 20

// UploadTTL is how long an upload URL works.
const UploadTTL = 20 * time.Minute

// The kinds of photos that are taken.
const (
	TypeJPEG = "image/jpeg"
	TypePNG  = "image/png"
	TypeWebP = "image/webp"
)

// PhotoType reports whether photos of a content type are taken.
func PhotoType(contentType string) bool {
	return contentType == TypeJPEG || contentType == TypePNG || contentType == TypeWebP
}

// Why bytes are no photo, and why an upload is refused.
var (
	// ErrTooLarge is matched when a blob is larger than MaxPhotoBytes.
	ErrTooLarge = errors.New("persistence: the blob is too large")
	// ErrNotPhoto is matched when a blob is not a photo of the kind it must be.
	ErrNotPhoto = errors.New("persistence: the blob is not such a photo")
	// ErrUpload is matched when an upload URL is expired, changed or not ours.
	ErrUpload = errors.New("persistence: the upload is not authorised")
	// ErrBusy is matched when too much is going on; the caller may try again.
	ErrBusy = errors.New("persistence: too many uploads at once")
)

// BlobInfo is what is known of a blob.
type BlobInfo struct {
	Size int64
	// ContentType is what the bytes are, whatever the uploader said: one of the
	// kinds of photos, or "" when they are none of them.
	ContentType string
	ModTime     time.Time // of the last upload
}

// CheckPhoto returns why a blob breaks the limits of a photo, an error matching
// ErrTooLarge or ErrNotPhoto, or nil. A store whose upload URLs cannot bind the
// uploader to the limits may hold such blobs.
func CheckPhoto(b BlobInfo) error {
	switch {
	case b.Size > MaxPhotoBytes:
		return ErrTooLarge
	case !PhotoType(b.ContentType):
		return ErrNotPhoto
	}
	return nil
}

// Blobs keeps uploaded files by path. Clients put them there by themselves, with
// a URL that authorises it. All paths must be valid, see ValidBlobPath.
type Blobs interface {
	// UploadURL returns a URL to which a PUT of the bytes stores them at path,
	// replacing what is there, as often as it is used within ttl. It is bound to
	// the path and to the content type, which must be one of the kinds of photos.
	UploadURL(ctx context.Context, path, contentType string, ttl time.Duration) (string, error)
	// Stat returns what is at path, or ErrNotFound.
	Stat(ctx context.Context, path string) (BlobInfo, error)
	// Delete removes what is at path; nothing being there is no error. A URL that
	// was handed out before can bring something back until its ttl has passed:
	// to erase for good, refuse that upload or delete once more after it.
	Delete(ctx context.Context, path string) error
}

// Upload is one authorised upload.
type Upload struct {
	Path        string
	ContentType string // that the bytes must have
	Expires     time.Time
}

// HostedBlobs is a store without a server of its own: the gateway takes the
// uploads and serves the files.
type HostedBlobs interface {
	Blobs
	// Authorise reads an upload URL that UploadURL made, given as the path below
	// the base of uploads, unescaped, and the raw query. The error matches
	// ErrUpload.
	Authorise(path, rawQuery string) (Upload, error)
	// Put stores the bytes of an authorised upload, all or nothing, durably. The
	// error matches ErrTooLarge, ErrNotPhoto or ErrBusy, or is that of reading
	// body. Readers of what was there before go on reading that. Of two at once,
	// the one that ends last stays, or the second is refused with ErrBusy.
	Put(ctx context.Context, u Upload, body io.Reader) (BlobInfo, error)
	// Open returns what is at path for reading, or ErrNotFound. The caller closes
	// it.
	Open(ctx context.Context, path string) (*Blob, error)
}

// Blob is an open blob.
type Blob struct {
	io.ReadSeekCloser
	BlobInfo
}

// maxBlobPath is the longest path, in bytes.
const maxBlobPath = 256

// ValidBlobPath reports whether a path may name a blob: segments of letters,
// digits, dots, hyphens and underscores of ASCII, none beginning with a dot,
// joined by slashes.
func ValidBlobPath(path string) bool {
	if path == "" || len(path) > maxBlobPath {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "" || segment[0] == '.' {
			return false
		}
		for i := range len(segment) {
			c := segment[i]
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
