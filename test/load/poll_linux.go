package main

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
)

// poller waits for many connections in one goroutine. Goroutines of their own
// would take from the server, with which they share the machine.
type poller struct {
	fd     int
	events [512]syscall.EpollEvent
	ready  []int
}

func newPoller() (*poller, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll: %w", err)
	}
	return &poller{fd: fd}, nil
}

func (p *poller) close() error {
	if err := syscall.Close(p.fd); err != nil {
		return fmt.Errorf("close an epoll: %w", err)
	}
	return nil
}

// add begins to wait for a connection, until it is hung up.
func (p *poller) add(fd int) error {
	e := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)} //nolint:gosec // file descriptors are small
	if err := syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &e); err != nil {
		return fmt.Errorf("wait for a connection: %w", err)
	}
	return nil
}

// wait returns the connections from which something can be read, none after the
// time. They are good until the next call.
func (p *poller) wait(d time.Duration) ([]int, error) {
	n, err := syscall.EpollWait(p.fd, p.events[:], int(d.Milliseconds()))
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return nil, fmt.Errorf("wait for connections: %w", err)
	}
	p.ready = p.ready[:0]
	for i := range max(0, n) {
		p.ready = append(p.ready, int(p.events[i].Fd))
	}
	return p.ready, nil
}

// connectTo connects to an address of IPv4 and sends the first bytes. From then on
// neither reads nor writes of the connection wait.
func connectTo(addr string, first []byte) (fd int, err error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, fmt.Errorf("connect to %s: %w", addr, err)
	}
	if fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
		return 0, fmt.Errorf("make a socket: %w", err)
	}
	err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	for err == nil && len(first) > 0 {
		var n int
		if n, err = syscall.Write(fd, first); n > 0 {
			first = first[n:]
		}
		if errors.Is(err, syscall.EINTR) {
			err = nil
		}
	}
	if err == nil {
		err = syscall.SetNonblock(fd, true)
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("connect to %s: %w", addr, err), syscall.Close(fd))
	}
	return fd, nil
}

// readNow reads what has arrived; n is 0 when nothing has, or when the peer has ended it.
func readNow(fd int, b []byte) (n int, ended bool) {
	n, err := syscall.Read(fd, b)
	switch {
	case errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR):
		return 0, false
	case err != nil || n == 0:
		return 0, true
	}
	return n, false
}

// writeNow writes a few bytes, for which there is always room on a connection that
// its peer reads.
func writeNow(fd int, b []byte) error {
	if _, err := syscall.Write(fd, b); err != nil {
		return fmt.Errorf("write to a socket: %w", err)
	}
	return nil
}

// hangUp ends a connection at once, as one that is lost, so that no port waits for
// late bytes: there are not enough for tens of thousands.
func hangUp(fd int) error {
	err := syscall.SetsockoptLinger(fd, syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	if err = errors.Join(err, syscall.Close(fd)); err != nil {
		return fmt.Errorf("hang up: %w", err)
	}
	return nil
}

// enoughFiles returns an error when the process may not open so many files. The
// runtime has taken all that the system allows already.
func enoughFiles(n int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	if limit.Cur < uint64(n) { //nolint:gosec // not negative
		return fmt.Errorf("%d open files are needed, %d are allowed: raise the hard limit (ulimit -Hn)", n, limit.Cur)
	}
	return nil
}
