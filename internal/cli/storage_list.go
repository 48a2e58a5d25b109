package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

// storageArg is how a place in shared storage is named.
type storageArg struct {
	InProject `embed:""`
	Path      string `arg:"" help:"Path below shared storage, such as models/checkpoints."`
	Encoded   bool   `help:"The path is percent-encoded, as --format json prints it."`
}

// place is the place in bytes.
func (a storageArg) place(p *process) (client.StoragePath, error) {
	at, err := storagePath(a.Path, a.Encoded)
	return client.StoragePath{InStorage: a.storage(p), Path: at}, err
}

// storage is whose shared storage it is.
func (i InProject) storage(p *process) client.InStorage {
	return client.InStorage{Project: i.project(p)}
}

func storagePath(p string, encoded bool) (string, error) {
	if encoded {
		raw, err := url.PathUnescape(p)
		if err != nil {
			return "", fault.Usage(fmt.Sprintf("%q is not percent-encoded", p), "leave --encoded out for a path as it is")
		}
		p = raw
	} else if strings.ContainsRune(p, utf8.RuneError) { // the command line's parser keeps text only
		return "", fault.Usage(fmt.Sprintf("%q holds bytes that are not text", p), "write it percent-encoded, as --format json prints it, with --encoded")
	}
	return strings.TrimSuffix(p, "/"), nil
}

type storageListCmd struct {
	Remote    `embed:""`
	InProject `embed:""`
	Path      string `arg:"" optional:"" help:"Folder below shared storage; without it, its root."`
	Encoded   bool   `help:"The path is percent-encoded, as --format json prints it."`
	Sort      string `enum:"name,size,time" default:"name" help:"name, size or time."`
	Reverse   bool   `short:"r" help:"The other way round."`
	Sizes     bool   `help:"Count what folders hold."`
	Limit     int    `default:"1000" help:"At most this many."`
}

// Run lists the folder.
func (c *storageListCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	if c.Limit < 1 {
		return fault.Usage("--limit must be at least 1", "leave it out for 1000")
	}
	folder, err := storagePath(c.Path, c.Encoded)
	if err != nil {
		return err
	}
	var all client.StoragePage
	items, next, err := pages(c.Limit, func(from string, n int) (_ []client.StorageEntry, _ string, err error) {
		all, err = cl.StorageList(ctx, client.StorageQuery{
			StoragePath: client.StoragePath{InStorage: c.storage(p), Path: folder}, Sort: c.Sort, Descending: c.Reverse, Sizes: c.Sizes, Cursor: from, Limit: n,
		})
		return all.Items, all.Next, err
	})
	if err != nil {
		return err
	}
	all.Items, all.Next = items, next
	if c.Format == "json" {
		return p.printJSON(all)
	}
	t := p.table("KIND", "SIZE", "CHANGED", "NAME")
	for _, e := range all.Items {
		t.row(e.Kind, entrySize(e), p.ago(e.Time), entryLabel(e))
	}
	if err := t.flush(); err != nil {
		return err
	}
	switch {
	case len(all.Items) == 0 && all.Purpose != "":
		p.say("nothing here yet; what belongs here: %s", all.Purpose)
	case len(all.Items) == 0:
		p.say("the folder is empty")
	case all.Next != "":
		p.say("there are more; --limit shows more")
	case all.More:
		p.say("the folder has more entries than the console lists; they are not sorted")
	}
	return nil
}

// entryLabel is the name with what is special about it.
func entryLabel(e client.StorageEntry) string {
	switch {
	case e.Kind == "folder":
		return e.Name + "/"
	case e.Kind == "link" && e.Leads == "":
		return e.Name + " -> " + e.Target + " (not in the storage)"
	case e.Kind == "link":
		return e.Name + " -> " + e.Target
	case e.Kind == "other":
		return e.Name + " (" + e.Note + ")"
	}
	return e.Name
}

func entrySize(e client.StorageEntry) string {
	switch {
	case e.Bytes < 0, e.Kind != "file" && e.Bytes == 0 && !e.Partial:
		return "-"
	case e.Partial:
		return ">=" + bytesText(e.Bytes)
	}
	return bytesText(e.Bytes)
}
