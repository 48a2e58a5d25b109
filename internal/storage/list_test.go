package storage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/fault"
)

// oddNames are names that file systems take and programs stumble over.
var oddNames = []string{
	"-rf", "--help", " ", "a b", "new\nline", "tab\t", "bad\xff\xfe", "\u202egnp.exe", "<img src=x onerror=alert(1)>", `quo"te'`, "per%2Fcent%", "a?b#c&d=e+f;g",
	"日本語", "...", ".hidden", "back\\slash", "\x1b[2J", "a:b", "{run}", "comma,comma", strings.Repeat("x", 255),
}

// everything reads all pages.
func (f *fixture) everything(p string, q Query) (names []string, last Listing) {
	f.t.Helper()
	for range 100_000 {
		l, err := f.List(f.t.Context(), p, q)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, e := range l.Entries {
			names = append(names, e.Name)
		}
		if q.Cursor = l.Next; q.Cursor == "" {
			return names, l
		}
	}
	f.t.Fatal("the pages do not end")
	return nil, last
}

func TestAListingTellsWhatEachEntryIs(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.write("models/temp/file", "12345")
	if err := os.Mkdir(filepath.Join(f.dir, "models/temp/folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(f.dir, "models/temp/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	sock, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", shortSocket(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sock.Close() }()
	if err := os.Rename(sock.Addr().String(), filepath.Join(f.dir, "models/temp/socket")); err != nil {
		t.Skip("no socket on this file system:", err)
	}
	f.link("file", "models/temp/to-file")
	f.link("../final", "models/temp/to-folder")
	f.link("/etc/passwd", "models/temp/out")
	f.link("gone", "models/temp/broken")
	l, err := f.List(t.Context(), "models/temp", Query{})
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Name    string
		Kind    Kind
		Size    int64
		Special string
		Target  string
		Leads   Kind
	}
	var got []line
	for _, e := range l.Entries {
		got = append(got, line{e.Name, e.Kind, e.Size, e.Special, e.Target, e.LinkKind})
		if e.Time.IsZero() || time.Since(e.Time) > time.Hour {
			t.Errorf("%s: time %v", e.Name, e.Time)
		}
	}
	want := []line{
		{"broken", KindLink, 0, "", "gone", ""}, {"fifo", KindOther, 0, "FIFO", "", ""}, {"file", KindFile, 5, "", "", ""}, {"folder", KindFolder, 0, "", "", ""},
		{"out", KindLink, 0, "", "/etc/passwd", ""}, {"socket", KindOther, 0, "socket", "", ""}, {"to-file", KindLink, 0, "", "file", KindFile},
		{"to-folder", KindLink, 0, "", "../final", KindFolder},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if l.Path != "models/temp" || l.Purpose == "" || !l.Sorted || l.More || l.Seen != 8 {
		t.Errorf("%+v", l)
	}
}

// shortSocket is a path that fits into the address of a socket.
func shortSocket(t *testing.T) string {
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

func TestTheRootListsTheLayoutWithWhatBelongsThere(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	l, err := f.List(t.Context(), "", Query{})
	if err != nil || len(l.Entries) != 4 || l.Entries[0].Name != "configs" || l.Entries[0].Purpose == "" || l.Path != "" {
		t.Fatalf("%+v, %v", l, err)
	}
}

func TestEveryOrderShowsEveryEntryOnceOverAllPages(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	var want []string
	for i := range 57 {
		name := fmt.Sprintf("step_%d", i)
		f.write("models/temp/"+name, strings.Repeat("x", i%5))
		if err := os.Chtimes(filepath.Join(f.dir, "models/temp", name), time.Time{}, time.Unix(int64(1_700_000_000+i%7), 0)); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	for _, by := range []Sort{SortName, SortSize, SortTime} {
		for _, down := range []bool{false, true} {
			for _, limit := range []int{1, 7, 57, 58} {
				got, _ := f.everything("models/temp", Query{Sort: by, Descending: down, Limit: limit})
				if by == SortName && down {
					slices.Reverse(got)
				}
				if by != SortName {
					slices.SortFunc(got, natural)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s %v %d: %v", by, down, limit, got)
				}
			}
		}
	}
	sized, _ := f.everything("models/temp", Query{Sort: SortSize, Descending: true})
	if sized[0] != "step_4" || sized[len(sized)-1] != "step_55" {
		t.Errorf("by size: %v", sized)
	}
	newest, _ := f.everything("models/temp", Query{Sort: SortTime})
	if newest[0] != "step_0" || newest[len(newest)-1] != "step_55" {
		t.Errorf("by time: %v", newest)
	}
}

func TestAPageThatBeginsBehindADeletedEntryMissesNothing(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	for i := range 6 {
		f.write(fmt.Sprintf("models/temp/%d", i), "")
	}
	l, err := f.List(t.Context(), "models/temp", Query{Limit: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"0", "2"} {
		if _, err := f.Delete(t.Context(), "models/temp/"+gone); err != nil {
			t.Fatal(err)
		}
	}
	rest, _ := f.everything("models/temp", Query{Limit: 3, Cursor: l.Next})
	if !slices.Equal(rest, []string{"3", "4", "5"}) {
		t.Errorf("%v", rest)
	}
}

func TestCursorsThatNobodyGaveAreRefusedAndThoseOfAnotherOrderBeginAnew(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	for _, c := range []string{"x", "n", "n1", "n1.!", "nzzzzzzzzzzzzzzzz.YQ", "u-1", "u", "u99999999999", "q1.YQ", strings.Repeat("n", 1000)} {
		if _, err := f.List(t.Context(), "", Query{Cursor: c}); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%.20q: %v", c, err)
		}
	}
	l, err := f.List(t.Context(), "", Query{Limit: 1})
	if err != nil || l.Next == "" {
		t.Fatalf("%+v, %v", l, err)
	}
	for _, q := range []Query{{Sort: SortSize, Cursor: l.Next}, {Descending: true, Cursor: l.Next}} {
		if l, err := f.List(t.Context(), "", q); err != nil || len(l.Entries) != 4 {
			t.Errorf("%+v, %v", l, err)
		}
	}
	if _, err := f.List(t.Context(), "", Query{Sort: "colour"}); !errors.Is(err, fault.ErrInvalid) {
		t.Error(err)
	}
}

func TestOddNamesAreListedAsTheyAreOpenedAndDeleted(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	for _, name := range oddNames {
		f.write("datasets/raw/"+name, "content of "+name)
	}
	got, _ := f.everything("datasets/raw", Query{Limit: 4})
	want := slices.Clone(oddNames)
	slices.SortFunc(want, natural)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range oddNames {
		file, err := f.Open(t.Context(), "datasets/raw/"+name)
		if err != nil {
			t.Errorf("open %q: %v", name, err)
			continue
		}
		if file.Base != name {
			t.Errorf("%q is opened as %q", name, file.Base)
		}
		_ = file.Close()
		if r, err := f.Delete(t.Context(), "datasets/raw/"+name); err != nil || r.Files != 1 || f.there("datasets/raw/"+name) {
			t.Errorf("delete %q: %+v, %v", name, r, err)
		}
	}
}

func TestAHugeFolderIsReadUpToALimitAndSaysThatThereIsMore(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.limits.names, f.limits.stats = 1500, 900
	for i := range 4000 {
		f.write(fmt.Sprintf("datasets/raw/part-%05d", i), "")
	}
	q := Query{Limit: 500}
	seen := map[string]bool{}
	pages := 0
	for ; ; pages++ {
		l, err := f.List(t.Context(), "datasets/raw", q)
		if err != nil || l.Sorted || !l.More || len(l.Entries) != 500 {
			t.Fatalf("page %d: %d entries, %+v, %v", pages, len(l.Entries), l.Seen, err)
		}
		for _, e := range l.Entries {
			if seen[e.Name] {
				t.Errorf("%s twice", e.Name)
			}
			seen[e.Name] = true
		}
		if q.Cursor = l.Next; q.Cursor == "" {
			break
		}
	}
	if len(seen) != 1500 {
		t.Errorf("%d names on %d pages", len(seen), pages+1)
	}
	f.limits.names = 5000
	if l, err := f.List(t.Context(), "datasets/raw", Query{Sort: SortSize, Limit: 500}); err != nil || l.Sorted || !l.More {
		t.Errorf("by size: %+v, %v", l.Sorted, err)
	}
	if l, err := f.List(t.Context(), "datasets/raw", Query{Limit: 10}); err != nil || !l.Sorted || l.More || l.Seen != 4000 || l.Entries[9].Name != "part-00009" {
		t.Errorf("by name: %+v, %v", l, err)
	}
}

func TestFiftyThousandEntriesAndMoreAreListedWithinTheTimeOfAPage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("makes 50 020 files")
	}
	f := open(t, Options{})
	dir := filepath.Join(f.dir, "datasets/raw")
	for i := range 50_020 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%06d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // as a page has
	defer cancel()
	for _, by := range []Sort{SortName, SortSize, SortTime} {
		l, err := f.List(ctx, "datasets/raw", Query{Sort: by, Limit: 200})
		if err != nil || len(l.Entries) != 200 || l.Sorted || !l.More {
			t.Errorf("%s: %d entries, sorted %v, more %v, %v", by, len(l.Entries), l.Sorted, l.More, err)
		}
	}
	if err := os.Rename(dir, filepath.Join(f.dir, "datasets/all")); err != nil {
		t.Fatal(err)
	}
	for i := 49_990; i < 50_020; i++ {
		if err := os.Remove(filepath.Join(f.dir, "datasets/all", fmt.Sprintf("%06d", i))); err != nil {
			t.Fatal(err)
		}
	}
	if l, err := f.List(ctx, "datasets/all", Query{Descending: true, Limit: 200}); err != nil || !l.Sorted || l.Entries[0].Name != "049989" {
		t.Errorf("sorted %v, %v", l.Sorted, err)
	}
}

func TestListingsAreWholeWhileEntriesComeAndGo(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	for i := range 300 {
		f.write(fmt.Sprintf("models/temp/kept-%d", i), "")
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			name := filepath.Join(f.dir, "models/temp", fmt.Sprintf("passing-%d", i%50))
			_ = os.WriteFile(name, []byte("x"), 0o600) // the other one may have removed the folder's entry just now
			_ = os.Remove(name)
		}
	})
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.MkdirAll(filepath.Join(f.dir, fmt.Sprintf("models/temp/tree-%d/a/b", i%5)), 0o755)
			_, _ = f.Delete(context.Background(), fmt.Sprintf("models/temp/tree-%d", i%5)) // a race may refuse it; that is the point
		}
	})
	for i := range 40 {
		by := []Sort{SortName, SortSize, SortTime}[i%3]
		names, _ := f.everything("models/temp", Query{Sort: by, Limit: 100})
		kept := 0
		for _, n := range names {
			if strings.HasPrefix(n, "kept-") {
				kept++
			}
		}
		if kept != 300 {
			t.Errorf("round %d: %d of 300 entries", i, kept)
		}
	}
	close(stop)
	others.Wait()
}

func TestAFolderThatIsNoneCannotBeListed(t *testing.T) {
	t.Parallel()
	f := open(t, Options{})
	f.write("models/temp/file", "")
	if err := syscall.Mkfifo(filepath.Join(f.dir, "models/temp/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"models/temp/file", "models/temp/fifo", "models/temp/file/x"} {
		var refused *Refusal
		if _, err := f.List(t.Context(), p, Query{}); !errors.As(err, &refused) || !strings.Contains(refused.Reason, "not a folder") {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := f.List(t.Context(), "models/gone", Query{}); !errors.Is(err, fault.ErrNotFound) {
		t.Error(err)
	}
}

func TestNamesAreOrderedByTheNumbersInThem(t *testing.T) {
	t.Parallel()
	want := []string{"", "1", "01", "2", "10", "a", "a1", "a01", "a1b", "a2", "a10", "b", "step_9", "step_10", "step_100", "step_100.tmp"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, natural)
	for i, a := range want {
		for j, b := range want {
			if c := natural(a, b); (c == 0) != (i == j) || c != -natural(b, a) {
				t.Errorf("%q and %q: %d and %d", a, b, c, natural(b, a))
			}
		}
	}
	at := func(s string) int { return slices.Index(got, s) }
	if at("step_9") > at("step_10") || at("2") > at("10") || at("a1b") > at("a2") {
		t.Errorf("%q", got)
	}
}
