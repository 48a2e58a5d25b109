package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/api/apitest"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/router"
	"github.com/cotrain/cotrain/internal/run"
)

// console is a console in memory with a command line that talks to it.
type console struct {
	*apitest.Console
	t        *testing.T
	url      string
	terminal bool
	stdin    string
	files    map[string]string
	env      map[string]string
	now      time.Time
	onOutput func(string) // told of every write to stdout

	home        string // where the person's configuration is
	waited      []time.Duration
	errTerminal bool
	browse      func(string) error
}

// result is what a command left behind.
type result struct {
	code        int
	out, errOut string
}

func newConsole(t *testing.T) *console {
	t.Helper()
	c := &console{Console: apitest.New(), t: t, files: map[string]string{}, home: t.TempDir(), now: time.Date(2026, 1, 2, 3, 10, 0, 0, time.UTC)}
	srv := httptest.NewServer(c.handler())
	t.Cleanup(srv.Close)
	c.url = srv.URL
	return c
}

func (c *console) handler() router.Handler { return c.Handler(slog.New(slog.DiscardHandler)) }

// cotrain runs a command to its end.
func (c *console) cotrain(args ...string) result {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	return c.cotrainContext(ctx, args...)
}

func (c *console) cotrainContext(ctx context.Context, args ...string) result {
	var out, errOut output
	out.told = c.onOutput
	code := c.process(&out, &errOut, args...).run(ctx)
	return result{code, out.String(), errOut.String()}
}

// cotrainTo is cotrain with a stderr that tells of what is written to it.
func (c *console) cotrainTo(errOut *output, args ...string) result {
	var out output
	out.told = c.onOutput
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	code := c.process(&out, errOut, args...).run(ctx)
	return result{code, out.String(), errOut.String()}
}

func (c *console) process(stdout, stderr io.Writer, args ...string) *process {
	return &process{
		programs: programs, args: args, stdin: strings.NewReader(c.stdin), stdout: stdout, stderr: stderr, terminal: c.terminal,
		environ: func(name string) (string, bool) {
			if name == "COTRAIN_ADDR" && c.url != "" {
				return c.url, true
			}
			value, ok := c.env[name]
			return value, ok
		},
		readFile: func(name string) ([]byte, error) {
			if s, ok := c.files[name]; ok {
				return []byte(s), nil
			}
			return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
		},
		now: func() time.Time { return c.now }, poll: 2 * time.Millisecond, stderrTerminal: c.errTerminal, browse: c.browse,
		wait: func(_ context.Context, d time.Duration) error {
			c.waited = append(c.waited, d)
			return nil
		},
		configDir: func() (string, error) { return c.home, nil },
	}
}

// output is a buffer that may be read while it is written.
type output struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	told func(string)
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	n, err := o.buf.Write(b)
	o.mu.Unlock()
	if o.told != nil {
		o.told(string(b))
	}
	return n, err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// want checks the exit code, and that texts are in the output of either kind.
func (r result) want(t *testing.T, code int, texts ...string) result {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.code, code, r.out, r.errOut)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.errOut, text) {
			t.Errorf("no %q in\nstdout: %s\nstderr: %s", text, r.out, r.errOut)
		}
	}
	return r
}

// fromJSON decodes the only line of stdout.
func fromJSON[T any](t *testing.T, r result) (v T) {
	t.Helper()
	if strings.Count(r.out, "\n") != 1 {
		t.Errorf("not one line: %q", r.out)
	}
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		t.Fatalf("%v in %q (stderr %q)", err, r.out, r.errOut)
	}
	return v
}

func TestBadUsageIsSaidWithExitCode2(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.files["empty.toml"], c.files["big.toml"] = " \n", strings.Repeat("#", maxConfigFile+1)
	for args, text := range map[string]string{
		"":                          "expected one of",
		"nonsense":                  "nonsense",
		"run":                       "cotrain run --help",
		"run lst":                   "list",
		"run list --nothing":        "unknown flag --nothing",
		"run list --format xml":     "--format",
		"run list --limit ten":      "--limit",
		"run list --limit 0":        "--limit",
		"run list --state asleep":   "one of",
		"run show":                  "expected",
		"run submit --preset debug": "--name",
		"run submit --name x --preset a --file b":      "can't be used together",
		"run submit --name x --file missing.toml":      "missing.toml",
		"run submit --name x --file empty.toml":        "is empty",
		"run submit --name x --file big.toml":          "more than",
		"run submit --name x --preset debug --set a":   "field=value",
		"run submit --name x --preset debug --set =":   "field=value",
		"run submit --name x --preset debug --set =5":  "field=value",
		"run submit --name x --preset debug --nodes x": `nodes = "x": must be a whole number from 1 to 1024; use 1`,
		"run submit --name x --preset a --clone b":     "can't be used together",
		"run submit --name x --max-duration 90":        "must say its unit",
		"run submit --name x --env A":                  "NAME=VALUE",
		"run submit --name x --env GLOBAL_RANK=1":      "set by CoTrain",
		"run submit --name x --arg=train.py":           "must begin with --",
		"run submit --name x --set colour=red":         "is not a setting",
		"run clone r-0000000000 --gpus many":           "whole number",
		"run clone":                                    "expected",
		"run launch r-0000000000 --script --job":       "can't be used together",
		"config validate":                              "expected",
		"config validate missing.toml":                 "missing.toml",
		"config validate empty.toml":                   "is empty",
		"config estimate --bandwidth fast":             "1Gbit/s",
		"config estimate --preset debug big.toml":      "do not go together",
		"config import missing.toml":                   "missing.toml",
		"diff a":                                       "expected",
		"template save a/b":                            "letters, digits",
		"template save x --new --after 2":              "can't be used together",
		"template import missing.toml":                 "missing.toml",
		"template delete mine":                         "--yes",
		"sweep submit --preset debug":                  "--name",
		"sweep submit --name x":                        "--grid",
		"sweep submit --name x --grid nodes":           "field=values",
		"sweep submit --name x --grid nodes=1,many":    `nodes = "many"`,
		"sweep submit --name x --grid nodes=":          "at least one value",
		"sweep submit --name x --grid a=1 --list b":    "can't be used together",
		"sweep submit --name x --list missing.toml":    "missing.toml",
		"sweep submit --name x --list - --file -":      "both",
		"sweep submit --name x --list a --parallel=-1": "--parallel",
		"sweep list --limit 0":                         "--limit",
		"sweep delete s-0000000000":                    "--yes",
		"run logs r-0000000000 --worker=-2":            "--worker",
		"run logs r-0000000000 --tail 5001":            "--tail",
		"run logs r-0000000000 --context 2":            "--grep",
		"run logs r-0000000000 --grep x --context 101": "--context",
		"run logs r-0000000000 --since yesterday":      "--since",
		"run logs r-0000000000 --follow --output x":    "--output",
		"run delete r-0000000000":                      "--yes",
		"run list --addr ftp://x":                      "--addr",
		"run list --addr http://u:p@x":                 "--addr",
		"run list --addr http://x/?path":               "--addr",
		"agent --listen 0.0.0.0:4646":                  "loopback",
		"agent --listen example.com:4646":              "loopback",
		"agent --listen nonsense":                      "host:port",
		"agent --listen unix://relative":               "absolute",
		"agent --nodes 0":                              "1 to 64",
		"server --listen 0.0.0.0:8080":                 "needs public_url",
		"server --dev --listen 0.0.0.0:8080":           "loopback",
		"server --dev-nodes many":                      "--dev-nodes",
		"server --config missing.toml":                 "missing.toml",
	} {
		r := c.cotrain(strings.Fields(args)...).want(t, exitUsage, text)
		if r.out != "" || !strings.HasPrefix(r.errOut, "cotrain: ") {
			t.Errorf("%s: stdout %q, stderr %q", args, r.out, r.errOut)
		}
	}
}

func TestHelpAndVersionNeedNoConsole(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.url = ""
	c.cotrain("--help").want(t, exitDone, "server", "agent", "run", "sweep", "template", "config", "diff", "node", "trainer", "version", "COTRAIN_ADDR", "Exit codes")
	for help, flag := range map[string]string{"help": "--help", "help run submit": "run submit --help"} {
		r, want := c.cotrain(strings.Fields(help)...).want(t, exitDone), c.cotrain(strings.Fields(flag)...)
		if r.out != want.out || r.out == "" {
			t.Errorf("%s: %s", help, r.out)
		}
	}
	c.cotrain("help", "nope").want(t, exitUsage, "nope")
	if r := c.cotrain("run", "submit", "--help").want(t, exitDone, "--preset", "--gpu-min-memory", "--dry-run", "--max-duration", "--tags"); !strings.HasPrefix(r.out, "Usage: cotrain run submit [flags]\n") {
		t.Errorf("the usage line demands something: %s", r.out)
	}
	c.cotrain("server", "--help").want(t, exitDone, "--dev-nodes", "COTRAIN_LISTEN", "--nomad-token-file")
	c.cotrain("version").want(t, exitDone, "cotrain ")
	if v := fromJSON[buildInfo](t, c.cotrain("version", "--format", "json")); v.Version == "" || v.Go == "" {
		t.Errorf("%+v", v)
	}
}

func TestTheTrainerGetsItsArgumentsUntouched(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.cotrain("trainer", "--help").want(t, exitDone, "usage: cotrain trainer [--fault LIST] @config.toml")
	c.cotrain("trainer", "@/nowhere/config.toml", "--optim.lr", "1").want(t, exitUsage, "/nowhere/config.toml")
}

func TestAConsoleThatIsNotThereIsSaid(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.url = "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"run list", "run show x", "run logs x --follow", "run stop x --wait", "node list", "run submit --name x --preset debug --follow"} {
		c.cotrain(strings.Fields(args)...).want(t, exitFailed, c.url, "refused", "cotrain server")
	}
}

func TestAnotherProgramIsNotTakenForAConsole(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"a page":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"an error": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusNotFound) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		},
		"broken JSON": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"items":[`)
		},
		"wrong types": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"items":7}`)
		},
		"closes early": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(h)
			t.Cleanup(srv.Close)
			c := newConsole(t)
			c.url = srv.URL
			c.cotrain("run", "list").want(t, exitFailed, srv.URL)
		})
	}
}

func TestStatusesBecomeExitCodes(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	id := string(c.Add(run.Run{State: run.Running, Name: "x"}))
	ahead := c.Add(run.Run{Name: "ahead", State: run.Queued})
	waits := c.Add(run.Run{Name: "waits", State: run.Queued, Reason: "needs 3 nodes"})
	c.cotrain("run", "show", string(waits)).want(t, exitDone, "queued: needs 3 nodes", "2nd in the queue, behind ahead ("+string(ahead)+")")
	c.cotrain("run", "show", "r-0000000000").want(t, exitNotFound, "No run has the ID")
	c.cotrain("run", "show", "../../nodes").want(t, exitNotFound, "../../nodes")
	c.cotrain("run", "logs", "nope", "--follow").want(t, exitNotFound)
	c.cotrain("run", "metrics", "nope").want(t, exitNotFound)
	c.cotrain("run", "delete", "nope", "--yes").want(t, exitNotFound)
	c.cotrain("run", "delete", id, "--yes").want(t, exitRefused, "is running", "Stop it first")
	c.cotrain("run", "submit", "--name", "x", "--preset", "nope").want(t, exitNotFound, `No preset is called "nope"`)
	c.Fail(fault.ErrUnavailable)
	c.cotrain("node", "list").want(t, exitFailed, "Not reachable right now")
	c.Fail(errors.New("secret"))
	if r := c.cotrain("run", "list").want(t, exitFailed); strings.Contains(r.errOut, "secret") {
		t.Error(r.errOut)
	}
}

func TestFieldErrorsArePrintedOneALine(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.files["bad.toml"] = "[train]\nmicro_bs = 0\n\n[optim]\nbatch = 5\n"
	r := c.cotrain("run", "submit", "--name", " ", "--file", "bad.toml").want(t, exitRefused)
	lines := strings.Split(strings.TrimSpace(r.errOut), "\n")
	if len(lines) != 5 || !strings.Contains(lines[4], "cotrain explain invalid") || !strings.Contains(lines[0], "3 errors") || !strings.Contains(lines[1], `train.micro_bs = "0": line 2: `) {
		t.Errorf("%q", lines)
	}
}

func TestFlagsAreCheckedInTheWordsOfTheConsole(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	flags := []string{"--nodes", "0", "--priority", "101", "--max-duration", "soon", "--site", "a b", "--set", "optim.batch_size=many", "--set", "optim.sise=1", "--gpu-model", "A100;", "--secret", "/x"}
	r := c.cotrain(append([]string{"run", "submit", "--name", "x", "--preset", "debug"}, flags...)...).want(t, exitUsage)
	local := strings.Split(strings.TrimSpace(strings.ReplaceAll(r.errOut, "cotrain: ", "")), "\n")
	if last := len(local) - 1; local[last] != `(usage: "cotrain explain usage" says more)` {
		t.Errorf("%q", local[last])
	} else {
		local = local[:last]
	}
	body := `{"name":"x","preset":"debug","set":{"nodes":"0","priority":"101","max_duration":"soon","site":"a b","optim.batch_size":"many","optim.sise":"1","gpu_model":"A100;","secrets":"/x"}}`
	res := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodPost, "/api/v1/runs", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	c.handler().ServeHTTP(res, req)
	var p client.Problem
	if err := json.Unmarshal(res.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	var remote []string
	for _, f := range p.Errors {
		remote = append(remote, run.FieldError{Field: f.Field, Value: f.Value, Rule: f.Rule, Fix: f.Fix}.Error())
	}
	if len(remote) != 8 || !slices.Equal(local, remote) {
		t.Errorf("the command line says\n%s\nand the console\n%s", strings.Join(local, "\n"), strings.Join(remote, "\n"))
	}
	if len(c.Submissions()) != 0 {
		t.Error("it was submitted")
	}
}
