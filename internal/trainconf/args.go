package trainconf

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// assignment is one value that an argument or a variable gives to a field.
type assignment struct {
	path, value string
	from        string // what gave it: "--optim.batch_size", "ZERO_BAND_OPTIM_BATCH_SIZE"
}

// ValidateArgs checks arguments for the trainer: that the core's command line understands each, and that they give fields
// that it knows values that those accept.
func ValidateArgs(args []string) run.FieldErrors {
	var errs run.FieldErrors
	if n := len(args); n > MaxArgs {
		errs = append(errs, fieldError("args", strconv.Itoa(n)+" arguments", fmt.Sprintf("must have at most %d arguments", MaxArgs), "set fields of the configuration instead"))
		return errs
	}
	size := 0
	for _, a := range args {
		size += len(a) + 1
		if a == "" || strings.TrimSpace(a) != a || !utf8.ValidString(a) || strings.ContainsFunc(a, fault.Unseen) {
			errs = append(errs, fieldError("args", shownArg(a), "has an argument that is empty, or has white space around it or control characters in it", "remove them"))
		}
	}
	if size > MaxArgsBytes {
		errs = append(errs, fieldError("args", strconv.Itoa(size)+" bytes", fmt.Sprintf("must have at most %d bytes in all", MaxArgsBytes), "set fields of the configuration instead"))
	}
	if len(errs) > 0 {
		return errs
	}
	_, errs = parseArgs(args)
	return errs
}

// shownArg is an argument as an error shows it.
func shownArg(arg string) string {
	name, _, found := strings.Cut(arg, "=")
	if found && fault.NamesSecret(name) {
		return name + "=" + fault.Hidden
	}
	return arg
}

// parseArgs reads arguments as pydantic_config does (b7becc3, parse.py, the version that the core is locked to): "--a.b value",
// "--a.b=value", "--a.b" for true and "--no-a.b" for false, with - for _ in names. A name that is given twice would become a list.
func parseArgs(args []string) (out []assignment, errs run.FieldErrors) {
	seen := map[string]bool{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		bad := func(rule, fix string) { errs = append(errs, fieldError("args", shownArg(arg), rule, fix)) }
		if !strings.HasPrefix(arg, "--") {
			bad("must begin with --, or follow an argument that does", "write --section.field=value, as in --train.torch_compile=false")
			continue
		}
		name, value, found := strings.Cut(arg, "=")
		negated := strings.HasPrefix(name, "--no-")
		switch {
		case found && strings.Contains(value, "="):
			bad("has two =, which the core refuses", "write "+name+" and its value as two arguments")
			continue
		case found:
		case i+1 < len(args) && !strings.HasPrefix(args[i+1], "--"):
			i++
			value, found = args[i], true
		}
		if negated && found {
			bad("must not have a value, since it begins with --no-", "use --"+strings.TrimPrefix(name, "--no-")+"=false")
			continue
		}
		if strings.HasPrefix(value, "@") {
			bad("reads a file, which CoTrain could not check", "set the fields instead")
			continue
		}
		if !found {
			value = strconv.FormatBool(!negated)
		}
		path := strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(name, "--no-"), "--"), "-", "_")
		if p := argProblem(name, path, value); p != nil {
			bad(p.rule, p.fix)
			continue
		}
		if seen[path] {
			bad("is given twice, and the core would take both as a list", "remove one of them")
			continue
		}
		seen[path] = true
		out = append(out, assignment{path, value, name})
	}
	return out, errs
}

func argProblem(name, path, value string) *problem {
	if _, ok := schemaIndex[path]; !ok {
		f := unknownPath(path, "", false)
		return &problem{fault.Quote(name) + " " + f.Rule, strings.Replace(f.Fix, "use ", "use --", 1)}
	}
	if why := perWorker[path]; why != "" {
		fix := "remove it"
		if path == "ckpt.resume" {
			fix = "set ckpt.resume in the configuration"
		}
		return &problem{name + " would be given twice: " + why, fix}
	}
	return overrideProblem(name, path, value)
}
