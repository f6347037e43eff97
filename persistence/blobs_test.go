package persistence_test

import (
	"path"
	"strings"
	"testing"

	"kith/persistence"
)

// FuzzValidBlobPath: a valid path is clean, relative and of plain characters, so
// that it means the same to every file system and in every URL.
func FuzzValidBlobPath(f *testing.F) {
	for _, seed := range []string{"ProfileProto/users/0190a1.jpg", "a", "", "..", "a/../b", "/a", "a/", ".hidden", "a\x00", "é", strings.Repeat("a", 257)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if !persistence.ValidBlobPath(p) {
			return
		}
		if path.Clean("/"+p) != "/"+p || strings.HasPrefix(p, ".") || strings.Contains(p, "/.") || len(p) > 256 ||
			strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") != "" {
			t.Errorf("%q is valid", p)
		}
	})
}

func TestThePathOfAProfilePhotoIsValid(t *testing.T) {
	t.Parallel()
	if !persistence.ValidBlobPath("ProfileProto/users/0190a1b2c3d4e5f60718293a4b5c6d7e.jpg") {
		t.Error("it is not")
	}
}
