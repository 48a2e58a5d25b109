package e2e

import (
	"fmt"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

// patience is how long nothing at all may move, on a slow and busy machine, before a test gives up.
const patience = 2 * time.Minute

// enough is how long even a test whose runs move waits for one thing, so that what never comes true is told before go's own limit.
const enough = 4 * patience

// until asks again and again until ok. It gives up when it has not been for patience, and in that time no run of the console
// has come a step further either: training takes as long as the machine needs.
func (p *process) until(ok func() bool) bool {
	seen, began, looked := "", time.Now(), time.Time{}
	moved := began
	for ; !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Since(looked) > time.Second {
			if now := p.movement(); now != seen {
				seen, moved = now, time.Now()
			}
			looked = time.Now()
		}
		if time.Since(moved) > patience || time.Since(began) > enough {
			return false
		}
	}
	return true
}

// movement changes with every step and every change of state of the console's newest runs. It is "" while nobody answers.
func (p *process) movement() string {
	list, err := getJSON[struct{ Items []run.Run }](p, "/api/v1/runs")
	if err != nil {
		return ""
	}
	out := ""
	for _, r := range list.Items {
		out += fmt.Sprintln(r.ID, r.State, r.Attempt, r.Progress.Step)
	}
	return out
}

// prints puts off a timer with everything that is printed.
type prints struct{ *time.Timer }

func (p prints) Write(b []byte) (int, error) {
	p.Reset(2 * patience)
	return len(b), nil
}
