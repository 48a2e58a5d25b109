package form

import "github.com/cotrain/cotrain/internal/trainconf"

// Fields are the fields of the form.
func Fields() []trainconf.Field { return formFields() }
