package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"kith/client"
	"kith/client/readable"
)

// tailURL is where a server is that was started without settings.
const tailURL = "http://127.0.0.1:8080"

// tailCommand prints the live stream of a user. It needs no data dir: it speaks to
// a server, like any client.
type tailCommand struct {
	Token  string `name:"token" env:"KITH_TOKEN" placeholder:"TOKEN" help:"Whose stream it is: an access token, such as kith token --username NAME prints."`
	URL    string `name:"url" env:"KITH_URL" default:"${tail_url}" placeholder:"URL" help:"The server."`
	JSON   bool   `name:"json" help:"Print every frame as it comes, one a line, instead of lines for people."`
	Cursor string `name:"cursor" placeholder:"CURSOR" help:"Begin where an earlier stream was: the newest cursor that --json showed."`
}

// Run implements kong's command.
func (c *tailCommand) Run(ctx context.Context, con *console) error {
	token := strings.TrimSpace(c.Token)
	if token == "" {
		return fmt.Errorf("%w --token: there is none; %s", errInvalid, howToGetToken)
	}
	out := readable.New(readable.Config{Out: con.out, Colour: colours(con.out)})
	notes := &tailNotes{con: con}
	stream, err := client.New(client.Config{
		BaseURL: c.URL, Token: token, Cursor: c.Cursor, Ready: notes.ready, Lost: notes.lost,
	})
	if err != nil {
		return fmt.Errorf("%w --url: allowed is %s", errInvalid, whereItIs)
	}
	err = stream.Run(ctx, func(f client.Frame) error {
		if f.Type == client.TypeExpiring {
			if err := notes.expiring(&f); err != nil {
				return err
			}
		}
		if c.JSON {
			return printRaw(con, &f)
		}
		return out.Print(f)
	})
	switch {
	case err == nil:
		fmt.Fprintln(con.err, "kith: stopped")
	case errors.Is(err, client.ErrUnauthorized), errors.Is(err, client.ErrTokenExpired), errors.Is(err, client.ErrSessionEnded):
		return fmt.Errorf("%w; %s", err, howToGetToken)
	case errors.Is(err, client.ErrNoStream):
		return fmt.Errorf("%w; --url must be %s", err, whereItIs)
	}
	return err
}

const whereItIs = "the address of a kith, such as " + tailURL

const howToGetToken = "get one with kith token --username NAME, or log in at POST /auth/login"

// printRaw prints a frame as it came. Whatever JSON text holds, a line feed in it
// is only space between values.
func printRaw(con *console, f *client.Frame) error {
	line := append(bytes.ReplaceAll(f.Raw, []byte("\n"), []byte(" ")), '\n')
	if _, err := con.out.Write(line); err != nil {
		return fmt.Errorf("write a line: %w", err)
	}
	return nil
}

// tailNotes says on standard error what happens to the connection.
type tailNotes struct {
	con      *console
	was      bool   // connected before
	said     string // the last reason, which is said once however often it comes again
	attempts int
}

func (n *tailNotes) ready(r client.Ready) {
	switch {
	case r.Resumed:
		fmt.Fprintf(n.con.err, "kith: connected as @%s, going on where it was\n", r.User.Username)
	case n.was:
		fmt.Fprintf(n.con.err, "kith: connected as @%s, from now on\n", r.User.Username)
	default:
		fmt.Fprintf(n.con.err, "kith: connected as @%s; stop with Ctrl-C\n", r.User.Username)
	}
	n.was, n.said, n.attempts = true, "", 0
}

func (n *tailNotes) lost(reason error, wait time.Duration) {
	n.attempts++
	text := reason.Error()
	if text == n.said {
		text = fmt.Sprintf("attempt %d: the same", n.attempts)
	} else {
		n.said = text
	}
	fmt.Fprintf(n.con.err, "kith: %s; trying again in %s\n", text, wait.Round(100*time.Millisecond))
}

func (n *tailNotes) expiring(f *client.Frame) error {
	var d client.Expiring
	if err := f.Decode(&d); err != nil {
		return err
	}
	fmt.Fprintf(n.con.err, "kith: the token ends in %s\n", time.Duration(d.Seconds)*time.Second)
	return nil
}

// colours reports whether a file shows colours to somebody who wants them
// (https://no-color.org).
func colours(f *os.File) bool {
	return isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
