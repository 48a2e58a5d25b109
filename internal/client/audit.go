package client

import (
	"context"
	"io"
	"time"

	"github.com/cotrain/cotrain/internal/audit"
)

const auditPath = "/api/v1/audit"

// AuditFilter says which entries of the audit log to find.
type AuditFilter struct {
	Text    string `query:"text" maxLength:"500" doc:"Words that must all occur, in any place"`
	Actor   string `query:"actor" maxLength:"256" doc:"Login name of who did it"`
	Action  string `query:"action" maxLength:"256" doc:"Such as runs.stop"`
	Project string `query:"project" maxLength:"256"`
	Subject string `query:"subject" maxLength:"512" doc:"Such as run:r-0123456789"`
	Address string `query:"address" maxLength:"256" doc:"IP address from which it was done"`
	Outcome string `query:"outcome" enum:"done,refused,failed"`
	Since   string `query:"since" maxLength:"40" doc:"Logged at this time or later, as in RFC 3339"`
	Until   string `query:"until" maxLength:"40" doc:"Logged before this time, as in RFC 3339"`
}

// AuditQuery says which page of them.
type AuditQuery struct {
	AuditFilter
	Before int64 `query:"before" minimum:"0" doc:"Cursor: the next of the previous page"`
	Limit  int   `query:"limit" default:"50" minimum:"1" maximum:"500"`
}

// AuditPage is a page of the audit log.
type AuditPage struct {
	Items []AuditEntry `json:"items" nullable:"false" doc:"Newest first"`
	Next  int64        `json:"next,omitempty" doc:"Cursor of the next page, for before; absent on the last. A page may have few items, or none, and yet a next: a search ends when it has read very much in vain"`
	Back  time.Time    `json:"back,omitzero" doc:"When the oldest entry was logged that was looked at, if there is a next"`
}

// AuditEntry is an entry of the audit log.
type AuditEntry struct {
	audit.Entry
	Hash string `json:"hash" doc:"Of the entry and all before it, in hexadecimal"`
}

// Audit searches the audit log, newest first.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (AuditPage, error) {
	return get[AuditPage](ctx, c, auditPath, q)
}

// AuditHead is where the audit log ends and begins.
type AuditHead struct {
	Seq      int64          `json:"seq" doc:"Number of the newest entry"`
	Hash     string         `json:"hash" doc:"Its hash"`
	CutSeq   int64          `json:"cut_seq" doc:"Number of the newest entry that retention has removed"`
	CutHash  string         `json:"cut_hash" doc:"Its hash"`
	Verified *AuditVerified `json:"verified,omitempty" doc:"How far the console has verified the log since it started"`
}

// AuditVerified is how far a console has verified its audit log.
type AuditVerified struct {
	audit.Verdict
	At    time.Time `json:"at"`
	Whole bool      `json:"whole" doc:"Up to the end, as it was then"`
}

// AuditHead reads where the audit log ends.
func (c *Client) AuditHead(ctx context.Context) (AuditHead, error) {
	return get[AuditHead](ctx, c, auditPath+"/head", nil)
}

// AuditExport says what to export of the audit log, and how.
type AuditExport struct {
	AuditFilter
	Form string `query:"format" enum:"jsonl,csv" default:"jsonl" doc:"JSON lines, with which the chain can be verified, or CSV"`
}

// ExportAudit copies entries of the audit log to w, oldest first, and returns the bytes.
func (c *Client) ExportAudit(ctx context.Context, q AuditExport, w io.Writer) (int64, error) {
	return c.download(ctx, auditPath+"/export"+encode(q), w)
}
