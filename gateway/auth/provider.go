package auth

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// ErrProvider is matched when a token can only be verified with keys of the
// outside provider that cannot be had now. It may be tried again.
var ErrProvider = errors.New("auth: the keys of the identity provider cannot be had")

const (
	defaultKeysEvery = 5 * time.Minute
	keysTimeout      = 3 * time.Second
	maxKeysBody      = 1 << 20
	// unknownEvery is how often a key that is not known is reason enough to ask:
	// whoever makes keys up must not make us ask.
	unknownEvery = 10 * time.Second
	// Between attempts after a failure.
	firstRetry = time.Second
	lastRetry  = 30 * time.Second

	maxSubject = 255 // bytes; OpenID Connect Core 1.0, section 2
)

// ProviderConfig is what a Provider needs.
type ProviderConfig struct {
	URL      string // of the JSON Web Key Set, http or https
	Issuer   string // what iss must be
	Audience string // what aud must hold
	// Every is how often the keys are fetched. Default 5 minutes.
	Every time.Duration
	// Client fetches them; nil: one of its own.
	Client *http.Client
	Logger *slog.Logger
	// Registerer takes the metrics; nil: they are not registered.
	Registerer prometheus.Registerer
	// Now is the clock of tokens, time.Now when nil.
	Now func() time.Time
}

// Provider verifies access tokens of an outside identity provider: RS256, ES256
// and EdDSA, with the keys of its JSON Web Key Set, found by kid. Run keeps the
// keys up to date. While the provider is away, the last keys stay good.
type Provider struct {
	cfg     ProviderConfig
	parser  *jwt.Parser
	set     atomic.Pointer[keySet] // nil until the first fetch
	failing atomic.Bool            // the last fetch failed
	slot    chan struct{}          // held by whoever fetches
	asked   time.Time              // for an unknown key; only in the slot

	fetches *prometheus.CounterVec
	keys    prometheus.Gauge
}

// NewProvider makes a Provider. It fetches nothing.
func NewProvider(cfg ProviderConfig) (*Provider, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return nil, errors.New("auth: the key set of an identity provider has an http(s) URL")
	case cfg.Issuer == "" || cfg.Audience == "":
		return nil, errors.New("auth: an identity provider needs an issuer and an audience")
	case !plain(cfg.Issuer):
		return nil, errors.New("auth: the issuer of an identity provider holds control characters")
	case cfg.Logger == nil:
		return nil, errors.New("auth: an identity provider needs a logger")
	}
	if cfg.Every <= 0 {
		cfg.Every = defaultKeysEvery
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{CheckRedirect: staySecure}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Provider{
		cfg: cfg, slot: make(chan struct{}, 1),
		parser: jwt.NewParser(
			jwt.WithValidMethods([]string{algRS256, algES256, algEdDSA}),
			jwt.WithIssuer(cfg.Issuer),
			jwt.WithAudience(cfg.Audience),
			jwt.WithExpirationRequired(),
			jwt.WithTimeFunc(cfg.Now),
			jwt.WithStrictDecoding(),
		),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kith_auth_provider_fetches_total", Help: "Fetches of the outside provider's keys, by result: ok, failed.",
		}, []string{"result"}),
		keys: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "kith_auth_provider_keys_entries", Help: "Keys of the outside provider that are known.",
		}),
	}
	if cfg.Registerer != nil {
		for _, c := range []prometheus.Collector{p.fetches, p.keys} {
			if err := cfg.Registerer.Register(c); err != nil {
				return nil, fmt.Errorf("auth: register the metrics of the identity provider: %w", err)
			}
		}
	}
	return p, nil
}

// staySecure follows redirects, but not from https to http: whoever can change
// what goes there could give keys.
func staySecure(r *http.Request, via []*http.Request) error {
	if len(via) >= 5 || (via[0].URL.Scheme == "https" && r.URL.Scheme != "https") {
		return errors.New("auth: the key set is redirected too often, or to where it is not protected")
	}
	return nil
}

// Run fetches the keys again and again until ctx ends: sooner after a failure,
// which costs nothing as long as the keys stay the same.
func (p *Provider) Run(ctx context.Context) error {
	retry := firstRetry
	for {
		wait := p.cfg.Every
		select {
		case p.slot <- struct{}{}:
			err := p.fetch(ctx)
			<-p.slot
			if err == nil {
				retry = firstRetry
				break
			}
			wait, retry = min(retry, p.cfg.Every), min(2*retry, lastRetry)
		case <-ctx.Done():
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// verify returns what a token of the provider says.
func (p *Provider) verify(ctx context.Context, token string) (*Token, error) {
	var (
		c    jwt.RegisteredClaims
		used *outerKey
	)
	_, err := p.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		// Before anybody is asked for a key.
		if c.Issuer != p.cfg.Issuer {
			return nil, errors.New("another issuer")
		}
		if _, critical := t.Header["crit"]; critical {
			return nil, errors.New("extensions that are not understood") // RFC 7515, section 4.1.11
		}
		kid, _ := t.Header["kid"].(string)
		key, err := p.key(ctx, kid)
		if err != nil {
			return nil, err
		}
		if t.Method.Alg() != key.alg {
			return nil, errors.New("not the algorithm of its key")
		}
		used = key
		return key.public, nil
	})
	switch {
	case errors.Is(err, ErrProvider):
		return nil, err //nolint:wrapcheck // jwt wrapped it
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrToken, err)
	case c.Subject == "" || len(c.Subject) > maxSubject || !plain(c.Subject):
		return nil, fmt.Errorf("%w: no subject that can be kept", ErrToken)
	}
	// The issuer holds no newline, so that no two pairs become one.
	identity := p.cfg.Issuer + "\n" + c.Subject
	sum := digest(identity)
	return &Token{Identity: identity, ExpiresAt: c.ExpiresAt.Time, key: "user:" + hex.EncodeToString(sum[:16]), outer: used}, nil
}

// plain reports whether s holds no control characters, and nothing that stands
// for bytes that were no text: two subjects must not become one.
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}

// key returns the key with an id. One that is not known is asked for, not too
// often: a new key may be in use before it was fetched.
func (p *Provider) key(ctx context.Context, kid string) (*outerKey, error) {
	if kid == "" {
		return nil, errors.New("no kid")
	}
	set := p.set.Load()
	if key := set.find(kid); key != nil {
		return key, nil
	}
	p.ask(ctx, set)
	if key := p.set.Load().find(kid); key != nil {
		return key, nil
	}
	if p.set.Load() == nil || p.failing.Load() {
		return nil, ErrProvider
	}
	return nil, errors.New("a key that is not known")
}

// ask fetches the keys for a caller who found nothing in set, unless somebody has
// done so since. Callers wait for the one who does, no longer than a fetch takes.
func (p *Provider) ask(ctx context.Context, set *keySet) {
	select {
	case p.slot <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-p.slot }()
	now := p.cfg.Now()
	if p.set.Load() != set || (!p.asked.IsZero() && now.Sub(p.asked) < unknownEvery) {
		return
	}
	p.asked = now
	// The client who asked first may go; others wait for the answer.
	_ = p.fetch(context.WithoutCancel(ctx)) // key tells
}

// fetch replaces the keys by the provider's. Only in the slot.
func (p *Provider) fetch(ctx context.Context) error {
	set, err := p.get(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		p.fetches.WithLabelValues("failed").Inc()
		if !p.failing.Swap(true) {
			p.cfg.Logger.Warn("the keys of the identity provider cannot be had; the last ones stay good", "error", err)
		}
		return err
	}
	p.fetches.WithLabelValues("ok").Inc()
	if p.failing.Swap(false) {
		p.cfg.Logger.Info("the keys of the identity provider can be had again")
	}
	set.replace(p.set.Load())
	p.set.Store(set)
	p.keys.Set(float64(len(set.keys)))
	return nil
}

func (p *Provider) get(ctx context.Context) (_ *keySet, err error) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.cfg.URL, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("auth: fetch the key set: %w", err)
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := p.cfg.Client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("auth: fetch the key set: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is not wanted
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("auth: fetch the key set: answered %s", response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeysBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("auth: read the key set: %w", err)
	case len(body) > maxKeysBody:
		return nil, fmt.Errorf("auth: the key set is larger than %d bytes", maxKeysBody)
	}
	return parseKeySet(body)
}

// replace takes over from old the keys that are the same, so that tokens verified
// with them stay verified, and withdraws the others.
func (s *keySet) replace(old *keySet) {
	if old == nil {
		return
	}
	for kid, key := range old.keys {
		if now := s.keys[kid]; now != nil && now.alg == key.alg && now.public.Equal(key.public) {
			s.keys[kid] = key
			continue
		}
		key.gone.Store(true)
	}
}
