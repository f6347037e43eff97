package sqlite

import "errors"

// Primary result codes of SQLite, as far as they decide anything here.
const (
	codeError      = 1
	codeBusy       = 5
	codeNoMem      = 7
	codeIOErr      = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeCantOpen   = 14
	codeConstraint = 19
	codeNotADB     = 26
)

// code returns the primary result code in err, 0 when there is none.
func code(err error) int {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		return coded.Code() & 0xff
	}
	return 0
}

// certain reports whether a COMMIT that failed with err wrote nothing that
// could still come to light: the frames did not all reach the log (full), or it
// never began (busy). After an I/O error they may have reached the disk, or may
// not.
func certain(err error) bool {
	switch code(err) {
	case codeFull, codeBusy:
		return true
	}
	return false
}

// suspect reports whether a connection is better replaced after err.
func suspect(err error) bool {
	if _, broken := errors.AsType[*brokenError](err); broken {
		return true
	}
	switch code(err) {
	case codeIOErr, codeNoMem, codeCorrupt, codeNotADB, codeCantOpen:
		return true
	}
	return false
}
