package admin

import (
	"net/http"
	"strings"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/web/page"
	view "github.com/cotrain/cotrain/views/admin"
	"github.com/cotrain/cotrain/views/ui"
)

// Users lists users and service accounts.
func (p *Pages) Users(w http.ResponseWriter, r *http.Request) error {
	return p.users(w, r, access.User{Kind: access.Person}, message{})
}

func (p *Pages) users(w http.ResponseWriter, r *http.Request, input access.User, m message) error {
	all, err := p.Accounts.Users(r.Context())
	if err != nil {
		return err
	}
	l := view.UserList{Text: page.Text(r.URL.Query().Get("q"), 100), Total: len(all), Now: p.Now(), Notice: notice(r), Form: m.on(newUserForm(input))}
	for _, u := range all {
		if strings.Contains(strings.ToLower(u.Name+"\n"+u.DisplayName+"\n"+u.Email), strings.ToLower(l.Text)) {
			l.Users = append(l.Users, u)
		}
	}
	return p.Render(w, r, m.status(), view.UsersPage(p.frame(r, "Users", view.UsersPath), l))
}

func newUserForm(u access.User) view.Form {
	kind := ui.Field{Name: "kind", Label: "Kind", Kind: ui.KindSelect, Value: string(u.Kind), Choices: []ui.Choice{
		{Value: string(access.Person), Label: "Person: signs in"}, {Value: string(access.Service), Label: "Service account: has API tokens"},
	}}
	name := text("name", "Login name", u.Name, "Lower-case letters, digits and . _ @ + -. Cannot be changed.")
	name.Required = true
	return view.Form{Fields: []ui.Field{name, kind, text("display_name", "Display name", u.DisplayName, ""), text("email", "Email", u.Email, ""), administratorField(u)}}
}

func administratorField(u access.User) ui.Field {
	f := ui.Field{Name: "administrator", Label: "Administrator of the console", Kind: ui.KindCheckbox, Help: "May do everything in every project, and manage users."}
	if u.Administrator {
		f.Value = "true"
	}
	return f
}

// readUser reads the fields of a user.
func readUser(r *http.Request) access.User {
	get := func(name string) string { return page.Text(r.PostForm.Get(name), 800) }
	return access.User{
		Name: get("name"), Kind: access.Kind(get("kind")), DisplayName: get("display_name"), Email: get("email"), Administrator: get("administrator") == "true",
	}
}

// CreateUser makes a user and shows the password of a person, once.
func (p *Pages) CreateUser(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	input := readUser(r)
	u, password, err := p.Accounts.CreateUser(r.Context(), input)
	if m, err := messageOf(err); err != nil || m.any() {
		if err != nil {
			return err
		}
		return p.users(w, r, input, m)
	}
	if password == "" {
		return done(w, r, view.UserPath(u.Name), "created")
	}
	return p.showSecret(w, r, view.Secret{Title: u.Name + " is created", Label: "Password of " + u.Name, Text: password, Back: view.UserPath(u.Name),
		Note: "Shown once. Hand it over: it has to be changed at the next log-in."})
}

// showSecret shows what is nowhere else.
func (p *Pages) showSecret(w http.ResponseWriter, r *http.Request, s view.Secret) error {
	page.Secret(w)
	return p.Render(w, r, http.StatusOK, view.SecretPage(p.frame(r, s.Title, s.Back), s))
}

// User shows a user.
func (p *Pages) User(w http.ResponseWriter, r *http.Request) error {
	return p.user(w, r, nil, nil, message{})
}

// user renders a user's page, with what was typed into the form of its profile or of a token, and the message about it.
func (p *Pages) user(w http.ResponseWriter, r *http.Request, typed *access.User, token *tokenInput, m message) error {
	ctx := r.Context()
	u, err := p.Accounts.User(ctx, r.PathValue("name"))
	if err != nil {
		return err
	}
	d := view.UserDetails{User: u, Self: access.From(ctx).User == u.ID, Now: p.Now(), Notice: notice(r)}
	if d.Memberships, err = p.Accounts.Memberships(ctx, u.Name); err != nil {
		return err
	}
	projects, err := p.Accounts.Projects(ctx)
	if err != nil {
		return err
	}
	if d.Identities, err = p.Accounts.Identities(ctx, u.Name); err != nil {
		return err
	}
	if d.Provider = p.Accounts.ProviderName(); d.Provider != "" && u.Kind == access.Person {
		d.Link = view.Form{Fields: []ui.Field{text("subject", "Subject", "", "Who the user is at "+d.Provider+": the page that refused the log-in tells it, and the audit log.")}}
	}
	shown := u
	if typed != nil {
		shown.DisplayName, shown.Email, shown.Administrator = typed.DisplayName, typed.Email, typed.Administrator
	}
	d.Profile = view.Form{Fields: []ui.Field{text("display_name", "Display name", shown.DisplayName, ""), text("email", "Email", shown.Email, "")}}
	if u.Kind == access.Person {
		d.Profile.Fields = append(d.Profile.Fields, administratorField(shown))
		if d.Sessions, err = p.Accounts.UserSessions(ctx, u.Name); err != nil {
			return err
		}
	}
	if d.Tokens, err = p.Accounts.UserTokens(ctx, u.Name); err != nil {
		return err
	}
	if token == nil {
		token = &tokenInput{scope: string(access.ScopeWrite), days: "90"}
		d.Profile = m.on(d.Profile)
		d.Token = token.form(d.Memberships)
	} else {
		d.Token = m.on(token.form(d.Memberships))
	}
	d.Membership = membershipForm(projects, d.Memberships)
	return p.Render(w, r, m.status(), view.UserPage(p.frame(r, u.Name, view.UserPath(u.Name)), d))
}

// membershipForm adds a user to a project that it is not in.
func membershipForm(projects []access.Project, has []access.Member) view.Form {
	in := map[string]bool{}
	for _, m := range has {
		in[m.Project] = true
	}
	f := ui.Field{Name: "in_project", Label: "Project", Kind: ui.KindSelect}
	for _, x := range projects {
		if !in[x.Name] {
			f.Choices = append(f.Choices, ui.Choice{Value: x.Name, Label: x.Name})
		}
	}
	if len(f.Choices) == 0 {
		return view.Form{}
	}
	return view.Form{Fields: []ui.Field{f, roleField(string(access.Operator))}}
}

// ChangeUser saves a user's profile.
func (p *Pages) ChangeUser(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	input := readUser(r)
	u, err := p.Accounts.ChangeUser(r.Context(), r.PathValue("name"), func(u *access.User) {
		u.DisplayName, u.Email, u.Administrator = input.DisplayName, input.Email, input.Administrator
	})
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		return p.user(w, r, &input, nil, m)
	}
	return done(w, r, view.UserPath(u.Name), "saved")
}

// AddToProject gives a user a role in a project.
func (p *Pages) AddToProject(w http.ResponseWriter, r *http.Request) error {
	if err := page.ReadForm(r); err != nil {
		return err
	}
	name := r.PathValue("name")
	role := access.Role(r.PostForm.Get("role"))
	if role == "" {
		return page.ErrBadForm
	}
	err := p.Accounts.SetMember(r.Context(), r.PostForm.Get("in_project"), name, role)
	m, err := messageOf(err)
	switch {
	case err != nil:
		return err
	case m.any():
		return p.user(w, r, nil, nil, m)
	}
	return done(w, r, view.UserPath(name), "member")
}
