package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"

	"kith/actors/usergrain"
)

// verifyCommand checks the stored data.
type verifyCommand struct{ storage }

// errDiffers: verify found differences, which it has printed.
var errDiffers = errors.New("the stored data is not consistent")

// Run implements kong's command.
func (c *verifyCommand) Run(ctx context.Context, con *console) error {
	return withOperator(ctx, access{storage: c.storage}, func(o operator) error {
		var bar *progressbar.ProgressBar
		if isatty.IsTerminal(con.err.Fd()) {
			bar = progressbar.NewOptions(-1, // how many there are is known at the end
				progressbar.OptionSetWriter(con.err), progressbar.OptionSetDescription("users checked"),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		report, err := o.Verify(ctx, func(users int) {
			if bar != nil {
				_ = bar.Set(users) // a bar that cannot be drawn is no reason to stop
			}
		})
		if bar != nil {
			_ = bar.Finish()
		}
		if err != nil {
			return err
		}
		printReport(con.out, &report)
		if report.Differences > 0 {
			return fmt.Errorf("%w: %d differences", errDiffers, report.Differences)
		}
		return nil
	})
}

func printReport(w io.Writer, r *usergrain.Report) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range []struct {
		what string
		n    int
	}{
		{"users", r.Users},
		{"deleted users", r.Deleted},
		{"journal records", r.Records},
		{"follow edges", r.Edges},
		{"pending: records behind the effects tail", r.Behind},
		{"pending: parked effects", r.Parked},
		{"pending: open severings", r.Severings},
		{"differences", r.Differences},
	} {
		fmt.Fprintf(t, "%s\t%d\t\n", row.what, row.n)
	}
	_ = t.Flush() // standard output that is closed cannot be told so
	for _, f := range r.Findings {
		if f.User == 0 {
			fmt.Fprintf(w, "  %s\n", f.What)
			continue
		}
		fmt.Fprintf(w, "  user %d: %s\n", f.User, f.What)
	}
	if more := r.Differences - len(r.Findings); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
	if r.Differences == 0 {
		fmt.Fprintln(w, "The stored data is consistent.")
	}
}
