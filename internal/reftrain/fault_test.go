package reftrain

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFaultsAreRead(t *testing.T) {
	t.Parallel()
	got, err := parseFaults("exit1@20, exit137@3:2,garbage@10,longline@5,flood=100000@5,silent,hang@12,binary@3,silent:1")
	if err != nil {
		t.Fatal(err)
	}
	want := []fault{
		{"exit", 1, 20, -1}, {"exit", 137, 3, 2}, {"garbage", 0, 10, -1}, {"longline", 0, 5, -1}, {"flood", 100000, 5, -1},
		{"silent", 0, 0, -1}, {"hang", 0, 12, -1}, {"binary", 0, 3, -1}, {"silent", 0, 0, 1},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(fault{})); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"exit@5", "exit0@5", "exit256@5", "exit1", "exit1@0", "exit1@x", "flood@5", "flood=0@5", "hang=3@5", "hang@5:x", "boom@1"} {
		if f, err := parseFaults(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, f)
		}
	}
}

func TestFaultsOfAnAttempt(t *testing.T) {
	t.Parallel()
	const list = "exit1@20#1, kill@30:2#2,silent"
	for attempt, want := range map[string]string{"": "exit1@20,silent", "1": "exit1@20,silent", "2": " kill@30:2,silent", "3": "silent"} {
		if got := faultsOf(list, attempt); got != want {
			t.Errorf("in attempt %q they are %q, want %q", attempt, got, want)
		}
	}
}

func TestFaultsDoWhatTheySay(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		code  int
		check func(out, errs string) bool
	}{
		"exit7@2": {7, func(_, errs string) bool {
			return strings.Contains(errs, "injected fault") && !strings.Contains(errs, "step: 3")
		}},
		"garbage@2":    {0, func(out, _ string) bool { return strings.Contains(out, "COTRAIN {\"v\":1,\"kind\":\n") }},
		"longline@2":   {0, func(out, _ string) bool { return strings.Contains(out, strings.Repeat("x", 1<<20)+"\n") }},
		"flood=5000@2": {0, func(out, _ string) bool { return strings.Count(out, "flood line") == 5000 }},
		"binary@2":     {0, func(out, _ string) bool { return strings.Contains(out, "\x00") }},
		"silent":       {0, func(out, errs string) bool { return out+errs == "" }},
		"silent:1":     {0, func(out, errs string) bool { return strings.Contains(errs, "step: 3,") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, tiny(3, ""), 1)
			c.env = map[string]string{"COTRAIN_TRAINER_FAULT": name}
			w := c.all()[0]
			w.mustEnd(tt.code)
			if !tt.check(w.out.String(), w.err.String()) {
				t.Errorf("stdout %.300q, stderr %.300q", w.out.String(), w.err.String())
			}
		})
	}
}
