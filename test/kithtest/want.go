package kithtest

import "testing"

// Want returns a function that passes an answer with the wanted status on, and ends the
// test at any other.
func Want(tb testing.TB, status int) func(*Answer, error) *Answer {
	tb.Helper()
	return func(a *Answer, err error) *Answer {
		tb.Helper()
		if err != nil || a.Status != status {
			tb.Fatalf("want status %d: %v %s", status, err, a)
		}
		return a
	}
}
