package broker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kith/streams"
)

// Names in the data dir.
const (
	metaFile      = "meta.json"
	topicsFile    = "topics.json"
	partitionsDir = "partitions"
	segmentSuffix = ".dat"
	asideSuffix   = ".old"
)

// logFiles are the files that are appended to and whose torn ends the broker
// passes over, to append behind them what it then never reads again.
func logFiles() []string { return []string{"groups.log", "pids.log"} }

// putAside moves the data dir out of the way in one step, so that no start ever
// finds half of it, and removes it.
func putAside(dir string) error {
	if err := os.Rename(dir, dir+asideSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put the data dir aside: %w", err)
	}
	return clearAside(dir)
}

func clearAside(dir string) error {
	if err := os.RemoveAll(dir + asideSuffix); err != nil {
		return fmt.Errorf("remove the former data dir: %w", err)
	}
	return nil
}

// inspect returns an error when the data dir has something in it that the broker
// would refuse, misread or lose silently. It mends the torn ends of the log
// files: what is lost with them is the newest positions of consumers, who then
// see some records again.
func inspect(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the data dir: %w", err)
	}
	// Without it the broker takes the dir for a new one, and appends to what it
	// did not read.
	if err := checkJSON(filepath.Join(dir, metaFile)); err != nil {
		return err
	}
	if err := checkJSON(filepath.Join(dir, topicsFile)); err != nil {
		return err
	}
	for _, name := range logFiles() {
		if err := mendLog(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	parts, err := os.ReadDir(filepath.Join(dir, partitionsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the partitions: %w", err)
	}
	for _, p := range parts {
		compacted := strings.HasPrefix(p.Name(), streams.TopicLatestUsers+"-")
		if err := checkPartition(filepath.Join(dir, partitionsDir, p.Name()), compacted); err != nil {
			return fmt.Errorf("partition %s: %w", p.Name(), err)
		}
	}
	return nil
}

func checkJSON(path string) error {
	b, err := os.ReadFile(path) //nolint:gosec // in the broker's own dir
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if !json.Valid(b) {
		return fmt.Errorf("%s is not JSON", filepath.Base(path))
	}
	return nil
}

// logHeader is what precedes an entry of a log file: length, checksum.
const logHeader = 8

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once by the package

// mendLog cuts a log file off after its last whole entry.
func mendLog(path string) error {
	b, err := os.ReadFile(path) //nolint:gosec // in the broker's own dir
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if whole := wholeEntries(b); whole < len(b) {
		if err := os.Truncate(path, int64(whole)); err != nil {
			return fmt.Errorf("mend: %w", err)
		}
	}
	return nil
}

// wholeEntries returns how many bytes of a log file are whole entries.
func wholeEntries(b []byte) (whole int) {
	for rest := b; len(rest) >= logHeader; rest = b[whole:] {
		n := uint64(binary.LittleEndian.Uint32(rest))
		if n < 2 || n > uint64(len(rest)-logHeader) { //nolint:gosec // not negative
			return whole
		}
		entry := rest[logHeader : logHeader+n]
		if crc32.Checksum(entry, castagnoli()) != binary.LittleEndian.Uint32(rest[4:]) {
			return whole
		}
		whole += logHeader + int(n) //nolint:gosec // at most len(b)
	}
	return whole
}

// checkPartition checks the segments of a partition: every batch whole, and each
// beginning where the one before ended, except that compaction leaves gaps. The
// end of the last segment may be torn: the broker cuts it off, and whether that
// lost anything is for the end offsets to say.
func checkPartition(dir string, compacted bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	var bases []int64
	for _, e := range entries {
		if base, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), segmentSuffix), 10, 64); err == nil && strings.HasSuffix(e.Name(), segmentSuffix) {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	next := int64(-1) // any
	for i, base := range bases {
		end, torn, err := checkSegment(filepath.Join(dir, strconv.FormatInt(base, 10)+segmentSuffix), next, compacted)
		switch {
		case err != nil:
			return fmt.Errorf("segment %d: %w", base, err)
		case torn && i < len(bases)-1:
			return fmt.Errorf("segment %d: it ends within a batch", base)
		}
		next = end
	}
	return nil
}

// The head of a batch, as Kafka writes it: base offset, length of what follows
// the length, leader epoch, magic, checksum of what follows it, attributes, and
// the last offset relative to the base.
const (
	batchHead    = 12
	batchMin     = 61
	batchCRC     = 17
	batchBody    = 21
	batchLast    = 23
	maxBatchSize = 1 << 30
)

// checkSegment reads a segment and returns the offset after its last batch. next
// is where it must begin, -1 for anywhere.
func checkSegment(path string, next int64, compacted bool) (end int64, torn bool, err error) {
	f, err := os.Open(path) //nolint:gosec // in the broker's own dir
	if err != nil {
		return 0, false, fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := bufio.NewReaderSize(f, 1<<20)
	var batch bytes.Buffer
	for {
		batch.Reset()
		if _, err := io.CopyN(&batch, r, batchHead); errors.Is(err, io.EOF) {
			return next, batch.Len() > 0, nil
		} else if err != nil {
			return 0, false, fmt.Errorf("read: %w", err)
		}
		length := binary.BigEndian.Uint32(batch.Bytes()[8:])
		if length < batchMin-batchHead || length > maxBatchSize {
			return next, true, nil
		}
		if _, err := io.CopyN(&batch, r, int64(length)); errors.Is(err, io.EOF) {
			return next, true, nil
		} else if err != nil {
			return 0, false, fmt.Errorf("read: %w", err)
		}
		b := batch.Bytes()
		if crc32.Checksum(b[batchBody:], castagnoli()) != binary.BigEndian.Uint32(b[batchCRC:]) {
			return next, true, nil
		}
		base := int64(binary.BigEndian.Uint64(b)) //nolint:gosec // as Kafka has it
		if next >= 0 && (base < next || base > next && !compacted) {
			return 0, false, fmt.Errorf("a batch begins at %d, where %d was to be", base, next)
		}
		next = base + int64(binary.BigEndian.Uint32(b[batchLast:])) + 1
	}
}
