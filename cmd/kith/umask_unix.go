//go:build unix

package main

import "syscall"

// restrictFiles makes everything that this process writes private to its user:
// libraries make files too, with modes of their own.
func restrictFiles() { syscall.Umask(0o077) }
