package access

import (
	"fmt"
	"slices"
)

// Role is what a member may do in a project. Each role includes those before it.
type Role string

// The roles, from the least. An administrator of the console has all rights in all projects; that is no role of a project.
const (
	Viewer   Role = "viewer"   // sees everything in the project
	Operator Role = "operator" // submits, stops and deletes runs
	Admin    Role = "admin"    // manages members and settings of the project
)

// Roles lists the roles, from the least.
func Roles() []Role { return []Role{Viewer, Operator, Admin} }

// Includes reports whether r may do what other may; "" includes nothing.
func (r Role) Includes(other Role) bool {
	return r != "" && slices.Index(Roles(), r) >= slices.Index(Roles(), other)
}

// ParseRole reads the name of a role.
func ParseRole(s string) (Role, error) {
	if r := Role(s); slices.Contains(Roles(), r) {
		return r, nil
	}
	return "", fmt.Errorf("%.40q is no role; use viewer, operator or admin", s)
}
