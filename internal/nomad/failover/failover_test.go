package failover_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/nomad/failover"
)

const dispatch = "/v1/job/x/dispatch"

func TestADeadServerIsLeftAtOnceAndTheOtherRemembered(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b", "c"}, func(t *testing.T, c *cluster, h ...*host) {
		c.wants("GET", "/v1/jobs", "a")
		h[0].stop()
		began := time.Now()
		c.wants("GET", "/v1/jobs", "b") // over the connection that broke
		c.wants("PUT", dispatch, "b")
		h[0] = c.start("a")
		c.wants("GET", "/v1/jobs", "b")
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		h[1].stop()
		c.wants("PUT", dispatch, "c") // a is still in doubt
		h[2].stop()
		c.wants("PUT", dispatch, "a")
	})
}

func TestAChangeThatMayHaveBeenMadeIsNotRepeated(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		for _, path := range []string{dispatch, "/v1/jobs", "/v1/jobs/parse", "/v1/job/x/plan", "/v1/job/x"} {
			h[0].HandleFunc(path, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		}
		for _, path := range []string{dispatch, "/v1/jobs"} {
			before := h[0].count("PUT " + path)
			_, err := c.ask("PUT", path)
			if !failover.Lost(err) || h[0].count("PUT "+path) != before+1 || h[1].count("PUT "+path) != 0 {
				t.Errorf("%s: %v; asked %d and %d times", path, err, h[0].count("PUT "+path), h[1].count("PUT "+path))
			}
			c.wants("PUT", path, "b") // who asks again asks the other
			h[1].stop()
			if _, err := c.ask("PUT", path); failover.Lost(err) { // now a is the only one left
				t.Errorf("%s: %v", path, err)
			}
			h[1] = c.start("b")
			prefer(t, c)
		}
		for _, call := range []string{"PUT /v1/jobs/parse", "PUT /v1/job/x/plan", "DELETE /v1/job/x"} { // these may be
			method, path, _ := strings.Cut(call, " ")
			c.wants(method, path, "b")
			if h[0].count(call) == 0 {
				t.Errorf("%s never asked the preferred server", call)
			}
			prefer(t, c)
		}
	})
}

// prefer waits until the first server is in use.
func prefer(t *testing.T, c *cluster) {
	t.Helper()
	defer c.keep()()
	time.Sleep(20 * time.Second)
	synctest.Wait()
	if !c.set.States()[0].InUse {
		t.Errorf("the states are %+v", c.set.States())
	}
}

func TestAServerThatKnowsNoLeaderIsPassedOver(t *testing.T) {
	t.Parallel()
	noLeader := func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "No cluster leader")
	}
	for name, answer := range map[string]http.HandlerFunc{
		"plain": noLeader,
		"compressed": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusInternalServerError)
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, "No cluster leader")
			_ = z.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
				h[0].HandleFunc("PUT "+dispatch, answer)
				c.wants("PUT", dispatch, "b")
				if got := c.set.States(); got[0].Problem != "it knows no leader" || got[0].InUse || !got[1].InUse {
					t.Errorf("the states are %+v", got)
				}
				h[1].HandleFunc("PUT "+dispatch, answer)
				if got, err := c.ask("PUT", dispatch); err != nil || !strings.Contains(got, "No cluster leader") && name == "plain" {
					t.Errorf("when none knows it: %q, %v", got, err)
				}
			})
		})
	}
	t.Run("the empty answer", func(t *testing.T) {
		t.Parallel()
		bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, _ ...*host) {
			c.mu.Lock()
			c.hosts["a"].ServeMux = http.NewServeMux()
			c.hosts["a"].HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\"\"\n") })
			c.mu.Unlock()
			c.wants("GET", failover.LeaderPath, `"10.0.0.1:4647"`)
			c.wants("GET", "/v1/jobs", "b")
		})
	})
}

func TestWhatAServerApartFromTheOthersSaysIsNotNomadsAnswer(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		path, text string
		code       int
		want       string // who answers
	}{
		{"/v1/nodes", "rpc error: failed to get conn: dial tcp 10.0.0.1:4647: connect: connection refused", 500, "b"},
		{"/v1/nodes", "leadership lost while committing log", 500, "b"},
		{"/v1/nodes", "<html>bad gateway</html>", 502, "b"},
		{"/v1/nodes", "rpc error: Permission denied", 500, "a"},
		{"/v1/nodes", "Permission denied", 403, "a"},
		{"/v1/client/fs/ls/1", "rpc error: failed to get conn: dial tcp 10.0.0.9:4646", 500, "a"}, // about the node
	} {
		bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
			h[0].HandleFunc("GET "+tc.path, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.code)
				_, _ = io.WriteString(w, tc.text)
			})
			want := tc.want
			if want == "a" {
				want = tc.text
			}
			c.wants("GET", tc.path, want)
		})
	}
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		h[0].HandleFunc("PUT "+dispatch, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, "leadership lost while committing log")
		})
		if _, err := c.ask("PUT", dispatch); h[1].count("PUT "+dispatch) != 0 || err == nil && failover.Lost(err) {
			t.Errorf("a change that may have been made was repeated: %v", err)
		}
	})
}

func TestAServerThatHangsIsLeftWithinSeconds(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		defer c.keep()()
		c.wants("GET", "/v1/jobs", "a")
		answer := h[0].hang()
		defer answer()
		began := time.Now()
		c.wants("GET", "/v1/jobs", "b")
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("reading took %v", took)
		}
		time.Sleep(4 * time.Second) // the look that it asked for
		began = time.Now()
		c.wants("PUT", dispatch, "b")
		if took := time.Since(began); took != 0 {
			t.Errorf("the next took %v", took)
		}
		if got := c.set.States()[0]; got.Problem != "it does not answer" || got.Since.IsZero() {
			t.Errorf("it is %+v", got)
		}
	})
}

func TestAChangeWaitsForASlowServer(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		time.AfterFunc(20*time.Second, h[0].hang())
		c.wants("PUT", dispatch, "a")
		if n := h[1].count("PUT " + dispatch); n != 0 {
			t.Errorf("b was asked %d times", n)
		}
	})
}

func TestOneSlowAnswerIsNoReasonToLeaveAServer(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		defer c.keep()()
		c.wants("GET", "/v1/jobs", "a")
		h[0].HandleFunc("GET /v1/nodes", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		c.wants("GET", "/v1/nodes", "b")
		c.wants("GET", "/v1/jobs", "a")
		if got := c.set.States()[0]; !got.InUse || got.Problem != "" {
			t.Errorf("it is %+v", got)
		}
	})
}

func TestAChangeGoesOnFromAHostThatTakesNoConnection(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		h[0].cut = true
		began := time.Now()
		c.wants("PUT", dispatch, "b")
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestAPreferredServerIsUsedAgainOnceItIsSteady(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		defer c.keep()()
		h[0].stop()
		c.wants("GET", "/v1/jobs", "b")
		h[0] = c.start("a")
		time.Sleep(11 * time.Second)
		c.wants("GET", "/v1/jobs", "b")
		time.Sleep(10 * time.Second)
		c.wants("GET", "/v1/jobs", "a")
	})
}

// openStream follows an endless answer. What it says, and how it ended, is sent.
func openStream(t *testing.T, c *cluster) <-chan string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://nomad.invalid/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.stream.Do(r) //nolint:bodyclose // below
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 10)
	go func() {
		defer close(said)
		defer func() { _ = resp.Body.Close() }()
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			said <- lines.Text()
		}
		if err := lines.Err(); err != nil {
			if !errors.Is(err, fault.ErrUnavailable) || errors.Is(err, context.Canceled) {
				said <- "wrong error: " + err.Error()
			}
			said <- "moved"
		}
	}()
	return said
}

// streams makes hosts serve a stream that says their name, and nothing more until quit.
func streams(names string, quit <-chan struct{}, hosts ...*host) {
	for i, h := range hosts {
		h.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, names[i:i+1]+"\n")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-quit:
			}
		})
	}
}

func TestStreamsMoveFromAServerThatHangs(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		quit := make(chan struct{})
		defer close(quit)
		streams("ab", quit, h...)
		defer c.keep()()
		said := openStream(t, c)
		if got := <-said; got != "a" {
			t.Fatalf("said %q", got)
		}
		h[0].hang()
		began := time.Now()
		if got := <-said; got != "moved" {
			t.Errorf("said %q", got)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		if got := <-openStream(t, c); got != "b" {
			t.Errorf("the next is from %q", got)
		}
	})
}

func TestStreamsStayWhereNoOtherServerWorks(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		quit := make(chan struct{})
		streams("ab", quit, h...)
		stop := c.keep()
		said := openStream(t, c)
		<-said
		h[1].stop()
		h[0].hang()
		time.Sleep(time.Minute)
		synctest.Wait()
		select {
		case got := <-said:
			t.Errorf("said %q", got)
		default:
		}
		stop()
		close(quit)
	})
}

func TestServersThatComeAndGoAreFollowed(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		quit := make(chan struct{})
		defer close(quit)
		streams("ab", quit, h...)
		defer c.keep()()
		said := openStream(t, c)
		<-said
		c.mu.Lock()
		c.list = []failover.Server{{Address: "http://b", Datacenter: "eu"}}
		c.mu.Unlock()
		if got := <-said; got != "moved" {
			t.Errorf("a stream from one that is gone said %q", got)
		}
		c.wants("PUT", dispatch, "b")
		if got := c.set.States(); len(got) != 1 || !got[0].InUse || got[0].Datacenter != "eu" {
			t.Errorf("the states are %+v", got)
		}
		c.mu.Lock()
		c.list = nil
		c.mu.Unlock()
		if _, err := c.ask("GET", "/v1/jobs"); err == nil || !strings.Contains(err.Error(), "nobody knows any") {
			t.Errorf("with none: %v", err)
		}
	})
}

func TestWhenNoneWorksAllAreNamed(t *testing.T) {
	t.Parallel()
	bubble(t, []string{"a", "b"}, func(t *testing.T, c *cluster, h ...*host) {
		h[0].stop()
		h[1].HandleFunc("GET /v1/jobs", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		_, err := c.ask("GET", "/v1/jobs")
		var none *failover.NoneError
		if !errors.As(err, &none) || !strings.Contains(none.Error(), "http://a: dial tcp: connection refused; http://b: EOF") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAddressesThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	for _, addresses := range []string{"", "nomad", "http://a:4646,", "ftp://a", "http://"} {
		if _, err := failover.Static(addresses); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%q: %v", addresses, err)
		}
	}
}
