package e2e_test

import (
	"net/http"
	"testing"

	"kith/test/kithtest"
)

// Tokens that were ended stay so over a kill -9, and those that were not go on.
func TestSessionsSurviveAKill(t *testing.T) {
	t.Parallel()
	a := start(t)
	a.register(t, "ada_zq")
	login := func() *kithtest.Answer {
		t.Helper()
		answer := want(t, http.StatusOK)(a.Client().Login(t.Context(), "ada_zq", password))
		a.remember(answer.Token, answer.RefreshToken)
		return answer
	}
	refresh := func(token string) (*kithtest.Answer, error) {
		answer, err := a.Client().Do(t.Context(), kithtest.Request{Method: http.MethodPost, Path: "/auth/refresh", Body: map[string]string{"refresh_token": token}})
		if err == nil && answer.RefreshToken != "" {
			a.remember(answer.Token, answer.RefreshToken)
		}
		return answer, err
	}
	logout := func(token string, body any) {
		t.Helper()
		want(t, http.StatusOK)(a.Client().As(token).Do(t.Context(), kithtest.Request{Method: http.MethodPost, Path: "/auth/logout", Body: body}))
	}
	ended, kept := login(), login()
	lost := want(t, http.StatusOK)(refresh(kept.RefreshToken)) // the answer is lost
	logout(ended.Token, nil)
	check := func() {
		t.Helper()
		refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().As(ended.Token).Get(t.Context(), "/users/self"))
		refused(t, http.StatusUnauthorized, "invalid_refresh_token", "Invalid refresh token")(refresh(ended.RefreshToken))
		want(t, http.StatusOK)(a.Client().As(kept.Token).Get(t.Context(), "/users/self"))
	}
	check()
	a.Restart()
	check()
	again := want(t, http.StatusOK)(refresh(lost.RefreshToken))
	logout(again.Token, map[string]bool{"all": true})
	a.Restart()
	for _, token := range []string{kept.Token, lost.Token, again.Token} {
		refused(t, http.StatusUnauthorized, "unauthorized", "Missing or invalid authentication token")(a.Client().As(token).Get(t.Context(), "/users/self"))
	}
	refused(t, http.StatusUnauthorized, "invalid_refresh_token", "Invalid refresh token")(refresh(again.RefreshToken))
	login()
}
