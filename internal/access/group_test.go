package access_test

import (
	"testing"

	"github.com/cotrain/cotrain/internal/access"
)

func TestGroupsAreMappedToRoles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]access.GroupGrant{
		"platform=administrator":              {Group: "platform"},
		"ml-team=vision:operator":             {Group: "ml-team", Grant: access.Grant{Project: "vision", Role: access.Operator}},
		" CN=ml,OU=x = default:viewer ":       {Group: "CN=ml,OU=x", Grant: access.Grant{Project: "default", Role: access.Viewer}},
		"/org/ünïcode group=vision:admin":     {Group: "/org/ünïcode group", Grant: access.Grant{Project: "vision", Role: access.Admin}},
		"administrator=default:administrator": {}, "x": {}, "": {}, "=administrator": {}, " =administrator": {}, "x=": {}, "x=vision": {}, "x=:viewer": {}, "x=Vision:viewer": {},
		"x=vision:owner": {}, "x=vision:": {}, "x=Administrator": {},
	} {
		got, err := access.ParseGroupGrant(text)
		if got != want || (err == nil) != (want != access.GroupGrant{}) {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
		if err == nil {
			if again, err := access.ParseGroupGrant(got.Group + "=" + got.String()); err != nil || again != got {
				t.Errorf("%q comes back as %+v, %v", got, again, err)
			}
		}
	}
}
