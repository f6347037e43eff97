//go:build race

package kithtest

// buildFlags: the binary is as the tests are.
var buildFlags = []string{"-race"} //nolint:gochecknoglobals // a constant list, chosen by a build tag
