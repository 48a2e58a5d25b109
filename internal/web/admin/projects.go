package admin

import (
	"net/http"
	"slices"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/admin"
	"github.com/cotrain/cotrain/views/ui"
)

// Projects lists the projects.
func (p *Pages) Projects(w http.ResponseWriter, r *http.Request) error {
	return p.projects(w, r, access.Project{}, message{})
}

func (p *Pages) projects(w http.ResponseWriter, r *http.Request, input access.Project, m message) error {
	all, err := p.Accounts.Projects(r.Context())
	if err != nil {
		return err
	}
	name := text("name", "Name", input.Name, "Lower-case letters, digits and dashes. Cannot be changed.")
	name.Required, name.MaxBytes = true, 63
	l := view.ProjectList{Now: p.Now(), Notice: notice(r), Form: m.on(view.Form{Fields: []ui.Field{name, text("description", "Description", input.Description, "")}})}
	for _, x := range all {
		members, err := p.Accounts.Members(r.Context(), x.Name)
		if err != nil {
			return err
		}
		l.Projects = append(l.Projects, view.ProjectRow{Project: x, Members: len(members)})
	}
	return p.Render(w, r, m.status(), view.ProjectsPage(p.frame(r, "Projects", view.ProjectsPath), l))
}

// CreateProject makes a project.
func (p *Pages) CreateProject(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	input := access.Project{Name: page.Text(r.PostForm.Get("name"), 100), Description: page.Text(r.PostForm.Get("description"), 800)}
	made, err := p.Accounts.CreateProject(r.Context(), input)
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		return p.projects(w, r, input, m)
	}
	return done(w, r, view.ProjectPath(made.Name), "created")
}

// ToProject leads to a project's page, which its members see too.
func (p *Pages) ToProject(w http.ResponseWriter, r *http.Request) error {
	return page.Redirect(w, r, view.ProjectPath(r.PathValue("name")))
}

// Project shows a project and its members.
func (p *Pages) Project(w http.ResponseWriter, r *http.Request) error {
	return p.project(w, r, nil, nil, message{})
}

// memberInput is the form for a member as typed.
type memberInput struct{ user, role string }

func (p *Pages) project(w http.ResponseWriter, r *http.Request, typed *projectInput, member *memberInput, m message) error {
	ctx, who := r.Context(), access.From(r.Context())
	x, err := p.Accounts.Project(ctx, r.PathValue("project"))
	if err != nil {
		return err
	}
	d := view.ProjectDetails{
		Project: x, Now: p.Now(), Notice: notice(r), MayEdit: who.May(access.ProjectEdit, x.Name), MayMembers: who.May(access.MembersManage, x.Name),
		MayDelete: who.May(access.ProjectsManage, "") && x.Name != access.DefaultProject, MayUsers: who.May(access.UsersManage, ""), MayAudit: who.May(access.AuditRead, x.Name),
	}
	if d.Members, err = p.Accounts.Members(ctx, x.Name); err != nil {
		return err
	}
	usage, err := p.Usage.LogUsage(ctx)
	if err != nil {
		return err
	}
	for _, u := range usage {
		switch u.Project {
		case x.Name:
			d.Logs = u
		case "":
			d.AllLogs = u.Limits()
		}
	}
	input := projectInput{description: x.Description, settings: inputOf(x.Settings)}
	if typed != nil {
		input = *typed
	}
	if d.MaySettings = who.May(access.ProjectsManage, ""); !d.MaySettings {
		input.settings = nil
		d.Settings = factsOf(x.Settings)
	}
	d.About = input.form()
	in := memberInput{role: string(access.Operator)}
	if member != nil {
		in = *member
	}
	user := text("user", "Login name", in.user, "A person or a service account.")
	user.Required = true
	if d.MayUsers {
		all, err := p.Accounts.Users(ctx)
		if err != nil {
			return err
		}
		for _, u := range all {
			user.Suggest = append(user.Suggest, u.Name)
		}
	}
	d.Member = view.Form{Fields: []ui.Field{user, roleField(in.role)}}
	if member != nil {
		d.Member = m.on(d.Member)
	} else {
		d.About = m.on(d.About)
	}
	return p.Render(w, r, m.status(), view.ProjectPage(p.frame(r, "Project "+x.Name, view.ProjectPath(x.Name)), d))
}

// ChangeProject saves a project's description and, where the form has them, its settings.
func (p *Pages) ChangeProject(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	in := readProject(r.PostForm)
	settings, err := in.read()
	if err == nil {
		_, err = p.Accounts.ChangeProject(r.Context(), r.PathValue("project"), func(x *access.Project) {
			x.Description = in.description
			if in.settings != nil {
				x.Settings = settings
			}
		})
	}
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		return p.project(w, r, &in, nil, m)
	}
	return done(w, r, view.ProjectPath(r.PathValue("project")), "saved")
}

// SetMember adds a member or changes its role.
func (p *Pages) SetMember(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	in := memberInput{user: page.Text(r.PostForm.Get("user"), 200), role: r.PostForm.Get("role")}
	if in.role == "" {
		return page.ErrBadForm
	}
	m, err := messageOf(p.Accounts.SetMember(r.Context(), r.PathValue("project"), in.user, access.Role(in.role)))
	switch {
	case err != nil:
		return err
	case m.any():
		return p.project(w, r, nil, &in, m)
	}
	return done(w, r, view.ProjectPath(r.PathValue("project")), "member")
}

// AskRemoveMember asks before a member is removed.
func (p *Pages) AskRemoveMember(w http.ResponseWriter, r *http.Request) error {
	project, user := r.PathValue("project"), r.PathValue("user")
	members, err := p.Accounts.Members(r.Context(), project)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(members, func(m access.Member) bool { return m.Name == user })
	if i < 0 {
		return fault.ErrNoUser
	}
	return p.Ask(w, r, nav, view.RemoveConfirm(members[i]))
}

// RemoveMember removes a member.
func (p *Pages) RemoveMember(w http.ResponseWriter, r *http.Request) error {
	if err := p.Accounts.SetMember(r.Context(), r.PathValue("project"), r.PathValue("user"), ""); err != nil {
		return err
	}
	return done(w, r, view.ProjectPath(r.PathValue("project")), "removed")
}

// AskDeleteProject asks before a project is deleted.
func (p *Pages) AskDeleteProject(w http.ResponseWriter, r *http.Request) error {
	x, err := p.Accounts.Project(r.Context(), r.PathValue("project"))
	if err != nil {
		return err
	}
	return p.Ask(w, r, nav, view.DeleteProjectConfirm(x))
}

// DeleteProject deletes a project that owns nothing.
func (p *Pages) DeleteProject(w http.ResponseWriter, r *http.Request) error {
	m, err := messageOf(p.Accounts.DeleteProject(r.Context(), r.PathValue("project")))
	switch {
	case err != nil:
		return err
	case m.text != "":
		return p.project(w, r, nil, nil, m)
	}
	return done(w, r, view.ProjectsPath, "deleted")
}
