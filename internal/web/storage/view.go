package storage

import (
	"context"
	"path"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/storage"
	view "github.com/cotrain/cotrain/views/storage"
)

// storageFolder is a folder page's model.
func (s *Pages) storageFolder(ctx context.Context, st Storage, to links, l storage.Listing, q storage.Query, sizes bool) view.Folder {
	f := view.Folder{
		Project: string(to), Path: storage.Display(l.Path), Purpose: l.Purpose, Here: st.Path(), Mount: st.Mount(), MayDelete: st.May(ctx, access.StorageDelete), Repair: repair(ctx, st, to),
		Seen: l.Seen, Sorted: l.Sorted, More: l.More, Now: s.Now(),
	}
	if q.Sort == "" {
		q.Sort = storage.SortName
	}
	view := []string{"sort", otherThan(string(q.Sort), "name"), "order", when(q.Descending, "desc"), "sizes", when(sizes, "1")}
	link := func(more ...string) string {
		return to.to("/storage", l.Path, append(view[:len(view):len(view)], more...)...)
	}
	if l.Next != "" {
		f.Next = link("cursor", l.Next)
	}
	if q.Cursor != "" {
		f.First = link()
	}
	if l.Path != "" {
		f.Name = storage.Display(path.Base(l.Path))
		f.Crumbs = crumbsOf(to, l.Path)
		f.Up = to.to("/storage", storage.Parent(l.Path))
		if l.Purpose == "" {
			f.Delete = to.to("/storage/delete", l.Path)
		}
	}
	f.Columns = storageColumns(to, l.Path, q, sizes)
	folders := false
	counting, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	for _, e := range l.Entries {
		folders = folders || e.Kind == storage.KindFolder
		x := storageEntry(to, l.Path, e)
		if sizes && e.Kind == storage.KindFolder {
			count(counting, st, joinPath(l.Path, e.Name), &x)
		}
		f.Entries = append(f.Entries, x)
	}
	if folders && !sizes {
		f.Sizes = link("cursor", q.Cursor, "sizes", "1")
	}
	return f
}

// repair is where missing folders of the layout are made, "" for who may not.
func repair(ctx context.Context, st Storage, to links) string {
	if !st.May(ctx, access.StorageLayout) {
		return ""
	}
	return to.to("/storage/layout", "")
}

// count adds a folder's size, if there is time.
func count(ctx context.Context, st Storage, p string, x *view.Entry) {
	u, err := st.Usage(ctx, p)
	if err != nil {
		return // time is up, or it vanished
	}
	x.HasSize, x.Bytes, x.Files, x.AtLeast = true, u.Bytes, u.Files, u.Partial
}

func storageColumns(to links, p string, q storage.Query, sizes bool) []view.Column {
	columns := []view.Column{{Key: "name", Label: "Name"}, {Key: "size", Label: "Size"}, {Key: "time", Label: "Changed"}}
	for i := range columns {
		c := &columns[i]
		descending := c.Key != "name" // largest and newest first
		if c.Key == string(q.Sort) {
			c.Order, descending = "ascending", true
			if q.Descending {
				c.Order, descending = "descending", false
			}
		}
		c.Href = to.to("/storage", p, "sort", otherThan(c.Key, "name"), "order", when(descending, "desc"), "sizes", when(sizes, "1"))
	}
	return columns
}

func crumbsOf(to links, p string) []view.Crumb {
	crumbs := []view.Crumb{{Name: "Storage", Href: to.to("/storage", "")}}
	names := strings.Split(p, "/")
	for i, name := range names[:len(names)-1] {
		crumbs = append(crumbs, view.Crumb{Name: storage.Display(name), Href: to.to("/storage", strings.Join(names[:i+1], "/"))})
	}
	return crumbs
}

func storageEntry(to links, dir string, e storage.Entry) view.Entry {
	p := joinPath(dir, e.Name)
	x := view.Entry{Name: storage.Display(e.Name), Kind: string(e.Kind), Note: e.Purpose, Time: e.Time}
	leads := e.Kind
	switch e.Kind {
	case storage.KindFile:
		x.HasSize, x.Bytes = true, e.Size
	case storage.KindLink:
		leads = e.LinkKind
		x.Note = "→ " + storage.Display(e.Target)
		if e.LinkKind == "" {
			x.Note += " (broken, or outside the storage)"
		}
	case storage.KindOther:
		x.Note = e.Special
	}
	switch leads {
	case storage.KindFolder:
		x.Open = to.to("/storage", p)
	case storage.KindFile:
		x.Download = to.to("/storage/file", p)
	}
	if e.Purpose == "" {
		x.Delete = to.to("/storage/delete", p)
	}
	return x
}

func joinPath(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}

// otherThan is s, or "" for the default, which addresses omit.
func otherThan(s, usual string) string {
	if s == usual {
		return ""
	}
	return s
}

func when(on bool, value string) string {
	if on {
		return value
	}
	return ""
}
