package live

import (
	"iter"
	"slices"
)

// pieceRecords is how many records one piece of a list has at most.
const pieceRecords = 256

// recentList holds what is recent of one person, ascending, in pieces. As one slice
// that of a star with a million new followers would have to be copied again and again
// as it grows, and nothing can interrupt that: everybody waits.
type recentList struct {
	pieces [][]recent // none is empty
}

func (l *recentList) empty() bool { return len(l.pieces) == 0 }

// push adds one that is above all.
func (l *recentList) push(one *recent) {
	last := len(l.pieces) - 1
	if last < 0 || len(l.pieces[last]) >= pieceRecords {
		l.pieces = append(l.pieces, nil)
		last++
	}
	l.pieces[last] = append(l.pieces[last], *one)
}

// first returns the oldest, nil when there is none.
func (l *recentList) first() *recent {
	if l.empty() {
		return nil
	}
	return &l.pieces[0][0]
}

// pop removes the oldest, which must be there.
func (l *recentList) pop() {
	l.pieces[0][0] = recent{} // let go of what it points to
	if l.pieces[0] = l.pieces[0][1:]; len(l.pieces[0]) > 0 {
		return
	}
	l.pieces[0] = nil
	if l.pieces = l.pieces[1:]; len(l.pieces) == 0 {
		l.pieces = nil
	}
}

// all iterates over all, ascending.
func (l *recentList) all() iter.Seq[*recent] {
	return func(yield func(*recent) bool) {
		for _, piece := range l.pieces {
			for i := range piece {
				if !yield(&piece[i]) {
					return
				}
			}
		}
	}
}

// backward iterates over all, descending.
func (l *recentList) backward() iter.Seq[*recent] {
	return func(yield func(*recent) bool) {
		for _, piece := range slices.Backward(l.pieces) {
			for i := len(piece) - 1; i >= 0; i-- {
				if !yield(&piece[i]) {
					return
				}
			}
		}
	}
}

// tail iterates, ascending, over the newest, as far back as they are wanted.
func (l *recentList) tail(wanted func(*recent) bool) iter.Seq[*recent] {
	n := 0
	for one := range l.backward() {
		if !wanted(one) {
			break
		}
		n++
	}
	return func(yield func(*recent) bool) {
		at, i := len(l.pieces), 0 // the place of the first of n
		for left := n; left > 0; {
			at--
			i = max(0, len(l.pieces[at])-left)
			left -= len(l.pieces[at]) - i
		}
		for ; at < len(l.pieces); at, i = at+1, 0 {
			for ; i < len(l.pieces[at]); i++ {
				if !yield(&l.pieces[at][i]) {
					return
				}
			}
		}
	}
}

// remove removes the oldest that is meant, and returns it as it was.
func (l *recentList) remove(meant func(*recent) bool) (one recent, ok bool) {
	for at, piece := range l.pieces {
		i := 0
		for i < len(piece) && !meant(&piece[i]) { // in place: one is large
			i++
		}
		if i == len(piece) {
			continue
		}
		one = piece[i]
		if l.pieces[at] = slices.Delete(piece, i, i+1); len(l.pieces[at]) == 0 {
			l.pieces = slices.Delete(l.pieces, at, at+1)
		}
		return one, true
	}
	return one, false
}
