package logfile_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/logfile"
	"github.com/cotrain/cotrain/internal/run"
)

const id run.ID = "r-0123456789"

// log is a log in memory.
type log []logarchive.Chunk

func (l log) EachLog(_ context.Context, _ run.ID, f run.LogFilter, from run.LogPos, fn func(run.RawLine) error) (err error) {
	m, err := logarchive.NewMatcher(f)
	if err != nil {
		return err
	}
	for _, c := range l {
		m.Each(c, func(i int, line []byte) bool {
			if raw := c.Raw(i, line); raw.Pos >= from {
				err = fn(raw)
			}
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l log) EachLogAround(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, _ int, fn func(run.RawLine) error) error {
	found := f.Find
	f.Find = run.LogPattern{}
	return l.EachLog(ctx, id, f, from, func(line run.RawLine) error {
		line.Found = bytes.Contains(line.Text, []byte(found.Text))
		return fn(line)
	})
}

// hostile is output that a terminal, a page or a careless program would stumble over.
var hostile = log{
	{ID: 1, Rank: 0, Stream: "stdout", At: 1000, Data: []byte("\x1b[31mred\x1b[0m\r\n 1%\r 2%\rdone\n\xff\x00\n")},
	{ID: 2, Rank: 1, Stream: "stderr", At: 2000, Data: []byte("[ERROR] <script>\n\n")},
	{ID: 3, Rank: 0, Stream: "stdout", At: 3000, Data: []byte("COTRAIN {\"v\":1}\nno end")},
	{ID: 4, Rank: 0, Stream: "stdout", At: 4000, Data: []byte(", now\n")},
}

func serve(t *testing.T, from logfile.Source, query string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	f, err := logfile.Parse(q)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	if err := f.Serve(w, r, from, id); err != nil {
		t.Fatal(err)
	}
	return w
}

func body(r *httptest.ResponseRecorder) string { return r.Body.String() }

func TestAWorkersStreamComesOutAsItWasPrinted(t *testing.T) {
	t.Parallel()
	want := "\x1b[31mred\x1b[0m\r\n 1%\r 2%\rdone\n\xff\x00\nCOTRAIN {\"v\":1}\nno end, now\n"
	if got := body(serve(t, hostile, "worker=0&stream=stdout&format=ansi")); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	packed := serve(t, hostile, "worker=0&format=ansi&compress=gzip")
	z, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || string(got) != want {
		t.Errorf("unpacked: %q, %v", got, err)
	}
	if name := packed.Header().Get("Content-Disposition"); name != `attachment; filename="r-0123456789-worker-0.ansi.log.gz"` {
		t.Error(name)
	}
	dec, err := zstd.NewReader(serve(t, hostile, "worker=0&format=ansi&compress=zstd").Body)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	if got, err := io.ReadAll(dec); err != nil || string(got) != want {
		t.Errorf("unpacked: %q, %v", got, err)
	}
}

func TestLinesOfAllWorkersSayWhose(t *testing.T) {
	t.Parallel()
	if got, want := body(serve(t, hostile, "")), "[0] red\r\n[0]  1%\r 2%\rdone\n[0] \xff\x00\n[1] [ERROR] <script>\n[1] \n[0] COTRAIN {\"v\":1}\n[0] no end\n[0] , now\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := body(serve(t, hostile, "level=error")), "[1] [ERROR] <script>\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := body(serve(t, log{}, "")); got != "" {
		t.Errorf("an empty log is %q", got)
	}
}

func TestJSONLinesAreLines(t *testing.T) {
	t.Parallel()
	var lines []run.LogLine
	for dec := json.NewDecoder(serve(t, hostile, "format=jsonl&q=script&context=1").Body); ; {
		var l struct {
			run.LogLine
			Found bool `json:"found"`
		}
		err := dec.Decode(&l)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if l.Found != strings.Contains(l.Text, "script") {
			t.Errorf("%+v", l)
		}
		lines = append(lines, l.LogLine)
	}
	if want := (run.LogLine{Pos: logarchive.Pos(2, 0), Rank: 1, Stream: "stderr", At: time.UnixMilli(2000).UTC(), Text: "[ERROR] <script>", Level: run.LevelError}); len(lines) != 8 || lines[3] != want {
		t.Errorf("%+v", lines)
	}
}

func TestADownloadIsContinued(t *testing.T) {
	t.Parallel()
	var long log
	for i := range 5000 {
		long = append(long, logarchive.Chunk{ID: int64(i + 1), Rank: i % 3, Stream: "stdout", Data: fmt.Appendf(nil, "line %d\nand another\n", i)})
	}
	whole := serve(t, long, "q=line")
	all, tag := body(whole), whole.Header().Get("ETag")
	for _, from := range []int{0, 1, 1000, 65_536, len(all) - 1} {
		rest := serve(t, long, "q=line", "Range", fmt.Sprintf("bytes=%d-", from), "If-Range", tag)
		if got := body(rest); rest.Code != http.StatusPartialContent || got != all[from:] || rest.Header().Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", from, len(all)-1, len(all)) {
			t.Errorf("from %d: %d, %d bytes, %s", from, rest.Code, len(got), rest.Header().Get("Content-Range"))
		}
	}
	if part := serve(t, long, "q=line", "Range", "bytes=100-66000"); body(part) != all[100:66001] || part.Header().Get("Content-Length") != "65901" {
		t.Error("a part is another", part.Header())
	}
	if beyond := serve(t, long, "q=line", "Range", fmt.Sprintf("bytes=%d-", len(all))); beyond.Code != http.StatusRequestedRangeNotSatisfiable {
		t.Error(beyond.Code)
	}
	for _, other := range [][]string{{"Range", "bytes=5-", "If-Range", `"other"`}, {"Range", "bytes=-5"}, {"Range", "bytes=0-1,4-5"}, {"Range", "lines=5-"}} {
		if got := serve(t, long, "q=line", other...); got.Code != http.StatusOK || body(got) != all {
			t.Errorf("%q: %d", other, got.Code)
		}
	}
	if other := serve(t, long, "q=another").Header().Get("ETag"); other == tag {
		t.Error("two files have the same tag")
	}
}

func TestARangeOfLines(t *testing.T) {
	t.Parallel()
	q := fmt.Sprintf("first=%d&last=%d&worker=0", logarchive.Pos(1, 1), logarchive.Pos(3, 0))
	if got, want := body(serve(t, hostile, q)), " 1%\r 2%\rdone\n\xff\x00\nCOTRAIN {\"v\":1}\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWhatIsAskedForWrongIsNamed(t *testing.T) {
	t.Parallel()
	for query, field := range map[string]string{"format=pdf": "format", "compress=rar": "compress", "context=101": "context", "first=-1": "first", "q=(&regexp=1": "q", "worker=x": "worker", "stream=stdin": "stream", "level=loud": "level", "since=today": "since", "since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z": "until"} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		var errs run.FieldErrors
		if _, err := logfile.Parse(q); !errors.Is(err, fault.ErrInvalid) || !errors.As(err, &errs) || errs[0].Field != field || errs[0].Rule == "" || errs[0].Fix == "" {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// broken is a log that cannot be read to its end.
type broken struct{ log }

func (b broken) EachLog(ctx context.Context, id run.ID, f run.LogFilter, from run.LogPos, fn func(run.RawLine) error) error {
	return errors.Join(b.log.EachLog(ctx, id, f, from, fn), fault.ErrUnavailable)
}

func TestWhatCannotBeReadIsNoShortFile(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	f, err := logfile.Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Serve(w, r, broken{}, id); !errors.Is(err, fault.ErrUnavailable) || w.Body.Len() > 0 || w.Header().Get("Content-Disposition") != "" {
		t.Errorf("%v, %v", err, w)
	}
	var long log
	for i := range 20_000 {
		long = append(long, logarchive.Chunk{ID: int64(i + 1), Stream: "stdout", Data: []byte("a line of a log\n")})
	}
	defer func() {
		if v := recover(); v != any(http.ErrAbortHandler) {
			t.Errorf("it ended as if it were whole: %v", v)
		}
	}()
	_ = f.Serve(httptest.NewRecorder(), r, broken{long}, id)
}

// TestLinesThatAreLostAreCounted behind the file, or before a range of it, in every form.
func TestLinesThatAreLostAreCounted(t *testing.T) {
	t.Parallel()
	const notice = "[CoTrain: lines of worker 0 are lost here]"
	l := log{{ID: 1, Stream: "stdout", Data: []byte("one\n")}, {ID: 2, Stream: "stderr", Lost: true, Data: []byte(notice + "\n")}, {ID: 3, Stream: "stdout", Data: []byte("three\n")}}
	for _, query := range []string{"worker=0&stream=stdout&format=ansi", "format=text", "format=jsonl", "q=three", "q=three&context=1", "level=error", "hide=CoTrain", "since=2026-01-01T00:00:00Z"} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		f, err := logfile.Parse(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, bytes := range []string{"", "bytes=1-"} {
			r, w := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), httptest.NewRecorder()
			r.Header.Set("Range", bytes)
			if err := f.Serve(w, r, l, id); err != nil {
				t.Fatal(err)
			}
			got := w.Result()
			lost := got.Trailer.Get(run.LostLines)
			if bytes != "" {
				lost = got.Header.Get(run.LostLines)
			}
			if lost != "1" || strings.Count(w.Body.String(), notice[1:]) != 1 || strings.Contains(w.Body.String(), `"lost":true`) != (f.Format == "jsonl") {
				t.Errorf("%s %s: %q lost lines, %s", query, bytes, lost, w.Body)
			}
		}
	}
}
