package logarchive

import (
	"regexp/syntax"
	"strings"
)

// need is what a text must hold so that an expression can match it: a text, all of some needs, or one of some. The zero value is nothing.
// Texts are as the expression has them; where it folds case, in lower case.
type need struct {
	text     string
	all, any []need
}

// needOf reads an expression's tree. folds says that some of it ignores case.
func needOf(re *syntax.Regexp) (n need, folds bool) {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return need{text: string(re.Rune)}, false
		}
		// Of letters that are not ASCII's it is not known what they fold to.
		text := strings.Map(func(r rune) rune {
			if r > 0x7f {
				return 0
			}
			return r
		}, string(re.Rune))
		for _, piece := range strings.Split(text, "\x00") {
			if piece != "" {
				n.all = append(n.all, need{text: string(appendLower(nil, []byte(piece)))})
			}
		}
		return n, true
	case syntax.OpCapture, syntax.OpPlus:
		return needOf(re.Sub[0])
	case syntax.OpRepeat:
		n, folds = needOf(re.Sub[0])
		if re.Min == 0 {
			n = need{}
		}
		return n, folds
	case syntax.OpStar, syntax.OpQuest:
		_, folds = needOf(re.Sub[0])
		return need{}, folds
	case syntax.OpConcat:
		return needAll(re.Sub)
	case syntax.OpAlternate:
		n.any = make([]need, len(re.Sub))
		open := false
		for i, sub := range re.Sub {
			var f bool
			n.any[i], f = needOf(sub)
			folds, open = folds || f, open || n.any[i].empty()
		}
		if open {
			n = need{}
		}
		return n, folds
	}
	return need{}, false
}

// needAll is what expressions need that follow each other. Where all their texts are known they are joined, so that loss: [34] needs
// "loss: 3" or "loss: 4".
func needAll(subs []*syntax.Regexp) (n need, folds bool) {
	joined := []string{""}
	flush := func() {
		if len(joined) > 1 || joined[0] != "" {
			n.all = append(n.all, oneOf(joined))
		}
		joined = []string{""}
	}
	for _, sub := range subs {
		texts := textsOf(sub)
		if len(texts)*len(joined) > maxAnchors {
			flush()
		}
		if texts == nil || len(texts) > maxAnchors {
			flush()
			s, f := needOf(sub)
			n.all, folds = append(n.all, s), folds || f
			continue
		}
		var longer []string
		for _, before := range joined {
			for _, text := range texts {
				longer = append(longer, before+text)
			}
		}
		joined = longer
	}
	flush()
	return n, folds
}

func oneOf(texts []string) (n need) {
	if len(texts) == 1 {
		return need{text: texts[0]}
	}
	for _, t := range texts {
		if t == "" {
			return need{}
		}
		n.any = append(n.any, need{text: t})
	}
	return n
}

// textsOf are all texts that an expression matches, nil if they are many or ignore case.
func textsOf(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return []string{string(re.Rune)}
		}
	case syntax.OpCharClass:
		var out []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if out = append(out, string(r)); len(out) > maxAnchors {
					return nil
				}
			}
		}
		return out
	case syntax.OpCapture:
		return textsOf(re.Sub[0])
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return []string{""}
	}
	return nil
}

func (n need) empty() bool {
	for _, s := range n.all {
		if !s.empty() {
			return false
		}
	}
	return n.text == "" && len(n.any) == 0
}

// lower makes all texts small.
func (n need) lower() need {
	n.text = string(appendLower(nil, []byte(n.text)))
	each := func(in []need) (out []need) {
		for _, s := range in {
			out = append(out, s.lower())
		}
		return out
	}
	n.all, n.any = each(n.all), each(n.any)
	return n
}

// in reports whether a block may hold what is needed; the texts must be in lower case.
func (n need) in(t Trigrams) bool {
	for _, s := range n.all {
		if !s.in(t) {
			return false
		}
	}
	for _, s := range n.any {
		if s.in(t) {
			return true
		}
	}
	return len(n.any) == 0 && t.May(n.text)
}

// maxAnchors bounds the texts that are sought at once.
const maxAnchors = 8

// anchors are texts of which every match has one: the longest that are needed; nil for none.
func (n need) anchors() []string {
	var best []string
	consider := func(texts []string) {
		if len(texts) > 0 && len(texts) <= maxAnchors && shortest(texts) > shortest(best) {
			best = texts
		}
	}
	if n.text != "" {
		consider([]string{n.text})
	}
	for _, s := range n.all {
		consider(s.anchors())
	}
	var together []string
	for _, s := range n.any {
		a := s.anchors()
		if a == nil {
			return best
		}
		together = append(together, a...)
	}
	consider(together)
	return best
}

func shortest(texts []string) int {
	if len(texts) == 0 {
		return 0
	}
	n := len(texts[0])
	for _, t := range texts {
		n = min(n, len(t))
	}
	return n
}
