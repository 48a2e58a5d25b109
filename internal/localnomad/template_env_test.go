package localnomad

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvTemplatesAreReadAsNomadReadsThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]map[string]string{
		"":                        {},
		"# c\n\n A = 1 \nB=\n":    {"A": "1", "B": ""},
		"export A=x\nexport=y":    {"A": "x", "export": "y"},
		"A=x y # comment":         {"A": "x y"},
		"A=x#y":                   {"A": "x"},
		`A="x # y" # c`:           {"A": "x # y"},
		`A='x \n "y" # z'`:        {"A": `x \n "y" # z`},
		`A="a\n\t\r\\\"\/\b\f"`:   {"A": "a\n\t\r\\\"/\b\f"},
		`A="\u00e9\ud83d\ude00b"`: {"A": "é\U0001F600b"},
		`A=a" b "c' d '`:          {"A": "a b c d "},
		"A.b/c=1":                 {"A.b/c": "1"},
		"A=é = x":                 {"A": "é = x"},
	} {
		got, err := parseEnvFile("f", text)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%q: %v %s", text, err, d)
		}
	}
	for _, text := range []string{"A", "=x", "1A=x", "A-B=x", `A="x`, "A='x", `A="\x"`, `A="\u12"`, `A="\ud83d"`, `A="x\`, "A=\x01"} {
		if got, err := parseEnvFile("f", "OK=1\n"+text); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q gives %v, %v", text, got, err)
		}
	}
}

func FuzzJSONStringsAreEnvValues(f *testing.F) {
	for _, s := range []string{"", "a", "a\nb", `"`, `\`, "#", "é\U0001F600", "\u2028<>&", "\x01\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ToValidUTF8(s, "?")
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseEnvFile("f", "A="+string(text))
		if err != nil || got["A"] != s {
			t.Errorf("%q becomes %q, %v", s, got["A"], err)
		}
	})
}
