package limits

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"kith/persistence"
)

// Off is how a limit that allows everything is written.
const Off = "off"

// maxCount bounds the number of a rate.
const maxCount = 1_000_000

// ErrRate is returned for what is not a rate. It says what is allowed.
var ErrRate = errors.New("off, or a number from 1 to 1000000 per s, min or h, such as 30/min")

// ParseRate returns the rate that s means: "30/min", "5/s", "1000/h", or Off, for
// which it is the zero Rate. The error is ErrRate.
func ParseRate(s string) (persistence.Rate, error) {
	if s == Off {
		return persistence.Rate{}, nil
	}
	number, unit, found := strings.Cut(s, "/")
	count, err := strconv.ParseUint(number, 10, 32)
	if !found || err != nil || count < 1 || count > maxCount {
		return persistence.Rate{}, ErrRate
	}
	r := persistence.Rate{Count: int(count)}
	switch unit {
	case "s":
		r.Per = time.Second
	case "min":
		r.Per = time.Minute
	case "h":
		r.Per = time.Hour
	default:
		return persistence.Rate{}, ErrRate
	}
	return r, nil
}

// Rates are the limits of a server. A zero Rate is off.
type Rates struct {
	Availability persistence.Rate // KITH_LIMIT_AVAILABILITY
	Register     persistence.Rate // KITH_LIMIT_REGISTER
	Login        persistence.Rate // KITH_LIMIT_LOGIN
	User         persistence.Rate // KITH_LIMIT_USER
	Events       persistence.Rate // KITH_LIMIT_EVENTS
}

// DefaultRates returns the limits of a server that is told nothing else.
func DefaultRates() Rates {
	return Rates{
		Availability: persistence.Rate{Count: 30, Per: time.Minute},
		Register:     persistence.Rate{Count: 10, Per: time.Minute},
		Login:        persistence.Rate{Count: 10, Per: time.Minute},
		User:         persistence.Rate{Count: 600, Per: time.Minute},
		Events:       persistence.Rate{Count: 6000, Per: time.Minute},
	}
}

func (r Rates) of(s Scope) persistence.Rate {
	switch s {
	case Availability:
		return r.Availability
	case Register:
		return r.Register
	case Login:
		return r.Login
	case User:
		return r.User
	case Events:
		return r.Events
	case None, scopes:
	}
	return persistence.Rate{}
}
