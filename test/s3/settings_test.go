package s3_test

import (
	"slices"
	"strings"
	"testing"

	"kith/test/kithtest"
)

// hidden is what must never be shown.
const hidden = "hunter2"

func TestABadSettingStopsTheStart(t *testing.T) {
	t.Parallel()
	good := []string{
		"KITH_S3_ENDPOINT=https://s3.example.com", "KITH_S3_BUCKET=photos", "KITH_S3_ACCESS_KEY=access", "KITH_S3_SECRET_KEY=" + hidden,
	}
	for _, bad := range []struct{ set, named, shown string }{
		{"KITH_S3_ENDPOINT=", "KITH_S3_ENDPOINT", `""`},
		{"KITH_S3_BUCKET=", "KITH_S3_BUCKET", `""`},
		{"KITH_S3_ACCESS_KEY=", "KITH_S3_ACCESS_KEY", `""`},
		{"KITH_S3_SECRET_KEY=", "KITH_S3_SECRET_KEY", `""`},
		{"KITH_S3_ENDPOINT=s3.example.com", "KITH_S3_ENDPOINT", `"***"`},
		{"KITH_S3_ENDPOINT=https://user:" + hidden + "@s3.example.com", "KITH_S3_ENDPOINT", "https://***@s3.example.com"},
		{"KITH_S3_ENDPOINT=https://s3.example.com/photos", "KITH_S3_ENDPOINT", "https://s3.example.com/photos"},
		{"KITH_S3_BUCKET=My Photos", "KITH_S3_BUCKET", "My Photos"},
		{"KITH_S3_REGION=Europe (Frankfurt)", "KITH_S3_REGION", "Europe (Frankfurt)"},
		{"KITH_S3_ACCESS_KEY=" + hidden + "/x", "KITH_S3_ACCESS_KEY", `"***"`}, // the other key
		{"KITH_S3_SECRET_KEY=" + hidden + " x", "KITH_S3_SECRET_KEY", `"***"`},
	} {
		t.Run(bad.set, func(t *testing.T) {
			t.Parallel()
			refuses(t, append(slices.Clone(good), bad.set), bad.named, bad.shown)
		})
	}
	t.Run("a region alone", func(t *testing.T) {
		t.Parallel()
		refuses(t, []string{"KITH_S3_REGION=eu-central-1"}, "KITH_S3_ENDPOINT", `""`)
	})
}

// refuses wants a start to end with one line.
func refuses(t *testing.T, env []string, named, shown string) {
	t.Helper()
	r := kith.Run(t, append([]string{"KITH_DATA_DIR=" + kithtest.DataDir(t), "KITH_HTTP_ADDR=127.0.0.1:0", "KITH_OPS_ADDR=127.0.0.1:0", "KITH_KAFKA_LISTEN=127.0.0.1:0"}, env...), "serve")
	if r.Code == 0 || strings.Count(r.Stderr, "\n") != 1 || !strings.Contains(r.Stderr, "invalid setting "+named+"=") || !strings.Contains(r.Stderr, shown) {
		t.Errorf("exit code %d:\n%s", r.Code, r.Stderr)
	}
	if strings.Contains(r.Stdout+r.Stderr, hidden) {
		t.Errorf("a secret is shown:\n%s", r.Stderr)
	}
}
