package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/cotrain/cotrain/internal/store/pgtest"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// ask returns the answer to a query for one value.
func ask[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var answer T
	if err := conn.QueryRow(t.Context(), sql).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %s: %s", patience, what)
		}
	}
}

func TestEachDatabaseIsNewAndEmpty(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var urls []string
	for i := range 8 {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			mu.Lock()
			urls = append(urls, url)
			mu.Unlock()
			conn := connect(t, url)
			if n := ask[int](t, conn, "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = 'public'"); n != 0 {
				t.Errorf("%d relations are there already", n)
			}
			if _, err := conn.Exec(t.Context(), "CREATE TABLE mine (id bigint)"); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { // after the parallel parts
		slices.Sort(urls)
		if distinct := slices.Compact(slices.Clone(urls)); len(distinct) != len(urls) {
			t.Errorf("tests share a database: %v", urls)
		}
		for _, url := range urls {
			if _, err := pgx.Connect(context.Background(), url); err == nil || !strings.Contains(err.Error(), "3D000") {
				t.Errorf("%s is there after its test: %v", url, err)
			}
		}
	})
}

func TestTheServerDiffersFromTheMachineAndIsReachedByItsSocketOnly(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.URL(t))
	for sql, want := range map[string]string{
		"SHOW server_encoding":                   "UTF8",
		"SHOW listen_addresses":                  "",
		"SHOW fsync":                             "off",
		"SHOW TimeZone":                          "<+0545>-05:45",
		"SELECT least('a', 'B')":                 "a", // by their bytes B is first
		"SELECT current_setting('is_superuser')": "on",
	} {
		if got := ask[string](t, conn, sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

// TestChild is what TestNothingOutlivesAKilledTest kills: it prints the address of its database and waits.
func TestChild(t *testing.T) {
	switch os.Getenv("PGTEST_CHILD") {
	case "": // nothing was skipped that make test should tell of
		return
	case "shared":
		fmt.Println("\nURL", pgtest.URL(t))
	case "on a disk":
		fmt.Println("\nURL", pgtest.Start(t, pgtest.Disk(16)).URL())
	case "paused":
		s := pgtest.Start(t)
		fmt.Println("\nURL", s.URL())
		_, _ = os.Stdin.Read(make([]byte, 1)) // the parent has looked at it
		s.Pause()
		fmt.Println("\nPAUSED")
	}
	select {}
}

func TestNothingOutlivesAKilledTest(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"shared", "on a disk", "paused"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := startChild(t, kind)
			u, err := url.Parse(c.read("URL "))
			if err != nil {
				t.Fatal(err)
			}
			dir := u.Query().Get("host")
			pids := ask[[]int](t, connect(t, u.String()), "SELECT array_agg(pid) FROM pg_stat_activity")
			lock, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(lock), "\n")
			postmaster, err := strconv.Atoi(lines[0])
			if err != nil {
				t.Fatal(err)
			}
			memory := strings.Fields(lines[6])[1] // the ID of its System V segment
			if !holdsMemory(t, memory) {
				t.Fatalf("there is no segment %s of shared memory", memory)
			}
			if kind == "paused" {
				c.pause()
			}
			if err := c.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			eventually(t, dir+" is gone", func() bool {
				_, err := os.Stat(dir)
				return errors.Is(err, os.ErrNotExist)
			})
			for _, pid := range append(pids, postmaster) {
				if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
					t.Errorf("process %d is there: %v", pid, err)
				}
			}
			if holdsMemory(t, memory) {
				t.Errorf("segment %s of shared memory is there", memory)
			}
		})
	}
}

// child is a test process that runs TestChild.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func startChild(t *testing.T, kind string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), "PGTEST_CHILD="+kind)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, as it says
	})
	return &child{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
}

// read returns what follows a word at the beginning of a line that the child prints.
func (c *child) read(word string) string {
	c.t.Helper()
	for c.out.Scan() {
		if rest, is := strings.CutPrefix(c.out.Text(), word); is {
			return rest
		}
		if c.out.Text() == "PASS" {
			c.t.Skip("the child has skipped its test")
		}
	}
	c.t.Fatalf("the child says no %q", word)
	return ""
}

func (c *child) pause() {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in); err != nil {
		c.t.Fatal(err)
	}
	c.read("PAUSED")
}

// holdsMemory reports whether a System V segment exists.
func holdsMemory(t *testing.T, id string) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Skip("cannot look at shared memory:", err)
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); f[1] == id {
			return true
		}
	}
	return false
}
