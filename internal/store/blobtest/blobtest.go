// Package blobtest is the one suite of tests for every archive of logs.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/store"
)

// Test tests an empty archive, and leaves it empty.
func Test(t *testing.T, b store.Blobs) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	has := func(name string, want []byte) {
		t.Helper()
		got, err := b.Get(ctx, name)
		must(err)
		if !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes, not the %d that were put", name, len(got), len(want))
		}
		if size, err := b.Stat(ctx, name); err != nil || size != int64(len(want)) {
			t.Errorf("%s is said to have %d bytes, %v", name, size, err)
		}
	}
	names := func(folder string) (all []string) {
		t.Helper()
		must(b.Each(ctx, folder, func(name string, size int64, at time.Time) error {
			if since := time.Since(at); since < -time.Hour || since > time.Hour || size <= 0 {
				t.Errorf("%s: %d bytes of %s", name, size, at)
			}
			all = append(all, name)
			return nil
		}))
		return all
	}
	same := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", what, got, want)
		}
	}

	same("an empty archive", names(""))
	if _, err := b.Get(ctx, "r-1/1.zst"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a blob that is not there: %v", err)
	}
	if _, err := b.Stat(ctx, "r-1/1.zst"); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("the size of a blob that is not there: %v", err)
	}
	must(b.Delete(ctx, "r-1/1.zst"))
	must(b.DeleteAll(ctx, "r-1"))

	large := bytes.Repeat([]byte("all bytes \x00\xff\r\n"), 700_000) // beyond a part of a multipart upload
	must(b.Put(ctx, "r-1/1.zst", []byte("first")))
	must(b.Put(ctx, "r-1/2.zst", large))
	must(b.Put(ctx, "r-10/1.zst", []byte("other")))
	has("r-1/1.zst", []byte("first"))
	has("r-1/2.zst", large)
	must(b.Put(ctx, "r-1/1.zst", []byte("again")))
	has("r-1/1.zst", []byte("again"))
	same("all", names(""), "r-1/1.zst", "r-1/2.zst", "r-10/1.zst")
	same("a folder", names("r-1"), "r-1/1.zst", "r-1/2.zst")
	same("a folder that is not there", names("r-2"))

	stop := errors.New("stop")
	if err := b.Each(ctx, "", func(string, int64, time.Time) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error ends a list with %v", err)
	}
	ended, end := context.WithCancel(ctx)
	end()
	if err := b.Each(ended, "", func(string, int64, time.Time) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("a list after the end of its context: %v", err)
	}

	must(b.Delete(ctx, "r-1/2.zst"))
	same("after a deletion", names(""), "r-1/1.zst", "r-10/1.zst")
	must(b.DeleteAll(ctx, "r-1"))
	same("after that of a folder", names(""), "r-10/1.zst")
	must(b.Delete(ctx, "r-10/1.zst"))

	var many sync.WaitGroup
	for i := range 20 {
		many.Go(func() {
			if err := b.Put(ctx, fmt.Sprintf("r-3/%04d", i), fmt.Appendf(nil, "blob %d", i)); err != nil {
				t.Error(err)
			}
		})
	}
	many.Wait()
	if got := names("r-3"); len(got) != 20 || !slices.IsSorted(got) {
		t.Errorf("put at once: %q", got)
	}
	must(b.DeleteAll(ctx, "r-3"))
	same("at the end", names(""))
}
