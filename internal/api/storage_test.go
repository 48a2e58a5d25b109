package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cotrain/cotrain/internal/api"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/draft"
	"github.com/cotrain/cotrain/internal/guard/guardtest"
	"github.com/cotrain/cotrain/internal/storage"
)

// shelved is the API over a console with real shared storage in a folder.
func shelved(t *testing.T) (f *fixture, dir string) {
	t.Helper()
	return shelves(t, nil)
}

// shelves is shelved, for projects with their folders.
func shelves(t *testing.T, folders map[string]string) (f *fixture, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "shared")
	files := guardtest.Open(t, dir, folders)
	f = newFixture(t)
	f.UseStorage(func(ctx context.Context, project string) (api.Storage, error) { return files.In(ctx, project) })
	f.UseCheck(files.Check)
	f.h = f.Handler(slog.New(slog.NewTextHandler(&f.log, nil)))
	return f, dir
}

func put(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStorageThatIsOffIsToldByEveryRoute(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, target := range []string{"", "/list", "/usage?path=x", "/complete?prefix=x", "/file?path=x"} {
		if p := f.problem(f.do("GET", "/api/v1/storage"+target, ""), 404); !strings.Contains(p.Detail, "COTRAIN_STORAGE_PATH") {
			t.Errorf("%s: %s", target, p.Detail)
		}
	}
	f.problem(f.do("DELETE", "/api/v1/storage/file?path=x", ""), 404)
	f.problem(f.do("POST", "/api/v1/storage/layout", ""), 404)
}

func TestTheLayoutIsToldAndRepaired(t *testing.T) {
	t.Parallel()
	f, dir := shelved(t)
	st := get[client.SharedStorage](f, "/api/v1/storage")
	if st.Path != dir || st.Mount != "/mnt/shared" || len(st.Folders) != 14 || st.Folders[1].Mode != "2775" || !st.Folders[1].Jobs || st.Folders[1].Purpose == "" {
		t.Errorf("%+v", st)
	}
	if err := os.Remove(filepath.Join(dir, "models/final")); err != nil {
		t.Fatal(err)
	}
	if st = get[client.SharedStorage](f, "/api/v1/storage"); st.Folders[2].Problem != "It is missing." || st.Folders[2].Found {
		t.Errorf("%+v", st.Folders[2])
	}
	st = decode[client.SharedStorage](f, f.do("POST", "/api/v1/storage/layout", ""), 200)
	if len(st.Done) != 1 || st.Done[0] != "Made models/final." || !st.Folders[2].Found {
		t.Errorf("%+v", st)
	}
}

func TestEveryNameOfAFolderComesBackInEveryByte(t *testing.T) {
	t.Parallel()
	f, dir := shelved(t)
	names := []string{"plain.txt", "-rf", "new\nline", "bad\xff\xfe", "\u202egnp.exe", `q"u'o<t>e&`, "a b&c=d?e#f%41+g;h", "日本語", "...", " "}
	for _, name := range names {
		put(t, filepath.Join(dir, "datasets/raw", name), "content of "+name)
	}
	seen := 0
	for cursor := ""; ; {
		page := get[client.StoragePage](f, "/api/v1/storage/list?path=datasets/raw&limit=3&cursor="+url.QueryEscape(cursor))
		for _, e := range page.Items {
			raw, err := url.PathUnescape(e.Path)
			w := f.do("GET", "/api/v1/storage/file?path="+e.Path, "")
			if strings.ContainsAny(e.Path, "+;&") { // in a query these mean something else, so programs escape the path itself
				w = f.do("GET", "/api/v1/storage/file?"+url.Values{"path": {raw}}.Encode(), "")
			}
			if err != nil || w.Code != 200 || w.Body.String() != "content of "+strings.TrimPrefix(raw, "datasets/raw/") {
				t.Errorf("%s: %d %q, %v", e.Path, w.Code, w.Body, err)
			}
			if e.Kind != string(storage.KindFile) || e.Bytes == 0 || e.Time.IsZero() || strings.ContainsAny(e.Name, "\n\u202e") {
				t.Errorf("%+v", e)
			}
			seen++
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if seen != len(names) {
		t.Errorf("%d of %d names", seen, len(names))
	}
}

func TestAListingIsSortedAndCountsFoldersWhenAsked(t *testing.T) {
	t.Parallel()
	f, dir := shelved(t)
	put(t, filepath.Join(dir, "models/temp/a"), "1")
	put(t, filepath.Join(dir, "models/temp/b"), "333")
	put(t, filepath.Join(dir, "models/temp/sub/x/y"), "55555")
	if err := os.Symlink("/etc", filepath.Join(dir, "models/temp/out")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "models/temp/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	page := get[client.StoragePage](f, "/api/v1/storage/list?path=models/temp&sort=size&descending=true&sizes=true")
	if !page.Sorted || page.More || page.Seen != 5 || page.Purpose == "" || page.Items[0].Name != "b" {
		t.Errorf("%+v", page)
	}
	for _, e := range page.Items {
		switch e.Name {
		case "sub":
			if e.Bytes != 5 {
				t.Errorf("%+v", e)
			}
		case "out":
			if e.Kind != string(storage.KindLink) || e.Target != "/etc" || e.Leads != "" {
				t.Errorf("%+v", e)
			}
		case "fifo":
			if e.Kind != string(storage.KindOther) || e.Note != "FIFO" {
				t.Errorf("%+v", e)
			}
		}
	}
	if n := get[client.StorageCount](f, "/api/v1/storage/usage?path=models/temp/sub"); n != (client.StorageCount{Files: 1, Folders: 2, Bytes: 5}) {
		t.Errorf("%+v", n)
	}
	for _, q := range []string{"path=..", "path=/etc", "path=a%00", "sort=colour", "limit=0", "limit=501", "cursor=x", "more=1"} {
		f.problem(f.do("GET", "/api/v1/storage/list?"+q, ""), 422)
	}
	for target, status := range map[string]int{"list?path=models/gone": 404, "list?path=models/temp/out": 409, "list?path=models/temp/a": 409, "file?path=models/temp/fifo": 409, "file?path=models": 409, "file?path=..": 422} {
		f.problem(f.do("GET", "/api/v1/storage/"+target, ""), status)
	}
}

func TestDeletingAnswersWithWhatIsGone(t *testing.T) {
	t.Parallel()
	f, dir := shelved(t)
	put(t, filepath.Join(dir, "models/temp/old/a"), "12345")
	n := decode[client.StorageCount](f, f.do("DELETE", "/api/v1/storage/file?path=models/temp/old", ""), 200)
	if n != (client.StorageCount{Files: 1, Folders: 1, Bytes: 5}) || !strings.Contains(f.log.String(), "deleted from shared storage") {
		t.Errorf("%+v, log %s", n, &f.log)
	}
	for path, status := range map[string]int{"models/temp/old": 404, "models/temp": 409, "": 409, "../x": 422} {
		f.problem(f.do("DELETE", "/api/v1/storage/file?path="+path, ""), status)
	}
	f.problem(f.do("DELETE", "/api/v1/storage/file?path=models/final/x", "", "Sec-Fetch-Site", "cross-site"), 403)
}

func TestADownloadGivesThePartThatIsAskedFor(t *testing.T) {
	t.Parallel()
	f, dir := shelved(t)
	put(t, filepath.Join(dir, "models/final/m"), strings.Repeat("x", 1<<20))
	srv := httptest.NewServer(f.h)
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/api/v1/storage/file?path=models/final/m", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Range", "bytes=1000-1999")
	res, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusPartialContent || res.ContentLength != 1000 || res.Header.Get("Content-Type") != "application/octet-stream" || res.Header.Get("ETag") == "" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	content := get[map[string]any](f, "/api/v1/openapi.json")["paths"].(map[string]any)["/api/v1/storage/file"].(map[string]any)["get"].(map[string]any)["responses"].(map[string]any)["200"].(map[string]any)["content"].(map[string]any)
	if len(content) != 1 || content["application/octet-stream"] == nil {
		t.Errorf("documented as %v", content)
	}
}

func TestPathsOfASubmissionAreCheckedWhenItIsValidated(t *testing.T) {
	t.Parallel()
	f, dir := shelved(t)
	put(t, filepath.Join(dir, "datasets/fineweb/x"), "x")
	v := decode[draft.Validation](f, f.do("POST", "/api/v1/config/validate", `{"preset":"debug","shape":{"nodes":1},"set":{"data.fake":"false","data.dataset_name_or_paths":"datasets/finweb","ckpt.resume":"models/checkpoints/r-1/step_1"}}`), 200)
	if v.Valid || len(v.Errors) != 1 || v.Errors[0].Field != "ckpt.resume" {
		t.Errorf("%+v", v.Errors)
	}
	found := false
	for _, w := range v.Warnings {
		found = found || w.Field == "data.dataset_name_or_paths" && strings.Contains(w.Fix, "use datasets/fineweb,")
	}
	if !found {
		t.Errorf("%+v", v.Warnings)
	}
	items := get[struct{ Items []string }](f, "/api/v1/storage/complete?prefix=datasets/f").Items
	if len(items) != 1 || items[0] != "datasets/fineweb/" {
		t.Errorf("%q", items)
	}
}

func TestEachProjectHasItsOwnStorage(t *testing.T) {
	t.Parallel()
	f, dir := shelves(t, map[string]string{"vision": "teams/vision", "audio": "teams/audio", "text": ""})
	put(t, filepath.Join(dir, "teams/vision/datasets/raw/mine"), "of vision")
	put(t, filepath.Join(dir, "datasets/raw/mine"), "of nobody")
	st := get[client.SharedStorage](f, "/api/v1/storage?project=vision")
	if st.Path != filepath.Join(dir, "teams/vision") || st.Mount != "/mnt/shared/teams/vision" || len(st.Folders) != 15 || len(get[client.SharedStorage](f, "/api/v1/storage").Folders) != 14+2*15 {
		t.Errorf("%+v", st)
	}
	for query, want := range map[string]string{"project=vision": "of vision", "project=text": "of nobody", "": "of nobody"} {
		if got := f.do("GET", "/api/v1/storage/file?path=datasets/raw/mine&"+query, ""); got.Code != 200 || got.Body.String() != want {
			t.Errorf("%s: %d %s", query, got.Code, got.Body)
		}
	}
	for _, target := range []string{"list?path=teams/vision&project=text", "list?path=teams/vision&project=audio", "file?path=teams/vision/datasets/raw/mine&project=text", "file?path=datasets/raw/mine&project=audio", "usage?path=teams/vision&project=text", "list?project=nowhere"} {
		f.problem(f.do("GET", "/api/v1/storage/"+target, ""), 404)
	}
	f.problem(f.do("DELETE", "/api/v1/storage/file?path=teams/vision/datasets&project=text", ""), 404)
	gone := decode[client.StorageCount](f, f.do("DELETE", "/api/v1/storage/file?path=datasets/raw/mine&project=vision", ""), 200)
	if gone.Files != 1 || get[client.StorageCount](f, "/api/v1/storage/usage?path=datasets/raw&project=text").Files != 1 {
		t.Errorf("%+v", gone)
	}
	v := decode[draft.Validation](f, f.do("POST", "/api/v1/config/validate", `{"project":"vision","preset":"debug","shape":{"nodes":1},"set":{"gpus":"0","ckpt.path":"/mnt/shared/models/checkpoints/{run}","ckpt.interval":"2"}}`), 200)
	if len(v.Errors) != 1 || v.Errors[0].Field != "ckpt.path" || v.Valid {
		t.Errorf("%+v", v.Errors)
	}
}
