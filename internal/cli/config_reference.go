package cli

import "github.com/cotrain/cotrain/internal/trainconf"

type configReferenceCmd struct{}

// Run prints the reference.
func (configReferenceCmd) Run(p *process) error { return p.printText(string(trainconf.Reference())) }
