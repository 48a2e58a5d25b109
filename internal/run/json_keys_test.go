package run

import (
	"strings"
	"testing"
)

func TestRepeatedKeysAreFoundWhereverTheyStand(t *testing.T) {
	t.Parallel()
	const none = "-"
	for text, want := range map[string]string{
		`{}`: "", `{"a":1,"b":2}`: "", `{"a":1,"a":2}`: "a", `{"a":1,"A":2}`: "", `{"a":{"b":1},"c":{"b":1}}`: "", `{"a":{"b":1,"c":[],"b":2}}`: "a.b",
		`{"a":[{"b":1},{"b":1}]}`: "", `{"a":[1,{"b":1,"b":1}]}`: "a[1].b", `[{"a":"a","b":"a"},[]]`: "", `{"a":"b","b":"a","a":null}`: "a", `{"a":1,"\u0061":2}`: "a",
		`{"a":{},"a":{}}`: "a", `{"":1,"":2}`: "empty", `{"a":[],"b":{},"a":1}`: "a", `"a"`: "", `5`: "", ``: "", `{"a":1,`: "", `nonsense`: "", `{"a":1} {"a":1}`: "", `{"a":1,"a":2`: "a",
	} {
		if want == "" {
			want = none
		}
		got, found := DuplicateKey([]byte(text))
		if !found {
			got = none
		}
		if got != strings.TrimPrefix(want, "empty") {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	deep := strings.Repeat(`{"a":[`, 50000)
	if got, found := DuplicateKey([]byte(deep)); found {
		t.Errorf("%.20q", got)
	}
}
