package limits

import "net/http"

// Scope is what a limit is about.
type Scope uint8

// The scopes. Availability is counted per address; Register and Login per address
// and, separately, per account name; User and Events per user. Recording events
// counts against Events alone, a batch as many as it holds.
const (
	None Scope = iota
	Availability
	Register
	Login
	User
	Events

	scopes
)

// String returns the scope's name in metrics and keys.
func (s Scope) String() string {
	switch s {
	case Availability:
		return "availability"
	case Register:
		return "register"
	case Login:
		return "login"
	case User:
		return "user"
	case Events:
		return "events"
	case None, scopes:
	}
	return "none"
}

// PerAddress reports whether the scope is counted per address of the client.
func (s Scope) PerAddress() bool { return s == Availability || s == Register || s == Login }

// Of returns the scope of a route. public says that it needs no token: then there
// is no user to count for, and what is not named here is not limited.
func Of(method, pattern string, public bool) Scope {
	switch method + " " + pattern {
	case http.MethodGet + " /users/availability/{username}", http.MethodGet + " /users/availability/":
		return Availability
	case http.MethodPost + " /auth/register":
		return Register
	case http.MethodPost + " /auth/login":
		return Login
	case http.MethodPost + " /auth/refresh":
		return User // of the session, which the handler finds
	case http.MethodPost + " /users/self/events":
		return Events
	}
	if public {
		return None
	}
	return User
}
