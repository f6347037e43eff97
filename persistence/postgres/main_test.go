package postgres_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const server = "postgres://postgres@127.0.0.1:54991/"

func database(tb testing.TB) string {
	tb.Helper()
	name := "t" + strings.ToLower(rand.Text())
	run := func(sql string) {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		c, err := pgx.Connect(ctx, server+"postgres")
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := c.Exec(ctx, sql); err != nil {
			tb.Error(err)
		}
		if err := c.Close(ctx); err != nil {
			tb.Error(err)
		}
	}
	run("CREATE DATABASE " + name)
	tb.Cleanup(func() { run("DROP DATABASE " + name + " WITH (FORCE)") })
	return server + name
}
