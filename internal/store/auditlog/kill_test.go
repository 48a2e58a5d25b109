package auditlog_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
	"github.com/cotrain/cotrain/internal/store/pgtest"
)

const (
	// killedAppends is the environment variable that makes the test below a process to be killed: a folder and a URL.
	killedAppends = "COTRAIN_TEST_KILLED_APPENDS"
	kills         = 20
	told          = "appended "
)

// TestKillingTheConsoleLosesNothingThatWasAppended kills a process that appends, alone and with changes, in many goroutines. It
// is not parallel: a process that it is about to start has for a moment the locks of the data folders that other tests have open.
func TestKillingTheConsoleLosesNothingThatWasAppended(t *testing.T) {
	if at := os.Getenv(killedAppends); at != "" {
		dir, url, _ := strings.Cut(at, " ")
		appendForEver(t, dir, url)
	}
	for name, url := range map[string]func(testing.TB) string{"SQLite": func(testing.TB) string { return "" }, "PostgreSQL": pgtest.URL} {
		t.Run(name, func(t *testing.T) {
			dir, url := t.TempDir(), url(t)
			acknowledged := map[string]bool{}
			for range kills {
				appendAndKill(t, dir, url, 1+rand.IntN(150), acknowledged)
				s, err := store.OpenAt(t.Context(), dir, db.Options{URL: url})
				if err != nil {
					t.Fatal(err)
				}
				if v := verdict(t, s); !v.OK() || v.Entries < int64(len(acknowledged)) {
					t.Fatalf("%d were acknowledged, and the chain is %+v", len(acknowledged), v)
				}
				lost := len(acknowledged)
				for _, r := range all(t, s) {
					if acknowledged[r.Request] {
						lost--
					}
				}
				if lost != 0 {
					t.Fatalf("%d of %d are missing", lost, len(acknowledged))
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d were acknowledged", len(acknowledged))
		})
	}
}

// appendForEver appends, and prints what is acknowledged.
func appendForEver(t *testing.T, dir, url string) {
	s, err := store.OpenAt(t.Context(), dir, db.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	createProject(t, s)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for n := 0; ; n++ {
				e := audit.Entry{Request: fmt.Sprintf("q-%d-%d-%d", os.Getpid(), worker, n), Action: "templates.save", Actor: audit.Actor{Name: "ann"}}
				var err error
				if worker%2 == 0 {
					err = s.Audit.AppendAlone(t.Context(), e)
				} else {
					ctx, _ := audit.Begin(t.Context(), e)
					_, err = s.SaveTemplate(ctx, run.Template{Project: "vision", Name: fmt.Sprint("t", worker), Config: e.Request}, run.AnyVersion)
				}
				if err == nil && n%16 == 0 {
					_, err = s.Audit.Index(t.Context())
				}
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Println(told + e.Request)
			}
		})
	}
	wg.Wait()
}

// appendAndKill kills a process when it has acknowledged some entries, and adds all that it has.
func appendAndKill(t *testing.T, dir, url string, some int, acknowledged map[string]bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillingTheConsoleLosesNothingThatWasAppended$")
	cmd.Env = append(os.Environ(), killedAppends+"="+dir+" "+url)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for in := bufio.NewScanner(out); in.Scan(); {
		request, ok := strings.CutPrefix(in.Text(), told)
		if !ok {
			text.WriteString(in.Text() + "\n")
			continue
		}
		acknowledged[request] = true
		if some--; some == 0 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); some > 0 {
		t.Fatalf("%v before it was killed: %s", err, text.String())
	}
}
