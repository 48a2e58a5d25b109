package chart

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Bounds of a formula. Its depth is bounded by its length.
const (
	maxFormula  = 400 // bytes
	maxOperands = 8   // metrics
	maxRest     = 20  // bytes of what a message quotes of it
)

// Formula is an expression over metrics, evaluated at each step that all of them have.
type Formula struct {
	// Metrics are those that it names, each once.
	Metrics []string
	// Alone is the metric that it is, unchanged, or "".
	Alone string
	eval  func(values []float64) float64
}

// functions are those that a formula may call.
var functions = map[string]struct {
	arguments int
	call      func([]float64) float64
}{
	"abs":   {1, func(x []float64) float64 { return math.Abs(x[0]) }},
	"exp":   {1, func(x []float64) float64 { return math.Exp(x[0]) }},
	"log":   {1, func(x []float64) float64 { return math.Log(x[0]) }},
	"log2":  {1, func(x []float64) float64 { return math.Log2(x[0]) }},
	"log10": {1, func(x []float64) float64 { return math.Log10(x[0]) }},
	"sqrt":  {1, func(x []float64) float64 { return math.Sqrt(x[0]) }},
	"pow":   {2, func(x []float64) float64 { return math.Pow(x[0], x[1]) }},
	"min":   {2, func(x []float64) float64 { return math.Min(x[0], x[1]) }},
	"max":   {2, func(x []float64) float64 { return math.Max(x[0], x[1]) }},
}

// ParseFormula reads numbers, names of metrics, + - * /, parentheses and functions. A name that is no word stands in backquotes:
// val_loss - `train/loss`. Errors are [run.FieldError]s of the field "formula".
func ParseFormula(text string) (*Formula, error) {
	p := formulaParser{text: text}
	if len(text) > maxFormula {
		return nil, p.wrong(fmt.Sprintf("has %d bytes, at most %d are allowed", len(text), maxFormula), "shorten it")
	}
	tree, err := parser.ParseExpr(text)
	if err != nil {
		return nil, p.unread(err)
	}
	f := &Formula{}
	if f.eval, err = p.compile(tree, f); err != nil {
		return nil, err
	}
	if len(f.Metrics) == 0 {
		return nil, p.wrong("names no metric", "name at least one, as in exp(loss)")
	}
	if isName(tree) {
		f.Alone = f.Metrics[0]
	}
	return f, nil
}

// isName reports whether a tree is a name and nothing else.
func isName(tree ast.Expr) bool {
	switch n := tree.(type) {
	case *ast.ParenExpr:
		return isName(n.X)
	case *ast.Ident:
		return true
	case *ast.BasicLit:
		return n.Kind == token.STRING
	}
	return false
}

type formulaParser struct{ text string }

func (p formulaParser) wrong(rule, fix string) error {
	return run.FieldError{Field: "formula", Value: fault.Clip(p.text, 2*maxName), Rule: rule, Fix: fix}
}

// unread says where a formula could not be read any further.
func (p formulaParser) unread(err error) error {
	const fix = "write for example val_loss - loss, or (loss - 1) / `train/scale`"
	if strings.TrimSpace(p.text) == "" {
		return p.wrong("is empty", fix)
	}
	var list scanner.ErrorList
	if !errors.As(err, &list) || len(list) == 0 {
		return p.wrong("cannot be read", fix)
	}
	read := p.text[:min(len(p.text), max(0, list[0].Pos.Offset))]
	if strings.TrimSpace(p.text[len(read):]) == "" {
		end := utf8.RuneCountInString(strings.TrimRightFunc(p.text, unicode.IsSpace))
		return p.wrong(fmt.Sprintf("is not finished: a metric, a number or a parenthesis is missing after character %d, its last", end), fix)
	}
	return p.wrong(fmt.Sprintf("cannot be read from character %d on, %s", utf8.RuneCountInString(read)+1, strconv.Quote(fault.Clip(p.text[len(read):], maxRest))), fix)
}

// compile turns a tree into a function of the values of f.Metrics.
func (p formulaParser) compile(tree ast.Expr, f *Formula) (func([]float64) float64, error) {
	switch n := tree.(type) {
	case *ast.ParenExpr:
		return p.compile(n.X, f)
	case *ast.Ident:
		return p.metric(n.Name, f)
	case *ast.BasicLit:
		return p.literal(n, f)
	case *ast.UnaryExpr:
		x, err := p.compile(n.X, f)
		if err != nil {
			return nil, err
		}
		switch n.Op {
		case token.SUB:
			return func(v []float64) float64 { return -x(v) }, nil
		case token.ADD:
			return x, nil
		}
	case *ast.BinaryExpr:
		return p.binary(n, f)
	case *ast.CallExpr:
		return p.call(n, f)
	}
	return nil, p.wrong(fmt.Sprintf("has %s, which is no number, metric, sum, product or function", strconv.Quote(p.part(tree))), "use + - * /, parentheses, "+functionNames()+", and backquotes around names such as `train/loss`")
}

// part is the text of a part of the formula.
func (p formulaParser) part(tree ast.Expr) string {
	from, to := int(tree.Pos())-1, int(tree.End())-1
	if from < 0 || to > len(p.text) || from >= to {
		return fault.Clip(p.text, maxRest)
	}
	return fault.Clip(p.text[from:to], maxRest)
}

func (p formulaParser) literal(n *ast.BasicLit, f *Formula) (func([]float64) float64, error) {
	if n.Kind == token.STRING {
		name, err := strconv.Unquote(n.Value)
		if err != nil {
			return nil, p.wrong("has "+fault.Clip(n.Value, maxName)+", which cannot be read as a name", "put the name in backquotes, as in `train/loss`")
		}
		if checkName("metric", name) != nil {
			return nil, p.wrong(fmt.Sprintf("has %s, and the name of a metric has 1 to %d bytes", fault.Clip(n.Value, maxName), maxName), "write the name between the backquotes, as in `train/loss`")
		}
		return p.metric(name, f)
	}
	number, err := strconv.ParseFloat(n.Value, 64)
	if err != nil {
		return nil, p.wrong(fmt.Sprintf("has %s where a number should be", fault.Clip(n.Value, maxName)), "write it as 2 or 1e-3")
	}
	return func([]float64) float64 { return number }, nil
}

func (p formulaParser) metric(name string, f *Formula) (func([]float64) float64, error) {
	i := slices.Index(f.Metrics, name)
	if i < 0 {
		if len(f.Metrics) == maxOperands {
			return nil, p.wrong(fmt.Sprintf("names more than %d metrics", maxOperands), "name fewer")
		}
		i = len(f.Metrics)
		f.Metrics = append(f.Metrics, name)
	}
	return func(v []float64) float64 { return v[i] }, nil
}

func (p formulaParser) binary(n *ast.BinaryExpr, f *Formula) (func([]float64) float64, error) {
	x, err := p.compile(n.X, f)
	if err != nil {
		return nil, err
	}
	y, err := p.compile(n.Y, f)
	if err != nil {
		return nil, err
	}
	switch n.Op {
	case token.ADD:
		return func(v []float64) float64 { return x(v) + y(v) }, nil
	case token.SUB:
		return func(v []float64) float64 { return x(v) - y(v) }, nil
	case token.MUL:
		return func(v []float64) float64 { return x(v) * y(v) }, nil
	case token.QUO:
		return func(v []float64) float64 { return x(v) / y(v) }, nil
	}
	return nil, p.wrong(fmt.Sprintf("has %q, which is no operation on metrics", n.Op.String()), "use + - * / or pow(x, y)")
}

func (p formulaParser) call(n *ast.CallExpr, f *Formula) (func([]float64) float64, error) {
	name, ok := n.Fun.(*ast.Ident)
	if !ok {
		return nil, p.wrong(fmt.Sprintf("calls %s, which is no function", strconv.Quote(p.part(n.Fun))), "use "+functionNames())
	}
	fn, ok := functions[name.Name]
	if !ok {
		return nil, p.wrong("has no function "+fault.Clip(name.Name, maxName), "use "+functionNames())
	}
	if len(n.Args) != fn.arguments {
		return nil, p.wrong(fmt.Sprintf("gives %s %d arguments, which takes %d", name.Name, len(n.Args), fn.arguments), "separate them by commas")
	}
	arguments := make([]func([]float64) float64, len(n.Args))
	for i, a := range n.Args {
		var err error
		if arguments[i], err = p.compile(a, f); err != nil {
			return nil, err
		}
	}
	return func(v []float64) float64 {
		var x [2]float64
		for i, a := range arguments {
			x[i] = a(v)
		}
		return fn.call(x[:])
	}, nil
}

func functionNames() string {
	names := make([]string, 0, len(functions))
	for name := range functions {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
