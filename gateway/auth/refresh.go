package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
)

// Refresh is what a refresh token says: the session, and which generation of its
// refresh tokens it belongs to.
type Refresh struct {
	Session    SessionID
	Generation uint32
}

// A refresh token is the session, the generation, a nonce that makes two of one
// generation differ, and HMAC-SHA256 over them. It is signed rather than looked
// up, so that every token that was ever issued for a session is recognised, and
// one that was not costs no query.
const (
	refreshNonce  = 12
	refreshSigned = len(SessionID{}) + 4 + refreshNonce
	refreshBytes  = refreshSigned + sha256.Size
)

// refreshKey derives a key of its own from the secret: what signs one thing must
// not sign another.
func refreshKey(secret []byte) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("kith refresh token 1"))
	return m.Sum(nil)
}

// IssueRefresh returns a refresh token.
func (t *Tokens) IssueRefresh(r Refresh) (string, error) {
	b := make([]byte, 0, refreshBytes)
	b = append(b, r.Session[:]...)
	b = binary.BigEndian.AppendUint32(b, r.Generation)
	b = b[:refreshSigned]
	if _, err := io.ReadFull(t.rand, b[refreshSigned-refreshNonce:]); err != nil {
		return "", fmt.Errorf("auth: make a refresh token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(t.signRefresh(b)), nil
}

// ParseRefresh returns what a refresh token says that was issued here, or an
// error matching ErrToken. Whether it is still good is for the session to say.
func (t *Tokens) ParseRefresh(token string) (Refresh, error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(refreshBytes) {
		return Refresh{}, fmt.Errorf("%w: not a refresh token", ErrToken)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != refreshBytes {
		return Refresh{}, fmt.Errorf("%w: not a refresh token", ErrToken)
	}
	if !hmac.Equal(b, t.signRefresh(b[:refreshSigned:refreshSigned])) {
		return Refresh{}, fmt.Errorf("%w: the refresh token was not issued here", ErrToken)
	}
	r := Refresh{Session: SessionID(b[:len(SessionID{})])}
	r.Generation = binary.BigEndian.Uint32(b[len(SessionID{}):])
	return r, nil
}

// signRefresh appends the signature of b to b.
func (t *Tokens) signRefresh(b []byte) []byte {
	m := hmac.New(sha256.New, t.refreshKey)
	m.Write(b)
	return m.Sum(b)
}

// NewSessionID returns a random session id.
func NewSessionID(random io.Reader) (SessionID, error) {
	var id SessionID
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return id, fmt.Errorf("auth: make a session id: %w", err)
	}
	return id, nil
}
