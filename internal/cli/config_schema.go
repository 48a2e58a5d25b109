package cli

import "github.com/cotrain/cotrain/internal/trainconf"

type configSchemaCmd struct{}

// Run prints the schema.
func (configSchemaCmd) Run(p *process) error { return p.printText(string(trainconf.JSONSchema())) }
