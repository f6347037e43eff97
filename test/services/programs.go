package services

import (
	"testing"

	"kith/test/services/server"
)

// Chromium returns the path of a Chromium.
func Chromium(tb testing.TB) string {
	tb.Helper()
	return program(tb, server.KindChromium)
}

// NPM returns the path of npm, beside which there is Node.
func NPM(tb testing.TB) string {
	tb.Helper()
	return program(tb, server.KindNode)
}

// Python returns the path of a Python 3 that can make environments of its own.
func Python(tb testing.TB) string {
	tb.Helper()
	return program(tb, server.KindPython)
}

func program(tb testing.TB, k server.Kind) string {
	tb.Helper()
	path, err := server.Find(k)
	must(tb, k, err)
	return path
}
