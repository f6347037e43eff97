package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"kith/persistence"
)

// PlanOf returns the plan of the statement by which a batch would be written, and
// of all that it does.
func (db *DB) PlanOf(t *testing.T, b persistence.Batch) (text string, plan []string) {
	t.Helper()
	c := db.committer
	if err := c.take(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.release()
	if err := c.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.learn(t.Context()); err != nil {
		t.Fatal(err)
	}
	names, err := namesBefore(t.Context(), c.conn, b.Turns)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.fill(&c.batch, b.Node, b.Turns, b.Marks, &c.heads, names); err != nil {
		t.Fatal(err)
	}
	st := compose(c.batch.parts)
	var values [][]byte
	for _, column := range st.columns {
		values = append(values, c.batch.value(column))
	}
	result := c.conn.PgConn().ExecParams(t.Context(), "EXPLAIN "+st.text, values, nil, []int16{pgx.BinaryFormatCode}, nil).Read()
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	for _, row := range result.Rows {
		plan = append(plan, string(row[0]))
	}
	return st.text, plan
}

// Refuse returns why tables at a version are not used as they are.
func Refuse(v Versions) error { return v.refuse() }

// Bouncer reports whether the engine takes what it is connected to for a pgbouncer.
func (db *DB) Bouncer() bool { return db.target.bouncer }
