package app

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/stream"
)

// asker is somebody who asks the console.
type asker struct {
	name          string
	user          access.User // the zero User for nobody
	administrator bool
	roles         map[string]access.Role
	scopes        []access.Scope // of a token; nil for a session
	limit         string         // project of the token
	invalid       bool           // what it presents does not count
	header, value string         // what it presents
}

// may is the rule of who may do what, told once more and from the table alone.
func (a asker) may(right access.Right, project string) bool {
	rule := right.Rule()
	if rule.Right == access.Public {
		return true
	}
	if a.user.ID == "" || a.scopes != nil && !slices.ContainsFunc(a.scopes, func(s access.Scope) bool { return covers(s, rule) }) {
		return false
	}
	switch rule.Place {
	case access.Nowhere:
		return rule.Right == access.SignedIn || a.limit == ""
	case access.InProject:
		return a.hasRole(rule.Role, project)
	case access.AnyProject:
		return a.everywhere() || slices.ContainsFunc(projects, func(p string) bool { return a.hasRole(rule.Role, p) })
	}
	return a.everywhere()
}

func (a asker) mayAnywhere(right access.Right) bool {
	return a.may(right, "") || slices.ContainsFunc(projects, func(p string) bool { return a.may(right, p) })
}

func (a asker) everywhere() bool { return a.administrator && a.limit == "" }

func (a asker) hasRole(role access.Role, project string) bool {
	rank := map[access.Role]int{access.Viewer: 1, access.Operator: 2, access.Admin: 3}
	return (a.limit == "" || a.limit == project) && (a.administrator || rank[a.roles[project]] >= rank[role])
}

// covers reports whether a scope is enough for a right.
func covers(s access.Scope, rule access.Rule) bool {
	inProjects := rule.Place == access.InProject || rule.Place == access.AnyProject
	switch s {
	case access.ScopeAll:
		return true
	case access.ScopeRead:
		return rule.Right == access.SignedIn || inProjects && rule.Role == access.Viewer
	case access.ScopeWrite:
		return rule.Right == access.SignedIn || inProjects && (rule.Role == access.Viewer || rule.Role == access.Operator)
	}
	return rule.Right == access.SignedIn || rule.Right == access.Right(s) || rule.Right == access.Right(s).See()
}

// wish is one request and what is expected of it.
type wish struct {
	who           asker
	right         access.Right
	row           row
	method        string
	path, body    string
	project       string
	address       string
	status        int
	refused, done bool
}

func (w wish) String() string {
	return fmt.Sprintf("%s: %s %s (%s, of project %s)", w.who.name, w.method, w.path, w.right, w.project)
}

// expect fills in what the table says. An allowed request has the status 0, since it may end in many ways.
func (w *wish) expect() {
	see := w.row.subject.See()
	page := !strings.HasPrefix(w.path, "/api/") && !w.row.data
	safe := w.method == http.MethodGet || w.method == http.MethodHead
	known := w.who.user.ID != ""
	allowed := w.who.mayAnywhere(w.right)
	if w.row.subject != "" {
		allowed = w.who.may(w.right, w.project)
	}
	switch {
	case w.who.invalid:
		w.status = http.StatusUnauthorized
	case w.right == access.Public:
	case !known && page && safe:
		w.status = http.StatusSeeOther
	case !known:
		w.status = http.StatusUnauthorized
	case w.row.named && !w.who.mayAnywhere(w.right):
		w.status, w.refused = http.StatusForbidden, true
	case w.project == nowhere && (w.row.subject == access.SubjectRun || w.row.subject == access.SubjectSweep || allowed && w.row.subject != ""):
		w.status = http.StatusNotFound
	case allowed && w.row.also != "" && !w.who.mayAnywhere(w.row.also):
		w.status, w.refused = http.StatusUnprocessableEntity, true
	case allowed:
	case w.row.subject != "" && !w.who.may(see, w.project):
		w.status, w.refused = http.StatusNotFound, true
	default:
		w.status, w.refused = http.StatusForbidden, true
	}
	inVain := w.row.session && (w.who.scopes != nil || !known) || w.row.token && w.who.scopes == nil
	w.done = w.status == 0 && w.row.action != "" && !inVain
}

// check compares the answer with what is expected.
func (w wish) check(t *testing.T, got *httptest.ResponseRecorder) {
	to := got.Header().Get("Location")
	toLogIn := strings.HasPrefix(to, "/login?next=")
	switch {
	case w.status == http.StatusSeeOther:
		if got.Code != w.status || !toLogIn {
			t.Errorf("%s: %d to %q, want the log-in", w, got.Code, to)
		}
	case w.status != 0:
		if got.Code != w.status {
			t.Errorf("%s: %d, want %d: %s", w, got.Code, w.status, excerpt(got))
		}
	case toLogIn || got.Code >= 400 && got.Code != http.StatusServiceUnavailable && !slices.Contains(w.row.answers, got.Code):
		t.Errorf("%s: %d to %q: %s", w, got.Code, to, excerpt(got))
	}
}

func excerpt(got *httptest.ResponseRecorder) string {
	text := regexp.MustCompile(`(?s)<head.*?</head>|<header.*?</header>|<[^>]*>|\s+`).ReplaceAllString(got.Body.String(), " ")
	return regexp.MustCompile(` +`).ReplaceAllString(text[:min(len(text), 1500)], " ")
}

// walk is a test of everything that is asked.
type walk struct {
	*world
	mu     sync.Mutex
	wishes []wish
}

// ask sends a request from an address of its own, by which the audit log tells of it.
func (w *walk) ask(t *testing.T, x wish) *httptest.ResponseRecorder {
	t.Helper()
	n := w.number()
	x.address = netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}).String()
	r := httptest.NewRequestWithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})), x.method, x.path, strings.NewReader(x.body))
	r.Host, r.RemoteAddr = "127.0.0.1:1", x.address+":1"
	switch {
	case x.body == "" && x.method != http.MethodPost:
	case strings.HasPrefix(x.path, "/api/"):
		r.Header.Set("Content-Type", "application/json")
		if x.body == "" {
			r.Header.Del("Content-Type")
		}
	default:
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if x.who.header != "" {
		r.Header.Set(x.who.header, x.who.value)
	}
	rec := httptest.NewRecorder()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	w.app.server.Handler.ServeHTTP(&glance{rec, x.path, cancel}, r.WithContext(ctx))
	w.mu.Lock()
	w.wishes = append(w.wishes, x)
	w.mu.Unlock()
	return rec
}

// glance is a client that goes once an event stream, which would not end, has begun.
type glance struct {
	*httptest.ResponseRecorder
	path string
	gone func()
}

func (g *glance) Write(b []byte) (int, error) {
	if strings.HasPrefix(g.path, stream.Path) {
		g.gone()
	}
	return g.ResponseRecorder.Write(b)
}

// visit asks for a route in every project, by one asker.
func (w *walk) visit(t *testing.T, who asker, pattern string, right access.Right, r row) {
	method, _, _ := strings.Cut(pattern, " ")
	in := projects
	if r.subject == "" && !r.named && !r.list {
		in = projects[:1]
	}
	answers := map[string]string{}
	visible := map[string]bool{}
	for _, project := range append(slices.Clone(in), nowhere) {
		if project == nowhere && len(in) == 1 {
			continue
		}
		x := wish{who: who, right: right, row: r, method: method, project: project}
		if r.own {
			x.who = w.clone(t, who)
		}
		made := w.maker(t, x.who, project)
		x.path, x.body = made.fill(r.path), made.fill(r.body)
		x.expect()
		got := w.ask(t, x)
		if !r.list || project != nowhere {
			x.check(t, got)
		}
		answers[project] = changing.ReplaceAllString(made.same(fmt.Sprintln(got.Code, got.Header().Get("Location"))+got.Body.String()), "")
		see := r.subject.See()
		visible[project] = who.may(see, project)
		if method == http.MethodGet && who.user.ID == "" && !who.invalid && x.status == http.StatusSeeOther {
			head := x
			head.method = http.MethodHead
			if got := w.ask(t, head); got.Code != http.StatusSeeOther {
				t.Errorf("%s: %d", head, got.Code)
			}
		}
	}
	for project, answer := range answers {
		if len(in) > 1 && project != nowhere && !visible[project] && answer != answers[nowhere] {
			t.Errorf("%s: %s %s: what is of project %s looks different from what is not there:%s", who.name, method, r.path, project, difference(answer, answers[nowhere]))
		}
	}
}

// changing is what is different in each answer, or while others are at work.
var changing = regexp.MustCompile(`data-(system-)?seq="\d+"|\b[A-Z2-7]{26}\b|[0-9a-f]{32,}|<option value="(run:|template:|r-)[^<]*</option>`)

// difference is where two texts begin to differ.
func difference(a, b string) string {
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	show := func(s string) string { return s[max(0, at-60):min(len(s), at+100)] }
	return fmt.Sprintf("\n%q\n%q", show(a), show(b))
}

// TestEveryRouteForEveryAsker asks for every route of the pages and of the API, as everybody, and compares the answers and the
// audit log with the table of rights.
func TestEveryRouteForEveryAsker(t *testing.T) {
	t.Parallel()
	w := &walk{world: newWorld(t)}
	rights := w.app.pages.Rights()
	for pattern := range rights {
		if len(rows[pattern]) == 0 {
			t.Errorf("no row says how to ask for %s", pattern)
		}
	}
	for pattern := range rows {
		if _, ok := rights[pattern]; !ok {
			t.Errorf("the row of %s is of no route", pattern)
		}
	}
	t.Run("askers", func(t *testing.T) {
		for _, who := range w.askers {
			t.Run(who.name, func(t *testing.T) {
				t.Parallel()
				for _, pattern := range slices.Sorted(maps.Keys(rights)) {
					for _, r := range rows[pattern] {
						w.visit(t, who, pattern, rights[pattern], r.about(pattern, rights[pattern]))
					}
				}
			})
		}
	})
	w.checkAudit(t)
}

// checkAudit compares the audit log with what was asked: one entry for each change and each refusal, and none for what was read.
func (w *walk) checkAudit(t *testing.T) {
	entries := map[string][]audit.Row{}
	for seq := int64(0); ; {
		page, err := w.app.store.Audit.After(t.Context(), seq, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			entries[e.Actor.Address] = append(entries[e.Actor.Address], e)
		}
		seq = page[len(page)-1].Seq
	}
	for _, x := range w.wishes {
		got := entries[x.address]
		told := make([]string, len(got))
		for i, e := range got {
			told[i] = fmt.Sprintf("%s %s by %q, of %q in %q: %s", e.Outcome, e.Action, e.Actor.Name, e.Subject, e.Project, e.Reason)
			if e.Request == "" || e.Actor.Name == "" && x.who.user.ID != "" || !x.row.own && x.who.user.Name != e.Actor.Name {
				t.Errorf("%s: the audit log does not say who, or by which request: %+v", x, e)
			}
		}
		want := []audit.Outcome{}
		switch {
		case x.row.list && !x.refused:
			continue // names what the asker may not see, in a query that is about something else
		case x.refused, x.row.browser && x.status == 0 && (x.who.header == "Authorization" || x.row.wrong):
			want = append(want, audit.Refused)
		case x.done && x.row.outside:
			want = append(want, audit.Begun, audit.Done)
		case x.done:
			want = append(want, audit.Done)
		case x.status == http.StatusNotFound && x.project == nowhere:
			if len(got) > 1 || len(got) == 1 && got[0].Outcome != audit.Refused {
				t.Errorf("%s: the audit log says %q", x, told)
			}
			continue
		}
		outcomes := []audit.Outcome{}
		for _, e := range got {
			outcomes = append(outcomes, e.Outcome)
			if x.done && e.Action != x.row.action || x.done && (e.Subject == "" || x.row.subject != "" && !x.row.outside && x.row.subject != access.SubjectProject && e.Project != x.project) ||
				x.refused && x.row.subject != "" && x.status == http.StatusNotFound && e.Project != x.project {
				t.Errorf("%s: the audit log does not say what: %q", x, told)
			}
		}
		if x.row.many {
			outcomes = slices.Compact(outcomes)
		}
		if !slices.Equal(outcomes, want) {
			t.Errorf("%s: the audit log says %q, want %v", x, told, want)
		}
	}
	t.Logf("%d requests", len(w.wishes))
}

// row says how to ask for a route. Words in braces are made for the request; see [maker.fill].
type row struct {
	path, body string
	action     string       // that the audit log tells of when it is allowed; "" for what changes nothing
	many       bool         // it tells of each part
	outside    bool         // it tells when it begins, too
	own        bool         // changes the asker's own account: a copy of the asker asks
	session    bool         // changes something for a session alone
	token      bool         // changes something for a token alone
	browser    bool         // refuses tokens, whatever their rights
	wrong      bool         // has a proof that is wrong
	named      bool         // names its project in the query or body
	data       bool         // a page's script asks it, which a way to log in would not help
	list       bool         // finds what is of the project that the query names
	answers    []int        // other statuses with which it is answered
	also       access.Right // needed too, though not of the route

	subject access.SubjectKind // as its path names it, or [access.SubjectProject] if named
}

func (r row) about(pattern string, right access.Right) row {
	if right.Rule().Place == access.InProject {
		r.subject = access.SubjectOf(pattern)(func(string) string { return "" }).Kind
	}
	if r.subject == "" && r.named {
		r.subject = access.SubjectProject
	}
	return r
}
