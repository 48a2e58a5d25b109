package auditlog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/store/db"
)

// Append appends the entry of the change under way ([audit.Of]) in the transaction that makes the change, so that both are
// stored or neither. It does nothing for what the console does by itself. subject and project, if not "", and before and
// after, if not nil, become the entry's.
//
// Call it last: it locks the end of the log.
func Append(ctx context.Context, tx *db.Tx, subject, project string, before, after any) error {
	p := audit.Of(ctx)
	if p == nil {
		return nil
	}
	e := p.Entry
	e.Subject, e.Project, e.Outcome = cmp.Or(subject, e.Subject), cmp.Or(project, e.Project), cmp.Or(e.Outcome, audit.Done)
	if err := setValues(&e, before, after); err != nil {
		return err
	}
	if err := appendOne(ctx, tx, e); err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	tx.OnEnd(p.Record)
	return nil
}

func setValues(e *audit.Entry, before, after any) error {
	b, err := audit.Value(before)
	if err != nil {
		return err
	}
	a, err := audit.Value(after)
	if err != nil {
		return err
	}
	if b != nil {
		e.Before = b
	}
	if a != nil {
		e.After = a
	}
	return nil
}

const columns = `seq, at, logged, user_id, name, token, session, address, agent, request, action, project, subject, outcome, reason, before_value, after_value, hash`

// rowsPerInsert saves most of the cost of a statement.
const rowsPerInsert = 32

var (
	parameters = `?` + strings.Repeat(`,?`, strings.Count(columns, ","))
	insertRow  = insertRows(1)
	insertMany = insertRows(rowsPerInsert)
)

func insertRows(n int) string {
	return `INSERT INTO audit (` + columns + `) VALUES (` + parameters + `)` + strings.Repeat(`,(`+parameters+`)`, n-1)
}

// insertNext locks the end of the log and inserts a row, or nothing if there is or was one of its number. Rows that were not cut are
// without gaps, so it is the next. A parameter costs more than a character: what an entry does not have, such as either its token or
// its session, is none.
func insertNext(row []any) (query string, args []any) {
	values := make([]byte, 0, 3*len(row))
	args = make([]any, 0, len(row))
	for _, v := range row {
		if v == "" {
			values = append(values, `'',`...)
			continue
		}
		values, args = append(values, '?', ','), append(args, v)
	}
	return `INSERT INTO audit (` + columns + `) SELECT ` + string(values[:len(values)-1]) +
		` FROM (SELECT cut_seq FROM audit_head WHERE id = 0 FOR UPDATE) AS head WHERE cut_seq < ?1 ON CONFLICT DO NOTHING`, args // ?1 is the number
}

// appendOne appends an entry in one statement, if this process has appended the newest before it. It does not note the end
// (see [Log.Index]): that would cost a change as much again.
// The lock is the same statement's: one of its own would be another wait for PostgreSQL. What others append while it waits it meets as a
// conflict, whatever its snapshot has.
func appendOne(ctx context.Context, tx *db.Tx, e audit.Entry) error {
	last, known := tx.Kept(lastKey{}).(end)
	if !known {
		return appendAll(ctx, tx, []audit.Entry{e})
	}
	at := last
	query, args := insertNext(at.next(e, at.now()))
	res, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return err
	}
	inserted, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if inserted == 0 {
		return appendAll(ctx, tx, []audit.Entry{e})
	}
	tx.Keep(lastKey{}, at)
	return nil
}

// appendAll appends entries wherever the log ends, and notes its new end.
func appendAll(ctx context.Context, tx *db.Tx, entries []audit.Entry) error {
	head, err := lockedHead(ctx, tx)
	if err != nil {
		return err
	}
	at, now := head.end, head.now()
	for some := range slices.Chunk(entries, rowsPerInsert) {
		var args []any
		for _, e := range some {
			args = append(args, at.next(e, now)...)
		}
		if len(some) == rowsPerInsert {
			_, err = tx.Exec(ctx, insertMany, args...)
		} else {
			for row := range slices.Chunk(args, len(args)/len(some)) {
				if _, err = tx.Exec(ctx, insertRow, row...); err != nil {
					break
				}
			}
		}
		if err != nil {
			return err
		}
	}
	tx.Keep(lastKey{}, at)
	return noteEnd(ctx, tx, at)
}
