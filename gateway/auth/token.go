package auth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kith/actors/user"
)

// MinSecret is the least number of bytes of the signing key: what HS256 can use.
const MinSecret = 32

// maxToken bounds, in bytes, what is looked at as a token. Ours have about 250.
const maxToken = 4 << 10

// ErrToken is matched by every error about a token that is not valid.
var ErrToken = errors.New("auth: token is not valid")

// SessionID identifies what an access token ends with: the login that it was
// issued for, or what else its claim sid names. A token that belongs to none, an
// operator's or an outside provider's, is a session by itself: its id is of its
// digest. The zero value asks Issue for such a token.
type SessionID [16]byte

// Token is what a verified access token says. It is shared between requests.
type Token struct {
	UID      user.UID // zero with an outside identity
	Identity string   // of an outside provider: issuer and subject; "" for our own users
	Session  SessionID
	// Foreign says that the session is none that was made here: tokens of it may
	// live longer than this one.
	Foreign   bool
	ExpiresAt time.Time

	key   string
	outer *outerKey // what verified it; nil: our own secret
	id    atomic.Uint64
}

// User returns the id noted with SetUser, 0 when none was. A uid belongs to one
// id for ever, so that it is looked up once for each verified token. An identity
// may come to belong to another, when its user is deleted.
func (t *Token) User() user.ID { return user.ID(t.id.Load()) }

// SetUser notes the id of the user whom UID or Identity names.
func (t *Token) SetUser(id user.ID) { t.id.Store(uint64(id)) }

// Key returns what limits count the bearer as. It begins with "user:".
func (t *Token) Key() string { return t.key }

// KeyOf returns the Key of tokens of a user of our own.
func KeyOf(uid user.UID) string { return "user:" + uid.String() }

// Config is what Tokens needs.
type Config struct {
	// Secret is the HS256 key, at least MinSecret bytes.
	Secret []byte
	// Provider verifies the tokens of an outside identity provider; nil: there is
	// none.
	Provider *Provider
	// CacheSize bounds the verified tokens that are kept. Default 65,536 (about
	// 12 MB). Full: others make room, and are verified again.
	CacheSize int
	// Now is the clock, time.Now when nil.
	Now func() time.Time
	// Rand is where refresh tokens get their nonces from, crypto/rand when nil.
	Rand io.Reader
}

// Tokens issues and verifies access tokens and refresh tokens.
type Tokens struct {
	secret     []byte
	refreshKey []byte
	provider   *Provider
	now        func() time.Time
	rand       io.Reader
	parser     *jwt.Parser
	cache      *cache
}

// New makes Tokens.
func New(cfg Config) (*Tokens, error) {
	if len(cfg.Secret) < MinSecret {
		return nil, fmt.Errorf("auth: the secret has %d bytes, it needs at least %d", len(cfg.Secret), MinSecret)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.CacheSize <= 0 {
		cfg.CacheSize = 1 << 16
	}
	return &Tokens{
		secret: append([]byte(nil), cfg.Secret...), refreshKey: refreshKey(cfg.Secret), provider: cfg.Provider, now: cfg.Now, rand: cfg.Rand,
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
			jwt.WithExpirationRequired(),
			jwt.WithTimeFunc(cfg.Now),
			jwt.WithStrictDecoding(),
		),
		cache: newCache(cfg.CacheSize),
	}, nil
}

// claims are the claims of an access token.
type claims struct {
	jwt.RegisteredClaims
	Session string `json:"sid,omitempty"` // 32 hex digits, or of others what they like
}

// Issue returns a token for a user that expires ttl from now.
func (t *Tokens) Issue(uid user.UID, session SessionID, ttl time.Duration) (string, error) {
	now := t.now()
	c := claims{RegisteredClaims: jwt.RegisteredClaims{
		Subject: uid.String(), IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(ttl)),
	}}
	if session != (SessionID{}) {
		c.Session = hex.EncodeToString(session[:])
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(t.secret)
	if err != nil {
		return "", fmt.Errorf("auth: sign a token: %w", err)
	}
	return signed, nil
}

// Verify returns what a token says, or an error matching ErrToken, or one matching
// ErrProvider when it can only be verified with keys that cannot be had now. A
// token that was verified before costs a digest and a lookup.
//
// Our own secret is tried first and the provider's keys then, whatever the token
// says of itself: neither can be mistaken for the other.
func (t *Tokens) Verify(ctx context.Context, token string) (*Token, error) {
	// The decoder of base64 skips line ends; one token has one spelling.
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") {
		return nil, fmt.Errorf("%w: too long or not one line", ErrToken)
	}
	now := t.now()
	key := digest(token)
	if verified := t.cache.get(key, now); verified != nil && !verified.outer.withdrawn() {
		return verified, nil
	}
	verified, err := t.own(token)
	if err != nil && t.provider != nil {
		verified, err = t.provider.verify(ctx, token)
	}
	if err != nil {
		return nil, err
	}
	if verified.Session == (SessionID{}) {
		verified.Session = SessionID(key[:])
	}
	t.cache.put(key, verified, now)
	return verified, nil
}

// own verifies a token that was issued here.
func (t *Tokens) own(token string) (*Token, error) {
	var c claims
	if _, err := t.parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return t.secret, nil }); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	}
	uid, err := user.ParseUID(c.Subject)
	if err != nil {
		return nil, fmt.Errorf("%w: subject: %w", ErrToken, err)
	}
	verified := &Token{UID: uid, ExpiresAt: c.ExpiresAt.Time, key: KeyOf(uid)}
	if c.Session != "" {
		verified.Session, verified.Foreign = sessionOf(c.Session)
	}
	return verified, nil
}

// sessionOf returns what the claim sid names. What is not an id of ours, in
// whatever form, is known by its digest.
func sessionOf(sid string) (id SessionID, foreign bool) {
	if len(sid) == hex.EncodedLen(len(id)) {
		if _, err := hex.Decode(id[:], []byte(sid)); err == nil && id != (SessionID{}) {
			return id, false
		}
	}
	sum := digest(sid)
	return SessionID(sum[:len(id)]), true
}
