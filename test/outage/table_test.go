package outage_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write docs/FAULTS.md anew")

const document = "../../docs/FAULTS.md"

const preface = `# Faults

What clients see while a store fails. ` + "`go test ./test/outage -rewrite`" + ` writes this table: it
runs a real server on a real PostgreSQL and a real Redis, with a proxy in between or
a signal as the fault, while clients write events, follow, unfollow and read. The
answers are those that may come; the slowest answer is of one run, on two busy cores.

After each of them, without anybody doing anything: every acknowledged event and
follow is there, nothing is there twice, the counters of all users equal their edges,
and ` + "`kith verify`" + ` finds no difference. A write answered 503 may be sent again; one
answered ` + "`outcome_unknown`" + ` may have been done, and sending it again does no harm.

`

// row is what a fault looked like.
type row struct {
	*fault
	during *sight
}

// stable are the columns that do not depend on the machine.
func (r row) stable() string {
	return fmt.Sprintf("| %s | %s | %s | %s |", r.name, strings.Join(r.writes, ", "), strings.Join(r.reads, ", "), r.ready)
}

// table writes the document, or wants that it says what was seen.
func table(t *testing.T, rows []row) {
	t.Helper()
	if *rewrite {
		var b strings.Builder
		b.WriteString(preface + "| fault | writes | reads | `/readyz` | slowest answer |\n|---|---|---|---|---|\n")
		for _, r := range rows {
			fmt.Fprintf(&b, "%s %s |\n", r.stable(), r.during.slowest.Round(10*time.Millisecond))
		}
		if err := os.WriteFile(document, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !strings.Contains(string(written), r.stable()) {
			t.Errorf("docs/FAULTS.md does not have %q; run go test ./test/outage -rewrite", r.stable())
		}
	}
	w := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.name, shown(r.during.writes), shown(r.during.reads), r.during.slowest.Round(time.Millisecond))
	}
	if err := w.Flush(); err != nil {
		t.Error(err)
	}
}

// list returns a list of a body, joined.
func list(body []byte, field string) string {
	var all map[string]json.RawMessage
	if json.Unmarshal(body, &all) != nil {
		return ""
	}
	var items []string
	if json.Unmarshal(all[field], &items) != nil {
		return ""
	}
	return strings.Join(items, ", ")
}
