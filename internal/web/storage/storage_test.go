package storage_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/dcp"
	"github.com/cotrain/cotrain/internal/guard/guardtest"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/storage"
	"github.com/cotrain/cotrain/internal/web"
	pages "github.com/cotrain/cotrain/internal/web/storage"
	"github.com/cotrain/cotrain/internal/web/webtest"
)

// shelf is a site with real shared storage in a folder.
type shelf struct {
	*webtest.Site
	dir string
}

func newShelf(t *testing.T, change ...func(*web.Deps)) *shelf {
	t.Helper()
	return newShelves(t, map[string]string{"text": ""}, change...)
}

// newShelves has the storage of several projects, by their folders.
func newShelves(t *testing.T, folders map[string]string, change ...func(*web.Deps)) *shelf {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shared")
	files := guardtest.Open(t, dir, folders)
	s := webtest.New(t, append(change, func(d *web.Deps) {
		d.Storage = func(ctx context.Context, project string) (pages.Storage, error) { return files.In(ctx, project) }
		d.Projects = func(context.Context) []string { return slices.Sorted(maps.Keys(folders)) }
	})...)
	s.Fake.Judge = files.Check
	return &shelf{s, dir}
}

func (s *shelf) write(name, content string) {
	s.T.Helper()
	p := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		s.T.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		s.T.Fatal(err)
	}
}

func (s *shelf) there(name string) bool {
	_, err := os.Lstat(filepath.Join(s.dir, name))
	return err == nil
}

// row finds the row of a name as it is shown.
func row(a webtest.Answer, name string) *goquery.Selection {
	return a.Doc.Find("tr[data-storage-name]").FilterFunction(func(_ int, el *goquery.Selection) bool {
		return el.AttrOr("data-storage-name", "") == name
	})
}

func TestThePageOfStorageExplainsHowToSwitchItOn(t *testing.T) {
	t.Parallel()
	s := webtest.New(t)
	a := s.Get("/storage", 200)
	if !strings.Contains(a.Text(t, "#storage-settings"), "COTRAIN_STORAGE_PATH=") || a.Count(".topnav [data-nav=storage][aria-current]") != 1 {
		t.Error("it does not say how")
	}
	webtest.AssertNoInlineCode(t, a)
	for _, path := range []string{"/storage/file?path=x", "/storage/delete?path=x"} {
		s.Get(path, 404)
	}
	for _, path := range []string{"/storage/delete?path=x", "/storage/layout"} {
		if a := s.Do("POST", path, url.Values{}); a.Status != 404 {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
	if got := s.Get("/storage/complete?prefix=d", 200).Body; got != `{"items":[]}` {
		t.Errorf("completion %s", got)
	}
}

func TestTheRootShowsTheLayoutAndWhatBelongsThere(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	a := s.Get("/storage", 200)
	if a.Count("tr[data-storage-name]") != 4 || !strings.Contains(webtest.Words(row(a, "models")), "Checkpoints and models of runs.") {
		t.Errorf("%s", a.Text(t, "table"))
	}
	if a.Count(`[data-action^="ask-delete"]`) != 0 || a.Count("[data-storage-problems]") != 0 {
		t.Error("the layout can be deleted, or has problems")
	}
	if text := a.Text(t, ".storage-paths"); !strings.Contains(text, s.dir) || !strings.Contains(text, "/mnt/shared") || !strings.Contains(text, "Relative paths in configurations start here") {
		t.Errorf("where it is: %q", text)
	}
	href := row(a, "models").Find("a").AttrOr("href", "")
	sub := s.Get(href, 200)
	if sub.Text(t, ".crumbs [aria-current]") != "models" || sub.Count(`.crumbs a[href="/storage"]`) != 1 || sub.Text(t, "#storage-path") != "models" {
		t.Error("no way back, or no path")
	}
	empty := s.Get("/storage?path=models/final", 200)
	if got := empty.Text(t, "[data-empty] p"); got != "What belongs here: Finished models, to be evaluated and exported." {
		t.Errorf("empty: %q", got)
	}
	for _, page := range []webtest.Answer{a, sub, empty} {
		webtest.AssertNoInlineCode(t, page)
		if page.Count("h1") != 1 || page.Count("main#main") != 1 {
			t.Error("no landmarks")
		}
	}
}

func TestAFolderIsSortedPagedAndCounted(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	for i := range pages.PageSize + 5 {
		s.write(fmt.Sprintf("datasets/raw/part-%d", i), strings.Repeat("x", i))
	}
	s.write("datasets/raw/sub/a/b", strings.Repeat("x", 2048))
	first := s.Get("/storage?path=datasets/raw", 200)
	if first.Text(t, "[data-storage-count]") != "206 entries" || first.Count("tr[data-storage-name]") != pages.PageSize {
		t.Errorf("%q, %d rows", first.Text(t, "[data-storage-count]"), first.Count("tr[data-storage-name]"))
	}
	if names := first.Doc.Find("tr[data-storage-name]"); names.Eq(2).AttrOr("data-storage-name", "") != "part-2" || names.Eq(10).AttrOr("data-storage-name", "") != "part-10" {
		t.Error("numbers in names are not ordered by value")
	}
	if first.Count(`th[aria-sort=ascending] [data-sort=name]`) != 1 || first.Count("[aria-sort]") != 1 {
		t.Error("the order is not told")
	}
	next := s.Get(first.Doc.Find("a[rel=next]").AttrOr("href", ""), 200)
	if next.Count("tr[data-storage-name]") != 6 || next.Count("a[rel=next]") != 0 || next.Count("a[rel=first]") != 1 {
		t.Errorf("%d rows on the second page", next.Count("tr[data-storage-name]"))
	}
	largest := s.Get(first.Doc.Find("[data-sort=size]").AttrOr("href", ""), 200)
	if got := webtest.Words(largest.Doc.Find("tr[data-storage-name]").First()); !strings.HasPrefix(got, "part-204 204 B") || largest.Count("th[aria-sort=descending] [data-sort=size]") != 1 {
		t.Errorf("largest first: %q", got)
	}
	if got := row(next, "sub").Find("td").First().Text(); got != "–" {
		t.Errorf("size of a folder that was not counted: %q", got)
	}
	sized := s.Get(next.Doc.Find("[data-action=sizes]").AttrOr("href", ""), 200)
	if got := row(sized, "sub").Find("td").First(); got.Text() != "2.00 KiB" || got.AttrOr("title", "") != "2,048 bytes in 1 file" {
		t.Errorf("size of a counted folder: %q, %q", got.Text(), got.AttrOr("title", ""))
	}
	if sized.Count("[data-action=sizes]") != 0 {
		t.Error("it offers to count again")
	}
	s.Get("/storage?path=datasets/raw&sort=colour", 422)
	s.Get("/storage?path=datasets/raw&cursor=x", 422)
}

func TestOddNamesAreShownEscapedAndEveryAddressLeadsBackToTheirBytes(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	for name, shown := range map[string]string{
		"-rf": "-rf", "new\nline": `new\nline`, "bad\xff": `bad\xff`, "\u202egnp.exe": `\u202egnp.exe`, `"><script>alert(1)<x>`: `"><script>alert(1)<x>`,
		"a b&c=d?e#f%41+g;h": "a b&c=d?e#f%41+g;h", "日本語": "日本語", "...": "...", " ": " ",
	} {
		s.write("datasets/raw/"+name, "content of "+name)
		s.write("datasets/splits/"+name+"/inner", "x")
		file := row(s.Get("/storage?path=datasets/raw", 200), shown)
		if file.Length() != 1 {
			t.Errorf("%q: %d rows", shown, file.Length())
			continue
		}
		got := s.Get(file.Find("[data-action=download]").AttrOr("href", ""), 200)
		if got.Body != "content of "+name || got.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(got.Header.Get("Content-Disposition"), "attachment; filename=") {
			t.Errorf("%q: %q, %v", name, got.Body, got.Header)
		}
		folders := s.Get("/storage?path=datasets/splits", 200)
		webtest.AssertNoInlineCode(t, folders)
		folder := s.Get(row(folders, shown).Find(".row-link").AttrOr("href", ""), 200)
		if folder.Count("tr[data-storage-name=inner]") != 1 || strings.TrimSpace(folder.Doc.Find("h1").Text()) != strings.TrimSpace(shown) {
			t.Errorf("%q: its folder does not open", name)
		}
		webtest.AssertNoInlineCode(t, folder)
		ask := s.Get(folder.Doc.Find("[data-action=ask-delete-folder]").AttrOr("href", ""), 200)
		webtest.AssertNoInlineCode(t, ask)
		action := ask.Doc.Find("form[method=post] [data-action=delete]").ParentsFiltered("form").AttrOr("action", "")
		if a := s.Do("POST", action, url.Values{}); a.Status != http.StatusSeeOther || s.there("datasets/splits/"+name) {
			t.Errorf("%q: %d, still there: %v", name, a.Status, s.there("datasets/splits/"+name))
		}
	}
}

func TestTraversalGetsNothingOutOfTheStorage(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	if err := os.WriteFile(filepath.Join(filepath.Dir(s.dir), "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"out": "../secret", "abs": "/etc", "up": "../.."} {
		if err := os.Symlink(target, filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for path, status := range map[string]int{
		"..%2fsecret": 422, "../secret": 422, "%2e%2e/secret": 422, "models/../../secret": 422, "/etc/passwd": 422, "%2Fetc%2Fpasswd": 422, "..": 422, "a%00b": 422, "..%00": 422,
		"..%252fsecret": 404, "out": 409, "abs/passwd": 409, "up/secret": 409, "abs": 409,
	} {
		for _, page := range []string{"/storage", "/storage/file", "/storage/delete"} {
			a := s.Do("GET", page+"?path="+path, nil)
			link := page == "/storage/delete" && (path == "out" || path == "abs") // the link itself may go
			if a.Status != status && (!link || a.Status != 200) {
				t.Errorf("%s %s: %d, want %d", page, path, a.Status, status)
			}
			if strings.Contains(a.Body, "root:x:") || a.Body == "secret" {
				t.Errorf("%s %s shows what is outside", page, path)
			}
		}
		if path != "out" && path != "abs" {
			if a := s.Do("POST", "/storage/delete?path="+path, url.Values{}); a.Status != status {
				t.Errorf("delete %s: %d, want %d", path, a.Status, status)
			}
		}
	}
	if a := row(s.Get("/storage", 200), "abs"); !strings.Contains(webtest.Words(a), "outside the storage") || a.Find(".row-link, [data-action=download]").Length() != 0 {
		t.Errorf("a link that leads out: %s", webtest.Words(a))
	}
}

func TestDeletingSaysHowMuchAsksOnceAndGoesBackToTheFolder(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.write("models/temp/old/a/1", "12345")
	s.write("models/temp/old/2", "123")
	a := s.Get("/storage/delete?path=models%2Ftemp%2Fold", 200)
	if text := a.Text(t, "main"); !strings.Contains(text, "2 files in 2 folders, 8 B in models/temp, deleted for good.") {
		t.Errorf("%q", text)
	}
	if a.Count(`a[href="/storage?path=models%2Ftemp"]`) != 1 || !s.there("models/temp/old/2") {
		t.Error("no way out, or asking deletes")
	}
	done := s.Do("POST", "/storage/delete?path=models%2Ftemp%2Fold", url.Values{})
	if done.Status != http.StatusSeeOther || s.there("models/temp/old") {
		t.Fatalf("%d", done.Status)
	}
	back := s.Get(done.Header.Get("Location"), 200)
	if got := back.Text(t, "[data-storage-gone]"); got != "Deleted 2 files in 2 folders, 8 B" {
		t.Errorf("%q", got)
	}
	for _, odd := range []string{"x", "1.2", "1.2.x", "-1.2.3", "1.2.99999999999999999999"} {
		if s.Get("/storage?deleted="+odd, 200).Count("[data-storage-gone]") != 0 {
			t.Errorf("%q is taken for a deletion", odd)
		}
	}
	for path, status := range map[string]int{"models": 409, "datasets/raw": 409, "": 409, "models/temp/old": 404} {
		if a := s.Do("POST", "/storage/delete?path="+path, url.Values{}); a.Status != status {
			t.Errorf("%q: %d, want %d", path, a.Status, status)
		}
	}
	if a := s.Do("POST", "/storage/delete?path=models/final", url.Values{}, "Origin", "http://evil.example"); a.Status != http.StatusForbidden {
		t.Errorf("from another site: %d", a.Status)
	}
	s.Get("/storage/delete", 404)
}

func TestDeletingTheCheckpointsOfARunThatGoesOnIsWarnedOf(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	live, done := webtest.Run(run.Running), webtest.Run(run.Succeeded)
	done.ID = run.NewID(webtest.Now.Add(-time.Hour))
	s.Fake.AllRuns = []run.Run{live, done}
	for i := range s.Fake.AllRuns {
		r := &s.Fake.AllRuns[i]
		r.CheckpointPath = "models/checkpoints/" + string(r.ID)
		s.write(r.CheckpointPath+"/step_1/.metadata", "x")
	}
	warned := func(r run.Run, more string) bool {
		return strings.Contains(s.Get("/storage/delete?path=models/checkpoints/"+string(r.ID)+more, 200).Text(t, "main"), "keeps its checkpoints there")
	}
	if !warned(live, "") || !warned(live, "/step_1") || warned(done, "") {
		t.Error("the wrong runs are warned of")
	}
	place := "models/checkpoints/" + string(live.ID)
	if a := s.Do("POST", "/storage/delete?path="+place, url.Values{}); a.Status != http.StatusConflict || !s.there(place) {
		t.Errorf("deleted without a warning: %d", a.Status)
	}
	action := s.Get("/storage/delete?path="+place, 200).Doc.Find("main form").AttrOr("action", "")
	if a := s.Do("POST", action, url.Values{}); a.Status != http.StatusSeeOther || s.there(place) {
		t.Errorf("deleted by the form that warned, %s: %d", action, a.Status)
	}
}

func TestDeletionIsOfferedToThoseWhoMay(t *testing.T) {
	t.Parallel()
	for role, offers := range map[access.Role]int{access.Viewer: 0, access.Operator: 0, access.Admin: 1} {
		s := newShelf(t, func(d *web.Deps) {
			d.Auth = webtest.As(access.Identity{User: "u1", Name: "ann", Roles: map[string]access.Role{"text": role}})
		})
		s.write("datasets/raw/own/part-1", "x")
		if err := os.RemoveAll(filepath.Join(s.dir, "logs")); err != nil {
			t.Fatal(err)
		}
		a := s.Get("/storage?path=datasets/raw/own", 200)
		if a.Count("[data-action=ask-delete]") != offers || a.Count("[data-action=ask-delete-folder]") != offers {
			t.Errorf("%s: %d and %d offers to delete", role, a.Count("[data-action=ask-delete]"), a.Count("[data-action=ask-delete-folder]"))
		}
		if root := s.Get("/storage", 200); root.Count("[data-storage-problems]") != 1 || root.Count("[data-action=repair-layout]") != offers {
			t.Errorf("%s: creating folders is for admins", role)
		}
	}
}

func TestADeletionThatDoesNotEndSaysHowFarItGot(t *testing.T) {
	t.Parallel()
	s := webtest.New(t, func(d *web.Deps) {
		d.Storage = func(context.Context, string) (pages.Storage, error) { return partial{}, nil }
	})
	a := s.Do("POST", "/storage/delete?path=models/temp/much", url.Values{})
	if a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Text(t, "main"), "3 files, 5 B deleted; the rest is still there. Too much for one request. Delete again to continue.") {
		t.Errorf("%d: %s", a.Status, a.Text(t, "main"))
	}
	if !strings.Contains(s.Log.String(), "files=3") {
		t.Errorf("what was deleted is not in the log: %s", s.Log)
	}
}

// partial is a storage that deletes three files and then has no more time.
type partial struct{ pages.Storage }

func (partial) Delete(context.Context, string) (storage.Removed, error) {
	return storage.Removed{Files: 3, Bytes: 5}, fmt.Errorf("delete: %w", context.DeadlineExceeded)
}

func TestDownloadsGiveThePartThatIsAskedForAndNeverWaitForAFIFO(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.write("models/final/model.bin", "0123456789")
	if err := syscall.Mkfifo(filepath.Join(s.dir, "models/final/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := s.Do("GET", "/storage/file?path=models/final/model.bin", nil, "Range", "bytes=2-4")
	if a.Status != http.StatusPartialContent || a.Body != "234" || a.Header.Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("%d %q %v", a.Status, a.Body, a.Header)
	}
	if a := s.Do("HEAD", "/storage/file?path=models/final/model.bin", nil); a.Status != 200 || a.Header.Get("Content-Length") != "10" || a.Body != "" {
		t.Errorf("%d %q %v", a.Status, a.Body, a.Header)
	}
	for path, why := range map[string]string{"models/final/fifo": "FIFO", "models/final": "folder"} {
		refused := s.Get("/storage/file?path="+path, 409)
		if !strings.Contains(refused.Text(t, "main"), why) || refused.Header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %s", path, refused.Text(t, "main"))
		}
	}
	if r := row(s.Get("/storage?path=models/final", 200), "fifo"); r.Find("[data-action=download]").Length() != 0 || r.AttrOr("data-kind", "") != "other" {
		t.Error("a FIFO is offered for download")
	}
}

func TestALayoutThatIsBrokenIsToldAndMadeWhole(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	if err := os.RemoveAll(filepath.Join(s.dir, "logs")); err != nil {
		t.Fatal(err)
	}
	a := s.Get("/storage", 200)
	if a.Count("[data-storage-problems] li") != 3 || a.Count(`form[action="/storage/layout"][method=post] button`) != 1 {
		t.Errorf("%d problems", a.Count("[data-storage-problems] li"))
	}
	if a := s.Do("POST", "/storage/layout", url.Values{}); a.Status != http.StatusSeeOther || !s.there("logs/training") {
		t.Errorf("%d", a.Status)
	}
	if s.Get("/storage", 200).Count("[data-storage-problems]") != 0 {
		t.Error("problems remain")
	}
}

func TestPathsAreCompletedAsJSON(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.write("datasets/fineweb/x", "x")
	for prefix, want := range map[string]string{"datasets/fi": `{"items":["datasets/fineweb/"]}`, "../": `{"items":[]}`, "/mnt/shared/data": `{"items":["/mnt/shared/datasets/"]}`, "no/such": `{"items":[]}`} {
		if got := s.Get("/storage/complete?prefix="+url.QueryEscape(prefix), 200).Body; got != want {
			t.Errorf("%q: %s", prefix, got)
		}
	}
}

func TestTheFormTellsWhichPathsAreNotThere(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.write("datasets/raw/sample.txt", "x")
	m := dcp.Metadata{Items: []dcp.Item{{Name: "w", File: "__0_0.distcp", Length: 1}}}
	s.write("models/checkpoints/r-1/step_50/.metadata", string(m.Encode()))
	s.write("models/checkpoints/r-1/step_50/__0_0.distcp", "x")
	s.write("models/checkpoints/r-1/step_50/data/_0.pt", "x")
	form := url.Values{
		"name": {"x"}, "nodes": {"1"}, "gpus": {"0"}, "data.fake": {"false"}, "data.dataset_name_or_paths": {"datasets/sample.txt"},
		"ckpt.resume": {"models/checkpoints/r-1/step_60"}, "touched": {"ckpt.resume,data.dataset_name_or_paths"},
	}
	a := s.Do("POST", "/runs/validate", form)
	if a.Status != 200 || !strings.Contains(a.Body, "datasets/raw/sample.txt") || !strings.Contains(a.Body, "models/checkpoints/r-1/step_50") {
		t.Errorf("%d: %s", a.Status, a.Body)
	}
	form.Set("data.dataset_name_or_paths", "datasets/raw/sample.txt")
	form.Set("ckpt.resume", "models/checkpoints/r-1/step_50")
	if a := s.Do("POST", "/runs/validate", form); strings.Contains(a.Body, "is not in shared storage") || strings.Contains(a.Body, "incomplete checkpoint") {
		t.Errorf("%s", a.Body)
	}
	form.Set("gpus", "2") // its second process has nothing to go on from
	if a := s.Do("POST", "/runs/validate", form); !strings.Contains(a.Body, "saved by workers of 1 process, and those of this run have 2") {
		t.Errorf("%s", a.Body)
	}
}

func TestADownloadIsNotCompressed(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.write("datasets/raw/a.bin", strings.Repeat("x", 100_000))
	file := row(s.Get("/storage?path=datasets/raw", 200), "a.bin")
	got := s.Do(http.MethodGet, file.Find("[data-action=download]").AttrOr("href", ""), nil, "Accept-Encoding", "gzip")
	if got.Header.Get("Content-Encoding") != "" || len(got.Body) != 100_000 {
		t.Errorf("%d bytes, header %v", len(got.Body), got.Header)
	}
}
