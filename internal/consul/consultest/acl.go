package consultest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// ACLs turns ACLs on: what is under /v1/acl is answered.
func (s *Server) ACLs() { s.change(func() { s.acls = map[string]map[string]map[string]any{} }) }

// ACL returns what there is of a kind, such as policy, role, auth-method and binding-rule, by name.
func (s *Server) ACL(kind string) map[string]map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acls[kind]
}

// Forbid refuses requests whose path begins so, as a token without the right is.
func (s *Server) Forbid(prefix string) { s.change(func() { s.forbidden = prefix }) }

// lists are the paths of lists, by kind.
var lists = map[string]string{"policies": "policy", "roles": "role", "auth-methods": "auth-method", "binding-rules": "binding-rule"}

func (s *Server) acl(w http.ResponseWriter, r *http.Request, path string) {
	var given map[string]any
	if r.Method == http.MethodPut {
		if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.acls == nil {
		refuse(w, http.StatusUnauthorized, "ACL support disabled")
		return
	}
	kind, id, _ := strings.Cut(path, "/")
	if of, ok := lists[kind]; ok {
		out := []map[string]any{}
		for _, one := range s.acls[of] {
			out = append(out, one)
		}
		reply(w, out)
		return
	}
	if s.acls[kind] == nil {
		s.acls[kind] = map[string]map[string]any{}
	}
	if r.Method != http.MethodPut {
		reply(w, s.acls[kind][id])
		return
	}
	if id == "" {
		id = fmt.Sprint(given["Name"])
		if given["Name"] == nil {
			id = fmt.Sprint(given["BindName"])
		}
	}
	given["ID"] = id
	s.acls[kind][id] = given
	reply(w, given)
}
