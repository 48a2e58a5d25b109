package web

import (
	"net/http"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/web/form"
	"github.com/cotrain/cotrain/internal/web/page"
	"github.com/cotrain/cotrain/static"
	runviews "github.com/cotrain/cotrain/views/runs"
)

// Time limits of answers; see [Server.bound].
const (
	downloadTimeout = 10 * time.Minute
	anyTimeout      = 30 * time.Second // the default
)

func (s *Server) routes(t sections) http.Handler {
	handle := s.routed.Handle
	paged := func(pattern string, right access.Right, h page.Handler) {
		handle(pattern, right, s.wrap(h, page.Timeout))
	}
	data := func(pattern string, right access.Right, h page.Handler) { // for scripts alone: its errors are JSON, whatever they accept
		s.data[pattern] = true
		paged(pattern, right, h)
	}
	large := func(pattern string, right access.Right, h page.Handler, body int64) {
		handle(pattern, right, s.wrapBody(h, page.Timeout, body))
	}

	paged("GET /{$}", access.RunsRead, t.runs.List)
	paged("GET /runs", access.RunsRead, redirectTo("/"))
	paged("GET /runs/new", access.RunsSubmit, t.form.New)
	large("POST /runs", access.RunsSubmit, t.form.Create, form.MaxBody)
	large("POST /runs/validate", access.RunsSubmit, t.form.Validate, form.MaxBody)
	large("POST /runs/dryrun", access.RunsSubmit, t.form.DryRun, form.MaxBody)
	paged("GET /runs/import", access.RunsSubmit, t.form.ImportAsk)
	large("POST /runs/import", access.RunsSubmit, t.form.Import, form.MaxImport)
	paged("GET /runs/bulk", access.RunsRead, t.runs.BulkAsk)
	paged("POST /runs/bulk/edit", access.RunsEdit, t.runs.BulkEdit)
	paged("POST /runs/bulk/stop", access.RunsStop, t.runs.BulkStop)
	paged("POST /runs/bulk/pause", access.RunsStop, t.runs.BulkPause)
	paged("POST /runs/bulk/resume", access.RunsStop, t.runs.BulkResume)
	paged("POST /runs/bulk/delete", access.RunsDelete, t.runs.BulkDelete)
	paged("POST /runs/columns", access.RunsRead, t.runs.SaveColumns)
	paged("POST /runs/{id}/labels", access.RunsEdit, t.runs.SaveLabels)
	paged("POST /runs/sample", access.RunsSubmit, t.runs.Sample)
	data("GET /runs/{id}/series", access.RunsRead, t.metrics.Series)
	paged("GET /runs/{id}", access.RunsRead, t.runs.Overview)
	paged("GET /runs/{id}/metrics", access.RunsRead, t.metrics.Show)
	paged("POST /runs/{id}/metrics/layout", access.RunsRead, t.metrics.SaveLayout)
	data("GET /runs/{id}/marks", access.RunsRead, t.metrics.Marks)
	paged("GET /runs/{id}/logs", access.RunsRead, t.runs.Logs)
	paged("GET /runs/{id}/workers", access.RunsRead, t.runs.Workers)
	paged("GET /runs/{id}/usage", access.RunsRead, t.runs.Usage)
	data("GET /runs/{id}/heat", access.RunsRead, t.runs.Heat)
	paged("GET /runs/{id}/mesh", access.RunsRead, t.runs.Mesh)
	data("GET /runs/{id}/mesh/timeline", access.RunsRead, t.runs.Timeline)
	paged("GET /runs/{id}/checkpoints", access.RunsRead, t.runs.Checkpoints)
	paged("GET /runs/{id}/events", access.RunsRead, t.runs.Events)
	paged("GET /runs/{id}/config", access.RunsRead, t.runs.Config)
	paged("GET /runs/{id}/launch", access.RunsRead, t.runs.Launch)
	paged("GET /runs/{id}/live", access.RunsRead, t.runs.Live)
	data("GET /runs/{id}/log/map", access.RunsRead, t.runs.LogMap)
	data("GET /runs/{id}/log/lines", access.RunsRead, t.runs.LogLines)
	data("GET /runs/{id}/log/find", access.RunsRead, t.runs.LogFind)
	handle("GET /runs/{id}/log/search", access.RunsRead, s.wrap(t.runs.LogSearch, downloadTimeout))
	handle("GET /runs/{id}/log.txt", access.RunsRead, s.wrap(t.runs.LogDownload, 0))
	paged("GET /runs/{id}/config.toml", access.RunsRead, t.runs.ConfigFile)
	paged("GET /runs/{id}/launch.sh", access.RunsRead, t.runs.Script)
	paged("GET /runs/{id}/job.json", access.RunsRead, t.runs.Job)
	paged("GET /runs/{id}/template", access.TemplatesSave, t.templates.SaveRun)
	for _, file := range []string{"launch.sh", "job.json", "config.toml"} {
		large("POST "+runviews.FormFiles+file, access.RunsSubmit, t.form.File(file), form.MaxBody)
	}
	paged("GET /runs/{id}/stop", access.RunsStop, t.runs.StopAsk)
	paged("POST /runs/{id}/stop", access.RunsStop, t.runs.Stop)
	for _, a := range run.Acts() {
		paged("GET /runs/{id}/"+string(a), access.RunsStop, t.runs.AskAct(a))
		paged("POST /runs/{id}/"+string(a), access.RunsStop, t.runs.Act(a))
	}
	paged("GET /runs/{id}/delete", access.RunsDelete, t.runs.DeleteAsk)
	paged("POST /runs/{id}/delete", access.RunsDelete, t.runs.Delete)
	paged("GET /templates", access.TemplatesRead, t.templates.List)
	large("POST /templates/save", access.TemplatesSave, t.templates.Save, form.MaxBody)
	paged("POST /templates/check", access.TemplatesSave, t.templates.Check)
	large("POST /templates/import", access.TemplatesSave, t.templates.Import, form.MaxImport)
	paged("GET /templates/{name}", access.TemplatesRead, t.templates.Show)
	paged("GET /templates/{name}/export", access.TemplatesRead, t.templates.Export)
	paged("GET /templates/{name}/delete", access.TemplatesDelete, t.templates.DeleteAsk)
	paged("POST /templates/{name}/delete", access.TemplatesDelete, t.templates.Delete)
	paged("GET /diff", access.SignedIn, t.diff.Show)
	paged("GET /compare", access.RunsRead, t.compare.Show)
	data("GET /compare/series", access.RunsRead, t.compare.Series)
	paged("GET /sweeps", access.RunsRead, t.sweeps.List)
	paged("GET /sweeps/new", access.RunsSubmit, t.sweeps.New)
	large("POST /sweeps/new", access.RunsSubmit, t.sweeps.FromForm, form.MaxBody)
	large("POST /sweeps/preview", access.RunsSubmit, t.sweeps.Preview, form.MaxBody)
	large("POST /sweeps", access.RunsSubmit, t.sweeps.Create, form.MaxBody)
	paged("GET /sweeps/{id}", access.RunsRead, t.sweeps.Show)
	paged("GET /sweeps/{id}/head", access.RunsRead, t.sweeps.Head)
	data("GET /sweeps/{id}/rows", access.RunsRead, t.sweeps.Rows)
	paged("GET /sweeps/{id}/stop", access.RunsStop, t.sweeps.StopAsk)
	paged("POST /sweeps/{id}/stop", access.RunsStop, t.sweeps.Stop)
	paged("GET /sweeps/{id}/delete", access.RunsDelete, t.sweeps.DeleteAsk)
	paged("POST /sweeps/{id}/delete", access.RunsDelete, t.sweeps.Delete)
	paged("GET /storage", access.StorageRead, t.storage.Folder)
	paged("GET /storage/file", access.StorageRead, t.storage.Needed(t.storage.File))
	paged("GET /storage/complete", access.StorageRead, t.storage.Complete)
	paged("GET /storage/delete", access.StorageDelete, t.storage.Needed(t.storage.DeleteAsk))
	paged("POST /storage/delete", access.StorageDelete, t.storage.Needed(t.storage.Delete))
	paged("POST /storage/layout", access.StorageLayout, t.storage.Needed(t.storage.Layout))
	paged("GET /cluster", access.ClusterRead, t.cluster.Nodes)
	paged("GET /cluster/measure", access.ClusterMeasure, t.cluster.MeasureAsk)
	paged("POST /cluster/measure", access.ClusterMeasure, t.cluster.Measure)
	paged("POST /cluster/measure/stop", access.ClusterMeasure, t.cluster.StopMeasurement)
	paged("GET /nodes", access.ClusterRead, redirectTo("/cluster"))
	paged("GET /search", access.SignedIn, t.search.Search)
	paged("GET /help", access.SignedIn, t.help.Index)
	paged("GET /help/{doc}", access.SignedIn, t.help.Document)
	paged("GET /system", access.SignedIn, s.handleSystem)
	paged("POST /theme", access.Public, s.handleTheme)
	paged("POST /keys", access.Public, s.handleKeys)
	paged("POST /project", access.SignedIn, s.handleProject)
	paged("GET /admin/audit", access.AuditRead, t.audit.List)
	if t.account != nil {
		paged("GET /login", access.Public, t.account.LogIn)
		paged("POST /login", access.Public, t.account.DoLogIn)
		paged("GET /login/oidc", access.Public, t.account.ToProvider)
		paged("GET /login/oidc/callback", access.Public, t.account.FromProvider)
		paged("GET /login/code", access.Public, t.account.LogInCode)
		paged("POST /login/code", access.Public, t.account.DoLogInCode)
		paged("POST /login/passkey/options", access.Public, t.account.PasskeyLogInOptions)
		paged("POST /login/passkey", access.Public, t.account.LogInPasskey)
		paged("POST /account/passkeys/options", access.Factor, t.account.PasskeyOptions)
		paged("POST /account/passkeys", access.Factor, t.account.AddPasskey)
		paged("GET /account/passkeys/{id}", access.Account, t.account.Passkey)
		paged("POST /account/passkeys/{id}", access.Account, t.account.RenamePasskey)
		paged("POST /account/passkeys/{id}/remove", access.Account, t.account.RemovePasskey)
		paged("GET /account/factor", access.Factor, t.account.Factor)
		paged("POST /account/factor", access.Factor, t.account.ConfirmFactor)
		paged("POST /account/factor/remove", access.Factor, t.account.RemoveFactor)
		paged("POST /logout", access.Public, t.account.LogOut)
		paged("GET /setup", access.Public, t.account.SetUp)
		paged("POST /setup", access.Public, t.account.DoSetUp)
		paged("GET /account", access.Account, t.account.Show)
		paged("GET /account/password", access.Password, t.account.Password)
		paged("POST /account/password", access.Password, t.account.ChangePassword)
		paged("POST /account/sessions/{id}/end", access.Account, t.account.EndSession)
		paged("POST /account/sessions/end-others", access.Account, t.account.EndOtherSessions)
		paged("GET /device", access.Account, t.account.Device)
		paged("POST /device", access.Account, t.account.AnswerDevice)
		paged("POST /account/tokens", access.Account, t.account.CreateToken)
		paged("GET /account/tokens/{id}/revoke", access.Account, t.account.RevokeTokenAsk)
		paged("POST /account/tokens/{id}/revoke", access.Account, t.account.RevokeToken)
	}
	if t.admin != nil {
		paged("GET /admin", access.SignedIn, t.admin.Overview)
		paged("GET /admin/users", access.UsersManage, t.admin.Users)
		paged("POST /admin/users", access.UsersManage, t.admin.CreateUser)
		paged("GET /admin/users/{name}", access.UsersManage, t.admin.User)
		paged("POST /admin/users/{name}", access.UsersManage, t.admin.ChangeUser)
		paged("POST /admin/users/{name}/projects", access.UsersManage, t.admin.AddToProject)
		paged("POST /admin/users/{name}/tokens", access.UsersManage, t.admin.CreateToken)
		paged("GET /admin/users/{name}/tokens/{id}/revoke", access.UsersManage, t.admin.AskRevoke)
		paged("POST /admin/users/{name}/tokens/{id}/revoke", access.UsersManage, t.admin.Revoke)
		paged("POST /admin/users/{name}/identities", access.UsersManage, t.admin.Link)
		paged("POST /admin/users/{name}/identities/unlink", access.UsersManage, t.admin.Unlink)
		paged("GET /admin/users/{name}/{action}", access.UsersManage, t.admin.AskUser)
		paged("POST /admin/users/{name}/{action}", access.UsersManage, t.admin.ActOnUser)
		paged("GET /admin/projects", access.ProjectsManage, t.admin.Projects)
		paged("POST /admin/projects", access.ProjectsManage, t.admin.CreateProject)
		paged("GET /admin/projects/{name}", access.SignedIn, t.admin.ToProject)
		paged("GET /admin/secrets", access.SecretsManage, t.admin.Secrets)
		paged("POST /admin/secrets", access.SecretsManage, t.admin.RegisterSecret)
		paged("GET /admin/secrets/{name}", access.SecretsManage, t.admin.Secret)
		paged("POST /admin/secrets/{name}", access.SecretsManage, t.admin.ChangeSecret)
		paged("POST /admin/secrets/{name}/value", access.SecretsManage, t.admin.SetSecret)
		paged("GET /admin/secrets/{name}/remove", access.SecretsManage, t.admin.AskRemoveSecret)
		paged("POST /admin/secrets/{name}/remove", access.SecretsManage, t.admin.RemoveSecret)
		paged("GET /admin/causes", access.CausesManage, t.admin.CauseRules)
		large("POST /admin/causes", access.CausesManage, t.admin.SaveCauseRules, form.MaxBody)
		large("POST /admin/causes/try", access.CausesManage, t.admin.TryCauseRules, form.MaxBody)
		paged("GET /projects/{project}", access.ProjectRead, t.admin.Project)
		paged("POST /projects/{project}", access.ProjectEdit, t.admin.ChangeProject)
		paged("POST /projects/{project}/members", access.MembersManage, t.admin.SetMember)
		paged("GET /projects/{project}/members/{user}/remove", access.MembersManage, t.admin.AskRemoveMember)
		paged("POST /projects/{project}/members/{user}/remove", access.MembersManage, t.admin.RemoveMember)
		paged("GET /projects/{project}/delete", access.ProjectsManage, t.admin.AskDeleteProject)
		paged("POST /projects/{project}/delete", access.ProjectsManage, t.admin.DeleteProject)
	}
	if s.Dev {
		paged("GET /dev/components", access.SignedIn, s.handleComponents)
	}
	handle("GET /ws", access.SignedIn, s.wrap(s.live.Connect, 0)) // each topic has a right of its own
	handle("GET "+static.Prefix, access.Public, s.assets)
	paged("GET /healthz", access.Public, s.handleHealth)
	paged("GET /readyz", access.Public, s.handleReady)
	if s.metrics != nil {
		data("GET /metrics", access.MetricsRead, s.metrics.Answer)
	}
	if s.api != nil {
		s.routed.Mount("/api/", s.api)
	}

	return s.boundAll(s.front.Resolve(compress(rebased(s.front.Base(),
		s.logRequests(s.measure(s.recoverPanics(s.securityHeaders(s.checkOrigin(s.limitBadTokens(s.authenticate(s.limited(s.orNotFound(s.routed)))))))))))))
}
