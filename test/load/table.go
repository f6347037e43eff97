package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// report is what a run found.
type report struct {
	machine machine
	stores  string // what they are, when some were used
	kafka   string // the same
	scale   float64
	rows    []row
}

// row is one goal, what was measured, and whether that meets it.
type row struct{ goal, measured, met string }

func (r *report) add(goal, measured, met string) {
	r.rows = append(r.rows, row{goal, measured, met})
}

// unjudged stands where there is no goal, or another one decides.
const unjudged = "–"

func met(yes bool) string {
	if yes {
		return "met"
	}
	return "**NOT met**"
}

// describe says on what the figures were measured.
func (r *report) describe() string {
	m := &r.machine
	parts := []string{fmt.Sprintf("%s, %d cores, %s of memory, load average %s; Linux %s; %s; %s writes of 4 KiB with fsync a second; scale %g",
		m.CPU, m.Cores, m.Memory, m.Load, m.Kernel, m.Go, thousands(m.Fsync), r.scale)}
	for _, used := range []string{r.stores, r.kafka} {
		if used != "" {
			parts = append(parts, used)
		}
	}
	return strings.Join(parts, "; ")
}

// text writes the table for a terminal.
func (r *report) text(w io.Writer) error {
	return r.table(w, r.describe()+"\n\n", "", "  ", "", "─")
}

// markdown writes the table for a document.
func (r *report) markdown(w io.Writer) error {
	head := "Measured by `make bench` on " + r.describe() + ".\n\n"
	return r.table(w, head, "| ", " | ", " |", "-")
}

func (r *report) table(w io.Writer, head, left, between, right, rule string) error {
	rows := append([]row{{"goal", "measured", "result"}}, r.rows...)
	var width [3]int
	for _, x := range rows {
		for i, cell := range x.cells() {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	b.WriteString(head)
	line := func(cells [3]string) {
		b.WriteString(left)
		for i, cell := range cells {
			if i > 0 {
				b.WriteString(between)
			}
			b.WriteString(cell)
			if right != "" || i < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)))
			}
		}
		b.WriteString(right)
		b.WriteByte('\n')
	}
	for i, x := range rows {
		line(x.cells())
		if i == 0 {
			line([3]string{strings.Repeat(rule, width[0]), strings.Repeat(rule, width[1]), strings.Repeat(rule, width[2])})
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

func (x *row) cells() [3]string { return [3]string{x.goal, x.measured, x.met} }

// write writes the table, and the Markdown where it was asked for.
func (b *bench) write() error {
	if err := b.report.text(os.Stdout); err != nil {
		return err
	}
	if !b.summary && b.out == "" {
		return nil
	}
	if b.out == "" {
		if _, err := io.WriteString(os.Stdout, "\n"); err != nil {
			return fmt.Errorf("write the table: %w", err)
		}
		return b.report.markdown(os.Stdout)
	}
	var text strings.Builder
	if err := b.report.markdown(&text); err != nil {
		return err
	}
	if err := os.WriteFile(b.out, []byte(text.String()), 0o644); err != nil { //nolint:gosec // a document
		return fmt.Errorf("write the summary: %w", err)
	}
	return nil
}

// thousands writes a whole number with commas.
func thousands(x float64) string {
	s := strconv.FormatFloat(x, 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
}
