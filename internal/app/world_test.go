package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/config"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/trainconf"
)

// The projects of a [world], and the name of none.
const nowhere = "nowhere"

var projects = []string{"first-one", "other-one"}

// password is everybody's.
const password = "plenty of small otters"

// world is a console with log-in, two projects, those who may ask it, and what they may ask for.
type world struct {
	app    *App
	log    *logged
	files  string
	root   context.Context // of an administrator, who makes things
	hash   string          // of password
	askers []asker
	n      atomic.Int64

	mu   sync.Mutex
	kept map[string]string // what is made once, by project
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{files: t.TempDir(), kept: map[string]string{}}
	w.write(t, "keep.txt")
	w.app, w.log = newApp(t, testConfig(t, func(c *config.Config) {
		c.Dev, c.Nomad.Address, c.Storage.Path = false, "http://127.0.0.1:1", w.files
	}))
	var err error
	if w.hash, err = argon2id.CreateHash(password, &argon2id.Params{Memory: 47104, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}); err != nil {
		t.Fatal(err)
	}
	root := w.user(t, "root", access.Person, true, nil)
	w.root = access.With(t.Context(), access.Identity{User: root.ID, Name: root.Name, Administrator: true})
	for _, p := range projects {
		w.project(t, p, folderOf(p))
		w.write(t, folderOf(p)+"/keep.txt")
	}
	type roles = map[string]access.Role
	both := roles{projects[0]: access.Admin, projects[1]: access.Admin}
	person := func(name string, administrator bool, r roles) asker {
		return asker{name: name, user: w.user(t, name, access.Person, administrator, r), administrator: administrator, roles: r}
	}
	token := func(name string, of asker, limit string, scopes ...access.Scope) asker {
		of.name, of.limit, of.scopes = name, limit, scopes
		return of
	}
	owner, boss := person("owner", false, both), person("boss", true, nil)
	bot := asker{name: "service account", user: w.user(t, "bot", access.Service, false, roles{projects[0]: access.Operator}), roles: roles{projects[0]: access.Operator}}
	gone := person("gone", false, both)
	w.askers = []asker{
		{name: "nobody"},
		person("loner", false, nil), person("viewer", false, roles{projects[0]: access.Viewer}), person("operator", false, roles{projects[0]: access.Operator}),
		person("admin", false, roles{projects[0]: access.Admin}), person("administrator", true, nil),
		person("operator of both, viewer of one", false, roles{projects[0]: access.Operator, projects[1]: access.Viewer}),
		token("token to read", owner, "", access.ScopeRead), token("token to write", owner, "", access.ScopeWrite), token("token for all", owner, "", access.ScopeAll),
		token("token to stop", owner, "", access.Scope(access.RunsStop)), token("token for alpha", owner, projects[0], access.ScopeAll),
		token("administrator's token to read", boss, "", access.ScopeRead), token("administrator's token for all", boss, "", access.ScopeAll),
		token("administrator's token for alpha", boss, projects[0], access.ScopeAll), token("administrator's token for users", boss, "", access.Scope(access.UsersManage)),
		token("service account's token", bot, "", access.ScopeWrite),
	}
	w.reload(t)
	for i := range w.askers {
		w.sign(t, &w.askers[i])
	}
	refused := map[string]asker{"expired": token("expired token", owner, "", access.ScopeAll), "revoked": token("revoked token", owner, "", access.ScopeAll), "disabled": token("token of a disabled user", gone, "", access.ScopeAll)}
	for kind, a := range refused {
		id := w.token(t, &a, lasts)
		switch kind {
		case "expired":
			w.token(t, &a, -time.Minute)
		case "revoked":
			must(t, w.app.store.RevokeToken(t.Context(), a.user.ID, id))
		case "disabled":
			_, err := w.app.logIns.ChangeUser(w.root, gone.user.Name, func(u *access.User) { u.Disabled = true })
			must(t, err)
		}
		a.invalid = true
		w.askers = append(w.askers, a)
	}
	w.reload(t)
	return w
}

// folderOf is the folder of a project in shared storage.
func folderOf(project string) string { return "teams/" + project }

// project makes a project with a folder, "" for none.
func (w *world) project(t *testing.T, name, folder string) {
	t.Helper()
	_, err := w.app.logIns.CreateProject(w.root, access.Project{Name: name})
	must(t, err)
	_, err = w.app.logIns.ChangeProject(w.root, name, func(p *access.Project) { p.Settings.Folder = folder })
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// lasts is how long a token does.
const lasts = 1000 * time.Hour

func (w *world) number() int64 { return w.n.Add(1) }

// reload has the log-in see what was put into the store.
func (w *world) reload(t *testing.T) {
	t.Helper()
	_, err := w.app.logIns.ChangeProject(w.root, projects[0], func(*access.Project) {})
	must(t, err)
}

func (w *world) write(t *testing.T, name string) string {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(w.files, name), []byte("x"), 0o600))
	return name
}

func (w *world) user(t *testing.T, name string, kind access.Kind, administrator bool, roles map[string]access.Role) access.User {
	t.Helper()
	n := w.number()
	u := access.User{ID: access.UserID(fmt.Sprintf("u-%d", n)), Name: fmt.Sprintf("%s-%d", strings.Fields(name)[0], n), Kind: kind, Administrator: administrator, CreatedAt: time.Now()}
	hash := w.hash
	if kind == access.Service {
		hash = ""
	}
	must(t, w.app.store.CreateUser(t.Context(), u, hash))
	for p, role := range roles {
		must(t, w.app.store.SetMember(t.Context(), p, u.ID, role))
	}
	return u
}

func keyOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// sign gives an asker what it presents.
func (w *world) sign(t *testing.T, a *asker) {
	t.Helper()
	switch {
	case a.user.ID == "":
	case a.scopes != nil:
		w.token(t, a, lasts)
	default:
		_, secret := w.session(t, a.user)
		a.header, a.value = "Cookie", "cotrain_session="+secret
	}
}

func (w *world) session(t *testing.T, of access.User) (id, secret string) {
	t.Helper()
	id, secret = fmt.Sprintf("session%d", w.number()), fmt.Sprintf("%043d", w.number())
	hash, err := w.app.store.Password(t.Context(), of.ID)
	must(t, err)
	must(t, w.app.store.CreateSession(t.Context(), keyOf(secret), access.Session{ID: id, User: of.ID, CreatedAt: time.Now(), SeenAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}, hash))
	return id, secret
}

func (w *world) token(t *testing.T, a *asker, lasts time.Duration) access.TokenID {
	t.Helper()
	id := strings.NewReplacer("0", "a", "1", "b", "8", "c", "9", "d").Replace(fmt.Sprintf("%012d", w.number()))
	secret := fmt.Sprintf("ctk_%s_%043d", id, w.number())
	scopes := a.scopes
	if scopes == nil {
		scopes = []access.Scope{access.ScopeRead}
	}
	must(t, w.app.store.CreateToken(t.Context(), keyOf(secret), access.Token{ID: access.TokenID(id), User: a.user.ID, Name: "x", Scopes: scopes, Project: a.limit, CreatedAt: time.Now(), ExpiresAt: time.Now().Add(lasts)}))
	a.header, a.value = "Authorization", "Bearer "+secret
	return access.TokenID(id)
}

// clone is another user like an asker, whose account may be changed.
func (w *world) clone(t *testing.T, a asker) asker {
	t.Helper()
	if a.user.ID == "" || a.invalid {
		return a
	}
	a.user = w.user(t, "clone", a.user.Kind, a.administrator, a.roles)
	w.sign(t, &a)
	w.reload(t)
	return a
}

// maker makes what one request is about.
type maker struct {
	*world
	t       *testing.T
	who     asker
	project string
	used    map[string]string
	bot     access.User // the service account of {bot}
}

func (w *world) maker(t *testing.T, who asker, project string) *maker {
	return &maker{world: w, t: t, who: who, project: project, used: map[string]string{"p": project}}
}

var words = regexp.MustCompile(`\{\w+\}`)

// fill replaces words in braces by what they stand for, each by the same in one request.
func (m *maker) fill(text string) string {
	return words.ReplaceAllStringFunc(text, func(word string) string {
		word = strings.Trim(word, "{}")
		if _, ok := m.used[word]; !ok {
			m.used[word] = m.made(word)
		}
		return m.used[word]
	})
}

// made makes what a word stands for. In the project of none there is nothing.
func (m *maker) made(word string) string {
	t := m.t
	t.Helper()
	switch word {
	case "first":
		return projects[0]
	case "p":
		return m.project
	case "run":
		return m.once(word, "r-0000000000", func() string { return m.run(false) })
	case "freshrun":
		return m.unless("r-0000000000", func() string { return m.run(false) })
	case "ended":
		return m.unless("r-0000000000", func() string { return m.run(true) })
	case "sweep":
		return m.once(word, "s-0000000000", func() string { return m.sweep(false) })
	case "freshsweep":
		return m.unless("s-0000000000", func() string { return m.sweep(false) })
	case "endedsweep":
		return m.unless("s-0000000000", func() string { return m.sweep(true) })
	case "template":
		return m.once(word, "t-none", m.template)
	case "freshtemplate":
		return m.unless("t-none", m.template)
	case "new":
		return fmt.Sprintf("new-%d", m.number())
	case "password":
		return url.QueryEscape(password)
	case "login":
		if m.who.user.ID != "" && m.who.user.Kind == access.Person && !m.who.invalid {
			return m.who.user.Name
		}
		return m.person(nil).Name
	case "user":
		return m.person(nil).Name
	case "member":
		if m.project == nowhere {
			return "nobody"
		}
		return m.person(map[string]access.Role{m.project: access.Viewer}).Name
	case "bot":
		m.bot = m.user(t, "bot", access.Service, false, map[string]access.Role{projects[0]: access.Viewer})
		m.reload(t)
		return m.bot.Name
	case "bottoken":
		a := asker{user: m.bot}
		return string(m.token(t, &a, lasts))
	case "token", "theirtoken":
		a := asker{user: m.who.user, scopes: []access.Scope{access.ScopeRead}}
		if word == "theirtoken" || a.user.ID == "" {
			a.user = m.person(nil)
		}
		return string(m.token(t, &a, lasts))
	case "session", "theirsession":
		of := m.who.user
		if word == "theirsession" || of.ID == "" || of.Kind != access.Person || m.who.invalid {
			of = m.person(nil)
		}
		id, _ := m.session(t, of)
		return id
	case "tokenproject":
		if m.who.limit != "" {
			return "&project=" + m.who.limit
		}
		return ""
	case "jsontokenproject":
		at := `,"expires_at":"` + time.Now().Add(time.Minute).UTC().Format(time.RFC3339) + `"`
		if m.who.limit != "" {
			at += `,"project":"` + m.who.limit + `"`
		}
		return at
	case "freshproject":
		p := fmt.Sprintf("p%d", m.number())
		_, err := m.app.logIns.CreateProject(m.root, access.Project{Name: p})
		must(t, err)
		return p
	case "freshsecret":
		name := fmt.Sprintf("S%d", m.number())
		must(t, m.app.store.RegisterSecret(t.Context(), run.Secret{Name: name, In: run.InNomad, Path: "cotrain/hub", Field: "a", Env: name, Projects: []string{"nobodys"}}))
		return name
	case "file":
		name := fmt.Sprintf("f%d", m.number())
		if m.project != nowhere {
			m.write(t, folderOf(m.project)+"/"+name)
		}
		return name
	case "source":
		return `"preset":"debug","shape":{"nodes":1},"set":{"gpus":"0"}`
	case "base":
		b, err := json.Marshal(m.submission())
		must(t, err)
		return url.QueryEscape(string(b))
	case "form":
		return m.form()
	}
	t.Fatalf("nobody knows how to make {%s}", word)
	return ""
}

// same is a text without what tells the subjects of one request from those of another.
func (m *maker) same(text string) string {
	for word, value := range m.used {
		if word != "form" && word != "base" && value != "" {
			text = strings.ReplaceAll(text, value, word)
		}
	}
	return text
}

// once makes what is kept for all who ask, unless there is nothing.
func (m *maker) once(word, none string, fresh func() string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := word + " " + m.project
	if m.kept[key] == "" {
		m.kept[key] = m.unless(none, fresh)
	}
	return m.kept[key]
}

func (m *maker) unless(none string, fresh func() string) string {
	if m.project == nowhere {
		return none
	}
	return fresh()
}

func (m *maker) person(roles map[string]access.Role) access.User {
	u := m.user(m.t, "someone", access.Person, false, roles)
	m.reload(m.t)
	return u
}

func (m *maker) submission() run.Submission {
	p, _ := trainconf.PresetByName("debug")
	return run.Submission{Project: m.project, Name: "x", Config: string(p.Config.TOML()), Shape: run.Shape{Nodes: 1}}
}

func (m *maker) run(ended bool) string {
	r, err := m.app.actions.Submit(m.t.Context(), "somebody", m.submission())
	must(m.t, err)
	if ended {
		must(m.t, m.app.actions.Stop(m.t.Context(), "somebody", r.ID))
	}
	return string(r.ID)
}

func (m *maker) sweep(ended bool) string {
	s, err := m.app.actions.SubmitSweep(m.t.Context(), "somebody", run.SweepSpec{Submission: m.submission(), Grid: []run.Axis{{Field: "optim.optim.lr", Values: []string{"0.1", "0.2"}}}})
	must(m.t, err)
	if ended {
		must(m.t, m.app.actions.StopSweep(m.t.Context(), "somebody", s.ID))
	}
	return string(s.ID)
}

func (m *maker) template() string {
	s := m.submission()
	t, err := m.app.actions.SaveTemplate(m.t.Context(), "somebody", run.Template{Project: m.project, Name: fmt.Sprintf("t-%08d", m.number()), Config: s.Config, Shape: s.Shape}, 0)
	must(m.t, err)
	return t.Name
}

// form is the form for a new run, filled in.
func (m *maker) form() string {
	p, _ := trainconf.PresetByName("debug")
	req := trainconf.RequestOfPreset(p)
	req.Name, req.Shape = "x", run.Shape{Nodes: 1}
	out := url.Values{}
	for _, s := range trainconf.Sections() {
		for _, f := range trainconf.FieldsOf(s.Key) {
			out.Set(f.Path, req.Get(f.Path))
		}
	}
	out.Set("name", "x")
	return out.Encode()
}
