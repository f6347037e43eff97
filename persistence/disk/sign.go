package disk

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"kith/persistence"
)

// The parameters of an upload URL. None of their values needs escaping.
const (
	paramType      = "content_type"
	paramExpires   = "expires" // Unix seconds
	paramSignature = "signature"
	maxQuery       = 256 // bytes
)

// deriveKey makes a signature of an upload good for nothing else that the secret
// signs.
func deriveKey(secret []byte) (key [sha256.Size]byte) {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("kith uploads v1"))
	m.Sum(key[:0])
	return key
}

// UploadURL implements persistence.Blobs.
func (s *Store) UploadURL(_ context.Context, path, contentType string, ttl time.Duration) (string, error) {
	if !persistence.ValidBlobPath(path) {
		return "", errors.New("disk: upload URL: not a path of a blob")
	}
	if !persistence.PhotoType(contentType) {
		return "", fmt.Errorf("disk: upload URL for %s: %w", path, persistence.ErrNotPhoto)
	}
	// Up to the second that is whole, so that it works for all of ttl.
	expires := strconv.FormatInt(s.now().Add(ttl+time.Second-time.Nanosecond).Unix(), 10)
	return s.base + "/" + path + "?" + paramType + "=" + contentType + "&" + paramExpires + "=" + expires +
		"&" + paramSignature + "=" + base64.RawURLEncoding.EncodeToString(s.sign(path, contentType, expires)), nil
}

// Authorise implements persistence.HostedBlobs.
func (s *Store) Authorise(path, rawQuery string) (persistence.Upload, error) {
	if len(rawQuery) > maxQuery || !persistence.ValidBlobPath(path) {
		return persistence.Upload{}, persistence.ErrUpload
	}
	query, err := url.ParseQuery(rawQuery)
	if err != nil || len(query) != 3 {
		return persistence.Upload{}, persistence.ErrUpload
	}
	var values [3]string
	for i, param := range []string{paramType, paramExpires, paramSignature} {
		if len(query[param]) != 1 {
			return persistence.Upload{}, persistence.ErrUpload
		}
		values[i] = query[param][0]
	}
	contentType, expires := values[0], values[1]
	signature, err := base64.RawURLEncoding.Strict().DecodeString(values[2])
	// A signature over what is not one of ours does not exist, so what it signs
	// is well-formed. The comparison takes the same time wherever they differ.
	if err != nil || !hmac.Equal(signature, s.sign(path, contentType, expires)) {
		return persistence.Upload{}, persistence.ErrUpload
	}
	seconds, err := strconv.ParseInt(expires, 10, 64)
	if err != nil {
		return persistence.Upload{}, persistence.ErrUpload
	}
	u := persistence.Upload{Path: path, ContentType: contentType, Expires: time.Unix(seconds, 0).UTC()}
	if !s.now().Before(u.Expires) {
		return persistence.Upload{}, fmt.Errorf("%w: it has expired", persistence.ErrUpload)
	}
	return u, nil
}

// sign is over lines, of which those that UploadURL writes hold no line end.
func (s *Store) sign(path, contentType, expires string) []byte {
	m := hmac.New(sha256.New, s.key[:])
	m.Write([]byte("PUT\n" + path + "\n" + contentType + "\n" + expires))
	return m.Sum(nil)
}
