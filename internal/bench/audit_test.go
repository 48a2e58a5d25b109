package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
)

const (
	// auditBatch is how many entries are appended at once, as callers at the same time do.
	auditBatch = 500
	// auditLimit is the most time of nearly every search.
	auditLimit = 200 * time.Millisecond
	searches   = 100
)

// auditEntry is the nth of many: half of them by a program, that is never refused; bob left early; zebra is rare.
func auditEntry(r *rand.Rand, n, of int) audit.Entry {
	at := time.UnixMilli(1_700_000_000_000 + int64(n)*100)
	user := "ci-bot"
	if r.IntN(2) == 0 {
		user = fmt.Sprintf("user%d", int(200*r.Float64()*r.Float64()))
	}
	if n > of/10 && n < of/5 && r.IntN(3) == 0 {
		user = "bob"
	}
	e := audit.Entry{
		At: at, Outcome: audit.Done, Project: fmt.Sprintf("project-%d", int(20*r.Float64()*r.Float64())), Request: fmt.Sprintf("%016x", r.Uint64()),
		Actor: audit.Actor{User: access.UserID("u-" + user), Name: user, Token: access.TokenID("t-" + user), Address: fmt.Sprintf("10.0.%d.%d", r.IntN(2), len(user)*int(user[len(user)-1])%150), Agent: "cotrain/1.4 (linux; amd64)"},
	}
	run, name := fmt.Sprintf("run:r-%010d", n/3), fmt.Sprintf("llama-%db-%s", 1+r.IntN(70), []string{"base", "long", "muon", "diloco"}[r.IntN(4)])
	if n%(of/5) == of/10 && n < of/2 {
		name = "zebra-9"
	}
	switch r.IntN(20) {
	case 0:
		e.Action, e.Subject = "login", "user:"+user
		e.Project = ""
	case 1, 2, 3:
		e.Action, e.Subject, e.After = "templates.save", "template:"+name, []byte(`{"version":3,"note":"longer warm-up","shape":"8 nodes"}`)
	case 4, 5, 6, 7, 8:
		e.Action, e.Subject, e.Before, e.After = "runs.stop", run, []byte(`{"name":"`+name+`","state":"running"}`), []byte(`{"name":"`+name+`","state":"stopping"}`)
	default:
		e.Action, e.Subject, e.After = "runs.submit", run, []byte(`{"name":"`+name+`","state":"queued","shape":"8 nodes with 8 x H200","config_sha256":"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}`)
	}
	if user != "ci-bot" && r.IntN(25) == 0 {
		e.Outcome, e.Reason = audit.Refused, "Stopping runs needs the role operator in the project."
	}
	return e
}

// fillAudit appends entries from one on and indexes them meanwhile, as the console does.
func fillAudit(b *testing.B, d database, from, to, of int) (busy time.Duration) {
	b.Helper()
	r := rand.New(rand.NewPCG(1, uint64(from)))
	entries := make([]audit.Entry, 0, auditBatch)
	for i := from; i < to; i++ {
		entries = append(entries, auditEntry(r, i, of))
		if len(entries) < auditBatch && i < to-1 {
			continue
		}
		began := time.Now()
		if err := d.store.Audit.AppendAlone(b.Context(), entries...); err != nil {
			b.Fatal(err)
		}
		for more := i%(10*auditBatch) == auditBatch-1 || i == to-1; more; {
			var err error
			if more, err = d.store.Audit.Index(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		busy += time.Since(began)
		entries = entries[:0]
	}
	return busy
}

// auditGroup is as many rows as the index keeps together; copies are of whole groups.
const auditGroup = 65_536

// copyAudit makes rows n of the log from those of its last group, with their index, since appending millions takes long. Their
// hashes are not those of a chain.
func copyAudit(b *testing.B, d database, rows, n int) {
	b.Helper()
	first := rows - auditGroup
	for k := 1; rows+k*auditGroup <= n; k++ {
		for _, q := range []string{
			fmt.Sprintf(`INSERT INTO audit SELECT seq + %d, at, (SELECT logged FROM audit_head) + seq - %d, user_id, name, token, session, address, agent, request, action, project, subject, outcome, reason,
				before_value, after_value, hash FROM audit WHERE seq >= %d AND seq < %d`, k*auditGroup, first-1, first, rows),
			fmt.Sprintf(`INSERT INTO audit_terms SELECT place + %d * 1099511627776, block + %d FROM audit_terms WHERE place >= %d * 1099511627776 AND place < %d * 1099511627776`,
				k, k*auditGroup/256, first/auditGroup, rows/auditGroup),
			fmt.Sprintf(`UPDATE audit_head SET seq = %d, logged = logged + %d`, rows+k*auditGroup-1, auditGroup),
			fmt.Sprintf(`UPDATE audit_marks SET seq = %d`, rows+k*auditGroup-1),
		} {
			if _, err := d.sql.ExecContext(b.Context(), q); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// plainRows stores the same texts in a table without a chain and index, for comparison.
func plainRows(b *testing.B, d database, n int) time.Duration {
	b.Helper()
	ctx := b.Context()
	for _, q := range []string{`DROP TABLE IF EXISTS plain_audit`, `CREATE TABLE plain_audit (seq BIGINT PRIMARY KEY, at BIGINT, texts TEXT)`} {
		if _, err := d.sql.ExecContext(ctx, q); err != nil {
			b.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	var busy time.Duration
	for i := 0; i < n; i += auditBatch {
		var args []any
		var rows []string
		for j := i; j < min(n, i+auditBatch); j++ {
			e := auditEntry(r, j, n)
			rows = append(rows, fmt.Sprintf("($%d,$%d,$%d)", len(args)+1, len(args)+2, len(args)+3))
			args = append(args, j, e.At.UnixMilli(), string(e.Clean().AppendCanonical(nil)))
		}
		began := time.Now()
		if _, err := d.sql.ExecContext(ctx, `INSERT INTO plain_audit (seq, at, texts) VALUES `+strings.Join(rows, ","), args...); err != nil {
			b.Fatal(err)
		}
		busy += time.Since(began)
	}
	return busy
}

// BenchmarkAudit appends entries with their index, against plain rows of the same texts, and searches a million (or
// COTRAIN_BENCH_AUDIT) of which most are copies, against the limit for nearly every search.
func BenchmarkAudit(b *testing.B) {
	n := 1_000_000
	if v := os.Getenv("COTRAIN_BENCH_AUDIT"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	dbs := databases(b)
	if only := os.Getenv("COTRAIN_BENCH_DATABASE"); only != "" {
		dbs = slices.DeleteFunc(dbs, func(d database) bool { return d.name != only })
	}
	b.Run("append", func(b *testing.B) {
		for range b.N {
			for _, d := range dbs {
				const real = 2 * auditGroup
				base := plainRows(b, d, real)
				took := fillAudit(b, d, 1, real, real) // row 0 does not exist
				b.ReportMetric(real/took.Seconds(), "rows/s-"+d.name)
				b.ReportMetric(took.Seconds()/base.Seconds(), "ratio-plain-"+d.name+"(<=12)")
				copyAudit(b, d, real, n)
				fillAudit(b, d, n, n+10_000, 10*n)
			}
			if _, err := dbs[len(dbs)-1].sql.ExecContext(b.Context(), `ANALYZE`); err != nil { // as autovacuum does in time
				b.Fatal(err)
			}
		}
	})
	for name, f := range map[string]audit.Filter{
		"newest": {}, "word=rare": {Text: "zebra-9"}, "word=common": {Text: "llama"}, "words=3": {Text: "llama 7b muon"}, "word=none": {Text: "giraffe"}, "subject": {Subject: "run:r-0000000042"},
		"actor=left": {Actor: "bob"}, "never-together": {Actor: "ci-bot", Outcome: audit.Refused}, "never-together-3": {Actor: "ci-bot", Action: "login", Outcome: audit.Refused},
		"refused": {Outcome: audit.Refused}, "address,action": {Address: "10.0.1.84", Action: "login"}, "request": {Text: fmt.Sprintf("%016x", 77)},
		"actor+time": {Actor: "user7", Until: time.Now()}, "word+time": {Text: "zebra-9", Until: time.Now()}, "project-admin": {Projects: []string{"project-3", "project-19"}},
	} {
		b.Run(name, func(b *testing.B) {
			for range b.N {
				for _, d := range dbs {
					searchAudit(b, d, f)
				}
			}
		})
	}
}

// middleOf is when the row in the middle was logged.
func middleOf(b *testing.B, d database) time.Time {
	b.Helper()
	var at int64
	if err := d.sql.QueryRowContext(b.Context(), `SELECT logged FROM audit WHERE seq = (SELECT seq / 2 FROM audit_head)`).Scan(&at); err != nil {
		b.Fatal(err)
	}
	return time.UnixMilli(at)
}

func searchAudit(b *testing.B, d database, f audit.Filter) {
	b.Helper()
	f.Limit, f.AllProjects = 50, len(f.Projects) == 0
	if !f.Until.IsZero() {
		f.Until = middleOf(b, d)
	}
	var took []time.Duration
	var found int
	for range searches {
		began := time.Now()
		p, err := d.store.Audit.Search(context.Background(), f)
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		found = len(p.Rows)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[searches*99/100].Microseconds())/1000, "p99-ms-"+d.name)
	b.ReportMetric(took[searches*99/100].Seconds()/auditLimit.Seconds(), "ratio-of-200ms-"+d.name+"(<=1)")
	b.ReportMetric(float64(found), "found-"+d.name)
}
