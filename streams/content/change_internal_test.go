package content

import (
	"testing"

	"kith/actors/user"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"id":"1","uid":"0190a1b2c3d47e5f8001020304050607","streams":1,"videos":-2}`, `{"id":"1","uid":"0190a1b2c3d47e5f8001020304050607","streams":1.5}`,
		`{"id":"","uid":""}`, `null`, `[]`, `{"id":"\u0000","uid":"0190a1b2c3d47e5f8001020304050607","videos":9223372036854775807}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := parse(value)
		if err != nil {
			return
		}
		if _, err := user.ParseContentID(c.command.ID); err != nil || c.uid.String() == "" {
			t.Fatalf("%q was read as %+v: %v", value, c, err)
		}
	})
}
