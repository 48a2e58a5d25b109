package fault_test

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
)

func TestATextFromOutsideIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":             "",
		"0123456789":   "0123456789",
		"0123456789a":  "0123456…",
		"012345é89ab":  "012345…", // é would begin at the last byte that fits
		"\xff":         "\uFFFD",
		"ok\xff\xfe12": "ok\uFFFD12",
	} {
		if got := fault.Clip(in, 10); got != want || len(got) > 10 {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	if got := fault.Quote(strings.Repeat("é", 200)); len(got) > fault.MaxQuoted || !strings.HasSuffix(got, "é…") {
		t.Errorf("quoted it is %q", got)
	}
}
