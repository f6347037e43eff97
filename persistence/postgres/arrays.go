package postgres

import (
	"encoding/binary"
	"time"
)

// The types of elements, as the server numbers them.
const (
	oidBytea     = 17
	oidInt8      = 20
	oidInt2      = 21
	oidText      = 25
	oidTimestamp = 1184
	oidUUID      = 2950
	oidJSONB     = 3802
)

// sqlType is how a statement names a type.
func sqlType(oid uint32) string {
	switch oid {
	case oidBytea:
		return "bytea"
	case oidInt2:
		return "smallint"
	case oidText:
		return "text"
	case oidTimestamp:
		return "timestamptz"
	case oidUUID:
		return "uuid"
	case oidJSONB:
		return "jsonb"
	}
	return "bigint"
}

// array is an array in the binary form in which the server receives it: written
// as it is filled, since a batch holds ten thousand elements. The zero array must
// be reset first.
type array struct {
	buf   []byte // the header, then the elements
	n     int
	nulls bool
}

const (
	arrayHeader  = 20      // dimensions, nulls, type, length, lower bound
	maxKeptArray = 1 << 20 // bytes that are kept for the next batch
)

func (a *array) reset() {
	if cap(a.buf) > maxKeptArray || a.buf == nil {
		a.buf = make([]byte, arrayHeader, 256)
	}
	a.buf, a.n, a.nulls = a.buf[:arrayHeader], 0, false
}

// bytes returns the array with elements of a type. They are valid until it is
// reset.
func (a *array) bytes(oid uint32) []byte {
	nulls := uint32(0)
	if a.nulls {
		nulls = 1
	}
	h := a.buf[:arrayHeader]
	binary.BigEndian.PutUint32(h, 1)
	binary.BigEndian.PutUint32(h[4:], nulls)
	binary.BigEndian.PutUint32(h[8:], oid)
	binary.BigEndian.PutUint32(h[12:], uint32(a.n)) //nolint:gosec // bounded by the batch
	binary.BigEndian.PutUint32(h[16:], 1)
	return a.buf
}

func (a *array) int8(v int64) {
	a.n++
	a.buf = binary.BigEndian.AppendUint32(a.buf, 8)
	a.buf = binary.BigEndian.AppendUint64(a.buf, uint64(v)) //nolint:gosec // two's complement
}

// uint8 appends what is stored as a bigint and fits.
func (a *array) uint8(v uint64) { a.int8(int64(v)) } //nolint:gosec // ids, versions and positions fit

func (a *array) int2(v int16) {
	a.n++
	a.buf = binary.BigEndian.AppendUint32(a.buf, 2)
	a.buf = binary.BigEndian.AppendUint16(a.buf, uint16(v)) //nolint:gosec // two's complement
}

func (a *array) text(s string) {
	a.n++
	a.buf = binary.BigEndian.AppendUint32(a.buf, uint32(len(s))) //nolint:gosec // bounded by the batch
	a.buf = append(a.buf, s...)
}

func (a *array) blob(b []byte) {
	a.n++
	a.buf = binary.BigEndian.AppendUint32(a.buf, uint32(len(b))) //nolint:gosec // bounded by the batch
	a.buf = append(a.buf, b...)
}

// json appends a document, which in its binary form has a version before it, or
// with nil a NULL.
func (a *array) json(b []byte) {
	if b == nil {
		a.null()
		return
	}
	a.n++
	a.buf = binary.BigEndian.AppendUint32(a.buf, uint32(len(b)+1)) //nolint:gosec // bounded by the batch
	a.buf = append(append(a.buf, 1), b...)
}

func (a *array) null() {
	a.n++
	a.nulls = true
	a.buf = append(a.buf, 0xff, 0xff, 0xff, 0xff)
}

// epoch2000 is where the server's times begin, in microseconds since 1970.
const epoch2000 = 946_684_800_000_000

func (a *array) time(t time.Time) { a.int8(t.UnixMicro() - epoch2000) }

// optionalTime appends NULL for the zero time.
func (a *array) optionalTime(t time.Time) {
	if t.IsZero() {
		a.null()
		return
	}
	a.time(t)
}

// readInts reads an array of bigint without NULLs, which the server sent.
func readInts(b []byte, each func(int64)) bool {
	if len(b) >= 12 && binary.BigEndian.Uint32(b) == 0 { // empty: no dimensions
		return true
	}
	if len(b) < arrayHeader || binary.BigEndian.Uint32(b[8:]) != oidInt8 {
		return false
	}
	n := int(binary.BigEndian.Uint32(b[12:]))
	if len(b) != arrayHeader+n*12 {
		return false
	}
	for e := b[arrayHeader:]; len(e) > 0; e = e[12:] {
		each(int64(binary.BigEndian.Uint64(e[4:]))) //nolint:gosec // two's complement
	}
	return true
}

// The columns of a row in binary form, whose types the statement fixes.

func rawInt(b []byte) int64 {
	switch len(b) {
	case 8:
		return int64(binary.BigEndian.Uint64(b)) //nolint:gosec // two's complement
	case 2:
		return int64(int16(binary.BigEndian.Uint16(b))) //nolint:gosec // two's complement
	}
	return 0
}

func rawTime(b []byte) time.Time { return time.UnixMicro(rawInt(b) + epoch2000).UTC() }
