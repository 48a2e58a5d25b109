package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// eventsPage is how many events one request asks for.
const eventsPage = 1000

type runEventsCmd struct {
	Remote `embed:""`
	ID     run.ID `arg:"" help:"ID of the run."`
	Tail   int    `default:"-1" placeholder:"N" help:"Only the newest events, this many."`
}

// Run prints events, oldest first, one JSON object a line with --format json.
func (c *runEventsCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if c.Tail != -1 && (c.Tail < 1 || c.Tail > maxTail) {
		return fault.Usage(fmt.Sprintf("--tail must be from 1 to %d", maxTail), "leave it out for all events")
	}
	q := client.EventsQuery{Limit: eventsPage}
	if c.Tail > 0 {
		q = client.EventsQuery{Tail: c.Tail}
	}
	for {
		page, err := cl.Events(ctx, c.ID, q)
		if err != nil {
			return err
		}
		for _, ev := range page.Items {
			if err := c.show(p, ev); err != nil {
				return err
			}
		}
		if !page.More || c.Tail > 0 {
			return nil
		}
		q.After = page.Next
	}
}

func (c *runEventsCmd) show(p *process, ev run.Event) error {
	if c.Format == "json" {
		return p.printJSON(ev)
	}
	return p.print("%s\n", p.text(eventLine(ev)))
}

// eventLine says what happened when, to whom and why, in one line.
func eventLine(ev run.Event) string {
	title := string(ev.To)
	if title == "" {
		title = strings.ReplaceAll(ev.Kind, "_", " ")
	}
	line := ev.At.Local().Format("2006-01-02 15:04:05") + "  " + title
	if ev.Level == "error" || ev.Level == "warning" {
		line += " (" + ev.Level + ")"
	}
	if ev.Rank >= 0 {
		line += "  worker " + strconv.Itoa(ev.Rank)
	}
	if ev.Message != "" {
		line += "  " + strings.Join(strings.Fields(ev.Message), " ")
	}
	if ev.Actor != "" {
		line += "  (by " + ev.Actor + ")"
	}
	return line
}
