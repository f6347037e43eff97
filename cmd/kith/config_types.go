package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kith/gateway"
)

// secret is a setting that is never shown.
type secret string

// String masks the secret.
func (s secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// lifetime is a duration that may also be given in days: "30d".
type lifetime string

const (
	minLifetime = time.Second
	maxLifetime = 10 * 366 * 24 * time.Hour
)

func (l lifetime) check() error {
	d, err := l.parse()
	if err != nil || d < minLifetime || d > maxLifetime {
		return errors.New("a time from 1s to 3660d, such as 90s, 15m, 1h or 30d")
	}
	return nil
}

// checkOrZero is check for what may also be 0.
func (l lifetime) checkOrZero() error {
	if l == "0" {
		return nil
	}
	if l.check() != nil {
		return errors.New("0, or a time from 1s to 3660d, such as 12h or 30d")
	}
	return nil
}

func (l lifetime) parse() (time.Duration, error) {
	if days, ok := strings.CutSuffix(string(l), "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("days: %w", err)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(string(l))
	if err != nil {
		return 0, fmt.Errorf("duration: %w", err)
	}
	return d, nil
}

// duration returns the lifetime, which was checked.
func (l lifetime) duration() time.Duration {
	d, err := l.parse()
	if err != nil {
		return 0
	}
	return d
}

// origins returns the browser origins of KITH_WS_ORIGINS.
func (s *settings) origins() ([]string, error) {
	var all []string
	for one := range strings.SplitSeq(s.WSOrigins, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		if err := gateway.CheckOrigin(one); err != nil {
			return nil, err //nolint:wrapcheck // says what is allowed
		}
		all = append(all, one)
	}
	return all, nil
}
