package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRotationLosesNothingAndSplitsNoLineThatFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "rotate")
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		size := rapid.Int64Range(8, 64).Draw(rt, "file size")
		w, err := openWriter(dir, "t.stdout", 1000, size, slog.New(slog.DiscardHandler))
		if err != nil {
			rt.Fatal(err)
		}
		var all []byte
		for _, p := range rapid.SliceOf(rapid.StringMatching(`[a-z]{0,20}\n?[a-z]{0,90}\n?`)).Draw(rt, "writes") {
			all = append(all, p...)
			if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
				rt.Fatalf("write: %d %v", n, err)
			}
		}
		if err := w.Close(); err != nil {
			rt.Fatal(err)
		}
		indexes, err := Indexes(dir, "t.stdout")
		if err != nil {
			rt.Fatal(err)
		}
		var got []byte
		for _, i := range indexes {
			text, err := os.ReadFile(w.path(i))
			if err != nil || int64(len(text)) > size {
				rt.Fatalf("file %d has %d bytes, limit %d, %v", i, len(text), size, err)
			}
			got = append(got, text...)
		}
		if !bytes.Equal(got, all) {
			rt.Fatalf("wrote %q, files hold %q", all, got)
		}
	})
}

func TestOldLogFilesAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w, err := openWriter(dir, "t.stderr", 3, 10, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		fmt.Fprintf(w, "line %03d\n", i)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if indexes, err := Indexes(dir, "t.stderr"); err != nil || fmt.Sprint(indexes) != "[7 8 9]" {
		t.Errorf("files %v, %v", indexes, err)
	}
}

func TestALogThatCannotBeWrittenDoesNotStopItsTask(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	w, err := openWriter(t.TempDir(), "t.stdout", 3, 1<<20, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("the system has no /dev/full")
	}
	good := w.file
	w.file = full
	for range 3 {
		if n, err := w.Write([]byte("lost\n")); n != 5 || err != nil {
			t.Errorf("write: %d %v", n, err)
		}
	}
	w.file = good
	fmt.Fprintln(w, "kept")
	if err := errors.Join(w.Close(), full.Close()); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(w.path(0)); err != nil || string(text) != "\n"+LostMark+"kept\n" {
		t.Errorf("file holds %q, %v", text, err)
	}
	if n := w.Lost(); n != 15 {
		t.Errorf("%d bytes are said to be lost", n)
	}
	if out := said.String(); strings.Count(out, "cannot be written") != 1 || !strings.Contains(out, "bytes_lost=15") {
		t.Errorf("the agent's log says %q", out)
	}
}
