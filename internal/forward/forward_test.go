package forward_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/forward"
)

// log is an audit log in memory.
type log struct {
	mu   sync.Mutex
	rows []audit.Row
	at   map[string]int64
}

func newLog(n int) *log {
	l := &log{at: map[string]int64{}}
	var h audit.Hash
	for i := range n {
		e := audit.Entry{Seq: int64(i + 1), At: time.UnixMilli(1_700_000_000_000), Action: "runs.stop", Subject: "run:r-1\n<13>1 forged", Outcome: audit.Done}.Clean()
		h = h.Next(e.AppendCanonical(nil))
		l.rows = append(l.rows, audit.Row{Entry: e, Hash: h})
	}
	return l
}

func (l *log) Head(context.Context) (audit.Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return audit.Head{Seq: int64(len(l.rows))}, nil
}

func (l *log) After(_ context.Context, seq int64, n int) ([]audit.Row, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rows[seq:min(int(seq)+n, len(l.rows))], nil
}

func (l *log) Forwarded(_ context.Context, d string) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at[d], nil
}

func (l *log) SetForwarded(_ context.Context, d string, seq int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at[d] = seq
	return nil
}

// flaky fails as often as it is told.
type flaky struct {
	fail int
	got  []int64
}

func (f *flaky) Name() string { return "flaky" }
func (f *flaky) Close() error { return nil }

func (f *flaky) Send(_ context.Context, rows []audit.Row) error {
	if f.fail > 0 {
		f.fail--
		return errors.New("no")
	}
	for _, r := range rows {
		f.got = append(f.got, r.Seq)
	}
	return nil
}

func TestEntriesArriveInOrderHoweverOftenTheDestinationFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLog(250), &flaky{fail: 9}
		l.at["flaky"] = 10
		var lags []bool
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			done <- forward.Run(ctx, forward.Options{Log: l, Destination: d, Logger: slog.New(slog.DiscardHandler), Lags: func(err error) { lags = append(lags, err != nil) }})
		}()
		time.Sleep(time.Hour) // of the bubble's clock
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if len(d.got) != 240 || d.got[0] != 11 || d.got[239] != 250 || l.at["flaky"] != 250 {
			t.Errorf("got %d entries, %v; the mark is %d", len(d.got), d.got[:min(3, len(d.got))], l.at["flaky"])
		}
		if fmt.Sprint(lags) != "[true false]" {
			t.Errorf("lags %v", lags)
		}
	})
}

// hook is a webhook that answers as a test wants.
func hook(t *testing.T, h http.HandlerFunc) *forward.Webhook {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	w, err := forward.NewWebhook(s.URL+"/hook", []byte("key"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func TestAWebhookGetsSignedEntries(t *testing.T) {
	t.Parallel()
	rows := newLog(3).rows
	status := 204
	w := hook(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var got struct {
			Entries []struct {
				Seq     int64
				Subject string
				Hash    string
			}
		}
		if err := errors.Join(err, json.Unmarshal(body, &got)); err != nil || len(got.Entries) != 3 || got.Entries[2].Hash != rows[2].Hash.String() || got.Entries[0].Subject != rows[0].Subject {
			t.Errorf("%v: %s", err, body)
		}
		stamp := r.Header.Get("X-CoTrain-Timestamp")
		if n, err := strconv.ParseInt(stamp, 10, 64); err != nil || time.Since(time.Unix(n, 0)).Abs() > time.Minute || r.Header.Get("X-CoTrain-Signature") != "sha256="+forward.Sign([]byte("key"), stamp, body) || r.Header.Get("X-CoTrain-Last") != "3" {
			t.Errorf("headers %v", r.Header)
		}
		http.Redirect(w, r, "/elsewhere", status)
	})
	if err := w.Send(t.Context(), rows); err != nil {
		t.Error(err)
	}
	for _, status = range []int{301, 307, 400, 500, 503} {
		if err := w.Send(t.Context(), rows); err == nil || !strings.Contains(err.Error(), strconv.Itoa(status)) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestAWebhookThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	release := make(chan struct{})
	w := hook(t, func(http.ResponseWriter, *http.Request) { <-release })
	err := w.Send(ctx, newLog(1).rows)
	close(release)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestAWebhookReachesPublicAddressesOnly(t *testing.T) {
	t.Parallel()
	rows := newLog(1).rows
	for _, private := range []bool{false, true} {
		for _, host := range []string{"169.254.169.254", "[fe80::1]", "[::ffff:169.254.169.254]", "0.0.0.0", "[::]", "[fd00:ec2::254]", "100.100.100.200", "224.0.0.1"} {
			refusedWebhook(t, "http://"+host+":1/x", private, "are not sent to", rows)
		}
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "[fd00::1]", "[64:ff9b::7f00:1]", "127.1"} {
		refusedWebhook(t, "http://"+host+":1/x", false, "", rows)
	}
	for _, bad := range []string{"", "ftp://x", "http://", "http://me:secret@x/", "file:///etc/passwd", "http://x/#y", "x"} {
		if _, err := forward.NewWebhook(bad, nil, true); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func refusedWebhook(t *testing.T, url string, private bool, words string, rows []audit.Row) {
	t.Helper()
	w, err := forward.NewWebhook(url, nil, private)
	if err != nil {
		t.Fatal(url, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := w.Send(ctx, rows); err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%s, private %t: %v", url, private, err)
	}
}

// read reads messages of RFC 6587 from a connection.
func read(r *bufio.Reader) (string, error) {
	digits, err := r.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSpace(digits))
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return string(b), err
}

func TestSyslogGetsEachEntry(t *testing.T) {
	t.Parallel()
	pair := httptest.NewUnstartedServer(nil)
	pair.StartTLS() // for its certificate
	roots := x509.NewCertPool()
	roots.AddCert(pair.Certificate())
	certificate := pair.TLS.Certificates[0]
	pair.Close()
	rows := newLog(3).rows
	for network, listen := range map[string]func() (net.Listener, error){
		"tcp": func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") },
		"tls": func() (net.Listener, error) {
			return tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		},
	} {
		l, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 10)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				for r := bufio.NewReader(c); ; {
					m, err := read(r)
					if err != nil {
						break
					}
					got <- m
				}
				_ = c.Close()
			}
		}()
		s, err := forward.NewSyslog(network+"://"+l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(t.Context(), rows); err != nil {
			t.Errorf("%s: %v", network, err)
		}
		for _, r := range rows {
			m := <-got
			if !strings.HasPrefix(m, "<109>1 2023-11-14T22:13:20.000Z ") || !strings.Contains(m, " cotrain - audit - {\"hash\":\""+r.Hash.String()) || strings.Contains(m, "\n") {
				t.Errorf("%s: %q", network, m)
			}
		}
		_ = s.Close()
		_ = l.Close()
		if err := s.Send(t.Context(), rows); err == nil {
			t.Errorf("%s: sent to nobody", network)
		}
	}
	for _, bad := range []string{"", "udp://", "http://x", "tcp://x/path", "tcp://me@x"} {
		if _, err := forward.NewSyslog(bad, nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestSyslogOverUDPIsOneDatagramAnEntry(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	s, err := forward.NewSyslog("udp://"+c.LocalAddr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Send(t.Context(), newLog(2).rows); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64<<10)
	for range 2 {
		n, _, err := c.ReadFrom(b)
		if err != nil || !strings.HasPrefix(string(b[:n]), "<109>1 ") {
			t.Errorf("%q, %v", b[:n], err)
		}
	}
}
