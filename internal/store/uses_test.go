package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/series"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/accounts"
	"github.com/cotrain/cotrain/internal/store/points"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// notQueries are the methods that a console does not call, or that execute nothing.
var notQueries = []string{"Archive", "CheckArchive", "Close", "Connected", "Database", "Exec", "Gone", "Lock", "LimitPages", "NewOrders", "Plan", "Pools"}

// uses calls every method of a store that executes statements, in every way in which a page, the API, the command line, the
// queue or ingest does. A method without an entry fails the tests of plans.
func uses(s *store.Store, f storetest.Filled) map[string]func(context.Context) error {
	now := time.UnixMilli(1)
	ann := access.User{ID: "u-planned", Name: "ann", Kind: access.Person}
	measured := measure.Measurement{ID: "m-planned", State: measure.Running, StartedAt: time.Now()}
	attempt := func(u *store.Update) error {
		u.Attempt = run.Attempt{RunID: u.Run.ID, Number: u.Attempt.Number + 1, ParentJob: "p", JobID: "planned"}
		u.Workers = []run.Worker{{AllocID: "planned", RunID: u.Run.ID, Attempt: u.Attempt.Number}}
		u.Events = append(u.Events, run.Event{RunID: u.Run.ID})
		u.Run.Shape.Vault = !u.Run.Shape.Vault
		u.StopJob()
		return nil
	}
	return map[string]func(context.Context) error{
		"StartMeasurement": func(ctx context.Context) error { return s.StartMeasurement(ctx, measured) },
		"StopMeasurement": func(ctx context.Context) error {
			_, err := s.StopMeasurement(ctx, measured.ID, "ann")
			return err
		},
		"SaveMeasurement": func(ctx context.Context) error {
			return s.SaveMeasurement(ctx, measured, []measure.Report{{Node: measure.Participant{ID: "planned"}}}, map[string]bool{})
		},
		"Warm":              s.Warm,
		"NewestMeasurement": func(ctx context.Context) error { return last(s.NewestMeasurement(ctx)) },
		"Used":              func(ctx context.Context) error { return last(s.Used(ctx, f.Live, now)) },
		"AddUsage": func(ctx context.Context) error {
			return s.AddUsage(ctx, []points.Report{{Run: f.Live, Points: []points.Point{{Metric: run.TaskCPU, Step: now.UnixMilli(), Value: 1}}}, {Run: "r-deleted"}})
		},
		"MeasuredNodes": func(ctx context.Context) error { return last(s.MeasuredNodes(ctx)) },
		"Audit.AppendAlone": func(ctx context.Context) error {
			entries := make([]audit.Entry, 3000)
			for i := range entries {
				entries[i] = audit.Entry{Action: "login", Project: "planned", Actor: audit.Actor{Name: "ann", Address: "10.0.0.7"}}
			}
			if err := s.Audit.AppendAlone(ctx, entries...); err != nil {
				return err
			}
			for more := true; more; {
				var err error
				if more, err = s.Audit.Index(ctx); err != nil {
					return err
				}
			}
			return nil
		},
		"Audit.Search": func(ctx context.Context) error {
			for _, f := range []audit.Filter{{AllProjects: true}, {AllProjects: true, Text: "ann giraffe", Since: now, Until: time.Now()}, {Projects: []string{"a", "planned"}, Actor: "ann", Action: "login", Address: "10.0.0.7", Subject: "run:x", Outcome: audit.Refused}} {
				f.Limit = 50
				if err := last(s.Audit.Search(ctx, f)); err != nil {
					return err
				}
			}
			return nil
		},
		"Audit.Export": func(ctx context.Context) error {
			return s.Audit.Export(ctx, audit.Filter{AllProjects: true, Actor: "ann"}, func(audit.Row, audit.Hash) error { return nil })
		},
		"Audit.After":   func(ctx context.Context) error { return last(s.Audit.After(ctx, 1000, 100)) },
		"Audit.Forward": func(ctx context.Context) error { return s.Audit.SetForwarded(ctx, "planned", 1) },
		"Audit.Verify":  func(ctx context.Context) error { return last(s.Audit.NewVerification().Next(ctx, 1000)) },
		"Audit.Cut":     func(ctx context.Context) error { return last(s.Audit.Cut(ctx, time.Now(), []string{"planned"})) },
		"CreateRun": func(ctx context.Context) error {
			return second(s.CreateRun(ctx, run.Run{ID: "r-v000000000", Name: "planned", State: run.Queued}, "planned", run.Event{RunID: "r-v000000000"}))
		},
		"CreateSweep": func(ctx context.Context) error {
			r := run.Run{ID: "r-v000000001", State: run.Queued, Origin: run.Origin{Sweep: "s-v000000000"}}
			return second(s.CreateSweep(ctx, run.Sweep{ID: "s-v000000000", Project: access.DefaultProject}, "planned", []run.Run{r}, []run.Event{{RunID: r.ID}}))
		},
		"Run":            func(ctx context.Context) error { return last(s.Run(ctx, f.Live)) },
		"RunByKey":       func(ctx context.Context) error { return last(s.RunByKey(ctx, "default", "key 7")) },
		"ProjectOfRun":   func(ctx context.Context) error { return last(s.ProjectOfRun(ctx, f.Live)) },
		"ProjectOfSweep": func(ctx context.Context) error { return last(s.ProjectOfSweep(ctx, f.Ended)) },
		"Runs":           func(ctx context.Context) error { return everyList(ctx, s, f) },
		"RunsAtNomad":    func(ctx context.Context) error { return last(s.RunsAtNomad(ctx)) },
		"CountRuns": func(ctx context.Context) error {
			for _, text := range searched {
				for _, f := range []run.RunFilter{{Projects: run.AllProjects()}, {Projects: run.AllProjects(), Owner: "local"}, {Projects: run.InProjects(storetest.TinyProject, storetest.SomeProject)}} {
					f.Text = text
					if err := last(s.CountRuns(ctx, f)); err != nil {
						return err
					}
				}
			}
			return nil
		},
		"SaveProgress": func(ctx context.Context) error {
			return s.SaveProgress(ctx, f.Live, run.Progress{Step: 1, Loss: 1, HasLoss: true})
		},
		"Update":       func(ctx context.Context) error { return last(s.Update(ctx, f.Live, attempt)) },
		"Attempts":     func(ctx context.Context) error { return last(s.Attempts(ctx, f.Live)) },
		"RunOfJob":     func(ctx context.Context) error { return last(s.RunOfJob(ctx, "job 13")) },
		"Workers":      func(ctx context.Context) error { return last(s.Workers(ctx, f.Live)) },
		"Events":       func(ctx context.Context) error { return last(s.Events(ctx, f.Live, 0, 100)) },
		"EventsBefore": func(ctx context.Context) error { return last(s.EventsBefore(ctx, f.Live, math.MaxInt64, 100)) },
		"Cursor":       func(ctx context.Context) error { return last(s.Cursor(ctx, string(f.Live)+"-a0", "stdout")) },
		"ExitReports":  func(ctx context.Context) error { return last(s.ExitReports(ctx, f.Live)) },
		"Commit":       func(ctx context.Context) error { return commitEverything(ctx, s, f.Live) },
		"Metrics":      func(ctx context.Context) error { return last(s.Metrics(ctx, f.Live)) },
		"PointsPage": func(ctx context.Context) error {
			if err := last(s.PointsPage(ctx, f.Live, "loss", 0, nil, 100)); err != nil {
				return err
			}
			return last(s.PointsPage(ctx, f.Live, "loss", 0, &points.PageCursor{Rank: 0, Step: 1000}, 100))
		},
		"ReplacedPage": func(ctx context.Context) error {
			return last(s.ReplacedPage(ctx, f.Live, "loss", 1, 0, &points.PageCursor{Rank: 0, Step: 1000}, 100))
		},
		"Curve": func(ctx context.Context) error {
			if err := last(s.Curve(ctx, f.Live, "grad_norm", 0)); err != nil {
				return err
			}
			return last(s.Curve(ctx, f.Live, "loss", 700))
		},
		"View": func(ctx context.Context) error { return viewAll(ctx, s, f.Live) },
		"Each": func(ctx context.Context) error {
			return s.Each(ctx, f.Live, "grad_norm", 0, 0, 1000, func(run.CurvePoint) bool { return true })
		},
		"RunMetrics":  func(ctx context.Context) error { return last(s.RunMetrics(ctx, f.Live)) },
		"Summarize":   func(ctx context.Context) error { return last(s.Summarize(ctx, now)) },
		"Joins":       func(ctx context.Context) error { return last(s.Joins(ctx, f.Live)) },
		"RollUp":      func(ctx context.Context) error { return second(s.RollUp(ctx, f.Live)) },
		"StaleCurves": func(ctx context.Context) error { return last(s.StaleCurves(ctx)) },
		"Headline":    func(ctx context.Context) error { return last(s.Headline(ctx, f.Live)) },
		"Rounds": func(ctx context.Context) error {
			return s.Rounds(ctx, f.Live, points.RoundQuery{Metrics: []string{"loss"}, Every: 50, Attempt: 1, From: 1000}, func(points.RoundPoint) {})
		},
		"PointsVersion": func(ctx context.Context) error { return last(s.PointsVersion(ctx, f.Live)) },
		"SealPoints": func(ctx context.Context) (err error) {
			for more := true; more && err == nil; {
				more, err = s.SealPoints(ctx)
			}
			return err
		},
		"Logs": func(ctx context.Context) error {
			for _, q := range []run.LogQuery{{Rank: -1, Limit: 100}, {Rank: 0, Tail: true, Limit: 100}} {
				if err := last(s.Logs(ctx, f.Live, q)); err != nil {
					return err
				}
			}
			return nil
		},
		"LogMap": func(ctx context.Context) error { return last(s.LogMap(ctx, f.Live, run.LogFilter{Rank: -1})) },
		"LogLines": func(ctx context.Context) error {
			return last(s.LogLines(ctx, f.Live, run.AllLines(), run.LogSpot{}, 100))
		},
		"FindLog": func(ctx context.Context) error {
			_, _, err := s.FindLog(ctx, f.Live, run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "loss"}}, 0, false)
			return err
		},
		"SearchLog": func(ctx context.Context) error {
			return s.SearchLog(ctx, f.Live, run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "loss"}}, func(run.LogFound) error { return nil })
		},
		"EachLogAround": func(ctx context.Context) error {
			return s.EachLogAround(ctx, f.Live, run.LogFilter{Rank: -1, Find: run.LogPattern{Text: "loss"}}, 0, 2, func(run.RawLine) error { return nil })
		},
		"EachLog": func(ctx context.Context) error {
			return s.EachLog(ctx, f.Live, run.AllLines(), 0, func(run.RawLine) error { return nil })
		},
		"Seal":             func(ctx context.Context) error { return s.Seal(ctx, f.Live, 1) },
		"LeftUnsealed":     func(ctx context.Context) error { return last(s.LeftUnsealed(ctx, time.Now())) },
		"UnsealedRuns":     func(ctx context.Context) error { return last(s.UnsealedRuns(ctx, store.SealBytes)) },
		"SavedCheckpoints": func(ctx context.Context) error { return last(s.SavedCheckpoints(ctx, f.Live)) },
		"CauseRules":       func(ctx context.Context) error { return last(s.CauseRules(ctx)) },
		"SaveCauseRules": func(ctx context.Context) error {
			now, err := s.CauseRules(ctx)
			if err != nil {
				return err
			}
			return last(s.SaveCauseRules(ctx, run.CauseRules{Revision: now.Revision, Text: "# planned"}))
		},
		"Failures":       func(ctx context.Context) error { return last(s.Failures(ctx, time.UnixMilli(1000), 20)) },
		"AttemptWorkers": func(ctx context.Context) error { return last(s.AttemptWorkers(ctx, f.Live, 1)) },
		"NodeFailures": func(ctx context.Context) error {
			return last(s.NodeFailures(ctx, run.InProjects("default", "other"), time.UnixMilli(1000)))
		},
		"CountCause": func(ctx context.Context) error {
			_, err := s.CountCause(ctx, run.InProjects("default", "other"), "python_exception/exception", time.UnixMilli(1000))
			return err
		},
		"DeleteRun":   func(ctx context.Context) error { return s.DeleteRun(ctx, "r-v000000001") },
		"Tidy":        s.Tidy,
		"LogFate":     func(ctx context.Context) error { return last(s.LogFate(ctx, f.Live)) },
		"LogUsage":    func(ctx context.Context) error { return last(s.LogUsage(ctx)) },
		"MeasureLogs": func(ctx context.Context) error { return last(s.MeasureLogs(ctx)) },
		"SetLogLimits": func(ctx context.Context) error {
			if _, err := s.SetLogLimits(ctx, []run.LogLimit{{Bytes: 1}}, now); err != nil {
				return err
			}
			return last(s.SetLogLimits(ctx, []run.LogLimit{{Bytes: 1, Project: "default", Age: time.Hour}, {Age: time.Hour}}, now))
		},
		"OldestLogs": func(ctx context.Context) error {
			return errors.Join(last(s.OldestLogs(ctx, "default", time.Now(), 100)), last(s.OldestLogs(ctx, "", time.Now(), 100)))
		},
		"DeleteLog": func(ctx context.Context) error {
			_, _, err := s.DeleteLog(ctx, f.Oldest, run.DeletedLog{At: now, Age: 1})
			return err
		},
		"TidyLogs":     s.TidyLogs,
		"LacksOldLogs": func(ctx context.Context) error { return last(s.LacksOldLogs(ctx)) },
		"Dispatching":  func(ctx context.Context) error { return last(s.Dispatching(ctx)) },
		"Expired":      func(ctx context.Context) error { return last(s.Expired(ctx, now)) },
		"ReleaseDue":   func(ctx context.Context) error { return s.ReleaseDue(ctx, time.UnixMilli(math.MaxInt32)) },
		"ReadyGroups":  func(ctx context.Context) error { return last(s.ReadyGroups(ctx)) },
		"ReadyOf": func(ctx context.Context) error {
			groups, err := s.ReadyGroups(ctx)
			if err != nil || len(groups) == 0 {
				return fmt.Errorf("%d groups, %w", len(groups), err)
			}
			return last(s.ReadyOf(ctx, groups[0], 100))
		},
		"Unplaced":             func(ctx context.Context) error { return last(s.Unplaced(ctx)) },
		"ReadyWithOtherReason": func(ctx context.Context) error { return last(s.ReadyWithOtherReason(ctx, f.Waiting, "reason 1")) },
		"SetWaitReason":        func(ctx context.Context) error { return s.SetWaitReason(ctx, "no room", []run.ID{f.Live, f.Middle}) },
		"SetQueuePlaces": func(ctx context.Context) error {
			runs, err := s.Runs(ctx, run.RunFilter{Projects: run.AllProjects(), States: []run.State{run.Queued}, Limit: 50})
			if err != nil {
				return err
			}
			return s.SetQueuePlaces(ctx, runs)
		},
		"RowMetrics": func(ctx context.Context) error {
			return last(s.RowMetrics(ctx, []run.ID{f.Live, f.Middle}, []string{"loss", "eval/loss"}))
		},
		"Layout": func(ctx context.Context) error { return last(s.Layout(ctx, "", ann.ID, run.LayoutRuns)) },
		"SetLayout": func(ctx context.Context) error {
			return errors.Join(s.SetLayout(ctx, "", ann.ID, run.LayoutRuns, "{}"), s.SetLayout(ctx, access.DefaultProject, "", run.LayoutRuns, "{}"), s.SetLayout(ctx, "", ann.ID, run.LayoutRuns, ""))
		},
		"ListRuns":       func(ctx context.Context) error { return everyOrder(ctx, s, f) },
		"Secrets":        func(ctx context.Context) error { return last(s.Secrets(ctx)) },
		"RegisterSecret": func(ctx context.Context) error { return s.RegisterSecret(ctx, run.Secret{Name: "planned"}) },
		"ChangeSecret": func(ctx context.Context) error {
			return s.ChangeSecret(ctx, run.Secret{Name: "planned", Note: "planned"})
		},
		"RemoveSecret": func(ctx context.Context) error { return s.RemoveSecret(ctx, "planned") },
		"SaveTemplate": func(ctx context.Context) error {
			return last(s.SaveTemplate(ctx, run.Template{Project: "default", Name: "planned"}, 0))
		},
		"Template":         func(ctx context.Context) error { return last(s.Template(ctx, "default", "planned", 1)) },
		"Templates":        func(ctx context.Context) error { return last(s.Templates(ctx, run.AllProjects())) },
		"TemplateVersions": func(ctx context.Context) error { return last(s.TemplateVersions(ctx, "default", "planned")) },
		"DeleteTemplate":   func(ctx context.Context) error { return s.DeleteTemplate(ctx, "default", "planned") },
		"Sweep":            func(ctx context.Context) error { return last(s.Sweep(ctx, f.Ended)) },
		"SweepByKey":       func(ctx context.Context) error { return last(s.SweepByKey(ctx, "default", "planned")) },
		"BestRun":          func(ctx context.Context) error { return last(s.BestRun(ctx, f.Ended)) },
		"Sweeps": func(ctx context.Context) error {
			if err := last(s.Sweeps(ctx, run.AllProjects(), "", 50)); err != nil {
				return err
			}
			return last(s.Sweeps(ctx, run.AllProjects(), f.Ended, 50))
		},
		"StopSweep": func(ctx context.Context) error {
			return last(s.StopSweep(ctx, f.Waiting, func(*store.Update) error { return nil }))
		},
		"Access":         func(ctx context.Context) error { return last(s.Access(ctx)) },
		"AccessRevision": func(ctx context.Context) error { return last(s.AccessRevision(ctx)) },
		"CreateUser":     func(ctx context.Context) error { return s.CreateUser(ctx, ann, "") },
		"CreateFirstAdministrator": func(ctx context.Context) error {
			return expect(fault.ErrConflict, s.CreateFirstAdministrator(ctx, ann, ""))
		},
		"User": func(ctx context.Context) error { return last(s.User(ctx, ann.ID)) },
		"ChangeUser": func(ctx context.Context) error {
			return second(s.ChangeUser(ctx, ann.ID, func(*access.User) error { return nil }))
		},
		"ResetPassword": func(ctx context.Context) error { return last(s.ResetPassword(ctx, ann.ID, "hash", false)) },
		"SetPassword":   func(ctx context.Context) error { return s.SetPassword(ctx, ann.ID, "hash", false, "") },
		"RenewPassword": func(ctx context.Context) error { return s.RenewPassword(ctx, ann.ID, "hash", "hash") },
		"Password":      func(ctx context.Context) error { return last(s.Password(ctx, ann.ID)) },
		"DeleteUser":    func(ctx context.Context) error { return s.DeleteUser(ctx, ann.ID) },
		"CreateProject": func(ctx context.Context) error { return s.CreateProject(ctx, access.Project{Name: "planned"}) },
		"ChangeProject": func(ctx context.Context) error {
			return last(s.ChangeProject(ctx, access.DefaultProject, func(*access.Project) error { return nil }))
		},
		"DeleteProject": func(ctx context.Context) error { return s.DeleteProject(ctx, "planned") },
		"SetMember":     func(ctx context.Context) error { return s.SetMember(ctx, access.DefaultProject, ann.ID, access.Viewer) },
		"CreateSession": func(ctx context.Context) error {
			password, err := s.Password(ctx, ann.ID)
			if err != nil {
				return err
			}
			return s.CreateSession(ctx, "key", access.Session{ID: "planned", User: ann.ID}, password)
		},
		"SessionByKey":   func(ctx context.Context) error { return expect(fault.ErrNoSession, last(s.SessionByKey(ctx, "none"))) },
		"Sessions":       func(ctx context.Context) error { return last(s.Sessions(ctx, ann.ID)) },
		"EndSession":     func(ctx context.Context) error { return expect(fault.ErrNoSession, s.EndSession(ctx, ann.ID, "none")) },
		"EndSessions":    func(ctx context.Context) error { return s.EndSessions(ctx, ann.ID, "") },
		"RememberDevice": func(ctx context.Context) error { return s.RememberDevice(ctx, "key", ann.ID, now) },
		"KnowsDevice":    func(ctx context.Context) error { return last(s.KnowsDevice(ctx, "key", ann.ID)) },
		"SaveSeen": func(ctx context.Context) error {
			return s.SaveSeen(ctx, []accounts.Seen{{Session: "planned", User: ann.ID, At: now}, {Token: "planned", User: ann.ID, At: now}})
		},
		"UseLogIn": func(ctx context.Context) error { return s.UseLogIn(ctx, "planned", now) },
		"ByIdentity": func(ctx context.Context) error {
			return expect(fault.ErrNoUser, last(s.ByIdentity(ctx, "planned", "none")))
		},
		"Identities": func(ctx context.Context) error { return last(s.Identities(ctx, ann.ID)) },
		"CreateFromIdentity": func(ctx context.Context) error {
			return s.CreateFromIdentity(ctx, access.User{ID: "u-planned2", Name: "planned2"}, access.ProviderIdentity{Issuer: "planned", Subject: "2", User: "u-planned2"})
		},
		"LinkIdentity": func(ctx context.Context) error {
			return s.LinkIdentity(ctx, access.ProviderIdentity{Issuer: "planned", Subject: "1", User: ann.ID})
		},
		"UnlinkIdentity": func(ctx context.Context) error {
			return expect(fault.ErrNotFound, s.UnlinkIdentity(ctx, access.ProviderIdentity{Issuer: "planned", Subject: "none", User: ann.ID}))
		},
		"GroupGrants": func(ctx context.Context) error { return last(s.GroupGrants(ctx, ann.ID)) },
		"SetGroupGrants": func(ctx context.Context) error {
			return s.SetGroupGrants(ctx, ann.ID, map[string]access.Grant{access.DefaultProject: {Project: access.DefaultProject, Role: access.Viewer}})
		},
		"DropExpired": func(ctx context.Context) error { return s.DropExpired(ctx, now, now, now) },
		"CreateToken": func(ctx context.Context) error {
			return s.CreateToken(ctx, "key", access.Token{ID: "planned", User: ann.ID, Scopes: []access.Scope{access.ScopeRead}})
		},
		"SetFactor": func(ctx context.Context) error {
			return s.SetFactor(ctx, ann.ID, accounts.Factor{Secret: "x", CreatedAt: now}, 1, []string{"planned"})
		},
		"Factor":        func(ctx context.Context) error { return last(s.Factor(ctx, ann.ID)) },
		"UseFactor":     func(ctx context.Context) error { return s.UseFactor(ctx, ann.ID, 2) },
		"UseRecovery":   func(ctx context.Context) error { return expect(fault.ErrSignedOut, s.UseRecovery(ctx, ann.ID, "none")) },
		"RemoveFactor":  func(ctx context.Context) error { return s.RemoveFactor(ctx, ann.ID) },
		"RemoveFactors": func(ctx context.Context) error { return s.RemoveFactors(ctx, ann.ID) },
		"AddPasskey": func(ctx context.Context) error {
			return passkey(ctx, s, ann.ID, "planned")
		},
		"Passkeys": func(ctx context.Context) error { return last(s.Passkeys(ctx, ann.ID)) },
		"PasskeyByCredential": func(ctx context.Context) error {
			return expect(fault.ErrNotFound, last(s.PasskeyByCredential(ctx, []byte("none"))))
		},
		"UsePasskey": func(ctx context.Context) error {
			return errors.Join(passkey(ctx, s, ann.ID, "used"), s.UsePasskey(ctx, "used", 1, false, now))
		},
		"RenamePasskey": func(ctx context.Context) error {
			return errors.Join(passkey(ctx, s, ann.ID, "renamed"), s.RenamePasskey(ctx, ann.ID, "renamed", "x"))
		},
		"RemovePasskey": func(ctx context.Context) error {
			return errors.Join(passkey(ctx, s, ann.ID, "removed"), s.RemovePasskey(ctx, ann.ID, "removed", ""))
		},
		"TokenByKey":    func(ctx context.Context) error { return last(s.TokenByKey(ctx, "key")) },
		"Tokens":        func(ctx context.Context) error { return last(s.Tokens(ctx, ann.ID)) },
		"RevokeToken":   func(ctx context.Context) error { return expect(fault.ErrNoToken, s.RevokeToken(ctx, ann.ID, "none")) },
		"DeleteSweep":   func(ctx context.Context) error { return s.DeleteSweep(ctx, "s-v000000000") },
		"Orders":        func(ctx context.Context) error { return last(s.Orders(ctx)) },
		"CompleteOrder": func(ctx context.Context) error { return s.CompleteOrder(ctx, store.Order{JobID: "planned"}) },
		"Ping":          s.Ping,
	}
}

func passkey(ctx context.Context, s *store.Store, user access.UserID, id string) error {
	return s.AddPasskey(ctx, access.Passkey{ID: id, User: user, Credential: []byte(id), PublicKey: []byte("key")}, "none")
}

// expect is nil for an error of a kind.
func expect(kind fault.Kind, err error) error {
	if errors.Is(err, kind) {
		return nil
	}
	return fmt.Errorf("%w instead of %w", err, kind)
}

func last[T any](_ T, err error) error           { return err }
func second[T, U any](_ T, _ U, err error) error { return err }

var searched = []string{"", storetest.NoText, storetest.RareText, storetest.FrequentText, storetest.OldText, "7b", "7", "-"}

// everyList lists runs in every way that the page, the API and the command line offer.
func everyList(ctx context.Context, s *store.Store, f storetest.Filled) error {
	for _, text := range searched {
		for _, states := range [][]run.State{nil, {run.Succeeded}, {run.Queued}, {run.Running}, {run.Queued, run.Failed, run.Stopped}} {
			for _, before := range []run.ID{"", f.Middle} {
				for _, filter := range []run.RunFilter{{Folded: true}, {}, {Sweep: f.Ended}, {Owner: "local"}, {Projects: run.InProjects(storetest.SomeProject), Folded: true},
					{Projects: run.InProjects(storetest.TinyProject, storetest.SomeProject)}, {Projects: run.InProjects(storetest.TinyProject), Owner: "local", Folded: true}} {
					if filter.Projects.None() {
						filter.Projects = run.AllProjects()
					}
					filter.Text, filter.States, filter.Before, filter.Limit = text, states, before, 51
					if err := last(s.Runs(ctx, filter)); err != nil {
						return fmt.Errorf("%+v: %w", filter, err)
					}
				}
			}
		}
	}
	return nil
}

// everyOrder lists runs in every order, under each part of a filter, and further on.
func everyOrder(ctx context.Context, s *store.Store, f storetest.Filled) error {
	orders := []string{"", "created", "name", "-name", "project", "-owner", "model", "step", "-loss", "throughput", "duration", "-ended", "metric:loss:last", "-metric:eval/loss:low", "metric:loss:high", "metric:none:last"}
	for _, filter := range []run.RunFilter{{}, {Archived: run.WithoutArchived}, {Sweep: f.Ended}, {Tags: []string{storetest.FrequentTag}, Node: storetest.FrequentNode}, {Tags: []string{"tag-7"}}, {Model: "7b", Owner: "ann"}, {Model: "debug-1"}, {Owner: "user-3"},
		{Text: storetest.RareText, Model: "7b"}, {Text: storetest.FrequentText, Tags: []string{"tag-7"}}, {Text: storetest.FrequentText}, {States: []run.State{run.Failed}, Archived: run.OnlyArchived},
		{Projects: run.InProjects(storetest.TinyProject, storetest.SomeProject), States: []run.State{run.Succeeded}}, {Since: time.UnixMilli(1), Until: time.Now()}} {
		if filter.Projects.None() {
			filter.Projects = run.AllProjects()
		}
		if err := last(s.CountRuns(ctx, filter)); err != nil {
			return err
		}
		for _, order := range orders {
			var err error
			if filter.Order, err = run.ParseOrder(order); err != nil {
				return err
			}
			filter.Limit, filter.After = 50, nil
			for range 2 {
				page, err := s.ListRuns(ctx, filter)
				if err != nil {
					return fmt.Errorf("%s of %+v: %w", order, filter, err)
				}
				if page.Next == "" {
					break
				}
				at, err := filter.Order.ParseCursor(page.Next)
				if err != nil {
					return err
				}
				filter.After = &at
			}
			if filter.Order.Metric == "none" {
				filter.After = &run.Position{ID: f.Middle, None: true}
				if err := last(s.ListRuns(ctx, filter)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// commitEverything stores a piece of log with all that can be in one, of a further attempt that repeats a step and diverges.
func commitEverything(ctx context.Context, s *store.Store, id run.ID) error {
	b := store.Batch{
		RunID: id, AllocID: "planned", Stream: "stdout", Attempt: 3, To: store.Cursor{File: "f", Offset: 4}, Log: []byte("line"),
		Events: []run.Event{{RunID: id}}, Checkpoints: []store.Checkpoint{{Step: 1100}},
		Points: []points.Point{{Metric: "loss", Step: 1100, Value: math.NaN()}},
	}
	for i := range points.MaxMetrics + 1 {
		b.Points = append(b.Points, points.Point{Metric: fmt.Sprint("metric ", i), Step: 1100, Value: 1})
	}
	if err := s.Commit(ctx, []*store.Batch{&b}); err != nil {
		return err
	}
	return s.Commit(ctx, []*store.Batch{{RunID: id, AllocID: "planned", Stream: "stdout", Attempt: 3, From: b.To, To: store.Cursor{File: "f", Offset: 5}, Log: []byte("x")}})
}

// viewAll looks at metrics with a stored curve and without one.
func viewAll(ctx context.Context, s *store.Store, id run.ID) error {
	for _, metric := range []string{"loss", "grad_norm"} {
		for _, q := range []points.ViewQuery{{Worker: points.AllWorkers}, {Worker: 0}, {Worker: 0, Replaced: 1}} {
			q.From, q.To, q.Limit, q.Smooth = 10, 1000, 100, series.Smoothing{Kernel: series.EMA, Amount: 0.9}
			if err := last(s.View(ctx, id, metric, q)); err != nil {
				return err
			}
		}
	}
	return nil
}
