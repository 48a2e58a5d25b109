package cli

import (
	"bytes"
	"context"
	"os"

	"github.com/cotrain/cotrain/internal/client"
	"github.com/cotrain/cotrain/internal/fault"
)

type auditExportCmd struct {
	Addr       string `help:"Address of the console, instead of COTRAIN_ADDR." placeholder:"URL"`
	auditFlags `embed:""`
	Format     string `enum:"jsonl,csv" default:"jsonl" help:"jsonl, with which \"cotrain audit verify\" works, or csv."`
	Output     string `short:"o" default:"-" placeholder:"FILE" help:"File to write, - for stdout."`
	Force      bool   `help:"Replace a file that is there."`
}

func (c *auditExportCmd) connect(p *process) (*client.Client, error) {
	return Remote{Addr: c.Addr}.connect(p)
}

// Run exports entries, oldest first. Until a file is whole, its name ends in .part.
func (c *auditExportCmd) Run(ctx context.Context, p *process, cl *client.Client) error {
	f, err := c.filter(p)
	if err != nil {
		return err
	}
	q := client.AuditExport{AuditFilter: f, Form: c.Format}
	if c.Output == "-" {
		_, err := cl.ExportAudit(ctx, q, &linesWriter{p: p})
		return err
	}
	return p.save(c.Output, c.Force, func(f *os.File) (int64, error) { return cl.ExportAudit(ctx, q, f) })
}

// save writes a file, and says how large it is. Until it is whole, its name ends in .part.
func (p *process) save(name string, force bool, write func(*os.File) (int64, error)) error {
	if _, err := os.Lstat(name); err == nil && !force {
		return fault.Usage(p.text(name)+" is there already", "add --force to replace it, or name another file with --output")
	}
	n, err := keepFile(name, write)
	if err != nil {
		return err
	}
	return p.print("%s  %s\n", p.text(name), bytesText(n))
}

// linesWriter writes text that came from elsewhere: a terminal shows it, and does not obey it.
type linesWriter struct {
	p    *process
	line func(string) error // shows a line on a terminal; nil for text
	rest []byte             // a line that has not ended
}

// Write writes the lines that are whole.
func (w *linesWriter) Write(b []byte) (int, error) {
	if !w.p.terminal {
		return w.p.stdout.Write(b)
	}
	w.rest = append(w.rest, b...)
	for {
		end := bytes.IndexByte(w.rest, '\n') + 1
		if end == 0 {
			return len(b), nil
		}
		line := string(w.rest[:end])
		w.rest = w.rest[end:]
		if err := w.show(line); err != nil {
			return 0, err
		}
	}
}

func (w *linesWriter) show(line string) error {
	if w.line != nil {
		return w.line(line)
	}
	return w.p.printText(line)
}

// flush writes what has not ended.
func (w *linesWriter) flush() error {
	if len(w.rest) == 0 {
		return nil
	}
	return w.show(string(w.rest))
}
