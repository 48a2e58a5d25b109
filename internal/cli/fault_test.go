package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/api/apitest"
	"github.com/cotrain/cotrain/internal/auth"
	"github.com/cotrain/cotrain/internal/chart"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/rounds"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/stream"
	"github.com/cotrain/cotrain/internal/web"
	"github.com/cotrain/cotrain/internal/web/help"
	"github.com/cotrain/cotrain/static"
)

// whole is what the pages need of a console in memory beside what the API does.
type whole struct{ *apitest.Console }

func (w whole) CountRuns(context.Context, run.RunFilter) (run.Counts, error) { return nil, nil }
func (w whole) BestRun(context.Context, run.SweepID) (run.Run, error) {
	return run.Run{}, fault.ErrNotFound
}
func (w whole) SavedCheckpoints(context.Context, run.ID) ([]run.SavedCheckpoint, error) {
	return nil, nil
}

func (w whole) LogUsage(context.Context) ([]run.LogUsage, error) { return nil, nil }

func (w whole) Outlook(ctx context.Context, id run.ID) (run.Outlook, error) {
	r, err := w.Run(ctx, id)
	return run.Outlook{Run: r}, err
}

func (w whole) LaunchOf(context.Context, run.Submission) (run.Launch, error) {
	return run.Launch{}, nil
}

// newWhole is a console with pages, API and a command line that talks to it.
func newWhole(t *testing.T) *console {
	t.Helper()
	c := &console{Console: apitest.New(), t: t, files: map[string]string{}, now: time.Date(2026, 1, 2, 3, 10, 0, 0, time.UTC)}
	assets, err := static.New()
	if err != nil {
		t.Fatal(err)
	}
	w := whole{c.Console}
	pages := web.New(web.Deps{
		Store: w, Control: w, Survey: w, Secrets: &c.Secrets, Audit: &c.Audit, Feed: c.Hub, Stream: stream.New(stream.Options{Feed: c.Hub, Guard: apitest.Open{}, Auth: auth.Local{}, Logger: slog.New(slog.DiscardHandler)}), Assets: assets, Help: &help.Library{}, Guard: apitest.Open{}, Cache: chart.NewCache(1<<20, "test"), Rounds: rounds.NewCache(), Auth: auth.Local{},
		API: c.handler(), Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return c.now },
	})
	srv := httptest.NewServer(pages.Handler())
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func (c *console) read(path string) (status int, body string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.url+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestPageAPIAndCommandLineSayTheSameOfEachFault(t *testing.T) {
	t.Parallel()
	c := newWhole(t)
	const inside = "/var/lib/inner.db at 10.1.2.3"
	cases := map[string]error{
		"a key of another submission": fault.New(fault.ErrKeyReused, "The key \"k\" belongs to run r-0123456789.", ""),
		"a run that has ended":        fault.New(fault.ErrAlreadyEnded, "Run r-0123456789 has already succeeded.", ""),
		"a run that does not exist":   run.NoRun("nope"),
		"an outdated template":        &run.OutdatedError{Template: "mine", Expected: 1, Newest: 2},
		"what the storage refuses":    &storage.Refusal{Path: "models", Reason: "It is not a folder.", Fix: "Ask for the folder that it is in."},
		"fields":                      run.FieldErrors{{Field: "name", Value: "x", Rule: "is bad", Fix: "change it"}},
		"a deadline":                  context.DeadlineExceeded,
		"what has no words":           errors.New("no words"),
	}
	for _, k := range fault.Kinds() {
		cases[string(k)] = k.Fault().Because(errors.New(inside))
	}
	for name, cause := range cases {
		c.Fail(fmt.Errorf("read %s: %w", inside, cause))
		want := fault.Of(cause)

		status, html := c.read("/cluster")
		doc, err := goquery.NewDocumentFromReader(strings.NewReader(html))
		if err != nil {
			t.Fatal(err)
		}
		title, text := doc.Find("h1").Text(), strings.TrimSpace(doc.Find(".error-page h1 + p").Text())
		if status != want.Kind.Status() || title != want.Title || text != want.Text() || doc.Find("[data-error-code]").Text() != string(want.Kind) || doc.Find(`.error-page a[href="`+want.Kind.Help()+`"]`).Length() != 1 {
			t.Errorf("%s: the page says %d %q %q, want %d %q %q", name, status, title, text, want.Kind.Status(), want.Title, want.Text())
		}

		status, body := c.read("/api/v1/nodes")
		var p client.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatalf("%s: %v in %s", name, err, body)
		}
		if status != want.Kind.Status() || p.Code != want.Kind || p.Title != want.Title || p.Detail != want.Text() || p.Type != want.Kind.Help() {
			t.Errorf("%s: the API says %d %+v", name, status, p)
		}

		r := c.cotrain("node", "list").want(t, want.Kind.Exit())
		if line, _, _ := strings.Cut(r.errOut, "\n"); line != "cotrain: "+want.Title+": "+want.Text() {
			t.Errorf("%s: the command line says %q", name, line)
		}
		if !strings.Contains(r.errOut, "\"cotrain explain "+string(want.Kind)+"\"") {
			t.Errorf("%s: the command line names no code: %q", name, r.errOut)
		}
		if strings.Contains(html+body+r.errOut+r.out, "inner.db") || strings.Contains(html+body+r.errOut, "10.1.2.3") {
			t.Errorf("%s: the inside reaches the client", name)
		}
	}
}

func TestWhatIsNamedAndDoesNotExistIsNotFound(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	for _, args := range []string{
		"run show nope", "run clone nope", "run clone r-0000000000", "run logs nope", "run logs nope --follow", "run events nope", "run metrics nope", "run launch nope",
		"run reproduce nope", "run stop nope", "run delete nope --yes", "run list --sweep nope", "run list --sweep s-0000000000",
		"run submit --name x --clone nope", "run submit --name x --template nope", "run submit --name x --template a@x", "run submit --name x --preset nope", "run submit --preset nope --dry-run",
		"sweep show nope", "sweep stop nope", "sweep delete nope --yes", "sweep submit --name x --clone nope --grid nodes=1,2", "sweep submit --name x --preset nope --grid nodes=1,2",
		"template show nope", "template show a@x", "template show debug@2", "template versions nope", "template export nope", "template diff nope", "template delete nope --yes", "template save x --template nope", "template save x --clone nope",
		"diff nope debug", "diff debug run:nope", "diff preset:nope debug", "config estimate --preset nope",
	} {
		if r := c.cotrain(strings.Fields(args)...).want(t, exitNotFound, "No such"); r.out != "" {
			t.Errorf("%s: %q", args, r.out)
		}
	}
}
