package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

func TestRunsAreTaggedNotedAndArchived(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	ended, live := string(c.Add(run.Run{Name: "ended", State: run.Failed})), string(c.Add(run.Run{Name: "live", State: run.Running}))

	c.cotrain("run", "tag", ended).want(t, exitUsage, "--add")
	c.cotrain("run", "tag", ended, "--add", "paper,baseline", "--add", "two words").want(t, exitDone, ended, "tags: baseline, paper, two words")
	if got := fromJSON[run.Run](t, c.cotrain("run", "tag", ended, "--remove", "paper", "--format", "json").want(t, exitDone)); !slices.Equal(got.Options.Tags, []string{"baseline", "two words"}) {
		t.Errorf("tags %v", got.Options.Tags)
	}
	c.cotrain("run", "tag", ended, live, "--add", "both").want(t, exitDone, ended+"  changed", live+"  changed")
	c.cotrain("run", "tag", ended, "r-0000000000", "--add", "x").want(t, exitRefused, "r-0000000000", "1 of 2 runs were not changed")
	c.cotrain("run", "tag", "r-0000000000", "--add", "x").want(t, exitNotFound)
	c.cotrain("run", "tag", live, "--add", "base\u200bline").want(t, exitRefused, "invisible character U+200B")

	c.cotrain("run", "note", ended, "the first\nof two lines").want(t, exitDone, "noted")
	c.cotrain("run", "note", ended, "another").want(t, exitRefused, "has a note: the first", "of two lines", "--replace")
	c.cotrain("run", "note", ended, "another", "--replace").want(t, exitDone, "noted", "the note was: the first")
	shown := c.cotrain("run", "show", ended).want(t, exitDone, "another", "baseline", "both").out
	if strings.Contains(shown, "Archived") {
		t.Errorf("it is not archived: %s", shown)
	}
	if got := fromJSON[run.Run](t, c.cotrain("run", "note", ended, "", "--replace", "--format", "json").want(t, exitDone)); got.Note != "" {
		t.Errorf("note %q", got.Note)
	}

	c.cotrain("run", "archive", live).want(t, exitRefused, "is running and cannot be archived")
	c.cotrain("run", "archive", ended).want(t, exitDone, "archived")
	c.cotrain("run", "show", ended).want(t, exitDone, "Archived", "yes")
	names := func(args ...string) (out []string) {
		for _, r := range fromJSON[client.RunPage](t, c.cotrain(append([]string{"run", "list", "--format", "json"}, args...)...).want(t, exitDone)).Items {
			out = append(out, r.Name)
		}
		return out
	}
	if got := names(); !slices.Equal(got, []string{"live"}) {
		t.Errorf("without archived ones: %v", got)
	}
	if got := names("--archived", "only", "--tag", "both"); !slices.Equal(got, []string{"ended"}) {
		t.Errorf("archived: %v", got)
	}
	c.cotrain("run", "archive", ended, "--undo").want(t, exitDone, "in the lists")
	if got := names("--tag", "both", "--sort", "name"); !slices.Equal(got, []string{"ended", "live"}) {
		t.Errorf("brought back: %v", got)
	}
	c.SetMetric(run.ID(ended), "eval/loss", nil, []run.CurvePoint{{Step: 1, Mean: 3, Min: 3, Max: 3, Workers: 1}, {Step: 2, Mean: 2.5, Min: 2.25, Max: 2.75, Workers: 1}})
	c.cotrain("run", "list", "--sort", "metric:eval/loss:low").want(t, exitDone, "EVAL/LOSS LOW", "2.25")
	c.cotrain("run", "list", "--sort", "metric:nope:low").want(t, exitDone, "live", "no run of the list has the metric nope")
}
