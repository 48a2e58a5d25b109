package check

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store"
	"github.com/cotrain/cotrain/internal/store/db"
)

// repairWith is the remedy of what has a source to derive it from.
const repairWith = "Stop the console and run \"cotrain store check --repair\", which derives it again."

// Run checks a console's data. With repair, the data being the caller's alone, it also derives again what can be.
func Run(ctx context.Context, in *store.Inspection, repair bool) (*Report, error) {
	c := newChecker(in)
	c.repair = repair
	return c.all(ctx, c.database, c.documents, c.orphans, c.chunks, c.runs, c.headlines, c.blocks, c.files, c.audit)
}

// Logs reads every sealed block of logs, and compares the archive with the rows of the database; progress is told how many blocks
// were read.
func Logs(ctx context.Context, in *store.Inspection, progress func(blocks int)) (*Report, error) {
	c := newChecker(in)
	c.progress = progress
	c.report.Archive = in.Logs.String()
	return c.all(ctx, c.blocks, c.files)
}

func newChecker(in *store.Inspection) *checker {
	c := &checker{db: in.DB, logs: in.Logs, found: map[Kind]*Found{}, unread: map[run.ID]bool{}, progress: func(int) {}}
	c.report.Database, c.report.Found = in.DB.Name(), []Found{}
	return c
}

// all reports what the parts find.
func (c *checker) all(ctx context.Context, parts ...func(context.Context) error) (*Report, error) {
	for _, part := range parts {
		if err := part(ctx); err != nil {
			return nil, fmt.Errorf("check %s: %w", c.db.Name(), err)
		}
	}
	for _, k := range kinds {
		if f := c.found[k.kind]; f != nil {
			f.What, f.Remedy, f.Note = k.what, k.remedy, k.kind == LogUnknown && c.report.Archive == ""
			if f.Remedy == "" {
				f.Remedy = repairWith
			}
			c.report.Found = append(c.report.Found, *f)
		}
	}
	return &c.report, nil
}

type checker struct {
	db     *db.DB
	logs   store.Blobs
	repair bool
	report Report

	progress func(blocks int)
	found    map[Kind]*Found
	fixes    []fix // of the snapshot being read

	unread   map[run.ID]bool // runs with points that cannot be read
	suspects []run.ID        // whose headline seems wrong
}

// fix repairs something in a transaction.
type fix struct {
	of    *Found
	apply func(context.Context, *db.Tx) error
}

// tell counts a finding; apply repairs it, unless it is nil.
func (c *checker) tell(kind Kind, where, what string, apply func(context.Context, *db.Tx) error) {
	f := c.found[kind]
	if f == nil {
		f = &Found{Kind: kind}
		c.found[kind] = f
	}
	f.Count++
	if len(f.Examples) < examples {
		f.Examples = append(f.Examples, Finding{where, what})
	}
	if apply != nil && c.repair {
		c.fixes = append(c.fixes, fix{f, apply})
	}
}

// read looks at one snapshot, and then repairs what was found in it.
func (c *checker) read(ctx context.Context, look func(*db.Snapshot) error) error {
	c.fixes = nil
	if err := c.db.Read(ctx, look); err != nil {
		return err
	}
	if len(c.fixes) == 0 {
		return nil
	}
	err := c.db.Write(ctx, func(tx *db.Tx) error {
		for _, f := range c.fixes {
			if err := f.apply(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	for _, f := range c.fixes {
		f.of.Repaired++
	}
	return nil
}

// database asks the database itself.
func (c *checker) database(ctx context.Context) error {
	found, err := c.db.Verify(ctx, 10*examples)
	for _, what := range found {
		c.tell(DatabaseDamaged, c.db.Name(), what, nil)
	}
	return err
}
