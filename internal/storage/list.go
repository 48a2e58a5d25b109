package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"
)

// Kind is the kind of an entry.
type Kind string

// The kinds.
const (
	KindFile   Kind = "file"
	KindFolder Kind = "folder"
	KindLink   Kind = "link"
	KindOther  Kind = "other" // device, socket or FIFO: never opened
)

// Sort is the order of a listing.
type Sort string

// The orders; ties are sorted by name.
const (
	SortName Sort = "name" // natural: step_9 before step_10
	SortSize Sort = "size"
	SortTime Sort = "time"
)

// Query selects a page of a folder.
type Query struct {
	Sort       Sort // "" for SortName
	Descending bool
	Limit      int    // 1 to MaxPage; 0 for MaxPage
	Cursor     string // Listing.Next, "" for the first page
}

// MaxPage is the most entries per page.
const MaxPage = 500

// Entry is a name in a folder.
type Entry struct {
	Name    string    // raw bytes: see [Display]
	Kind    Kind      //
	Size    int64     // of a file; -1 if unknown
	Time    time.Time // last change; zero if unknown
	Mode    fs.FileMode
	Special string // of KindOther: "device", "socket", "FIFO"
	Target  string // text of a link
	// LinkKind is what a link leads to inside the storage, "" if outside, nowhere or in a loop.
	LinkKind Kind
	Purpose  string // of a folder of the layout
}

// Listing is a page of a folder.
type Listing struct {
	Path    string // "" for the root
	Purpose string // of the root and the layout
	Entries []Entry
	Next    string // next page's Cursor, "" on the last
	// Sorted is false in a folder with too many names to sort.
	Sorted bool
	Seen   int  // names read so far, over all pages
	More   bool // others were not read
}

// List returns a page of a folder, unsorted and limited if it has too many names. Links are not followed, except in the
// path itself within the storage.
func (s *Storage) List(ctx context.Context, path string, q Query) (Listing, error) {
	p, err := clean(path)
	if err != nil {
		return Listing{}, err
	}
	if q.Limit <= 0 || q.Limit > MaxPage {
		q.Limit = MaxPage
	}
	if q.Sort == "" {
		q.Sort = SortName
	}
	at, err := parseCursor(q)
	if err != nil {
		return Listing{}, err
	}
	l, err := await(ctx, s, func(ctx context.Context, s *Storage) (Listing, error) {
		l, err := s.list(ctx, p, q, at)
		return l, explain(path, err)
	}, nil)
	if errors.As(err, new(noFolder)) && p == root {
		return Listing{Purpose: purposes()[root], Sorted: true}, nil // [Storage.Layout] tells
	}
	return l, err
}

func (s *Storage) list(ctx context.Context, p string, q Query, at cursor) (Listing, error) {
	limit := s.limits.names
	if q.Sort != SortName {
		limit = s.limits.stats
	}
	dir, err := s.openFolder(p)
	if err != nil {
		return Listing{}, err
	}
	defer func() { _ = dir.Close() }() // only read
	out := Listing{Path: outside(p), Purpose: s.purpose(p)}
	if at.unsorted {
		return s.listUnsorted(ctx, dir, p, q, at.skip, out)
	}
	names, more, err := readNames(ctx, dir, 0, limit)
	if err != nil {
		return out, err
	}
	if more {
		if _, err := dir.Seek(0, 0); err != nil {
			return out, err
		}
		return s.listUnsorted(ctx, dir, p, q, 0, out)
	}
	names = s.visible(p, names)
	out.Seen, out.Sorted = len(names), true
	keyed, err := s.keys(ctx, p, names, q.Sort)
	if err != nil {
		return out, err
	}
	order := compareKeys(q)
	slices.SortFunc(keyed, order)
	if at.set {
		i, exact := slices.BinarySearchFunc(keyed, at.key, order)
		if exact {
			i++
		}
		keyed = keyed[i:]
	}
	for i, k := range keyed {
		if len(out.Entries) == q.Limit {
			out.Next = cursor{key: keyed[i-1], set: true}.text(q)
			break
		}
		if e, ok := s.entry(p, k.name); ok {
			out.Entries = append(out.Entries, e)
		}
	}
	return out, ctx.Err()
}

// listUnsorted pages in folder order, rereading from the start each time, up to a limit.
func (s *Storage) listUnsorted(ctx context.Context, dir *os.File, p string, q Query, skip int, out Listing) (Listing, error) {
	room := max(0, min(q.Limit, s.limits.names-skip))
	names, more, err := readNames(ctx, dir, skip, room)
	if err != nil {
		return out, err
	}
	out.Seen, out.More, out.Sorted = skip+len(names), more, false
	if more && out.Seen < s.limits.names {
		out.Next = cursor{unsorted: true, skip: out.Seen}.text(q)
	}
	for _, name := range s.visible(p, names) {
		if e, ok := s.entry(p, name); ok {
			out.Entries = append(out.Entries, e)
		}
	}
	return out, ctx.Err()
}

// key is a sort key.
type key struct {
	name   string
	number int64 // size or time
}

// keys reads what the order needs, dropping vanished names.
func (s *Storage) keys(ctx context.Context, p string, names []string, by Sort) ([]key, error) {
	out := make([]key, 0, len(names))
	for i, name := range names {
		k := key{name: name}
		if by != SortName {
			if i%256 == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			info, err := s.lstat(join(p, name))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil: // shown as unknown
			case by == SortTime:
				k.number = info.ModTime().UnixNano()
			case info.Mode().IsRegular():
				k.number = info.Size()
			}
		}
		out = append(out, k)
	}
	return out, nil
}

func compareKeys(q Query) func(a, b key) int {
	return func(a, b key) int {
		if q.Descending && q.Sort == SortName {
			return natural(b.name, a.name)
		}
		c := cmp.Compare(a.number, b.number)
		if q.Descending {
			c = -c
		}
		return cmp.Or(c, natural(a.name, b.name))
	}
}

// natural compares numbers inside names by value. It is a total order on bytes.
func natural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		dx, dy := digits(x), digits(y)
		if dx > 0 && dy > 0 {
			nx, ny := strings.TrimLeft(x[:dx], "0"), strings.TrimLeft(y[:dy], "0")
			if c := cmp.Or(cmp.Compare(len(nx), len(ny)), strings.Compare(nx, ny)); c != 0 {
				return c
			}
			x, y = x[dx:], y[dy:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// entry describes a name; false if it vanished.
func (s *Storage) entry(dir, name string) (Entry, bool) {
	p := join(dir, name)
	e := Entry{Name: name, Purpose: s.purpose(p)}
	info, err := s.lstat(p)
	if errors.Is(err, fs.ErrNotExist) {
		return e, false
	}
	if err != nil {
		e.Kind, e.Size = KindOther, -1
		e.Special = "not readable"
		return e, true
	}
	e.Time, e.Mode = info.ModTime(), info.Mode()
	e.Kind, e.Special = kindOf(info.Mode())
	switch e.Kind {
	case KindFile:
		e.Size = info.Size()
	case KindLink:
		if e.Target, err = s.readlink(p); err != nil {
			e.Target = ""
		}
		if to, err := s.stat(p); err == nil {
			e.LinkKind, _ = kindOf(to.Mode())
		}
	}
	return e, true
}

func kindOf(m fs.FileMode) (kind Kind, special string) {
	switch {
	case m.IsRegular():
		return KindFile, ""
	case m.IsDir():
		return KindFolder, ""
	case m&fs.ModeSymlink != 0:
		return KindLink, ""
	case m&fs.ModeNamedPipe != 0:
		return KindOther, "FIFO"
	case m&fs.ModeSocket != 0:
		return KindOther, "socket"
	case m&fs.ModeDevice != 0:
		return KindOther, "device"
	}
	return KindOther, fmt.Sprintf("mode %v", m.Type())
}
