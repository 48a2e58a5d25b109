package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// report is what the index tells of one in OSV format.
type report struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Aliases  []string  `json:"aliases,omitempty"`
	Affected []struct {
		Package struct {
			Name string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Events []struct {
				Fixed string `json:"fixed"`
			} `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
}

type listed struct {
	ID       string    `json:"id"`
	Modified time.Time `json:"modified"`
	Aliases  []string  `json:"aliases,omitempty"`
	Fixed    string    `json:"fixed,omitempty"`
}

type module struct {
	Path  string   `json:"path"`
	Vulns []listed `json:"vulns"`
}

// build makes a database that govulncheck reads from a folder.
func build(reports, out string) error {
	files, err := filepath.Glob(filepath.Join(reports, "GO-*.json"))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no reports: %w", fs.ErrNotExist)
	}
	if err = errors.Join(err, os.MkdirAll(filepath.Join(out, "ID"), 0o755), os.MkdirAll(filepath.Join(out, "index"), 0o755)); err != nil {
		return err
	}
	var newest time.Time
	var all []listed
	modules := map[string]*module{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var r report
		if err := json.Unmarshal(text, &r); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := os.WriteFile(filepath.Join(out, "ID", r.ID+".json"), text, 0o600); err != nil {
			return err
		}
		all = append(all, listed{ID: r.ID, Modified: r.Modified, Aliases: r.Aliases})
		if r.Modified.After(newest) {
			newest = r.Modified
		}
		r.addTo(modules)
	}
	paths := []module{}
	for _, m := range modules {
		paths = append(paths, *m)
	}
	slices.SortFunc(paths, func(a, b module) int { return cmp.Compare(a.Path, b.Path) })
	for name, v := range map[string]any{"db": map[string]time.Time{"modified": newest}, "vulns": all, "modules": paths} {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, "index", name+".json"), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (r report) addTo(modules map[string]*module) {
	for _, a := range r.Affected {
		m := modules[a.Package.Name]
		if m == nil {
			m = &module{Path: a.Package.Name}
			modules[m.Path] = m
		}
		if len(m.Vulns) > 0 && m.Vulns[len(m.Vulns)-1].ID == r.ID { // once, whatever ranges it has
			continue
		}
		fixed := ""
		for _, rng := range a.Ranges {
			for _, e := range rng.Events {
				fixed = cmp.Or(e.Fixed, fixed)
			}
		}
		m.Vulns = append(m.Vulns, listed{ID: r.ID, Modified: r.Modified, Fixed: fixed})
	}
}
