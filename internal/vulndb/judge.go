package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// message is one of those that govulncheck writes with -format json, as far as it matters here.
type message struct {
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *finding `json:"finding"`
}

// finding is a weakness with the calls that lead to it, the weak function first; without a function where nothing calls it.
type finding struct {
	OSV   string  `json:"osv"`
	Fixed string  `json:"fixed_version"`
	Trace []frame `json:"trace"`
}

type frame struct {
	Module   string `json:"module"`
	Version  string `json:"version"`
	Package  string `json:"package"`
	Function string `json:"function"`
	Position struct {
		File string `json:"filename"`
		Line int    `json:"line"`
	} `json:"position"`
}

// ownLibrary is the module of Go's own library, whose weaknesses go away with another Go, which whoever builds chooses.
const ownLibrary = "stdlib"

var errWeak = errors.New("the program calls functions of modules with known weaknesses: raise them in go.mod")

// judge tells of the weaknesses that the program reaches, each once, and is an error if one is in a module of go.mod.
func judge(file string, out io.Writer) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	summaries, told, weak := map[string]string{}, map[string]bool{}, false
	for in := json.NewDecoder(f); ; {
		var m message
		if err := in.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if m.OSV != nil {
			summaries[m.OSV.ID] = m.OSV.Summary
		}
		if m.Finding == nil || m.Finding.Trace[0].Function == "" || told[m.Finding.OSV] {
			continue
		}
		told[m.Finding.OSV] = true
		at, from := m.Finding.Trace[0], m.Finding.Trace[len(m.Finding.Trace)-1]
		where := "Go's own " + at.Package
		if at.Module != ownLibrary {
			where, weak = at.Package, true
		}
		_, _ = fmt.Fprintf(out, "%s: %s %s, fixed in %s: %s (%s:%d)\n", m.Finding.OSV, where, at.Version, m.Finding.Fixed, summaries[m.Finding.OSV], from.Position.File, from.Position.Line)
	}
	if weak {
		return errWeak
	}
	return nil
}
