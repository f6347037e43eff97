package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/MicahParks/jwkset"
)

// The algorithms of outside providers. Each key has one.
const (
	algRS256 = "RS256"
	algES256 = "ES256"
	algEdDSA = "EdDSA"
)

const (
	maxKeys    = 100
	maxKid     = 256       // bytes
	minRSABits = 2048      // RFC 7518, section 3.3
	maxRSABits = 16 * 1024 // beyond, a signature costs too much to check
)

// keySet are the keys of a provider by kid.
type keySet struct{ keys map[string]*outerKey }

func (s *keySet) find(kid string) *outerKey {
	if s == nil {
		return nil
	}
	return s.keys[kid]
}

// outerKey is a public key of a provider with the one algorithm that it is for.
type outerKey struct {
	alg    string
	public interface{ Equal(crypto.PublicKey) bool }
	gone   atomic.Bool
}

// withdrawn reports whether the provider no longer has the key: what was verified
// with it is not valid any more. A nil key is our own secret.
func (k *outerKey) withdrawn() bool { return k != nil && k.gone.Load() }

// parseKeySet reads a JSON Web Key Set (RFC 7517). Keys that are for something
// else, or too weak, are left out; without a key that can be used it fails.
func parseKeySet(b []byte) (*keySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("auth: read the key set: %w", err)
	}
	if len(raw.Keys) > maxKeys {
		return nil, fmt.Errorf("auth: the key set has more than %d keys", maxKeys)
	}
	set := &keySet{keys: make(map[string]*outerKey, len(raw.Keys))}
	for _, one := range raw.Keys {
		kid, key := parseKey(one)
		if key == nil || set.keys[kid] != nil { // of two with one id the first counts
			continue
		}
		set.keys[kid] = key
	}
	if len(set.keys) == 0 {
		return nil, errors.New("auth: the key set has no key for RS256, ES256 or EdDSA with a kid")
	}
	return set, nil
}

// parseKey reads one key; nil when it is of no use here.
func parseKey(raw []byte) (kid string, _ *outerKey) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(raw, &m); err != nil || m.KID == "" || len(m.KID) > maxKid {
		return "", nil
	}
	if m.USE != "" && m.USE != jwkset.UseSig {
		return "", nil
	}
	// What decides is the key itself; certificates are nobody's concern here, and
	// their URLs are not fetched.
	m.X5U, m.X5C, m.X5T, m.X5TS256, m.KEYOPS = "", nil, "", "", nil
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return "", nil
	}
	var k *outerKey
	switch public := jwk.Key().(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits >= minRSABits && bits <= maxRSABits && public.E >= 3 && public.E&1 == 1 {
			k = &outerKey{alg: algRS256, public: public}
		}
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P256() {
			k = &outerKey{alg: algES256, public: public}
		}
	case ed25519.PublicKey:
		k = &outerKey{alg: algEdDSA, public: public}
	}
	if k == nil || (m.ALG != "" && string(m.ALG) != k.alg) {
		return "", nil
	}
	return m.KID, k
}
