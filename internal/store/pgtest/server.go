package pgtest

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
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
	answers   *bufio.Reader // of stdout
	cmd       *exec.Cmd
	disk      bool // there is a tablespace on a file system of its own
	port      int  // on the network, 0 for none
	databases atomic.Int64
}

// newServer starts a server.
func newServer(o options) (*server, error) {
	bin, err := findPrograms()
	if err != nil {
		return nil, err
	}
	s := &server{disk: o.diskMiB > 0}
	if o.tls {
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		o.settings = append(o.settings, "listen_addresses=127.0.0.1", fmt.Sprint("port=", s.port), "ssl=on")
	}
	script := []string{"/bin/sh", "-c", superviseScript, "pgtest", bin, tempDir()}
	for _, s := range slices.Concat(settings, o.settings) {
		script = append(script, "-c", s)
	}
	if s.cmd, err = command(o.diskMiB, script...); err != nil {
		return nil, err
	}
	if err := s.supervise(); err != nil {
		return nil, err
	}
	if o.tls {
		err = s.setCertificate(o.cert, o.key)
	}
	if err == nil {
		err = s.start()
	}
	if err == nil && s.disk {
		err = s.exec("CREATE TABLESPACE disk LOCATION '/mnt'")
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
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
	s.answers = bufio.NewReader(r)
	line, err := s.answers.ReadString('\n')
	if err == nil && filepath.IsAbs(line) {
		s.dir = strings.TrimSuffix(line, "\n")
		return nil
	}
	_ = w.Close()
	rest, _ := io.ReadAll(s.answers) // until it has ended
	_ = errors.Join(r.Close(), s.cmd.Wait())
	return fmt.Errorf("initdb: %s", strings.TrimSpace(line+string(rest)))
}

// setCertificate writes the certificate where PostgreSQL looks for it, as its user's.
func (s *server) setCertificate(cert, key []byte) error {
	owner, err := os.Stat(s.dir)
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"server.crt": cert, "server.key": key} {
		path := filepath.Join(s.dir, "data", name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return err
		}
		if of, ok := owner.Sys().(*syscall.Stat_t); ok {
			if err := os.Chown(path, int(of.Uid), int(of.Gid)); err != nil {
				return err
			}
		}
	}
	return nil
}

// freePort is one that nobody listens at: PostgreSQL cannot choose one itself.
func freePort() (int, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// start has the supervisor start the server, and waits until it answers.
func (s *server) start() error {
	logged, err := os.Stat(filepath.Join(s.dir, "log"))
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(s.stdin, "start"); err != nil {
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

// tell has the supervisor do something to the disk, and waits for its answer.
func (s *server) tell(command, want string) error {
	if _, err := fmt.Fprintln(s.stdin, command); err != nil {
		return err
	}
	answer, err := s.answers.ReadString('\n')
	if err == nil && strings.TrimSpace(answer) != want {
		err = errors.New(answer)
	}
	return err
}

// close stops the server, removes its folder, and returns when nothing is left.
func (s *server) close() error {
	err := s.stdin.Close()
	_, _ = io.Copy(io.Discard, s.stdout) // ends with the last process of it
	return errors.Join(err, s.stdout.Close(), s.cmd.Wait())
}

// url is the address of a database.
func (s *server) url(database string) string {
	return fmt.Sprintf("postgres://cotrain@/%s?port=%d&host=%s", database, cmp.Or(s.port, 5432), url.QueryEscape(s.dir))
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

// create makes a new database, as another is.
func (s *server) create(template string) (string, error) {
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	sql := "CREATE DATABASE " + name + " TEMPLATE " + template + " ENCODING 'UTF8'"
	if s.disk {
		sql += " TABLESPACE disk"
	}
	return name, s.exec(sql)
}
