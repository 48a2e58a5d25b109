package cli

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/fault"
)

type storageCmd struct {
	List   storageListCmd   `cmd:"" help:"List a folder of shared storage."`
	Get    storageGetCmd    `cmd:"" help:"Download a file of shared storage."`
	Delete storageDeleteCmd `cmd:"" help:"Delete a file or folder of shared storage, with all that is in it."`
	Layout storageLayoutCmd `cmd:"" help:"Show the layout of shared storage and what is wrong with it."`
}

// storageArg is how a place in shared storage is named.
type storageArg struct {
	Path    string `arg:"" help:"Path below shared storage, such as models/checkpoints."`
	Encoded bool   `help:"The path is percent-encoded, as --format json prints it."`
}

// path is the place in bytes.
func (a storageArg) path() (string, error) { return storagePath(a.Path, a.Encoded) }

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

// storageEntry is one name as the API sends it.
type storageEntry struct {
	api.StorageEntry
}

// storagePage is a page of a folder as the API sends it, and as this command prints it.
type storagePage struct {
	Path    string         `json:"path"`
	Purpose string         `json:"purpose,omitempty"`
	Items   []storageEntry `json:"items"`
	Next    string         `json:"next,omitempty"`
	Seen    int            `json:"seen"`
	Sorted  bool           `json:"sorted"`
	More    bool           `json:"more"`
}

type storageListCmd struct {
	Remote  `embed:""`
	Path    string `arg:"" optional:"" help:"Folder below shared storage; without it, its root."`
	Encoded bool   `help:"The path is percent-encoded, as --format json prints it."`
	Sort    string `enum:"name,size,time" default:"name" help:"name, size or time."`
	Reverse bool   `short:"r" help:"The other way round."`
	Sizes   bool   `help:"Count what folders hold."`
	Limit   int    `default:"1000" help:"At most this many."`
}

// Run lists the folder.
func (c *storageListCmd) Run(ctx context.Context, p *process) error {
	if c.Limit < 1 {
		return fault.Usage("--limit must be at least 1", "leave it out for 1000")
	}
	folder, err := storagePath(c.Path, c.Encoded)
	if err != nil {
		return err
	}
	cl, err := p.connect(c.Remote)
	if err != nil {
		return err
	}
	all, err := c.read(ctx, cl, folder)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return p.printJSON(all)
	}
	t := p.table("KIND", "SIZE", "CHANGED", "NAME")
	for _, e := range all.Items {
		t.row(string(e.Kind), e.size(), p.changed(e.Time), e.label())
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

func (c *storageListCmd) read(ctx context.Context, cl *client, folder string) (storagePage, error) {
	all := storagePage{Items: []storageEntry{}}
	for len(all.Items) < c.Limit {
		query := url.Values{"sort": {c.Sort}, "limit": {strconv.Itoa(min(500, c.Limit-len(all.Items)))}}
		if folder != "" {
			query.Set("path", folder)
		}
		if c.Reverse {
			query.Set("descending", "true")
		}
		if c.Sizes {
			query.Set("sizes", "true")
		}
		if all.Next != "" {
			query.Set("cursor", all.Next)
		}
		var page storagePage
		if err := cl.get(ctx, "/api/v1/storage/list", query, &page); err != nil {
			return all, err
		}
		page.Items = append(all.Items, page.Items...)
		all = page
		if page.Next == "" {
			break
		}
	}
	return all, nil
}

// label is the name with what is special about it.
func (e storageEntry) label() string {
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

func (e storageEntry) size() string {
	switch {
	case e.Bytes < 0, e.Kind != "file" && e.Bytes == 0 && !e.Partial:
		return "-"
	case e.Partial:
		return ">=" + bytesText(e.Bytes)
	}
	return bytesText(e.Bytes)
}

// changed is a time as a listing has it.
func (p *process) changed(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return p.ago(t)
}
