package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/audit"
	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

type auditVerifyCmd struct {
	Remote  `embed:""`
	File    string   `arg:"" optional:"" help:"An export in JSON lines, - for stdin; without it, the log of the console."`
	Partial bool     `help:"The file holds a part of the log, as an export with a filter does: entries may be missing."`
	Expect  []string `placeholder:"SEQ:HASH" help:"An entry's number and hash that were kept elsewhere. Repeatable."`
}

// Run verifies a chain; its exit code is 1 when it is broken. The entries are verified here, whoever sends them.
func (c *auditVerifyCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	expected := map[int64]audit.Hash{}
	for _, text := range c.Expect {
		number, digits, _ := strings.Cut(text, ":")
		seq, err := strconv.ParseInt(number, 10, 64)
		hash, ok := audit.ParseHash(digits)
		if err != nil || !ok {
			return fault.Usage(fmt.Sprintf("--expect %q is not an entry's number and hash", text), "write it as 1234:0f3c..., with 64 digits")
		}
		expected[seq] = hash
	}
	v := &audit.Verifier{Partial: c.Partial}
	var err error
	if c.File == "" {
		err = verifyConsole(ctx, cl, v, expected)
	} else {
		err = c.verifyFile(p, v, expected)
	}
	if err != nil {
		return err
	}
	return c.tell(p, v.Verdict())
}

func (c *auditVerifyCmd) tell(p *process, verdict audit.Verdict) error {
	var err error
	switch {
	case c.Format == "json":
		err = p.printJSON(verdict)
	case verdict.Entries == 0:
		err = p.print("There are no entries.\n")
	case verdict.OK() && c.Partial:
		err = p.print("%d entries are as they were written, the first %d and the last %d with the hash\n%s\nWhether others are missing in between was not looked at.\n", verdict.Entries, verdict.First, verdict.Last, verdict.Hash)
	case verdict.OK():
		err = p.print("The chain is whole: %d entries, %d to %d. The hash of the last is\n%s\n", verdict.Entries, verdict.First, verdict.Last, verdict.Hash)
	default:
		for _, problem := range verdict.Problems {
			if err = p.print("%s\n", problem.What); err != nil {
				return err
			}
		}
		if n := verdict.Count - len(verdict.Problems); n > 0 {
			err = p.print("%d more problems\n", n)
		}
	}
	if err == nil && !verdict.OK() {
		err = exitStatus(exitFailed)
	}
	return err
}

func (c *auditVerifyCmd) verifyFile(p *process, v *audit.Verifier, expected map[int64]audit.Hash) error {
	from := p.stdin
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fault.Usage(err.Error(), "name an export, or - for stdin")
		}
		defer func() { _ = f.Close() }() // it was only read
		from = f
	}
	return verifyLines(from, v, expected)
}

// verifyConsole verifies all that a console exports, up to its end as it was before.
func verifyConsole(ctx context.Context, cl *client.Client, v *audit.Verifier, expected map[int64]audit.Hash) error {
	head, err := cl.AuditHead(ctx)
	if err != nil {
		return err
	}
	for seq, text := range map[int64]string{head.Seq: head.Hash, head.CutSeq: head.CutHash} {
		if hash, ok := audit.ParseHash(text); ok && seq > head.CutSeq {
			expected[seq] = hash
		}
	}
	r, w := io.Pipe()
	go func() {
		_, err := cl.ExportAudit(ctx, client.AuditExport{}, w)
		_ = w.CloseWithError(err) // never fails
	}()
	err = verifyLines(r, v, expected)
	_ = r.CloseWithError(context.Canceled) // ends the export, if it goes on
	return err
}

// maxAuditLine is more than an entry can have.
const maxAuditLine = 1 << 20

func verifyLines(from io.Reader, v *audit.Verifier, expected map[int64]audit.Hash) error {
	for lines := bufio.NewReaderSize(from, maxAuditLine); ; {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			l, ok := audit.ParseLine(line)
			if !ok {
				v.Bad()
			} else {
				v.Add(l)
				v.Expect(l, expected)
			}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // the rest is no line either
		case errors.Is(err, io.EOF):
			v.Missing(expected)
			return nil
		case err != nil:
			return err
		}
	}
}
