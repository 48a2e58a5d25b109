package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a server for one test to break.
type Server struct {
	t   testing.TB
	s   *server
	url string
}

// Option is how a server differs from the one that tests share.
type Option func(*options)

type options struct {
	settings  []string
	diskMiB   int
	tls       bool
	cert, key []byte
}

// Setting sets what postgresql.conf would.
func Setting(name, value string) Option {
	return func(o *options) { o.settings = append(o.settings, name+"="+value) }
}

// Disk puts the database, but not the write-ahead log, on a file system of so many MiB; an empty database takes 8. That
// takes Linux with user namespaces: elsewhere the test is skipped.
func Disk(mib int) Option { return func(o *options) { o.diskMiB = mib } }

// TLS has the server listen on 127.0.0.1 too, at a port of its own, with a certificate and its key in PEM; see
// [Server.NetworkURL].
func TLS(cert, key []byte) Option {
	return func(o *options) { o.tls, o.cert, o.key = true, cert, key }
}

// Start starts a server of the test's own, with an empty database. It ends with the test.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	if o.diskMiB > 0 {
		cmd, err := command(o.diskMiB, "true")
		if err != nil {
			t.Skipf("no file system of its own: %v", err)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("no file system of its own: %v: %s", err, bytes.TrimSpace(out))
		}
	}
	s, err := newServer(o)
	if err != nil {
		missing(t, err)
	}
	srv := &Server{t: t, s: s}
	t.Cleanup(func() {
		srv.Stop()
		srv.must("remove", s.close())
	})
	name, err := s.create(empty)
	if err != nil {
		t.Fatalf("create a database: %v", err)
	}
	srv.url = s.url(name)
	return srv
}

// URL is the address of the server's database.
func (s *Server) URL() string { return s.url }

// NetworkURL is the address of the database on the network, for a server with [TLS].
func (s *Server) NetworkURL() string {
	u, err := url.Parse(s.url)
	s.must("parse its address", err)
	return fmt.Sprintf("postgres://cotrain@127.0.0.1:%d%s", s.s.port, u.Path)
}

// SetCertificate gives a server with [TLS] another certificate, and restarts it.
func (s *Server) SetCertificate(cert, key []byte) {
	s.must("set the certificate", s.s.setCertificate(cert, key))
	s.Restart()
}

// Stop ends the server as a crash does: nothing in progress is finished. It returns when no process of it is left.
func (s *Server) Stop() {
	s.until("stop", func() bool {
		s.signal(syscall.SIGQUIT) // before SIGCONT, so that what is paused does nothing more
		s.signal(syscall.SIGCONT)
		return !s.s.running()
	})
}

// Restart starts the server again, after a crash if it runs. It returns when the server answers.
func (s *Server) Restart() {
	s.Stop()
	s.must("restart", s.s.start())
}

// Pause stops all processes of the server, so that it accepts connections and never answers, until Resume or Stop.
func (s *Server) Pause() {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		s.t.Skip("cannot pause a server without /proc: ", err)
	}
	s.until("pause", func() bool {
		paused := true
		for i, p := range s.processes() {
			if p.state == "T" || p.state == "Z" { // a stopped postmaster does not reap
				continue
			}
			paused = false
			s.kill(p.pid, syscall.SIGSTOP)
			if i == 0 { // until it is stopped it may make more
				break
			}
		}
		return paused
	})
}

// Resume undoes Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

// FillDisk leaves no byte on the server's [Disk].
func (s *Server) FillDisk() { s.must("fill the disk", s.s.tell("fill", "filled")) }

// FreeDisk undoes FillDisk.
func (s *Server) FreeDisk() { s.must("free the disk", s.s.tell("free", "freed")) }

// Log returns what the server has logged.
func (s *Server) Log() string { return s.s.log(0) }

func (s *Server) must(do string, err error) {
	if err != nil {
		s.t.Errorf("%s: %v", do, err) // not Fatal: a goroutine of the test may do this
	}
}

func (s *Server) signal(sig syscall.Signal) {
	for _, p := range s.processes() {
		s.kill(p.pid, sig)
	}
}

func (s *Server) kill(pid string, sig syscall.Signal) {
	n, err := strconv.Atoi(pid)
	if err == nil {
		err = syscall.Kill(n, sig)
	}
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		s.t.Errorf("%s to process %s: %v", sig, pid, err)
	}
}

func (s *Server) until(do string, is func() bool) {
	for deadline := time.Now().Add(startTimeout); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Errorf("%s: nothing happens: %s", do, s.s.log(0))
			return
		}
	}
}

type process struct {
	pid, parent string
	state       string // T is stopped, Z a zombie
}

// processes returns the server's processes: the postmaster, then its children, which all others are.
func (s *Server) processes() []process {
	text, err := os.ReadFile(filepath.Join(s.s.dir, "pid"))
	if err != nil {
		return nil // it has ended
	}
	pid := strings.TrimSpace(string(text))
	postmaster, is := lookUp(pid)
	if !is || pid == "" { // it is about to write the file
		return nil
	}
	found := []process{postmaster}
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is valid
	for _, folder := range folders {
		if p, is := lookUp(filepath.Base(folder)); is && p.parent == postmaster.pid {
			found = append(found, p)
		}
	}
	return found
}

func lookUp(pid string) (process, bool) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return process{}, false
	}
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return process{pid: pid, state: f[0], parent: f[1]}, true
}
