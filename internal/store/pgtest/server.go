package pgtest

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// minVersion is the oldest PostgreSQL that the store supports.
	minVersion = 15
	// startTimeout is for a machine that is busy with many tests.
	startTimeout = 2 * time.Minute
	// maxSocketDir leaves room in a socket's address (108 bytes on Linux, 104 elsewhere) for its name and the folder's.
	maxSocketDir = 60
)

// settings make the server quick to start, safe to share, and unlike the machine it runs on where a test should notice.
var settings = []string{
	"listen_addresses=", // no port, the socket only
	"fsync=off",
	"full_page_writes=off",
	"max_connections=400",             // many parallel tests, each with a pool
	"dynamic_shared_memory_type=mmap", // in the folder, so that it goes with it
	"lc_messages=C",
	"timezone=<+0545>-05:45",
}

//go:embed supervise.sh
var superviseScript string

// server is a PostgreSQL server with the shell that outlives this process just long enough to remove it.
type server struct {
	dir       string // the socket, the log, the file pid while it runs, and the data
	stdin     *os.File
	stdout    *os.File
	cmd       *exec.Cmd
	databases atomic.Int64
}

// newServer starts a server with further settings.
func newServer(extra ...string) (*server, error) {
	bin, err := findPrograms()
	if err != nil {
		return nil, err
	}
	args := []string{bin, tempDir()}
	for _, s := range slices.Concat(settings, extra) {
		args = append(args, "-c", s)
	}
	s := &server{}
	if s.cmd, err = supervisor(args); err != nil {
		return nil, err
	}
	if err := s.supervise(); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// findPrograms returns the folder of the newest PostgreSQL on the PATH or where Debian puts it.
func findPrograms() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is valid
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			found = append(found, initdb)
		}
	}
	newest, folder := 0, ""
	for _, initdb := range found {
		out, err := exec.Command(initdb, "--version").Output()
		if err != nil {
			continue
		}
		digits := regexp.MustCompile(`\d+`).FindString(string(out))
		if v, _ := strconv.Atoi(digits); v > newest {
			newest, folder = v, filepath.Dir(initdb)
		}
	}
	switch {
	case newest == 0:
		return "", errors.New("initdb is neither in the PATH nor in /usr/lib/postgresql (apt-get install postgresql)")
	case newest < minVersion:
		return "", fmt.Errorf("version %d is installed, the store needs %d", newest, minVersion)
	}
	return folder, nil
}

func tempDir() string {
	if dir := os.TempDir(); len(dir) <= maxSocketDir {
		return dir
	}
	return "/tmp"
}

// supervisor is the command that runs superviseScript, as another user where this one is root: PostgreSQL refuses that.
func supervisor(args []string) (*exec.Cmd, error) {
	cmd := exec.Command("/bin/sh", slices.Concat([]string{"-c", superviseScript, "pgtest"}, args)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal is for the test
	if os.Getuid() == 0 {
		uid, gid, err := unprivileged()
		if err != nil {
			return nil, err
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C"} // none of the PG variables
	return cmd, nil
}

// unprivileged returns the user that Debian's package makes for servers, or nobody.
func unprivileged() (uid, gid uint32, err error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return 0, 0, err
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	group, err := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(id), uint32(group), err
}

// supervise starts the shell and waits until the folder holds a cluster.
func (s *server) supervise() error {
	stdin, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = stdin.Close() }() // the child has its own
	r, stdout, err := os.Pipe()
	if err != nil {
		return errors.Join(err, w.Close())
	}
	defer func() { _ = stdout.Close() }() // the child has its own
	s.stdin, s.stdout = w, r
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = stdin, stdout, stdout
	if err := s.cmd.Start(); err != nil {
		return errors.Join(err, w.Close(), r.Close())
	}
	_ = stdout.Close() // so that the child's end is the last
	out := bufio.NewReader(r)
	line, err := out.ReadString('\n')
	if err == nil && filepath.IsAbs(line) {
		s.dir = strings.TrimSuffix(line, "\n")
		return nil
	}
	rest, _ := io.ReadAll(out) // what there is of it
	return errors.Join(fmt.Errorf("initdb: %s", strings.TrimSpace(line+string(rest))), s.close())
}

// start has the supervisor start the server, and waits until it answers.
func (s *server) start() error {
	logged, err := os.Stat(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(s.stdin); err != nil {
		return err
	}
	began := false
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		running := s.running()
		began = began || running
		if began && !running {
			return fmt.Errorf("postgres: %s", s.log(logged.Size()))
		}
		if err = s.exec("SELECT 1"); err == nil {
			return nil
		}
	}
	return fmt.Errorf("postgres does not answer: %w: %s", err, s.log(logged.Size()))
}

// running reports whether the server's process is there, or about to be.
func (s *server) running() bool {
	_, err := os.Stat(filepath.Join(s.dir, "pid"))
	return err == nil
}

// log returns what the server has logged after the first bytes.
func (s *server) log(after int64) string {
	f, err := os.Open(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }() // only read
	text, err := io.ReadAll(io.NewSectionReader(f, after, 1<<20))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text))
}

// close stops the server, removes its folder, and returns when nothing is left.
func (s *server) close() error {
	err := s.stdin.Close()
	_, _ = io.Copy(io.Discard, s.stdout) // ends with the last process of it
	return errors.Join(err, s.stdout.Close(), s.cmd.Wait())
}

// url is the address of a database.
func (s *server) url(database string) string {
	return "postgres://cotrain@/" + database + "?port=5432&host=" + url.QueryEscape(s.dir)
}

// exec executes SQL on the database that initdb makes.
func (s *server) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// create makes a new, empty database.
func (s *server) create() (string, error) {
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	return name, s.exec("CREATE DATABASE " + name + " TEMPLATE template0 ENCODING 'UTF8'")
}
