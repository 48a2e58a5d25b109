package chart

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Bounds of a formula. Its depth is bounded by its length.
const (
	maxFormula  = 400 // bytes
	maxOperands = 8   // metrics
)

// Formula is an expression over metrics, evaluated at each step that all of them have.
type Formula struct {
	// Metrics are those that it names, each once.
	Metrics []string
	eval    func(values []float64) float64
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
// val_loss - `train/loss`. Errors are [run.FieldError]s of the field "metric".
func ParseFormula(text string) (*Formula, error) {
	p := formulaParser{text: text}
	if len(text) > maxFormula {
		return nil, p.wrong(fmt.Sprintf("is %d characters long, at most %d are allowed", len(text), maxFormula), "shorten it")
	}
	tree, err := parser.ParseExpr(text)
	if err != nil {
		return nil, p.wrong("is no expression", "write for example val_loss - loss")
	}
	f := &Formula{}
	if f.eval, err = p.compile(tree, f); err != nil {
		return nil, err
	}
	if len(f.Metrics) == 0 {
		return nil, p.wrong("names no metric", "write for example exp(loss)")
	}
	return f, nil
}

type formulaParser struct{ text string }

func (p formulaParser) wrong(rule, fix string) error {
	return run.FieldError{Field: "metric", Value: fault.Clip("="+p.text, 2*maxName), Rule: rule, Fix: fix}
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
	return nil, p.wrong("may hold numbers, metrics, + - * /, parentheses and functions only", "write for example (val_loss - loss) / loss; a name such as train/loss in backquotes")
}

func (p formulaParser) literal(n *ast.BasicLit, f *Formula) (func([]float64) float64, error) {
	if n.Kind == token.STRING {
		name, err := strconv.Unquote(n.Value)
		if err != nil {
			return nil, p.wrong("has a name that cannot be read", "put it in backquotes")
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
	return nil, p.wrong(fmt.Sprintf("has %q, which is no operation on metrics", n.Op), "use + - * / or pow(x, y)")
}

func (p formulaParser) call(n *ast.CallExpr, f *Formula) (func([]float64) float64, error) {
	name, ok := n.Fun.(*ast.Ident)
	if !ok {
		return nil, p.wrong("calls what is no function", "use "+functionNames())
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
