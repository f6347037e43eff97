package main

import (
	"fmt"

	"kith/gateway/limits"
	"kith/persistence"
)

// provider are the settings of an outside identity provider: all or none.
type provider struct {
	JWKSURL  string `name:"jwt-jwks-url" env:"KITH_JWT_JWKS_URL" placeholder:"URL" help:"Accept tokens of an outside identity provider as well: where its keys are. All three KITH_JWT_ settings of a provider go together."`
	Issuer   string `name:"jwt-issuer" env:"KITH_JWT_ISSUER" placeholder:"NAME" help:"The issuer of the provider's tokens."`
	Audience string `name:"jwt-audience" env:"KITH_JWT_AUDIENCE" placeholder:"NAME" help:"The audience that the provider's tokens must be for."`
}

func (s *provider) configured() bool { return s.JWKSURL != "" }

func (s *provider) check() error {
	for _, f := range []struct{ name, value string }{{"KITH_JWT_JWKS_URL", s.JWKSURL}, {"KITH_JWT_ISSUER", s.Issuer}, {"KITH_JWT_AUDIENCE", s.Audience}} {
		if f.value == "" && s.JWKSURL+s.Issuer+s.Audience != "" {
			return badSetting(f.name, "", "a value, since KITH_JWT_JWKS_URL, KITH_JWT_ISSUER and KITH_JWT_AUDIENCE go together")
		}
	}
	if s.configured() {
		if _, err := webURL(s.JWKSURL); err != nil {
			return badSetting("KITH_JWT_JWKS_URL", redacted(s.JWKSURL), "an http(s) URL without user and fragment, such as https://id.example.com/.well-known/jwks.json")
		}
	}
	return nil
}

// limitations are the settings of the limits on what clients may ask.
type limitations struct {
	TrustedProxies string `name:"trusted-proxies" env:"KITH_TRUSTED_PROXIES" placeholder:"NETWORKS" help:"Networks whose X-Forwarded-For is believed, such as 10.0.0.0/8, 192.0.2.7."`
	Availability   rate   `name:"limit-availability" env:"KITH_LIMIT_AVAILABILITY" default:"30/min" placeholder:"RATE" help:"Availability checks per address; off disables."`
	Register       rate   `name:"limit-register" env:"KITH_LIMIT_REGISTER" default:"10/min" placeholder:"RATE" help:"Registrations per address, and per name."`
	Login          rate   `name:"limit-login" env:"KITH_LIMIT_LOGIN" default:"10/min" placeholder:"RATE" help:"Logins per address, and per name."`
	User           rate   `name:"limit-user" env:"KITH_LIMIT_USER" default:"600/min" placeholder:"RATE" help:"Everything else, per user."`
	Events         rate   `name:"limit-events" env:"KITH_LIMIT_EVENTS" default:"6000/min" placeholder:"RATE" help:"Recorded events per user; a batch costs as many as it holds."`
}

func (s *limitations) check() error {
	if _, err := limits.ParseProxies(s.TrustedProxies); err != nil {
		return badSetting("KITH_TRUSTED_PROXIES", s.TrustedProxies, err.Error())
	}
	for _, r := range []struct {
		name  string
		value rate
	}{
		{"KITH_LIMIT_AVAILABILITY", s.Availability},
		{"KITH_LIMIT_REGISTER", s.Register},
		{"KITH_LIMIT_LOGIN", s.Login},
		{"KITH_LIMIT_USER", s.User},
		{"KITH_LIMIT_EVENTS", s.Events},
	} {
		if _, err := limits.ParseRate(string(r.value)); err != nil {
			return badSetting(r.name, string(r.value), err.Error())
		}
	}
	return nil
}

// limitConfig returns what the settings, which were checked, mean.
func (s *limitations) limitConfig() (limits.Config, error) {
	proxies, err := limits.ParseProxies(s.TrustedProxies)
	if err != nil {
		return limits.Config{}, fmt.Errorf("trusted proxies: %w", err)
	}
	return limits.Config{
		Rates: limits.Rates{
			Availability: s.Availability.parsed(), Register: s.Register.parsed(), Login: s.Login.parsed(),
			User: s.User.parsed(), Events: s.Events.parsed(),
		},
		TrustedProxies: proxies,
	}, nil
}

// rate is a limit as it is written: "30/min", or "off".
type rate string

// parsed returns the rate, which was checked.
func (r rate) parsed() persistence.Rate {
	p, err := limits.ParseRate(string(r))
	if err != nil {
		return persistence.Rate{}
	}
	return p
}
