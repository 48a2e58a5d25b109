package static_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"testing"
)

// simulated runs a script of testdata, and reads what it prints.
func simulated(t *testing.T, to any, script string, args ...string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed (make build needs it too)")
	}
	cmd := exec.CommandContext(t.Context(), node, append([]string{"testdata/" + script}, args...)...)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, to)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestTabsOfABrowserMissAndRepeatNothing has tabs open, hide, close, crash and stand still while connections are cut and the console
// restarts. Each tab checks what it is told; see testdata/tabs.js.
func TestTabsOfABrowserMissAndRepeatNothing(t *testing.T) {
	t.Parallel()
	for hub, seeds := range map[string]int{"shared": 9, "own": 3} {
		for seed := range seeds {
			t.Run(fmt.Sprint(hub, seed), func(t *testing.T) {
				t.Parallel()
				var got struct {
					Faults     []string
					Tabs, Cuts int
					Most       struct{ Open, Sent int }
				}
				simulated(t, &got, "tabs.js", fmt.Sprint(seed+1), hub)
				for _, fault := range got.Faults {
					t.Error(fault)
				}
				if hub == "shared" && got.Most.Open != 1 {
					t.Errorf("%d sockets were open at once", got.Most.Open)
				}
				if got.Tabs < 10 || got.Cuts < 30 {
					t.Errorf("only %d tabs and %d cuts", got.Tabs, got.Cuts)
				}
			})
		}
	}
}

func TestARefusalIsForTheTabsThatItIsAbout(t *testing.T) {
	t.Parallel()
	type seen struct {
		Refused, Live []bool
		Sockets       int
	}
	var got struct {
		Before, Topic, Again, SignedOut seen
		Others                          bool
		Many                            struct {
			Live, Current bool
			Sockets, Most int
		}
		Subscriptions struct {
			Current       bool
			Sockets, Most int
		}
		Left   int
		Faults []string
	}
	simulated(t, &got, "refusals.js")
	for name, c := range map[string]struct {
		got, want any
	}{
		"three tabs":                             {got.Before, seen{[]bool{false, false, false}, []bool{true, true, true}, 1}},
		"two of them may not follow their topic": {got.Topic, seen{[]bool{true, false, true}, []bool{false, true, false}, 1}},
		"the other one goes on":                  {got.Others, true},
		"they may again":                         {got.Again, seen{[]bool{true, false, true}, []bool{true, true, true}, 3}},
		"a sign-out is told to all":              {got.SignedOut.Refused, []bool{true, true}},
		"more topics than one socket may have": {got.Many, struct {
			Live, Current bool
			Sockets, Most int
		}{true, true, 6, 16}},
		"more subscriptions": {got.Subscriptions, struct {
			Current       bool
			Sockets, Most int
		}{true, 1, 100}},
		"sockets that are left":            {got.Left, 0},
		"what the console does not accept": {len(got.Faults), 0},
	} {
		if fmt.Sprint(c.got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
}
