package diff

import (
	"strings"
	"testing"
)

func TestLinesThatStayAreKeptNearChangesOnly(t *testing.T) {
	t.Parallel()
	var a []string
	for i := range 20 {
		a = append(a, strings.Repeat("x", i+1))
	}
	b := append([]string{}, a...)
	b[10] = "new"
	var ops strings.Builder
	for _, l := range diffLines(a, b) {
		ops.WriteByte(l.Op)
	}
	if got := ops.String(); got != "@   -+   @" {
		t.Errorf("ops %q", got)
	}
	if diffLines(a, a) != nil || len(diffLines(nil, []string{"x"})) != 1 {
		t.Error("the same differs, or nothing and something do not")
	}
	long := strings.Split(strings.Repeat("a\nb\n", 3000), "\n")
	if got := diffLines(long, strings.Split(strings.Repeat("c\nd\n", 3000), "\n")); len(got) < 12000 {
		t.Errorf("%d lines of two long texts", len(got))
	}
}
