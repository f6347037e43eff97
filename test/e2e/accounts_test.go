package e2e_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"kith/test/kithtest"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	a := start(t)
	c := a.Client()
	in := kithtest.Registration{Username: "  REGister_Zq ", Name: " Zoë Q ", Password: password, Email: " Reg.Ister" + domain}
	answer := want(t, http.StatusCreated)(c.Register(t.Context(), in))
	a.remember("register_zq", "zoë q", answer.Token, answer.RefreshToken)
	u := answer.User
	if u.Username != "register_zq" || u.Name != "Zoë Q" || u.Role != "user" || u.Picture != "" || u.ID < 1 ||
		u.Followers != 0 || u.Following != 0 || u.Streams != 0 || u.Videos != 0 {
		t.Errorf("user is %+v", u)
	}
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(u.UID) {
		t.Errorf("uid is %q", u.UID)
	}
	for _, at := range []string{u.CreatedAt, u.UpdatedAt} {
		if when, err := time.Parse(time.RFC3339, at); err != nil || !strings.HasSuffix(at, "Z") || time.Since(when).Abs() > time.Hour {
			t.Errorf("time is %q: %v", at, err)
		}
	}
	if answer.Token == "" || answer.RefreshToken == "" || answer.ExpiresIn != 3600 {
		t.Errorf("tokens: %s", answer)
	}
	if got := answer.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	for _, secret := range []string{"email", strings.ToLower(domain), "password", "bio"} {
		if strings.Contains(strings.ToLower(string(answer.Body)), secret) {
			t.Errorf("the answer holds %q: %s", secret, answer)
		}
	}
	want(t, http.StatusOK)(c.As(answer.Token).User(t.Context(), "register_zq"))

	for name, test := range map[string]struct {
		change        func(*kithtest.Registration)
		status        int
		code, message string
	}{
		"a name is taken without case":      {func(r *kithtest.Registration) { r.Username = "Register_ZQ" }, 409, "username_taken", "Username already exists"},
		"a reserved name":                   {func(r *kithtest.Registration) { r.Username = "Admin" }, 409, "username_reserved", "Username is reserved"},
		"an email is taken without case":    {func(r *kithtest.Registration) { r.Email = "REG.ister" + strings.ToLower(domain) }, 409, "email_taken", "Email already in use"},
		"no username":                       {func(r *kithtest.Registration) { r.Username = " " }, 400, "invalid_username", "Username is required"},
		"a short username":                  {func(r *kithtest.Registration) { r.Username = "ab" }, 400, "invalid_username", "Username must be at least 3 characters"},
		"a long username":                   {func(r *kithtest.Registration) { r.Username = strings.Repeat("a", 31) }, 400, "invalid_username", "Username must be at most 30 characters"},
		"a username with other characters":  {func(r *kithtest.Registration) { r.Username = "zq-zq" }, 400, "invalid_username", "Username may contain only letters a to z, digits and underscores"},
		"no name":                           {func(r *kithtest.Registration) { r.Name = " " }, 400, "invalid_name", "Name is required"},
		"a name of 30 characters":           {func(r *kithtest.Registration) { r.Name = strings.Repeat("é", 30) }, 400, "invalid_name", "Name must be shorter than 30 characters"},
		"a short password":                  {func(r *kithtest.Registration) { r.Password = "1234567" }, 400, "invalid_password", "Password must be at least 8 characters"},
		"a long password":                   {func(r *kithtest.Registration) { r.Password = strings.Repeat("p", 129) }, 400, "invalid_password", "Password must be at most 128 characters"},
		"an email that is none":             {func(r *kithtest.Registration) { r.Email = "zq at example" }, 400, "invalid_email", "Email must be one plain address, such as name@example.com"},
		"an email with a display name":      {func(r *kithtest.Registration) { r.Email = "Z <zq" + domain + ">" }, 400, "invalid_email", "Email must be one plain address, such as name@example.com"},
		"control characters in a name":      {func(r *kithtest.Registration) { r.Name = "a\x01b" }, 400, "invalid_body", "Invalid request body"},
		"control characters in a user name": {func(r *kithtest.Registration) { r.Username = "a\nbc" }, 400, "invalid_body", "Invalid request body"},
	} {
		t.Run(name, func(t *testing.T) {
			r := kithtest.Registration{Username: "nobody_zq", Name: "Nobody", Password: password}
			test.change(&r)
			answer := refused(t, test.status, test.code, test.message)(c.Register(t.Context(), r))
			if answer.Field == "" {
				t.Errorf("no field is named: %s", answer)
			}
		})
	}
	// What was refused left nothing behind.
	want(t, http.StatusCreated)(c.Register(t.Context(), kithtest.Registration{Username: "nobody_zq", Name: "Nobody", Password: password}))
	a.remember("nobody_zq")
}

// Of many who want one name, or one address, at the same time, one gets it; what
// else the others asked for stays free.
func TestANameGoesToOne(t *testing.T) {
	t.Parallel()
	a := start(t)
	const many = 6
	for _, kind := range []string{"username", "email"} {
		in := func(i int) kithtest.Registration {
			r := kithtest.Registration{Username: "same_zq", Name: "Name of same", Password: password, Email: fmt.Sprintf("own_%d", i) + domain}
			if kind == "email" {
				r.Username, r.Email = fmt.Sprintf("own_%d_zq", i), "same"+domain
			}
			return r
		}
		answers := make([]*kithtest.Answer, many)
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() {
				var err error
				if answers[i], err = a.Client().Register(t.Context(), in(i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		made := 0
		for i, answer := range answers {
			switch {
			case answer == nil:
			case answer.Status == http.StatusCreated:
				made++
			case answer.Status != http.StatusConflict:
				t.Errorf("one %s for many: %s", kind, answer)
			default:
				// A claim that was given up is free before the answer.
				free := in(i)
				if kind == "username" {
					free.Username = fmt.Sprintf("free_%d_zq", i)
				} else {
					free.Email = fmt.Sprintf("free_%d", i) + domain
				}
				want(t, http.StatusCreated)(a.Client().Register(t.Context(), free))
			}
		}
		if made != 1 {
			t.Errorf("%d accounts have one %s", made, kind)
		}
	}
	a.Settle()
}

func TestLogin(t *testing.T) {
	t.Parallel()
	a := start(t)
	first := a.register(t, "login_zq")
	c := a.Client()
	answer := want(t, http.StatusOK)(c.Login(t.Context(), " Login_ZQ", password))
	a.remember(answer.Token, answer.RefreshToken)
	if answer.User.Username != "login_zq" || answer.Token == "" || answer.RefreshToken == "" || answer.ExpiresIn != 3600 {
		t.Errorf("log in: %s", answer)
	}
	if answer.Token == first.Token() {
		t.Error("two logins gave one token")
	}
	want(t, http.StatusOK)(first.User(t.Context(), "self"))
	want(t, http.StatusOK)(c.As(answer.Token).User(t.Context(), "self"))

	for name, who := range map[string][2]string{
		"another password": {"login_zq", password + "!"},
		"no password":      {"login_zq", ""},
		"nobody":           {"nobody_at_all_zq", password},
		"no name":          {"", password},
		"an impossible":    {"login-zq", password},
	} {
		t.Run(name, func(t *testing.T) {
			answer := refused(t, http.StatusUnauthorized, "invalid_credentials", "Invalid username or password")(c.Login(t.Context(), who[0], who[1]))
			if answer.Header.Get("WWW-Authenticate") == "" {
				t.Error("a 401 without WWW-Authenticate")
			}
		})
	}
}
