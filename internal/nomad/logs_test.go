package nomad

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// fakeLog is an allocation's stdout in rotated files, served by Nomad's rules: offsets count from the oldest file.
type fakeLog struct {
	mu    sync.Mutex
	first int      // index of the oldest file
	files []string // contents, oldest first
	// before runs when a stream is opened, before the offset is looked up.
	before func()
}

func (l *fakeLog) ls(w http.ResponseWriter, _ *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := []map[string]any{{"Name": ".trainer.stdout.fifo", "Size": 0}, {"Name": "trainer.stderr.0", "Size": 9}}
	for i, f := range l.files {
		list = append(list, map[string]any{"Name": logName("trainer.stdout", l.first+i), "Size": len(f)})
	}
	answerJSON(w, list)
}

func (l *fakeLog) logs(w http.ResponseWriter, r *http.Request) {
	if l.before != nil {
		l.before()
	}
	offset, _ := strconv.Atoi(r.URL.Query().Get("offset")) // the client's own number
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprint(w, "{}")
	for i, f := range l.files {
		if offset > len(f) {
			offset -= len(f)
			continue
		}
		// Frames of at most 3 bytes, with the wrong offset that Nomad sends.
		for rest := f[offset:]; rest != ""; {
			n := min(3, len(rest))
			frame, _ := json.Marshal(map[string]any{"Data": []byte(rest[:n]), "File": "alloc/logs/" + logName("trainer.stdout", l.first+i), "Offset": 999})
			_, _ = w.Write(frame)
			rest = rest[n:]
		}
		offset = 0
	}
}

func (l *fakeLog) rotate(n int, add ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first += n
	l.files = append(l.files[n:], add...)
}

func (l *fakeLog) serve(f *fakeNomad) {
	f.HandleFunc("GET /v1/client/fs/ls/a", l.ls)
	f.HandleFunc("GET /v1/client/fs/logs/a", l.logs)
}

// read collects a log from a cursor to its present end.
func read(ctx context.Context, c *Client, from Cursor) (text string, lost int64, end Cursor, err error) {
	end = from
	err = c.TailLog(ctx, "a", "stdout", from, false, func(chunk LogChunk) error {
		if chunk.File == end.File && chunk.Offset != end.Offset {
			return fmt.Errorf("chunk at %d after %d", chunk.Offset, end.Offset)
		}
		text += string(chunk.Data)
		lost += chunk.Lost
		end = chunk.End()
		return nil
	})
	return text, lost, end, err
}

func TestTailLogCountsBytesOfEachFileItself(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	log := &fakeLog{files: []string{"abcdefgh", "ijklmnop", "qr"}}
	log.serve(f)
	text, lost, end, err := read(t.Context(), c, Cursor{})
	if text != "abcdefghijklmnopqr" || lost != 0 || end != (Cursor{"trainer.stdout.2", 2}) || err != nil {
		t.Fatalf("got %q lost %d to %+v, %v", text, lost, end, err)
	}
	whole := text
	for file, n := range []int{8, 8, 2} {
		for offset := 0; offset <= n; offset++ {
			from := Cursor{logName("trainer.stdout", file), int64(offset)}
			text, lost, _, err := read(t.Context(), c, from)
			if want := whole[file*8+offset:]; text != want || lost != 0 || err != nil {
				t.Errorf("from %+v comes %q lost %d, %v; want %q", from, text, lost, err, want)
			}
		}
	}
}

func TestTailLogNoticesThatFilesRotatedAway(t *testing.T) {
	t.Parallel()
	t.Run("before it came", func(t *testing.T) {
		t.Parallel()
		f, c := newFake(t)
		log := &fakeLog{first: 3, files: []string{"ijklmnop", "qr"}}
		log.serve(f)
		text, lost, _, err := read(t.Context(), c, Cursor{"trainer.stdout.1", 5})
		if text != "ijklmnopqr" || lost != 8+8-5 || err != nil {
			t.Errorf("got %q lost %d, %v", text, lost, err)
		}
		if _, lost, _, _ := read(t.Context(), c, Cursor{}); lost != 24 {
			t.Errorf("from the beginning %d bytes are lost, want three files", lost)
		}
	})
	t.Run("between its look and Nomad's", func(t *testing.T) {
		t.Parallel()
		f, c := newFake(t)
		log := &fakeLog{files: []string{"abcdefgh", "ijklmnop", "qrstuvwx", "yz"}}
		var once sync.Once
		log.before = func() { once.Do(func() { log.rotate(1, "01") }) }
		log.serve(f)
		// Asked for by the old offset, Nomad would now begin 8 bytes late.
		text, lost, _, err := read(t.Context(), c, Cursor{"trainer.stdout.1", 2})
		if text != "klmnopqrstuvwxyz01" || lost != 0 || err != nil {
			t.Errorf("got %q lost %d, %v", text, lost, err)
		}
	})
	t.Run("while it read from the beginning", func(t *testing.T) {
		t.Parallel()
		f, c := newFake(t)
		log := &fakeLog{files: []string{"abcdefgh", "ijklmnop", "qrstuvwx"}}
		var once sync.Once
		log.before = func() { once.Do(func() { log.rotate(2, "yz") }) }
		log.serve(f)
		text, lost, _, err := read(t.Context(), c, Cursor{"trainer.stdout.0", 0})
		if text != "qrstuvwxyz" || lost != 16 || err != nil {
			t.Errorf("got %q lost %d, %v", text, lost, err)
		}
	})
	t.Run("but not a cursor of a file that does not exist yet", func(t *testing.T) {
		t.Parallel()
		f, c := newFake(t)
		(&fakeLog{files: []string{"abcdefgh"}}).serve(f)
		for _, from := range []Cursor{{"trainer.stdout.1", 0}, {"trainer.stdout.0", 9}} {
			if _, _, _, err := read(t.Context(), c, from); !errors.Is(err, fault.ErrInvalid) {
				t.Errorf("from %+v: %v", from, err)
			}
		}
	})
}

func TestTailLogGoesBackForBytesThatNomadLeftBehind(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	log := &fakeLog{files: []string{"abcdefgh", "ijkl"}}
	f.HandleFunc("GET /v1/client/fs/ls/a", log.ls)
	var calls atomic.Int32
	f.HandleFunc("GET /v1/client/fs/logs/a", func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) > 1 {
			log.logs(w, r)
			return
		}
		fmt.Fprint(w, `{"Data":"YWJj","File":"alloc/logs/trainer.stdout.0"}{"Data":"aWpr","File":"alloc/logs/trainer.stdout.1"}`)
	})
	text, lost, _, err := read(t.Context(), c, Cursor{})
	if text != "abcdefghijkl" || lost != 0 || err != nil {
		t.Errorf("got %q lost %d, %v", text, lost, err)
	}
}

func TestTailLogTellsHowAStreamEnded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		logs http.HandlerFunc
		want error
		text string
	}{
		{"an error as text after the frames", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"Data":"YQ==","File":"alloc/logs/trainer.stdout.0"}{}failed to list entries: state for allocation a not found on client`)
		}, fault.ErrNotFound, "state for allocation"},
		{"the end although it follows", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }, fault.ErrUnavailable, "ended"},
		{"silence", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "{}")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, fault.ErrUnavailable, "nothing arrived"},
		{"no headers at all", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, fault.ErrUnavailable, "nothing arrived"},
		{"a frame without an end", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"Data":"`+strings.Repeat("QUFB", 1<<20))
		}, fault.ErrUnavailable, "longer than any"},
		{"a frame of another file", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"Data":"YQ==","File":"alloc/logs/../../etc/passwd"}`)
		}, fault.ErrUnavailable, "no log file"},
		{"binary rubbish", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "\x00\xff\xfe{{{") }, nil, "500"},
		{"not started", refuse(404, `task "trainer" not started yet. No logs available`), ErrNotStarted, ""},
		{"connections in use for ever", refuse(429, "Too many connections"), fault.ErrUnavailable, "429"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, client := newFake(t)
				f.HandleFunc("GET /v1/client/fs/ls/a", (&fakeLog{files: []string{"abc"}}).ls)
				f.HandleFunc("GET /v1/client/fs/logs/a", c.logs)
				err := client.TailLog(t.Context(), "a", "stdout", Cursor{}, true, func(LogChunk) error { return nil })
				if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("got %v, want %v with %q", err, c.want, c.text)
				}
			})
		})
	}
}

func TestTailLogAsksWhyThereAreNoFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		`task "trainer" not started yet. No logs available`: ErrNotStarted,
		"state for allocation a not found on client":        fault.ErrNotFound,
	} {
		f, c := newFake(t)
		f.HandleFunc("GET /v1/client/fs/ls/a", refuse(500, "open /x/alloc/logs: no such file or directory"))
		f.HandleFunc("GET /v1/client/fs/logs/a", refuse(404, text))
		if _, _, _, err := read(t.Context(), c, Cursor{}); !errors.Is(err, want) {
			t.Errorf("%s gives %v", text, err)
		}
	}
}

func TestTailLogWaitsWhenNomadHasNoConnectionFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(t)
		log := &fakeLog{files: []string{"abc"}}
		f.HandleFunc("GET /v1/client/fs/ls/a", log.ls)
		var calls atomic.Int32
		f.HandleFunc("GET /v1/client/fs/logs/a", func(w http.ResponseWriter, r *http.Request) {
			if calls.Add(1) < 4 {
				refuse(429, "Too many connections")(w, r)
				return
			}
			log.logs(w, r)
		})
		if text, _, _, err := read(t.Context(), c, Cursor{}); text != "abc" || err != nil {
			t.Errorf("got %q, %v", text, err)
		}
	})
}

func TestTailLogReturnsTheCallersOwnError(t *testing.T) {
	t.Parallel()
	f, c := newFake(t)
	(&fakeLog{files: []string{"abcdef"}}).serve(f)
	mine := errors.New("mine")
	if err := c.TailLog(t.Context(), "a", "stdout", Cursor{}, true, func(LogChunk) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("got %v", err)
	}
	if err := c.TailLog(t.Context(), "a", "stdin", Cursor{}, true, nil); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("a stream that does not exist gives %v", err)
	}
}

func TestASlowReaderIsNotTakenForASilentNomad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(t)
		(&fakeLog{files: []string{"abcdef"}}).serve(f)
		text := ""
		err := c.TailLog(t.Context(), "a", "stdout", Cursor{}, false, func(chunk LogChunk) error {
			time.Sleep(3 * logSilence)
			text += string(chunk.Data)
			return nil
		})
		if text != "abcdef" || err != nil {
			t.Errorf("got %q, %v", text, err)
		}
	})
}

func TestMoreStreamsThanSlotsTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFake(t)
		c.slots = newSlots(2, turn)
		var open, most atomic.Int32
		for i := range 6 {
			alloc := strconv.Itoa(i)
			f.HandleFunc("GET /v1/client/fs/ls/"+alloc, (&fakeLog{files: []string{"abc"}}).ls)
			f.HandleFunc("GET /v1/client/fs/logs/"+alloc, func(w http.ResponseWriter, r *http.Request) {
				n := open.Add(1)
				defer open.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				if r.URL.Query().Get("offset") == "0" {
					fmt.Fprint(w, `{"Data":"YWJj","File":"alloc/logs/trainer.stdout.0"}`)
				}
				for r.Context().Err() == nil { // followed for ever
					fmt.Fprint(w, "{}")
					w.(http.Flusher).Flush()
					select {
					case <-r.Context().Done():
					case <-time.After(time.Second):
					}
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var all, served sync.WaitGroup
		var got sync.Map
		for i := range 6 {
			served.Add(1)
			all.Go(func() {
				first := true
				err := c.TailLog(ctx, strconv.Itoa(i), "stdout", Cursor{}, true, func(chunk LogChunk) error {
					if !first {
						return errors.New("the log came twice")
					}
					first = false
					got.Store(i, string(chunk.Data))
					served.Done()
					return nil
				})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("stream %d: %v", i, err)
				}
			})
		}
		served.Wait()
		cancel()
		all.Wait()
		for i := range 6 {
			if text, _ := got.Load(i); text != "abc" {
				t.Errorf("stream %d got %v", i, text)
			}
		}
		// A closed stream's handler may still be on its way out when the next one begins.
		if most.Load() > 4 {
			t.Errorf("%d streams were open at once, with 2 slots", most.Load())
		}
	})
}

func FuzzFramesNeverPanicAndStayBounded(f *testing.F) {
	f.Add([]byte(`{"Data":"YQ==","File":"x","Offset":1}{}{"FileEvent":"file deleted"}`))
	f.Add([]byte("{}error text"))
	f.Add([]byte(`{"Data":"!!"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newFrameReader(strings.NewReader(string(data)))
		for range len(data) + 1 {
			fr, err := r.next()
			if err != nil {
				return
			}
			if len(fr.Data) > maxFrame {
				t.Fatalf("a frame of %d bytes", len(fr.Data))
			}
		}
		t.Fatalf("more frames than bytes in %q", data)
	})
}
