// Package browser_test uses the live page in a real browser, against the real
// binary, as two people would.
//
//   - journey_test.go: coming in, following, rating, watching, leaving.
//   - network_test.go: what a broken connection, a restart, a short token do.
//   - looks_test.go: pictures in both themes and on a phone's width, contrast,
//     names, sizes, and motion.
//   - tab_test.go: Chromium and one tab of it.
//   - audit_test.go: the script that looks for what cannot be read or reached.
//   - proxy_test.go: a network that can be cut.
//
// Pictures are left in test/output/browser. A test that fails leaves what its tabs
// show there, too.
package browser_test

import (
	"testing"

	"kith/test/kithtest"
)

var kith kithtest.Binary

func TestMain(m *testing.M) { kithtest.Main(m, &kith) }
