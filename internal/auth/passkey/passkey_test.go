package passkey_test

import (
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/auth/passkey"
	"github.com/cotrain/cotrain/internal/auth/passkey/passkeytest"
)

// FuzzAnswers sends what is no browser's answer: nothing panics, and nothing counts but what the device has signed.
func FuzzAnswers(f *testing.F) {
	site, ann := passkey.Site{Domain: "localhost", Origin: "http://localhost"}, passkey.Person{ID: "u-ann", Name: "ann"}
	challenges := passkey.NewChallenges(func() time.Time { return time.Unix(1_700_000_000, 0) })
	d := passkeytest.New(f, site.Origin)
	answer := func(options any, err error, do func(any) string) string {
		if err != nil {
			f.Fatal(err)
		}
		return do(options)
	}
	options, err := site.Make(challenges.New("make"), ann, nil)
	made := answer(options, err, d.Make)
	options, err = site.Use(challenges.New("use"), nil)
	used := answer(options, err, d.Use)
	m, err := passkey.ParseMade(made)
	if err != nil {
		f.Fatal(err)
	}
	key, err := site.Check(m, ann)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(made)
	f.Add(used)
	f.Add(`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"o2NmbXRkbm9uZWdhdHRTdG10oGhhdXRoRGF0YUA"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := passkey.ParseMade(text); err == nil && challenges.Is(m.Challenge, "make") {
			if got, err := site.Check(m, ann); err == nil && got.Domain != site.Domain {
				t.Errorf("%+v", got)
			}
		}
		if u, err := passkey.ParseUsed(text); err == nil {
			if _, err := site.Verify(u, key); err == nil && !challenges.Is(u.Challenge, "use") {
				t.Errorf("counts: %s", text)
			}
		}
	})
}
