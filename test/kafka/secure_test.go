package kafka_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kith/test/kithtest"
	"kith/test/services"
)

func TestTLSAndPasswords(t *testing.T) {
	t.Parallel()
	k := services.StartKafka(t, services.KafkaConfig{Secure: true})
	authority := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(authority, k.Authority(), 0o600); err != nil {
		t.Fatal(err)
	}
	user, secret := k.Login()
	secured := func(mechanism, secret string) []string {
		return []string{
			"KITH_KAFKA_TLS=on", "KITH_KAFKA_TLS_CA=" + authority,
			"KITH_KAFKA_SASL_MECHANISM=" + mechanism, "KITH_KAFKA_SASL_USERNAME=" + user, "KITH_KAFKA_SASL_PASSWORD=" + secret,
		}
	}
	for i, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		s := start(t, k.SecureAddr(), secured(mechanism, secret)...)
		ada := register(t, s, "ada")
		published(t, s)
		if told := once(t, read(t, k.Addr(), topicUsers)[topicUsers]); len(told) != i+1 || len(told[ada.uid]) != 1 {
			t.Errorf("%s: %d are told of, want %d", mechanism, len(told), i+1)
		}
		produce(t, connect(t, k.Addr()), ada.uid, report("1", ada.uid, 1, 2))
		await(t, mechanism+": what is reported counts", func() bool { return totals(t, ada) == [2]int{1, 2} })
		s.Stop()
		if strings.Contains(s.Log(), secret) {
			t.Errorf("%s: the log holds the password", mechanism)
		}
	}

	// The wrong password, and authorities that do not know the broker.
	stranger := secured("PLAIN", secret)
	stranger[1] = "KITH_KAFKA_TLS_CA="
	for name, env := range map[string][]string{"password": secured("SCRAM-SHA-512", "wrong-"+secret), "authority": stranger} {
		s := start(t, k.SecureAddr(), env...)
		ada := register(t, s, "ada")
		want(t, http.StatusCreated)(ada.record(t.Context(), "a"))
		await(t, name+": kafka is named", func() bool { return degraded(t, s) })
		if lag(s) == 0 {
			t.Errorf("%s: all is published", name)
		}
		s.Stop()
		if strings.Contains(s.Log(), secret) {
			t.Errorf("%s: the log holds the password", name)
		}
	}
}

// degraded reports whether readiness names Kafka; the server must be ready.
func degraded(t *testing.T, s *kithtest.Server) bool {
	t.Helper()
	return strings.Contains(string(want(t, http.StatusOK)(s.Client().Get(t.Context(), "/readyz")).Body), `"kafka"`)
}

func TestSettingsOfSecurityAreCheckedAtTheStart(t *testing.T) {
	t.Parallel()
	nobody := filepath.Join(t.TempDir(), "nobody.pem")
	if err := os.WriteFile(nobody, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	const brokers = "KITH_KAFKA_BROKERS=127.0.0.1:1"
	for _, c := range []struct {
		setting string
		env     []string
	}{
		{"KITH_KAFKA_TLS", []string{brokers, "KITH_KAFKA_TLS=yes"}},
		{"KITH_KAFKA_TLS", []string{"KITH_KAFKA_TLS=on"}},
		{"KITH_KAFKA_TLS_CA", []string{brokers, "KITH_KAFKA_TLS=on", "KITH_KAFKA_TLS_CA=/no/such/file"}},
		{"KITH_KAFKA_TLS_CA", []string{brokers, "KITH_KAFKA_TLS=on", "KITH_KAFKA_TLS_CA=" + nobody}},
		{"KITH_KAFKA_TLS_CA", []string{brokers, "KITH_KAFKA_TLS_CA=" + nobody}},
		{"KITH_KAFKA_SASL_MECHANISM", []string{brokers, "KITH_KAFKA_SASL_MECHANISM=GSSAPI"}},
		{"KITH_KAFKA_SASL_MECHANISM", []string{"KITH_KAFKA_SASL_MECHANISM=PLAIN", "KITH_KAFKA_SASL_USERNAME=u", "KITH_KAFKA_SASL_PASSWORD=p4ssw0rd"}},
		{"KITH_KAFKA_SASL_USERNAME", []string{brokers, "KITH_KAFKA_SASL_MECHANISM=PLAIN", "KITH_KAFKA_SASL_PASSWORD=p4ssw0rd"}},
		{"KITH_KAFKA_SASL_PASSWORD", []string{brokers, "KITH_KAFKA_SASL_MECHANISM=PLAIN", "KITH_KAFKA_SASL_USERNAME=u"}},
		{"KITH_KAFKA_SASL_PASSWORD", []string{brokers, "KITH_KAFKA_SASL_PASSWORD=p4ssw0rd"}},
	} {
		r := kith.Run(t, append([]string{"KITH_HTTP_ADDR=127.0.0.1:0", "KITH_OPS_ADDR=127.0.0.1:0"}, c.env...), "serve")
		if r.Code == 0 || strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, c.setting+"=") || strings.Contains(r.Stderr, "p4ssw0rd") {
			t.Errorf("%v: exit code %d: %s", c.env, r.Code, r.Stderr)
		}
	}
}
