package api

import (
	"bufio"
	"context"
	"encoding/csv"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/cotrain/cotrain/internal/access"
	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/run"
)

// Audit is the audit log.
type Audit interface {
	Search(ctx context.Context, f audit.Filter) (audit.Page, error)
	// Export calls fn with all entries that match, oldest first, and the hash before each.
	Export(ctx context.Context, f audit.Filter, fn func(r audit.Row, prev audit.Hash) error) error
	Head(ctx context.Context) (audit.Head, error)
	Verified() audit.Verified
}

// auditFilter is what was asked for, of what whoever asks may see.
func auditFilter(ctx context.Context, in client.AuditFilter) (f audit.Filter, err error) {
	f = audit.Filter{Text: in.Text, Actor: in.Actor, Action: in.Action, Subject: in.Subject, Address: in.Address, Outcome: audit.Outcome(in.Outcome)}
	all, projects := access.From(ctx).Projects(access.AuditRead)
	f = f.Within(all, projects, in.Project)
	for _, t := range []struct {
		name, text string
		into       *time.Time
	}{{"since", in.Since, &f.Since}, {"until", in.Until, &f.Until}} {
		if t.text == "" {
			continue
		}
		if *t.into, err = time.Parse(time.RFC3339, t.text); err != nil {
			return f, invalid("query", run.FieldError{Field: t.name, Value: t.text, Rule: "is not a time as in RFC 3339", Fix: "write it as 2026-01-31T15:04:05Z"})
		}
	}
	return f, nil
}

func (s *server) listAudit(ctx context.Context, in *client.AuditQuery) (out client.AuditPage, err error) {
	f, err := auditFilter(ctx, in.AuditFilter)
	if err != nil {
		return out, err
	}
	f.Before, f.Limit = in.Before, in.Limit
	page, err := s.Audit.Search(ctx, f)
	if err != nil {
		return out, err
	}
	out = client.AuditPage{Items: make([]client.AuditEntry, 0, len(page.Rows)), Next: page.Next, Back: page.Back}
	for _, r := range page.Rows {
		out.Items = append(out.Items, client.AuditEntry{Entry: r.Entry, Hash: r.Hash.String()})
	}
	return out, nil
}

func (s *server) getAuditHead(ctx context.Context, _ *struct{}) (out client.AuditHead, err error) {
	head, err := s.Audit.Head(ctx)
	if err != nil {
		return out, err
	}
	out = client.AuditHead{Seq: head.Seq, Hash: head.Hash.String(), CutSeq: head.CutSeq, CutHash: head.CutHash.String()}
	if v := s.Audit.Verified(); !v.At.IsZero() {
		out.Verified = &client.AuditVerified{Verdict: v.Verdict, At: v.At, Whole: v.Whole}
	}
	return out, nil
}

// exportPattern is a route whose work is not bounded by [answerTimeout].
const exportPattern = "GET /api/v1/audit/export"

// exportTimeout bounds each piece of an export, so that a reader who stops reading ends it.
const exportTimeout = time.Minute

// exportAudit sends entries. It takes as long as the reader goes on reading; an error in the middle cuts the connection.
func (s *server) exportAudit(ctx context.Context, in *client.AuditExport) (*huma.StreamResponse, error) {
	f, err := auditFilter(ctx, in.AuditFilter)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		_, w := humago.Unwrap(hc)
		media := "application/jsonl"
		if in.Form == "csv" {
			media = "text/csv; charset=utf-8"
		}
		w.Header().Set("Content-Type", media)
		w.Header().Set("Content-Disposition", `attachment; filename="audit.`+in.Form+`"`)
		w.Header().Set("Cache-Control", "no-store")
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Time{}) // which also ends the request; in-memory connections have none
		if err := s.writeAudit(ctx, &patientWriter{w, c}, f, in.Form); err != nil {
			s.Logger.WarnContext(ctx, "an export of the audit log was cut", "err", err)
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

func (s *server) writeAudit(ctx context.Context, to *patientWriter, f audit.Filter, form string) error {
	w := bufio.NewWriterSize(to, 64<<10)
	table := csv.NewWriter(w)
	var line []byte
	write := func(r audit.Row, prev audit.Hash) error {
		line = audit.AppendLine(line[:0], prev, r.Entry, r.Hash)
		_, err := w.Write(line)
		return err
	}
	if form == "csv" {
		if err := table.Write(audit.CSVHeader()); err != nil {
			return err
		}
		write = func(r audit.Row, _ audit.Hash) error { return table.Write(r.CSV()) }
	}
	if err := s.Audit.Export(ctx, f, write); err != nil {
		return err
	}
	if table.Flush(); table.Error() != nil {
		return table.Error()
	}
	return w.Flush()
}

// patientWriter gives each piece its own time.
type patientWriter struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// Write sends a piece.
func (p *patientWriter) Write(b []byte) (int, error) {
	_ = p.c.SetWriteDeadline(time.Now().Add(exportTimeout)) // in-memory connections have none
	return p.w.Write(b)
}
