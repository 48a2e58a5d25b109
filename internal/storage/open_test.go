package storage

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestOnlyRegularFilesAreOpenedAndAFIFONeverBlocks(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.write("models/final/model.bin", "weights")
	if err := syscall.Mkfifo(filepath.Join(f.dir, "models/final/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.link("fifo", "models/final/to-fifo")
	f.link("/dev/zero", "models/final/zero")
	f.link("model.bin", "models/final/latest")
	device := syscall.Mknod(filepath.Join(f.dir, "models/final/device"), syscall.S_IFCHR|0o600, 1<<8|5) == nil // as root only
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	refused := map[string]string{"models/final": "folder", "models/final/fifo": "FIFO", "models/final/to-fifo": "FIFO", "models/final/zero": "leads out", "": "folder"}
	if device {
		refused["models/final/device"] = "device"
	}
	for p, why := range refused {
		var r *Refusal
		if _, err := f.Open(ctx, p); !errors.As(err, &r) || !strings.Contains(r.Reason, why) {
			t.Errorf("%s: %v", p, err)
		}
		if p != "" {
			if u, err := f.Usage(ctx, p); err != nil || u.Partial {
				t.Errorf("usage of %s: %+v, %v", p, u, err)
			}
		}
	}
	for _, p := range []string{"models/final/model.bin", "models/final/latest"} {
		file, err := f.Open(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(file)
		if string(b) != "weights" || err != nil || file.Info.Size() != 7 {
			t.Errorf("%s: %q, %v", p, b, err)
		}
		_ = file.Close()
	}
}

// serve answers a request for a file of the storage.
func (f *fixture) serve(p string, headers ...string) *httptest.ResponseRecorder {
	f.t.Helper()
	file, err := f.Open(f.t.Context(), p)
	if err != nil {
		f.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	ServeFile(w, r, file)
	if _, err := file.Seek(0, 0); !errors.Is(err, os.ErrClosed) {
		f.t.Errorf("%s is still open: %v", p, err)
	}
	return w
}

func TestFilesAreServedAsSomethingToKeepInWholeOrInPart(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.write("models/final/page.html", "<script>alert(1)</script>")
	w := f.serve("models/final/page.html")
	for name, want := range map[string]string{
		"Content-Type": "application/octet-stream", "X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment; filename=page.html",
		"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "private, no-cache", "Content-Length": "25", "Accept-Ranges": "bytes",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	tag := w.Header().Get("ETag")
	for _, tt := range []struct {
		name   string
		header []string
		status int
		body   string
	}{
		{"a part", []string{"Range", "bytes=1-6"}, 206, "script"},
		{"the end", []string{"Range", "bytes=-9"}, 206, "</script>"},
		{"beyond the end", []string{"Range", "bytes=99-"}, 416, ""},
		{"a part of what is unchanged", []string{"Range", "bytes=1-6", "If-Range", tag}, 206, "script"},
		{"a part of what has changed", []string{"Range", "bytes=1-6", "If-Range", `"other"`}, 200, "<script>alert(1)</script>"},
		{"what the client has", []string{"If-None-Match", tag}, 304, ""},
	} {
		w := f.serve("models/final/page.html", tt.header...)
		if w.Code != tt.status || tt.status < 400 && w.Body.String() != tt.body {
			t.Errorf("%s: %d %q", tt.name, w.Code, w.Body)
		}
	}
}

func TestNoNameOfAFileCanChangeTheHeaderOrWhereItIsKept(t *testing.T) {
	t.Parallel()
	names := append([]string{"../../x", "a\r\nSet-Cookie: x=1", "con;filename=evil.exe", "plain file.txt"}, oddNames...)
	for _, name := range names {
		value := disposition(name)
		if strings.ContainsAny(value, "\r\n\x00") {
			t.Errorf("%q: %q", name, value)
		}
		// mime prefers filename*, as browsers do.
		kind, params, err := mime.ParseMediaType(value)
		got := params["filename"]
		if err != nil || kind != "attachment" || len(params) != 1 || got == "" {
			t.Errorf("%q: %q is %s %v, %v", name, value, kind, params, err)
			continue
		}
		if strings.HasPrefix(got, "-") || strings.HasPrefix(got, ".") || strings.ContainsAny(got, "\n\u202e\x1b") {
			t.Errorf("%q is kept as %q", name, got)
		}
		if plain(name) && !strings.ContainsAny(name, `/\:`) && strings.Trim(name, "-. ") == name && got != name {
			t.Errorf("%q is kept as %q", name, got)
		}
	}
}
