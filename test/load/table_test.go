package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTableIsAligned(t *testing.T) {
	t.Parallel()
	r := report{machine: machine{CPU: "A", Cores: 2, Memory: "1 kB", Load: "0.50", Kernel: "6", Go: "go1", Fsync: 1234}, scale: 1}
	r.add("rate ≥ 3 × the other", "4.00 ×", met(true))
	r.add("p99 < 250 ms", "1,000.0 ms (p50 3.0 ms)", met(false))
	var b strings.Builder
	if err := r.markdown(&b); err != nil {
		t.Fatal(err)
	}
	const want = `Measured by ` + "`make bench`" + ` on A, 2 cores, 1 kB of memory, load average 0.50; Linux 6; go1; 1,234 writes of 4 KiB with fsync a second; scale 1.

| goal                 | measured                | result      |
| -------------------- | ----------------------- | ----------- |
| rate ≥ 3 × the other | 4.00 ×                  | met         |
| p99 < 250 ms         | 1,000.0 ms (p50 3.0 ms) | **NOT met** |
`
	if b.String() != want {
		t.Errorf("Markdown is\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := r.text(&b); err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(b.String(), "\n\n")
	for line := range strings.Lines(table) {
		if at := utf8.RuneCountInString(line); at < 20+2+23+2 {
			t.Errorf("line %q ends at column %d", line, at)
		}
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.4: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := thousands(x); got != want {
			t.Errorf("thousands(%g) = %s, want %s", x, got, want)
		}
	}
}

// What a side is made up of is said as soon as either has stores, and only then.
func TestPartsAreSaidWhereThereAreStores(t *testing.T) {
	t.Parallel()
	bare := []sample{{outcome: outcome{Done: 10}, usage: usage{Server: time.Millisecond}}}
	on := []sample{{outcome: outcome{Done: 10}, usage: usage{Server: time.Millisecond, Database: 2 * time.Millisecond, Cache: 500 * time.Microsecond}}}
	var r report
	r.addParts(bare, bare, "bare")
	if len(r.rows) > 0 {
		t.Errorf("rows are %v, want none", r.rows)
	}
	r.addParts(on, bare, "bare")
	if want := "server 100.0 + PostgreSQL 200.0 + Redis 50.0; bare: server 100.0"; len(r.rows) != 1 || r.rows[0].measured != want {
		t.Errorf("rows are %v, want %q", r.rows, want)
	}
	if each := on[0].each(); each != 350 {
		t.Errorf("%g µs, want 350", each)
	}
}
