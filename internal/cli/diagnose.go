package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/diagnose"
	"github.com/cotrain/cotrain/internal/fault"
)

type diagnoseCmd struct {
	ExitCode  *int   `placeholder:"N" help:"Exit code of the process, if it is known."`
	Signal    *int   `placeholder:"N" help:"Number of the signal that ended it, if one did."`
	OOMKilled bool   `name:"oom-killed" help:"The kernel or the scheduler says that it ran out of memory."`
	Format    string `enum:"text,json" default:"text" help:"text or json."`
	Rules     string `placeholder:"FILE" help:"Further rules, as TOML; one with the ID of another takes its place."`
	File      string `arg:"" placeholder:"FILE" help:"Output of a process; - reads the standard input."`
}

// Run prints why a process failed, by its output and how it ended.
func (c *diagnoseCmd) Run(p *process) error {
	exit, err := c.exit()
	if err != nil {
		return err
	}
	rules, err := c.rules(p)
	if err != nil {
		return err
	}
	in, done, err := p.openLog(c.File, "diagnose")
	if err != nil {
		return err
	}
	defer done()
	scanner := rules.NewScanner()
	if err := scanner.Scan(in); err != nil {
		return err
	}
	cause := scanner.Cause(exit)
	if c.Format == "json" {
		return p.print("%s\n", appendCause(nil, cause))
	}
	return p.printText(causeText(cause, rules.Outlook(cause)))
}

func (c *diagnoseCmd) exit() (diagnose.Exit, error) {
	out := diagnose.Exit{OOMKilled: c.OOMKilled, Known: c.ExitCode != nil || c.Signal != nil}
	if c.ExitCode != nil {
		if out.Code = *c.ExitCode; out.Code < -64 || out.Code > 255 {
			return out, fault.Usage(fmt.Sprintf("--exit-code %d is no exit code", out.Code), "use 0 to 255, or minus the number of a signal")
		}
		if out.Code < 0 { // as Python has it
			out.Code, out.Signal = 0, -out.Code
		}
	}
	if c.Signal != nil {
		if out.Signal = *c.Signal; out.Signal < 0 || out.Signal > 64 {
			return out, fault.Usage(fmt.Sprintf("--signal %d is no signal", out.Signal), "use 1 to 64, such as 9 for SIGKILL, or 0 for none")
		}
	}
	return out, nil
}

func (c *diagnoseCmd) rules(p *process) (*diagnose.Rules, error) {
	rules, err := diagnose.Builtin()
	if err != nil || c.Rules == "" {
		return rules, err
	}
	data, err := p.readText("--rules "+c.Rules, c.Rules, diagnose.MaxFile, "write a [[rule]]; docs/development.md has the fields")
	if err != nil {
		return nil, err
	}
	rules, err = rules.With(c.Rules, data)
	var broken *diagnose.RuleError
	if errors.As(err, &broken) {
		return nil, fault.Usage(broken.Error(), "")
	}
	return rules, err
}

// appendCause appends {"category","retryable","summary","hint","evidence":[{"line","text"}]}.
func appendCause(dst []byte, c diagnose.Cause) []byte {
	dst = appendJSONText(append(dst, `{"category":`...), c.Category)
	dst = strconv.AppendBool(append(dst, `,"retryable":`...), c.Retryable)
	dst = appendJSONText(append(dst, `,"summary":`...), c.Summary)
	dst = appendJSONText(append(dst, `,"hint":`...), c.Hint)
	dst = append(dst, `,"evidence":[`...)
	for i, e := range c.Evidence {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(append(dst, `{"line":`...), e.Line, 10)
		dst = appendJSONText(append(dst, `,"text":`...), e.Text)
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// causeText is a cause for a person. Lines of the log come from elsewhere, so they are shown, never obeyed.
func causeText(c diagnose.Cause, outlook string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", printable(c.Summary))
	if c.Hint != "" {
		fmt.Fprintf(&b, "%s\n", printable(c.Hint))
	}
	if outlook != "" {
		fmt.Fprintf(&b, "\ncategory  %s (%s)\n", c.Category, outlook)
	}
	for _, e := range c.Evidence {
		fmt.Fprintf(&b, "%8d  %s\n", e.Line+1, printable(e.Text))
	}
	return b.String()
}
