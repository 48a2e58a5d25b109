package access

import "strings"

// Right names one thing that a person or program may be allowed to do. Every route, API operation and socket topic names the
// right that it needs; [Rights] says who has it.
type Right string

// The rights. Those without a project in their name are in [Rights] with the place where they count.
const (
	Public   Right = "public"   // for everybody, signed in or not
	SignedIn Right = "signedin" // for everybody who is signed in
	Account  Right = "account"  // for everybody, about themselves
	Password Right = "account.password"
	Factor   Right = "account.factor"

	RunsRead   Right = "runs.read"
	RunsSubmit Right = "runs.submit"
	RunsStop   Right = "runs.stop"
	RunsDelete Right = "runs.delete"
	RunsEdit   Right = "runs.edit"

	TemplatesRead   Right = "templates.read"
	TemplatesSave   Right = "templates.save"
	TemplatesDelete Right = "templates.delete"

	StorageRead   Right = "storage.read"
	StorageDelete Right = "storage.delete"
	StorageLayout Right = "storage.layout"

	ClusterRead    Right = "cluster.read"
	ClusterMeasure Right = "cluster.measure"

	SecretsRead   Right = "secrets.read"
	SecretsManage Right = "secrets.manage"

	ProjectRead    Right = "project.read"
	ProjectEdit    Right = "project.edit"
	MembersManage  Right = "members.manage"
	ProjectsManage Right = "projects.manage"

	UsersManage  Right = "users.manage"
	CausesManage Right = "causes.manage"
	AuditRead    Right = "audit.read"
	MetricsRead  Right = "metrics.read"
)

// Place is where a right counts.
type Place string

// The places.
const (
	Nowhere    Place = ""           // needs no role
	InProject  Place = "project"    // in the project of its subject
	AnyProject Place = "any"        // the subject is of no project: a role in any will do
	Everywhere Place = "everywhere" // administrators of the console only
)

// Rule is a row of the table of rights.
type Rule struct {
	Right Right
	Place Place
	Role  Role   // the least role; "" where no role gives it
	Does  string // what it allows, for the documents
}

// Rights is the table of who may do what: the only one. docs/security.md shows it.
func Rights() []Rule { return rights }

var rights = []Rule{
	{Public, Nowhere, "", "Sign in, read static files, ask for health"},
	{SignedIn, Nowhere, "", "Check configurations, see the console's state, choose a theme"},
	{Account, Nowhere, "", "Manage one's own tokens and sessions"},
	{Password, Nowhere, "", "Change one's own password"},
	{Factor, Nowhere, "", "Set up and remove one's own second factor"},

	{RunsRead, InProject, Viewer, "See runs and sweeps with their metrics, logs and events"},
	{RunsSubmit, InProject, Operator, "Submit runs and sweeps"},
	{RunsStop, InProject, Operator, "Stop, pause, resume, restart and retry runs, and stop sweeps"},
	{RunsDelete, InProject, Operator, "Delete ended runs and sweeps"},
	{RunsEdit, InProject, Operator, "Tag runs, write notes on them, archive ended ones"},

	{MetricsRead, InProject, Viewer, "Scrape metrics: the console's own, and those of the project's runs"},

	{TemplatesRead, InProject, Viewer, "See templates and their versions"},
	{TemplatesSave, InProject, Operator, "Save versions of templates"},
	{TemplatesDelete, InProject, Operator, "Delete templates"},

	{StorageRead, InProject, Viewer, "Browse and download from the project's shared storage"},
	{StorageDelete, InProject, Admin, "Delete from it"},
	{StorageLayout, InProject, Admin, "Create the folders of its layout"},

	{ClusterRead, AnyProject, Viewer, "See nodes and GPUs, and what was measured between them"},
	{ClusterMeasure, Everywhere, "", "Measure nodes and network, which takes bandwidth from runs"},

	{SecretsRead, InProject, Operator, "See which registered secrets the project's runs may use: names, notes and where they are, never values"},
	{SecretsManage, Everywhere, "", "Register, change and remove secrets for runs, and store their values in Nomad"},

	{ProjectRead, InProject, Viewer, "See a project and its members"},
	{ProjectEdit, InProject, Admin, "Change a project's description"},
	{MembersManage, InProject, Admin, "Add and remove members of a project, and change their roles"},
	{ProjectsManage, Everywhere, "", "Create and delete projects, and set their namespace, node pool, folder and limits"},

	{CausesManage, Everywhere, "", "Add and change the rules that explain failures, and try them on the stored logs of all projects"},
	{UsersManage, Everywhere, "", "Manage users, their sessions and tokens"},
	{AuditRead, InProject, Admin, "Read the audit log: a project's admins what concerns it, administrators all"},
}

var ruleOf = func() map[Right]Rule {
	m := make(map[Right]Rule, len(rights))
	for _, r := range rights {
		m[r.Right] = r
	}
	return m
}()

// See returns the right to see what a right is about: a token for the one is good for the other too, since whoever stops a run
// has to be told how it goes.
func (r Right) See() Right {
	of, _, _ := strings.Cut(string(r), ".")
	switch of {
	case "runs":
		return RunsRead
	case "templates":
		return TemplatesRead
	case "storage":
		return StorageRead
	case "secrets":
		return SecretsRead
	case "project", "members":
		return ProjectRead
	}
	return r
}

// Known reports whether the right is in the table.
func (r Right) Known() bool {
	_, ok := ruleOf[r]
	return ok
}

// Rule returns the right's row. A right without one is a mistake in the program and allows nobody anything.
func (r Right) Rule() Rule {
	if rule, ok := ruleOf[r]; ok {
		return rule
	}
	return Rule{Right: r, Place: Everywhere}
}
