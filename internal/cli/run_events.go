package cli

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// eventsPage is how many events one request asks for.
const eventsPage = 1000

type runEventsCmd struct {
	Remote `embed:""`
	ID     string `arg:"" help:"ID of the run."`
	Tail   int    `default:"-1" placeholder:"N" help:"Only the newest events, this many."`
}

// eventPage is a piece of a run's history as the API sends it.
type eventPage struct {
	Items []run.Event `json:"items"`
	Next  int64       `json:"next"`
	More  bool        `json:"more"`
}

// Run prints events, oldest first, one JSON object a line with --format json.
func (c *runEventsCmd) Run(ctx context.Context, p *process) error {
	if c.Tail != -1 && (c.Tail < 1 || c.Tail > maxTail) {
		return fault.Usage(fmt.Sprintf("--tail must be from 1 to %d", maxTail), "leave it out for all events")
	}
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(eventsPage)}}
	if c.Tail > 0 {
		query = url.Values{"tail": {strconv.Itoa(c.Tail)}}
	}
	for {
		var page eventPage
		if err := cl.get(ctx, runPath(c.ID)+"/events", query, &page); err != nil {
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
		query.Set("after", strconv.FormatInt(page.Next, 10))
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
