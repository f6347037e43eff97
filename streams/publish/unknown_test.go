package publish_test

import (
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"kith/streams"
	"kith/streams/streamstest"
)

// A Kafka that goes away without saying what became of a send, and comes back
// empty, is sent it again: the tail does not wait for the answer for ever.
func TestAnAnswerThatNeverComesIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	errLost := errors.New("the connection is lost")
	w := streamstest.NewWorld(t)
	first := kafka(t)
	addr := first.ListenAddrs()[0]
	w.Register(1, 1)
	start(w, config(w, addr))
	mark(w, 1, 1)
	lost := make(chan struct{}, 1)
	first.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		first.KeepControl()
		select {
		case lost <- struct{}{}:
		default:
		}
		return nil, errLost, true
	})
	w.Do(1, view("a", 1))
	<-lost
	first.Close()

	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	second := kafka(t, kfake.Ports(number))
	// Nothing tells it what became of the send before the topics are made again.
	var made atomic.Bool
	second.ControlKey(kmsg.CreateTopics.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		second.KeepControl()
		made.Store(true)
		return nil, nil, false
	})
	second.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		second.KeepControl()
		if made.Load() {
			return nil, nil, false
		}
		return nil, errLost, true
	})
	streamstest.Consume(t, second.ListenAddrs()[0], streams.TopicActivity).Await(1)
	mark(w, 1, 2)
}
