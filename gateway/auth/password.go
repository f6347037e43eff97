package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// ErrBusy means that too many passwords are being checked. Nothing was done.
var ErrBusy = errors.New("auth: too many passwords are being checked")

// Cost is what one hash takes.
type Cost struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

// DefaultCost is the recommendation of the OWASP password storage cheat sheet
// for argon2id: 19 MiB, two passes, one thread.
func DefaultCost() Cost { return Cost{Memory: 19 << 10, Passes: 2, Threads: 1} }

// Bounds of what a stored hash may ask for, so that a damaged row cannot take
// the process down.
const (
	maxMemory = 1 << 20 // KiB
	maxPasses = 64
	saltBytes = 16
	keyBytes  = 32
)

// PasswordConfig is what Passwords needs.
type PasswordConfig struct {
	// Cost of new hashes. Default DefaultCost.
	Cost Cost
	// Parallel bounds how many are computed at a time, so that logins leave CPU
	// and memory to the rest. Default half of the cores, at least one.
	Parallel int
	// Waiting bounds how many wait for their turn. Default 64. Full: ErrBusy.
	Waiting int
	// Rand is where salts come from, crypto/rand when nil.
	Rand io.Reader
}

// Passwords hashes and checks passwords with argon2id.
type Passwords struct {
	cost    Cost
	rand    io.Reader
	slots   chan struct{}
	waiting atomic.Int64
	most    int64
	decoy   string
}

// NewPasswords makes Passwords.
func NewPasswords(cfg PasswordConfig) (*Passwords, error) {
	if cfg.Cost == (Cost{}) {
		cfg.Cost = DefaultCost()
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if cfg.Waiting <= 0 {
		cfg.Waiting = 64
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if c := cfg.Cost; !c.valid() {
		return nil, fmt.Errorf("auth: argon2id cannot cost m=%d,t=%d,p=%d", c.Memory, c.Passes, c.Threads)
	}
	p := &Passwords{cost: cfg.Cost, rand: cfg.Rand, slots: make(chan struct{}, cfg.Parallel), most: int64(cfg.Waiting + cfg.Parallel)}
	// No password has this hash: the key is random, not derived.
	random := make([]byte, saltBytes+keyBytes)
	if _, err := io.ReadFull(p.rand, random); err != nil {
		return nil, fmt.Errorf("auth: make the decoy hash: %w", err)
	}
	p.decoy = encode(cfg.Cost, random[:saltBytes], random[saltBytes:])
	return p, nil
}

func (c Cost) valid() bool {
	return c.Memory >= 8*uint32(c.Threads) && c.Memory <= maxMemory && c.Passes >= 1 && c.Passes <= maxPasses && c.Threads >= 1
}

// Hash returns the hash of a password with a fresh salt, as a PHC string. It
// waits for its turn and returns ErrBusy when too many do.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	if _, err := io.ReadFull(p.rand, salt); err != nil {
		return "", fmt.Errorf("auth: make a salt: %w", err)
	}
	key, err := p.derive(ctx, password, salt, p.cost, keyBytes)
	if err != nil {
		return "", err
	}
	return encode(p.cost, salt, key), nil
}

// Check reports whether password has the hash. With an empty hash it takes the
// same time and reports false.
func (p *Passwords) Check(ctx context.Context, hash, password string) (bool, error) {
	real := 1
	if hash == "" {
		hash, real = p.decoy, 0
	}
	cost, salt, want, err := decode(hash)
	if err != nil {
		return false, err
	}
	got, err := p.derive(ctx, password, salt, cost, uint32(len(want))) //nolint:gosec // decode bounds it
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want)&real == 1, nil
}

func (p *Passwords) derive(ctx context.Context, password string, salt []byte, cost Cost, length uint32) ([]byte, error) {
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > p.most {
		return nil, ErrBusy
	}
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("auth: wait to check a password: %w", ctx.Err())
	}
	defer func() { <-p.slots }()
	return argon2.IDKey([]byte(password), salt, cost.Passes, cost.Memory, cost.Threads, length), nil
}

func encode(c Cost, salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, c.Threads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// decode reads what encode wrote. Its errors do not hold the hash.
func decode(hash string) (c Cost, salt, key []byte, err error) {
	fields := strings.Split(hash, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return c, nil, nil, errors.New("auth: a stored hash is not argon2id")
	}
	if _, err := fmt.Sscanf(fields[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Passes, &c.Threads); err != nil || !c.valid() {
		return c, nil, nil, errors.New("auth: a stored hash has a cost that is not allowed")
	}
	if salt, err = base64.RawStdEncoding.DecodeString(fields[4]); err != nil || len(salt) < 8 || len(salt) > 64 {
		return c, nil, nil, errors.New("auth: a stored hash has no salt")
	}
	if key, err = base64.RawStdEncoding.DecodeString(fields[5]); err != nil || len(key) < 16 || len(key) > 64 {
		return c, nil, nil, errors.New("auth: a stored hash has no key")
	}
	return c, salt, key, nil
}
