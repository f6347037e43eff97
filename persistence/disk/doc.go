// Package disk keeps uploaded photos as files below one directory, for a single
// node without an object store.
//
//   - store.go: Config, Store; looking at what is there, opening, deleting.
//   - put.go: taking an upload.
//   - sign.go: the URLs that authorise an upload.
//
// Invariants:
//
//   - A file appears whole or not at all, also after a crash: it is written beside
//     its place, synced, checked and renamed. Who reads the one before goes on
//     reading that.
//   - Every file is a photo within the limits.
//   - Nothing outside the directory is touched: paths are checked, and the
//     operating system resolves them within the directory.
//
// All methods may be called concurrently. One process at a time may use a
// directory, since the next one clears what a crash left behind.
package disk
