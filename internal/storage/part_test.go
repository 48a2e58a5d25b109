package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// newParts is a storage with the folders of two projects, each with a layout and a file.
func newParts(t *testing.T) *fixture {
	t.Helper()
	folders := []string{"secret", "teams/vision"}
	f := open(t, Options{Mount: "/mnt/shared", Folders: func() []string { return folders }})
	for _, p := range append(folders, ".") {
		f.write(p+"/datasets/raw/c4/part", "12345")
		f.write(p+"/keep.txt", "of "+p)
	}
	f.write("teams/notes.txt", "of nobody")
	return f
}

func names(t *testing.T, s *Storage, p string, q Query) []string {
	t.Helper()
	l, err := s.List(t.Context(), p, q)
	if err != nil {
		t.Fatalf("%s: %v", p, err)
	}
	if l.Sorted && l.Seen != len(l.Entries) {
		t.Errorf("%s: %d of %d names", p, len(l.Entries), l.Seen)
	}
	var out []string
	for _, e := range l.Entries {
		out = append(out, e.Name)
	}
	return out
}

func content(t *testing.T, s *Storage, p string) string {
	t.Helper()
	f, err := s.Open(t.Context(), p)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, 100)
	n, _ := f.Read(b)
	return string(b[:n])
}

func TestAProjectSeesItsFolderAndNothingElse(t *testing.T) {
	t.Parallel()
	f := newParts(t)
	s := f.In("teams/vision")
	if got, want := names(t, s, "", Query{}), []string{"configs", "datasets", "keep.txt", "logs", "models"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if s.Path() != filepath.Join(f.dir, "teams/vision") || s.Mount() != "/mnt/shared/teams/vision" {
		t.Errorf("at %s, %s", s.Path(), s.Mount())
	}
	if got := content(t, s, "keep.txt"); got != "of teams/vision" {
		t.Errorf("read %q", got)
	}
	if l, err := s.Layout(t.Context()); err != nil || len(l) != 15 || slices.ContainsFunc(l, func(x Folder) bool { return x.Problem != "" }) {
		t.Errorf("%+v, %v", l, err)
	}
	if got, err := s.Complete(t.Context(), "/mnt/shared/teams/vision/k", 0); err != nil || !slices.Equal(got, []string{"/mnt/shared/teams/vision/keep.txt"}) {
		t.Errorf("%q, %v", got, err)
	}
	for _, typed := range []string{"/mnt/shared/se", "/mnt/shared/teams/no", "../"} {
		if got, err := s.Complete(t.Context(), typed, 0); err != nil || len(got) != 0 {
			t.Errorf("%s: %q, %v", typed, got, err)
		}
	}
	for target, link := range map[string]string{"../notes.txt": "up", "/etc/passwd": "abs", "../../secret": "side", "datasets/../../notes.txt": "round", "..": "parent"} {
		f.link(target, "teams/vision/"+link)
		if _, err := s.Open(t.Context(), link); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("opened %s: %v", link, err)
		}
		if _, err := s.List(t.Context(), link, Query{}); !errors.Is(err, fault.ErrConflict) {
			t.Errorf("listed %s: %v", link, err)
		}
		if _, err := s.Delete(t.Context(), link+"/keep.txt"); err == nil {
			t.Errorf("deleted through %s", link)
		}
	}
	for _, p := range []string{"../notes.txt", "..", "a/../../notes.txt", "/etc"} {
		if _, err := s.Open(t.Context(), p); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestWhatIsOfAProjectIsNotThereForTheOthers(t *testing.T) {
	t.Parallel()
	f := newParts(t)
	s := f.In("")
	for _, by := range []Sort{SortName, SortSize, SortTime} {
		got := names(t, s, "", Query{Sort: by})
		if slices.Sort(got); !slices.Equal(got, []string{"configs", "datasets", "keep.txt", "logs", "models", "teams"}) {
			t.Errorf("by %s: %q", by, got)
		}
	}
	if got := names(t, s, "teams", Query{}); !slices.Equal(got, []string{"notes.txt"}) {
		t.Errorf("teams: %q", got)
	}
	f.limits.names = 2 // too many to sort
	if got := names(t, s, "teams", Query{}); slices.Contains(got, "vision") {
		t.Errorf("unsorted: %q", got)
	}
	f.limits.names = defaultLimits().names
	f.link("teams/vision", "link")
	f.link("keep.txt", "fine")
	f.link("teams/../secret/keep.txt", "datasets/file")
	f.link("../../secret", "datasets/raw/up")
	f.link("up", "datasets/raw/again")
	f.link("/etc", "abs")
	for _, p := range []string{"secret", "secret/keep.txt", "secret/none", "teams/vision", "teams/vision/keep.txt", "link", "link/keep.txt", "datasets/file", "datasets/raw/up", "datasets/raw/again/keep.txt"} {
		none := p + " does not exist, or has been deleted."
		for what, err := range map[string]error{
			"open": second(s.Open(t.Context(), p)), "list": second(s.List(t.Context(), p, Query{})),
		} {
			if !errors.Is(err, fault.ErrNotFound) || !strings.Contains(fault.Of(err).What, strings.TrimPrefix(none, p)) {
				t.Errorf("%s %s: %v", what, p, err)
			}
		}
		if l, err := os.Lstat(filepath.Join(f.dir, p)); err == nil && l.Mode()&fs.ModeSymlink != 0 {
			continue // may be counted and deleted, and what it leads to stays
		}
		if _, err := s.Usage(t.Context(), p); err == nil {
			t.Errorf("counted %s", p)
		}
		if _, err := s.Delete(t.Context(), p); err == nil {
			t.Errorf("deleted %s", p)
		}
	}
	if content(t, s, "fine") != "of ." || content(t, s, "teams/notes.txt") != "of nobody" || !errors.Is(second(s.Open(t.Context(), "abs")), fault.ErrConflict) {
		t.Error("what is nobody's cannot be read, or what is outside can")
	}
	l, err := s.List(t.Context(), "", Query{})
	i := slices.IndexFunc(l.Entries, func(e Entry) bool { return e.Name == "link" })
	if err != nil || l.Entries[i].LinkKind != "" {
		t.Errorf("%+v, %v", l.Entries[i], err)
	}
	if u, err := s.Usage(t.Context(), "teams"); err != nil || u.Files != 1 || u.Folders != 1 {
		t.Errorf("%+v, %v", u, err)
	}
	whole, err := f.Usage(t.Context(), "")
	rest, bad := s.Usage(t.Context(), "")
	if err != nil || bad != nil || whole.Files-rest.Files != 4 {
		t.Errorf("%+v of %+v: %v, %v", rest, whole, err, bad)
	}
	for typed, want := range map[string][]string{"s": nil, "teams/": {"teams/notes.txt"}, "teams/v": nil, "secret/": nil, "link/": nil, "/mnt/shared/secret/k": nil, "k": {"keep.txt"}} {
		if got, err := s.Complete(t.Context(), typed, 0); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", typed, got, err)
		}
	}
	var refused *Refusal
	if _, err := s.Delete(t.Context(), "teams"); !errors.As(err, &refused) || !f.there("teams/notes.txt") {
		t.Errorf("%v", err)
	}
	if _, err := s.Delete(t.Context(), "teams/notes.txt"); err != nil {
		t.Error(err)
	}
	if _, err := s.Delete(t.Context(), "link"); err != nil || !f.there("teams/vision/keep.txt") {
		t.Errorf("%v", err)
	}
}

func TestAllOfSharedStorageHasTheFoldersOfProjectsInItsLayout(t *testing.T) {
	t.Parallel()
	f := newParts(t)
	f.remove("teams/vision/models/final")
	folders, err := f.Layout(t.Context())
	if err != nil || len(folders) != 14+2*15 {
		t.Fatalf("%d, %v", len(folders), err)
	}
	i := slices.IndexFunc(folders, func(x Folder) bool { return x.Problem != "" })
	if folders[i].Path != "teams/vision/models/final" {
		t.Errorf("%+v", folders[i])
	}
	done, _, err := f.Repair(t.Context())
	if err != nil || !slices.Equal(done, []string{"teams/vision: Made models/final."}) || !f.there("teams/vision/models/final") {
		t.Errorf("%q, %v", done, err)
	}
	for _, p := range []string{"teams", "teams/vision", "secret", "secret/models", "teams/vision/models/final", "models"} {
		var refused *Refusal
		if _, err := f.Delete(t.Context(), p); !errors.As(err, &refused) {
			t.Errorf("%s: %v", p, err)
		}
	}
	l, err := f.List(t.Context(), "", Query{})
	for _, e := range l.Entries {
		if (e.Name == "teams" || e.Name == "secret") && e.Purpose == "" {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if _, err := f.Delete(t.Context(), "secret/datasets/raw/c4"); err != nil || f.there("secret/datasets/raw/c4") {
		t.Error(err)
	}
}

func TestAProjectsFolderThatVanishesComesBack(t *testing.T) {
	t.Parallel()
	f := newParts(t)
	s := f.In("secret")
	f.remove("secret")
	if got := names(t, s, "", Query{}); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if _, err := s.Open(t.Context(), "keep.txt"); !errors.Is(err, fault.ErrNotFound) || !strings.Contains(fault.Of(err).Text(), "secret") {
		t.Errorf("%v", err)
	}
	folders, err := s.Layout(t.Context())
	if err != nil || folders[0].Problem != "It is missing." || folders[1].Problem != "" || folders[1].Found {
		t.Errorf("%+v, %v", folders[:2], err)
	}
	errs, _ := f.CheckPaths(t.Context(), conf(t, "data.fake", "true"), run.Shape{Folder: "secret"})
	if len(errs) != 1 || errs[0].Field != "folder" || errs[0].Value != "secret" || !strings.Contains(errs[0].Fix, "storage layout --repair") {
		t.Errorf("%v", errs)
	}
	if what, known, err := f.CheckpointProblem(t.Context(), "models/checkpoints/x", run.Shape{Nodes: 1, Folder: "secret"}, false); what == "" || !known || err != nil {
		t.Errorf("%q, %v, %v", what, known, err)
	}
	done, folders, err := s.Repair(t.Context())
	if err != nil || !slices.Equal(done, []string{madeAll}) || slices.ContainsFunc(folders, func(x Folder) bool { return !x.Found }) {
		t.Errorf("%q, %+v, %v", done, folders, err)
	}
	if info, err := os.Stat(filepath.Join(f.dir, "secret/models/final")); err != nil || info.Mode()&shownBits != DefaultMode {
		t.Errorf("%v, %v", info, err)
	}
	f.write("secret/keep.txt", "new")
	if got := content(t, s, "keep.txt"); got != "new" {
		t.Errorf("read %q", got)
	}
}

func TestALinkIsNoProjectsFolder(t *testing.T) {
	t.Parallel()
	f := newParts(t)
	f.remove("secret")
	f.link("teams/vision", "secret")
	var refused *Refusal
	s := f.In("secret")
	if _, err := s.Open(t.Context(), "keep.txt"); !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
	if _, folders, err := s.Repair(t.Context()); err != nil || !strings.Contains(folders[0].Problem, "link") {
		t.Errorf("%+v, %v", folders, err)
	}
}

func TestPathsAreJudgedInTheFolderOfTheProject(t *testing.T) {
	t.Parallel()
	f := newParts(t)
	f.write("teams/vision/datasets/raw/own/x", "x")
	for _, c := range []struct {
		folder, field, value string
		errs, warns          int
	}{
		{"teams/vision", "data.dataset_name_or_paths", "datasets/raw/own", 0, 0},
		{"secret", "data.dataset_name_or_paths", "datasets/raw/own", 0, 1},
		{"", "data.dataset_name_or_paths", "datasets/raw/own", 0, 1},
		{"teams/vision", "data.dataset_name_or_paths", "/mnt/shared/teams/vision/datasets/raw/own", 0, 0},
		{"teams/vision", "data.dataset_name_or_paths", "datasets/raw/own,/mnt/shared/datasets/raw/c4", 1, 0},
		{"teams/vision", "ckpt.path", "/mnt/shared/models/checkpoints/{run}", 1, 0},
		{"teams/vision", "ckpt.path", "../vision2/{run}", 1, 0},
		{"teams/vision", "ckpt.path", "/elsewhere/{run}", 0, 1},
		{"teams/vision", "ckpt.resume", "../../secret/models/checkpoints/a/step_1", 1, 0},
		{"", "ckpt.path", "secret/{run}", 1, 0},
		{"", "ckpt.path", "/mnt/shared/teams/vision/x", 1, 0},
		{"", "ckpt.path", "teams/{run}", 0, 0},
		{"", "data.dataset_name_or_paths", "allenai/c4", 0, 0}, // of the hub
		{"", "data.dataset_name_or_paths", "secret/datasets/raw/c4", 1, 0},
		{"", "data.dataset_name_or_paths", "secret/datasets/raw/none", 1, 0}, // whether it is there is not told
		{"", "data.val_dataset_name_or_paths", "secret", 1, 1},
		{"", "ckpt.data_path", "secret/models/a", 1, 0},
		{"teams/vision", "ckpt.data_path", "models/checkpoints/a/step_1", 0, 0},
		{"teams/vision", "ckpt.remote.path", "s3://bucket/mnt/shared/secret", 0, 0},
		{"teams/vision", "ckpt.remote.path", "file:///mnt/shared/teams/vision/x", 0, 0},
		{"teams/vision", "ckpt.remote.path", "file:///mnt/shared/secret/{run}", 1, 0},
		{"teams/vision", "ckpt.remote_data_path", "zip://a::local:/mnt/shared/secret/a.zip", 1, 0},
		{"teams/vision", "ckpt.remote.path", "simplecache::/mnt/shared/secret/{run}", 1, 0},
		{"teams/vision", "ckpt.remote.path", "simplecache::filecache::/mnt/shared/teams/vision/x", 0, 0},
		{"teams/vision", "ckpt.remote.path", "simplecache::models/x", 0, 0},
		{"teams/vision", "ckpt.remote.path", "simplecache::../../secret/x", 1, 0},
		{"teams/vision", "ckpt.remote.path", "simplecache::/elsewhere/x", 0, 1},
		{"teams/vision", "ckpt.remote.path", "simplecache::s3://bucket/x", 0, 0},
		{"teams/vision", "ckpt.remote.path", "/mnt/shared/secret/x::file:///elsewhere", 1, 0}, // fsspec opens the first
		{"teams/vision", "ckpt.path", "a::/../../../secret/x", 1, 0},                          // which is no chain there
		{"", "ckpt.remote.path", "simplecache::/mnt/shared/secret/x", 1, 0},
	} {
		var pairs []string
		if !strings.HasPrefix(c.field, "data.") {
			pairs = []string{"data.fake", "true"}
		}
		errs, warns := f.CheckPaths(t.Context(), conf(t, append(pairs, c.field, c.value)...), run.Shape{Nodes: 1, Folder: c.folder})
		if len(errs) != c.errs || len(warns) != c.warns {
			t.Errorf("%+v: %v; %v", c, errs, warns)
		}
		for _, e := range errs {
			if e.Field != c.field || !strings.Contains(c.value, e.Value) {
				t.Errorf("%+v: %v", c, e)
			}
		}
	}
	for _, field := range trainconf.PathFields() {
		pairs := []string{"data.fake", "true"}
		if strings.HasPrefix(field, "data.") {
			pairs = nil
		}
		errs, _ := f.CheckPaths(t.Context(), conf(t, append(pairs, field, "../../secret/x")...), run.Shape{Nodes: 1, Folder: "teams/vision"})
		if len(errs) != 1 || errs[0].Field != field {
			t.Errorf("%s: %v", field, errs)
		}
	}
	// A misspelt name is not completed by what only others have.
	if _, warns := f.CheckPaths(t.Context(), conf(t, "data.dataset_name_or_paths", "datasets/raw/c5"), run.Shape{Folder: "teams/vision"}); len(warns) != 1 || !strings.HasPrefix(warns[0].Fix, "use datasets/raw/c4, or put it at "+f.dir+"/teams/vision/") {
		t.Errorf("%v", warns)
	}
	f.write("secret/hidden-one/x", "x")
	if _, warns := f.CheckPaths(t.Context(), conf(t, "data.dataset_name_or_paths", "./hidden-two"), run.Shape{}); len(warns) != 1 || strings.Contains(warns[0].Fix, "secret") {
		t.Errorf("%v", warns)
	}
}

func TestTheSameRelativePathOfTwoProjectsIsTwoPlaces(t *testing.T) {
	t.Parallel()
	f := newParts(t)
	const given, absolute = "models/checkpoints/a", "/mnt/shared/secret/models/checkpoints/a"
	for _, c := range []struct {
		at                  *Storage
		here, folder, given string
		want                bool
	}{
		{f.In("secret"), "models/checkpoints/a", "secret", given, true},
		{f.In("secret"), "models/checkpoints/a/step_1/", "secret", given, true},
		{f.In("secret"), "", "secret", given, true},
		{f.In("secret"), "models/checkpoints/a2", "secret", given, false},
		{f.In("secret"), "models/checkpoints/a", "teams/vision", given, false},
		{f.In("secret"), "models", "", given, false},
		{f.In(""), "models", "", given, true},
		{f.In(""), "models", "secret", given, false},
		{f.In("secret"), "models", "teams/vision", absolute, true},
		{f.Storage, "secret/models", "secret", given, true},
		{f.Storage, "", "secret", given, true},
		{f.Storage, "models", "secret", given, false},
		{f.Storage, "", "secret", "s3://bucket/a", false},
	} {
		if got := c.at.Touches(c.here, c.folder, c.given); got != c.want {
			t.Errorf("%s of %q, %s of %q: %v", c.here, c.at.folder, c.given, c.folder, got)
		}
	}
}
