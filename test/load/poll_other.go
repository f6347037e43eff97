//go:build !linux

package main

import (
	"errors"
	"time"
)

// poller is there on Linux alone, as is /proc.
type poller struct{}

func newPoller() (*poller, error)                  { return nil, errors.ErrUnsupported }
func (*poller) close() error                       { return nil }
func (*poller) add(int) error                      { return errors.ErrUnsupported }
func (*poller) wait(time.Duration) ([]int, error)  { return nil, errors.ErrUnsupported }
func connectTo(string, []byte) (fd int, err error) { return 0, errors.ErrUnsupported }
func readNow(int, []byte) (n int, ended bool)      { return 0, true }
func writeNow(int, []byte) error                   { return errors.ErrUnsupported }
func hangUp(int) error                             { return errors.ErrUnsupported }
func enoughFiles(int) error                        { return errors.ErrUnsupported }
