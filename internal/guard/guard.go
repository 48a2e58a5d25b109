package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/ratelimit"
	"github.com/cotrain/cotrain/internal/run"
)

// Audit is the audit log. Changes reach it with what changes, in one transaction of the store; see [audit.Pending].
type Audit interface {
	// AppendAlone appends what is no change of the store.
	AppendAlone(ctx context.Context, entries ...audit.Entry) error
}

// Options configures [New]; all are needed.
type Options struct {
	Store    Store
	Control  Control
	Survey   Survey
	Audit    Audit
	Projects func(ctx context.Context) []string // names of all projects
	Settings func(project string) access.Settings
	Now      func() time.Time
	Logger   *slog.Logger
}

// Guard decides who may do what.
type Guard struct {
	o Options

	runs     *ratelimit.Limiter // of sweeps, by user
	mu       sync.Mutex
	projects map[access.Subject]string // of runs and sweeps, which never change theirs
}

// New returns a Guard.
func New(o Options) *Guard {
	return &Guard{o: o, projects: map[access.Subject]string{}, runs: ratelimit.New(sweptRuns, sweptEvery, o.Now)}
}

// Allow returns nil if who asks has the right, over the subject if there is one. Otherwise it is [fault.ErrSignedOut],
// [fault.ErrForbidden], or what a subject that does not exist gives.
func (g *Guard) Allow(ctx context.Context, right access.Right, subject access.Subject) error {
	if right == access.Public {
		return nil
	}
	i := access.From(ctx)
	if !i.Known() {
		return fault.ErrSignedOut
	}
	if i.First != nil && right != i.First.Right {
		err := i.First.Err()
		if right != access.SignedIn { // which pages ask for in the background, again and again
			g.record(ctx, right, "", subject, audit.Refused, fault.Of(err).What)
		}
		return err
	}
	if subject.Kind == "" || right.Rule().Place != access.InProject {
		return g.anywhere(ctx, right)
	}
	if subject.Kind == access.SubjectTemplate {
		var err error
		if subject.Project, err = run.ProjectFor(i, right, subject.Project); err != nil {
			return err
		}
	}
	project, err := g.projectOf(ctx, subject)
	if err != nil {
		return err
	}
	return g.over(ctx, right, project, subject)
}

// anywhere is for what has no project yet: whoever acts in one is asked again.
func (g *Guard) anywhere(ctx context.Context, right access.Right) error {
	if access.From(ctx).MayAnywhere(right) {
		return nil
	}
	return g.refuse(ctx, right, "", access.Subject{})
}

// over checks a right over a subject of a project.
func (g *Guard) over(ctx context.Context, right access.Right, project string, subject access.Subject) error {
	i := access.From(ctx)
	switch {
	case i.May(right, project):
		return nil
	case !i.Known():
		return fault.ErrSignedOut
	case !i.May(subject.Kind.See(), project):
		g.record(ctx, right, project, subject, audit.Refused, "not visible")
		return missing(subject)
	}
	return g.refuse(ctx, right, project, subject)
}

// missing is what a subject gives that does not exist.
func missing(s access.Subject) error {
	switch s.Kind {
	case access.SubjectRun:
		return run.NoRun(s.ID)
	case access.SubjectSweep:
		return run.NoSweep(s.ID)
	case access.SubjectTemplate:
		return run.NoTemplate(s.ID, 0)
	}
	return fault.ErrNoProject
}

// refuse records a refusal and says what would be needed.
func (g *Guard) refuse(ctx context.Context, right access.Right, project string, subject access.Subject) error {
	i := access.From(ctx)
	if !i.Known() {
		return fault.ErrSignedOut
	}
	what, fix := refusal(i, right.Rule(), project)
	g.record(ctx, right, project, subject, audit.Refused, what)
	return fault.New(fault.ErrForbidden, what, fix)
}

func refusal(i access.Identity, rule access.Rule, project string) (what, fix string) {
	whole := i
	whole.Limit = nil
	if i.Limit != nil && rule.Place == access.Nowhere {
		return "The API token may not manage its owner's account.", "Sign in with a browser, or use a token with the scope all and for every project."
	}
	if i.Limit != nil && (project == "" && whole.MayAnywhere(rule.Right) || project != "" && whole.May(rule.Right, project)) {
		return fmt.Sprintf("The API token may not do that: it needs the scope %s.", rule.Right), "Use a token with that scope, for that project."
	}
	switch {
	case rule.Role == "":
		return "Only administrators of the console may do that.", "Ask an administrator."
	case project == "":
		return fmt.Sprintf("That needs the role %s in a project.", rule.Role), "Ask an administrator of the console, or an admin of a project."
	case i.Role(project) == "":
		return fmt.Sprintf("That needs the role %s in project %s, and you have none there.", rule.Role, project), "Ask an admin of the project."
	}
	return fmt.Sprintf("That needs the role %s in project %s, and yours is %s.", rule.Role, project, i.Role(project)), "Ask an admin of the project."
}

// record appends an entry that is no change of the store. A refusal stands also when it cannot be recorded.
func (g *Guard) record(ctx context.Context, right access.Right, project string, subject access.Subject, outcome audit.Outcome, reason string) {
	e := g.entry(ctx, right, project, subject)
	e.Outcome, e.Reason = outcome, reason
	if err := g.o.Audit.AppendAlone(context.WithoutCancel(ctx), e); err != nil {
		g.o.Logger.WarnContext(ctx, "not in the audit log", "action", e.Action, "actor", e.Actor.Name, "subject", e.Subject, "outcome", outcome, "err", err)
	}
}

func (g *Guard) entry(ctx context.Context, right access.Right, project string, subject access.Subject) audit.Entry {
	actor, request := audit.ActorOf(ctx)
	return audit.Entry{At: g.o.Now(), Actor: actor, Request: request, Action: string(right), Project: project, Subject: subject.String(), Outcome: audit.Done}
}

// change lets who asks change something in the store, whose transaction appends the entry.
func (g *Guard) change(ctx context.Context, right access.Right, project string, subject access.Subject, do func(ctx context.Context, actor string) error) error {
	if err := g.over(ctx, right, project, subject); err != nil {
		return err
	}
	ctx, _ = audit.Begin(ctx, g.entry(ctx, right, project, subject))
	return do(ctx, access.From(ctx).Name)
}

// outside changes something that no transaction of the store can include: an entry says that it begins, and another how it ended.
// Without the first it is not done.
func (g *Guard) outside(ctx context.Context, e audit.Entry, do func() (after any, err error)) error {
	e.Outcome = audit.Begun
	if err := g.o.Audit.AppendAlone(ctx, e); err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	after, err := do()
	e.At, e.Outcome = g.o.Now(), audit.Done
	if err != nil {
		e.Outcome, e.Reason = audit.Failed, fault.Of(err).Title
	}
	e.After = audit.JSON(after)
	if missed := g.o.Audit.AppendAlone(context.WithoutCancel(ctx), e); missed != nil {
		g.o.Logger.WarnContext(ctx, "the audit log has the beginning and not the end", "action", e.Action, "actor", e.Actor.Name, "subject", e.Subject, "outcome", e.Outcome, "err", missed)
	}
	return err
}

// keptProjects bounds what is remembered of runs' projects.
const keptProjects = 50_000

// projectOf returns the project that owns a run or a sweep, or the project itself.
func (g *Guard) projectOf(ctx context.Context, s access.Subject) (string, error) {
	switch s.Kind {
	case access.SubjectProject:
		return s.ID, nil
	case access.SubjectTemplate:
		return s.Project, nil
	}
	g.mu.Lock()
	project, known := g.projects[s]
	g.mu.Unlock()
	if known {
		return project, nil
	}
	project, err := g.readProject(ctx, s)
	if err != nil {
		return "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.projects) >= keptProjects {
		clear(g.projects)
	}
	g.projects[s] = project
	return project, nil
}

// deleted forgets of what project anything is, after something was deleted: it is in none.
func (g *Guard) deleted(err error) error {
	if err == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		clear(g.projects)
	}
	return err
}

func (g *Guard) readProject(ctx context.Context, s access.Subject) (project string, err error) {
	switch s.Kind {
	case access.SubjectRun:
		id, bad := run.ParseID(s.ID)
		if bad != nil {
			return "", missing(s)
		}
		project, err = g.o.Store.ProjectOfRun(ctx, id)
	case access.SubjectSweep:
		id, bad := run.ParseSweepID(s.ID)
		if bad != nil {
			return "", missing(s)
		}
		project, err = g.o.Store.ProjectOfSweep(ctx, id)
	}
	if errors.Is(err, fault.ErrNotFound) {
		return "", missing(s)
	}
	return project, err
}
