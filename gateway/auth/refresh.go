package auth

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
)

// refreshBytes are 256 bits of randomness.
const refreshBytes = 32

// NewRefresh returns a refresh token and the hash of it that is stored. The
// token is random, so that a fast hash suffices.
func NewRefresh(random io.Reader) (token string, hash [32]byte, err error) {
	b := make([]byte, refreshBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", hash, fmt.Errorf("auth: make a refresh token: %w", err)
	}
	token = base64.RawURLEncoding.EncodeToString(b)
	return token, HashRefresh(token), nil
}

// HashRefresh returns the stored hash of a refresh token.
func HashRefresh(token string) [32]byte { return sha256.Sum256([]byte(token)) }

// NewSessionID returns a random session id.
func NewSessionID(random io.Reader) (SessionID, error) {
	var id SessionID
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return id, fmt.Errorf("auth: make a session id: %w", err)
	}
	return id, nil
}
