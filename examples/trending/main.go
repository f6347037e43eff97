// Command trending shows the most watched movies of the last hour, from the topic
// kith.activity.v1. It is an example of a consumer that counts everything once, and
// needs nothing of Kith but what its topics say: see README.md.
//
//   - main.go: settings, and what runs.
//   - consume.go: reading the topic, and how far it is read.
//   - window.go: what counts.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

// settings are what can be chosen.
type settings struct {
	brokers  []string
	group    string
	window   time.Duration
	interval time.Duration
	top      int
}

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "trending:", err)
		os.Exit(1)
	}
}

// run runs until a signal says that it is enough.
func run(args []string, out, complaints io.Writer) error {
	s, err := parse(args, complaints)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return consume(ctx, s, out, complaints)
}

// parse reads the flags; each has a twin in the environment.
func parse(args []string, complaints io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("trending", flag.ContinueOnError)
	flags.SetOutput(complaints)
	brokers := flags.String("brokers", cmp.Or(os.Getenv("TRENDING_BROKERS"), "localhost:9092"), "host:port of Kafka, several separated by commas (TRENDING_BROKERS)")
	flags.StringVar(&s.group, "group", cmp.Or(os.Getenv("TRENDING_GROUP"), "trending"), "consumer group, for this process alone (TRENDING_GROUP)")
	window := flags.String("window", cmp.Or(os.Getenv("TRENDING_WINDOW"), "1h"), "how far back views count (TRENDING_WINDOW)")
	interval := flags.String("interval", cmp.Or(os.Getenv("TRENDING_INTERVAL"), "10s"), "how often the table is printed (TRENDING_INTERVAL)")
	flags.IntVar(&s.top, "top", 10, "how many movies are shown")
	if err := flags.Parse(args); err != nil {
		return settings{}, err //nolint:wrapcheck // says what it is
	}
	s.brokers = strings.Split(*brokers, ",")
	for _, d := range []struct {
		name, text string
		into       *time.Duration
	}{{"window", *window, &s.window}, {"interval", *interval, &s.interval}} {
		var err error
		if *d.into, err = time.ParseDuration(d.text); err != nil || *d.into <= 0 {
			return settings{}, fmt.Errorf("%s: %q is no duration such as 90s or 1h", d.name, d.text)
		}
	}
	if s.top < 1 || s.group == "" || flags.NArg() > 0 {
		return settings{}, errors.New("top must be at least 1, the group must have a name, and there are no arguments")
	}
	return s, nil
}

// show prints a table, and an empty line behind it.
func show(out io.Writer, now time.Time, s settings, movies []movie) error {
	views := 0
	for _, m := range movies {
		views += m.views
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "%s  views in the last %s: %d, of movies: %d\n", now.Format(time.DateTime), s.window, views, len(movies))
	fmt.Fprintln(w, "rank\tmovie\tviews\tviewers\t")
	for i, m := range movies[:min(len(movies), s.top)] {
		fmt.Fprintf(w, "%d\t%d\t%d\t%d\t\n", i+1, m.id, m.views, m.viewers)
	}
	fmt.Fprintln(w)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	return nil
}
