package cli

import (
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/client"
)

func TestUsersServiceAccountsAndProjectsAreManaged(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	if r := c.cotrain("user", "create", "ann", "--administrator", "--display-name", "Ann").want(t, exitDone, "shown once"); r.out != "one-time\n" {
		t.Errorf("%+v", r)
	}
	c.cotrain("user", "create", "robot", "--service").want(t, exitDone, "robot  created")
	c.cotrain("user", "create", "robot").want(t, exitRefused)
	c.cotrain("user", "disable", "robot").want(t, exitDone, "robot  disabled")
	c.cotrain("user", "change", "robot", "--disabled").want(t, exitDone, "robot  unchanged")
	c.cotrain("user", "disable", "nobody").want(t, exitNotFound)
	c.cotrain("user", "list").want(t, exitDone, "ann", "administrator", "robot", "service", "disabled")
	c.cotrain("user", "enable", "robot").want(t, exitDone, "robot  enabled")
	c.cotrain("user", "change", "robot", "--email", "r@example.org").want(t, exitDone, "robot  changed")
	list := fromJSON[client.UserList](t, c.cotrain("user", "list", "--format", "json"))
	if len(list.Items) != 2 || list.Items[1].Disabled || list.Items[1].Email != "r@example.org" || list.Items[0].DisplayName != "Ann" {
		t.Errorf("%+v", list)
	}
	c.cotrain("user", "change", "ann", "--no-administrator").want(t, exitRefused)

	if r := c.cotrain("user", "reset-password", "ann", "--remove-second-factor").want(t, exitDone, "next log-in", "still count: 2; --revoke-tokens"); r.out != "one-time\n" {
		t.Errorf("%+v", r)
	}
	if r := c.cotrain("user", "reset-password", "ann", "--revoke-tokens"); r.code != exitDone || strings.Contains(r.errOut, "--revoke-tokens") {
		t.Errorf("%+v", r)
	}
	c.cotrain("user", "reset-password", "robot").want(t, exitRefused)
	c.cotrain("user", "reset-password", "nobody").want(t, exitNotFound)
	c.cotrain("user", "sign-out", "ann").want(t, exitDone, "signed-out")
	c.cotrain("user", "remove-second-factor", "ann").want(t, exitRefused)
	c.cotrain("user", "link", "ann", "sub-1").want(t, exitDone, "linked")
	c.cotrain("user", "link", "robot", "sub-2").want(t, exitRefused)
	c.cotrain("user", "show", "ann").want(t, exitDone, "administrator", "sub-1 at https://id.example")
	c.cotrain("user", "show", "nobody").want(t, exitNotFound)
	c.cotrain("user", "unlink", "ann", "sub-2").want(t, exitNotFound, "user show ann")
	c.cotrain("user", "unlink", "ann", "sub-1").want(t, exitDone, "unlinked")
	if u := fromJSON[userDetails](t, c.cotrain("user", "show", "ann", "--format", "json")); u.Name != "ann" || len(u.Identities) != 0 {
		t.Errorf("%+v", u)
	}

	if r := c.cotrain("token", "create", "nightly", "--for", "robot").want(t, exitDone); r.out != "ctk_robot-nightly\n" {
		t.Errorf("%+v", r)
	}
	c.cotrain("token", "create", "x", "--for", "ann").want(t, exitRefused)
	c.cotrain("token", "list", "--for", "robot").want(t, exitDone, "robot-nightly")
	c.cotrain("token", "revoke", "robot-nightly", "--for", "robot").want(t, exitDone, "revoked")
	c.cotrain("token", "list", "--for", "nobody").want(t, exitNotFound)

	c.cotrain("project", "create", "vision", "--description", "Pictures").want(t, exitDone, "created")
	c.cotrain("project", "change", "vision", "--description", "Films", "--node-pool", "gpu", "--max-gpus", "16", "--max-duration", "12h").want(t, exitDone)
	c.cotrain("project", "change", "vision", "--max-workers", "2").want(t, exitDone)
	c.cotrain("project", "show", "vision").want(t, exitDone, "Films", "Node pool", "gpu", "Most workers", "Most GPUs", "16", "Longest run", "12h")
	c.cotrain("project", "change", "vision", "--max-workers", "2").want(t, exitDone, "vision  unchanged")
	if help := c.cotrain("project", "change", "--help").want(t, exitDone, "empty for none"); strings.ContainsAny(help.out, "“”") {
		t.Errorf("the help has typographic quotes: %s", help.out)
	}
	c.cotrain("project", "change", "vision").want(t, exitUsage, "nothing to change")
	c.cotrain("project", "change", "vision", "--max-duration", "soon").want(t, exitUsage, "is no time")
	c.cotrain("project", "list").want(t, exitDone, "default", "vision", "Films")
	c.cotrain("project", "grant", "vision", "robot", "operator").want(t, exitDone, "granted")
	c.cotrain("project", "grant", "vision", "nobody", "operator").want(t, exitNotFound)
	members := fromJSON[client.MemberList](t, c.cotrain("project", "members", "vision", "--format", "json"))
	if len(members.Items) != 1 || members.Items[0].Name != "robot" || members.Items[0].Role != access.Operator {
		t.Errorf("%+v", members)
	}
	c.cotrain("user", "show", "robot").want(t, exitDone, "operator in vision")
	c.cotrain("project", "remove", "vision", "robot").want(t, exitDone, "removed")
	c.cotrain("project", "delete", "vision", "--yes").want(t, exitDone)
	c.cotrain("project", "create", "speech").want(t, exitDone)
	c.cotrain("project", "show", "speech").want(t, exitDone, "Folder   none", "Limits   none")
	c.cotrain("project", "create", "audio", "--folder", "teams/audio", "--max-workers", "2", "--max-duration", "1h").want(t, exitDone, "created")
	if p := fromJSON[access.Project](t, c.cotrain("project", "show", "audio", "--format", "json")); p.Settings != (access.Settings{Folder: "teams/audio", Limits: access.Limits{Workers: 2, MaxDuration: 3600}}) {
		t.Errorf("%+v", p)
	}
	c.cotrain("project", "create", "x", "--max-duration", "soon").want(t, exitUsage, "is no time")
	c.cotrain("project", "delete", "default", "--yes").want(t, exitRefused)
	c.cotrain("user", "delete", "robot", "--yes").want(t, exitDone, "deleted")
	for line, want := range map[string]string{
		"user create x --service --administrator": "can't be used together", "user change x": "nothing to change", "user delete x": "--yes",
		"user reset-password x --data-dir y": "--offline", "user reset-password x --offline --addr http://127.0.0.1:1": "both given",
		"project delete x": "--yes", "project grant vision ann owner": "role",
	} {
		c.cotrain(strings.Fields(line)...).want(t, exitUsage, want)
	}
}
