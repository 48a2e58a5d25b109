package storage

import (
	"fmt"
	"time"

	"github.com/cotrain/cotrain/views/ui"
)

// Entry is one name in a folder of shared storage. Texts are ready to be shown; addresses lead back to the exact
// bytes of the name.
type Entry struct {
	Name     string
	Kind     string // file, folder, link or other
	Note     string // what is special about it, or what belongs there; ""
	Open     string // address of the folder's page, "" for what is none
	Download string // address of the file, "" for what is none
	Delete   string // address that asks before it is deleted, "" for what may not be
	Bytes    int64  // -1 when not known
	HasSize  bool   // it is a file, or a folder that was counted
	AtLeast  bool   // there is more than Bytes: counting ended early
	Files    int64  // of a folder that was counted
	Time     time.Time
}

// Column is a heading that sorts.
type Column struct {
	Key, Label string
	Href       string // sorts by it, or the other way round
	Order      string // ascending or descending when sorted by it, else ""
}

// Crumb is one folder on the way to the present one.
type Crumb struct {
	Name, Href string
}

// Problem is a folder of the layout that is not as it should be.
type Problem struct {
	Path, Text string
}

// Gone is what has just been deleted.
type Gone struct {
	Files, Folders, Bytes int64
}

// Choice is a storage that one can look at.
type Choice struct {
	Path     string // on the console's machine
	Projects []string
	Href     string
}

// Folder is a page of one folder.
type Folder struct {
	Project string  // whose storage it is, "" for no one in particular
	Path    string  // as a configuration names it, "" for the root
	Crumbs  []Crumb // from the root to the folder that this one is in
	Name    string  // of the folder, "" for the root
	Purpose string  // what belongs there, ""
	Here    string  // the folder on the console's machine
	Mount   string  // the same on the workers
	Entries []Entry
	Columns []Column // name, size, time
	Seen    int      // entries up to this page's end; all of them when Sorted
	Sorted  bool
	More    bool   // there are entries that no page shows
	Next    string // address of the next page, ""
	First   string // address of the first page, "" on it
	Sizes   string // address of the same page with the sizes of folders, "" when there are none or they are shown
	Up      string // address of the folder that it is in, "" for the root
	Delete  string // address that asks before the folder is deleted, ""
	Gone    *Gone
	// Problems are those of the layout, on the root's page; Missing says that some can be made.
	Problems []Problem
	Missing  bool
	Repair   string // where missing folders are made, "" for who may not
	// MayDelete says whether who asks may delete here.
	MayDelete bool
	Now       time.Time
}

// count says how many entries there are.
func (f Folder) count() string {
	n := ui.Integer(f.Seen)
	switch {
	case !f.Sorted:
		return "more than " + ui.Integer(f.Seen-1) + " entries"
	case f.Seen == 1:
		return "1 entry"
	}
	return n + " entries"
}

// size is the text and the title of an entry's size.
func (e Entry) size() (text, title string) {
	switch {
	case !e.HasSize:
		return ui.Absent, ""
	case e.Bytes < 0:
		return ui.Absent, "Not readable by the console"
	}
	text, title = ui.Bytes(float64(e.Bytes)), ui.Integer(e.Bytes)+" bytes"
	if e.Kind == "folder" {
		title += " in " + ui.Plural(int(e.Files), "file")
	}
	if e.AtLeast {
		return "≥ " + text, "At least " + title + "; counting stopped early"
	}
	return text, title
}

func (e Entry) icon() string {
	switch e.Kind {
	case "folder", "link", "file":
		return e.Kind
	}
	return "unknown"
}

// text says what is gone: "3 files and 2 folders, 1.2 MiB".
func (g Gone) text() string {
	return Count(g.Files, g.Folders, g.Bytes)
}

// Count says how much a number of files and folders is.
func Count(files, folders, bytes int64) string {
	switch {
	case folders == 0:
		return fmt.Sprintf("%s, %s", ui.Plural(int(files), "file"), ui.Bytes(float64(bytes)))
	case files == 0:
		return ui.Plural(int(folders), "folder")
	}
	return fmt.Sprintf("%s in %s, %s", ui.Plural(int(files), "file"), ui.Plural(int(folders), "folder"), ui.Bytes(float64(bytes)))
}
