package localnomad

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
)

// checkSource refuses a text that is too long, or that would exhaust the stack of HCL's parser, which recurses as deep as
// its input.
func checkSource(what, src string) error {
	if len(src) > maxSource {
		return limitf("%s has more than %d bytes", what, maxSource)
	}
	if isJSON(src) {
		return checkJSON(src)
	}
	tokens, _ := hclsyntax.LexConfig([]byte(src), parseName, hcl.InitialPos) // the parser says what is wrong with them
	return checkNesting(tokens)
}

// isJSON reports whether a file is JSON and not HCL's own syntax: it begins with a brace.
func isJSON(src string) bool { return strings.HasPrefix(strings.TrimLeft(src, " "), "{") }

func tooDeep() error { return limitf("it is nested more than %d deep", maxNesting) }

// checkJSON looks at the brackets of a file, and at its strings, which are templates. What encoding/json does not take HCL
// does not either, or it has said why.
func checkJSON(src string) error {
	err := walkJSON(src, func(text string) error {
		tokens, _ := hclsyntax.LexTemplate([]byte(text), parseName, hcl.InitialPos) // the parser says what is wrong with them
		return checkNesting(tokens)
	})
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	if err := checkBrackets(src); err != nil {
		return err
	}
	if _, diags := hcljson.Parse([]byte(src), parseName); diags.HasErrors() {
		return diags
	}
	return fmt.Errorf("%s is not JSON: %w", parseName, syntax)
}

// walkJSON bounds the depth of a text in JSON, and calls each for its strings and keys.
func walkJSON(src string, each func(text string) error) error {
	depth := 0
	for d := json.NewDecoder(strings.NewReader(src)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil // if too early, whoever reads it says so
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case json.Delim:
			if depth--; token == '{' || token == '[' {
				depth += 2
			}
			if depth > maxNesting {
				return tooDeep()
			}
		case string:
			if err := each(token); err != nil {
				return err
			}
		}
	}
}

// checkBrackets counts brackets wherever they stand.
func checkBrackets(src string) error {
	depth := 0
	for i := range len(src) {
		switch src[i] {
		case '{', '[':
			if depth++; depth > maxNesting {
				return tooDeep()
			}
		case '}', ']':
			depth = max(depth-1, 0)
		}
	}
	return nil
}

// level is an open bracket, quote or template sequence.
type level struct {
	inside int  // how much deeper what has come in it so far may have made the expression that goes on
	lines  bool // a new line ends an expression in it

	pieces, parts, bytes int // of a template: lines and escapes, these and what is interpolated, the text in them
}

// piece is a line or an escape in a template. HCL puts them together one by one, moving what follows each time.
func (l *level) piece(bytes int) error {
	l.pieces, l.parts, l.bytes = l.pieces+1, l.parts+1, l.bytes+bytes
	const perPart = 16
	if times(l.pieces, l.bytes+perPart*l.parts) > maxMoved {
		return limitf("a text of %d bytes in it is in more than %d pieces (lines, escapes and interpolations)", l.bytes, l.pieces-1)
	}
	return nil
}

// nesting is the open levels; depth is all of them with what is inside each.
type nesting struct {
	open  []level
	depth int
}

func (n *nesting) push(lines bool) {
	n.open = append(n.open, level{lines: lines})
	n.depth++
}

func (n *nesting) top() *level { return &n.open[len(n.open)-1] }

func (n *nesting) pop() {
	if len(n.open) > 1 {
		n.depth -= 1 + n.top().inside
		n.open = n.open[:len(n.open)-1]
	}
}

func (n *nesting) add(inside int) {
	n.top().inside += inside
	n.depth += inside
}

// end is where an expression ends and another may follow.
func (n *nesting) end() { n.add(-n.top().inside) }

// checkNesting bounds how deep the parser recurses, and the tree that it makes. Both grow with brackets that are open, and
// with each operator, index and call of one expression: "!!!x" and "a[b][c]" are three deep and two.
func checkNesting(tokens hclsyntax.Tokens) error {
	n := &nesting{}
	n.push(true)
	for i, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace:
			n.push(nextWord(tokens[i+1:]) != "for")
		case hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp:
			if t.Type == hclsyntax.TokenTemplateInterp {
				n.top().parts++
			}
			n.push(false)
		case hclsyntax.TokenStringLit, hclsyntax.TokenQuotedLit:
			if err := n.top().piece(len(t.Bytes)); err != nil {
				return err
			}
		case hclsyntax.TokenTemplateControl:
			n.top().parts++
			switch nextWord(tokens[i+1:]) {
			case "if", "for": // what follows is inside, until the end is named
				n.add(1)
			case "endif", "endfor":
				n.add(-1)
			}
			n.push(false)
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
			n.pop()
			n.add(1)
		case hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			n.pop()
		case hclsyntax.TokenComma:
			n.end()
		case hclsyntax.TokenNewline:
			if n.top().lines {
				n.end()
			}
		case hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPlus, hclsyntax.TokenMinus, hclsyntax.TokenPercent,
			hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan,
			hclsyntax.TokenGreaterThanEq, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenBang, hclsyntax.TokenQuestion, hclsyntax.TokenColon:
			n.add(1)
		}
		if n.depth > maxNesting {
			return tooDeep()
		}
	}
	return nil
}

// nextWord is the identifier that comes next on whatever line, or "".
func nextWord(tokens hclsyntax.Tokens) string {
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenNewline, hclsyntax.TokenComment:
		case hclsyntax.TokenIdent:
			return string(t.Bytes)
		default:
			return ""
		}
	}
	return ""
}
