package logparse

import (
	"unicode/utf8"

	"github.com/cotrain/cotrain/internal/run"
)

// maxNames bounds a parser's interned names; others are allocated.
const maxNames = 256

// names interns names of lines. It never changes a result.
type names struct {
	plain  map[string]string
	system map[string]string // printed name to "system/" + name
}

// metric returns a metric's canonical name (see [run.Metric]).
func (n *names) metric(key []byte) string {
	if s := canonical(key); s != "" {
		return s
	}
	return n.raw(key)
}

// raw returns the name as printed.
func (n *names) raw(key []byte) string {
	if s, ok := n.plain[string(key)]; ok {
		return s
	}
	if n.plain == nil {
		n.plain = make(map[string]string)
	}
	s := string(key)
	if len(n.plain) < maxNames {
		n.plain[s] = s
	}
	return s
}

// systemMetric returns the name of a machine measurement.
func (n *names) systemMetric(key []byte) string {
	if s, ok := n.system[string(key)]; ok {
		return s
	}
	if n.system == nil {
		n.system = make(map[string]string)
	}
	printed := string(key)
	s := printed
	if len(s) <= len(run.SystemPrefix) || s[:len(run.SystemPrefix)] != run.SystemPrefix {
		s = run.SystemPrefix + s
	}
	if len(n.system) < maxNames {
		n.system[printed] = s
	}
	return s
}

// canonical maps CotrainCore's spellings of a metric to one name, "" for unknown ones.
func canonical(key []byte) string {
	switch string(key) {
	case "loss", "Loss":
		return "loss"
	case "perplexity", "Perplexity":
		return "perplexity"
	case "learning_rate", "inner_lr", "lr":
		return "learning_rate"
	case "num_peers", "diloco_peers":
		return "num_peers"
	case "tokens_per_second":
		return "tokens_per_second"
	case "mfu":
		return "mfu"
	case "grad_norm":
		return "grad_norm"
	case "total_tokens":
		return "total_tokens"
	case "val_loss":
		return "val_loss"
	case "z_loss":
		return "z_loss"
	case "time":
		return "time"
	case "outer_mfu":
		return "outer_mfu"
	case "outer_step":
		return "outer_step"
	case "outer_tokens_per_second":
		return "outer_tokens_per_second"
	case "all_reduce_step":
		return "all_reduce_step"
	}
	return ""
}

// validName accepts 1 to MaxName bytes of printable UTF-8.
func validName(b []byte) bool {
	if len(b) == 0 || len(b) > MaxName || !utf8.Valid(b) {
		return false
	}
	return !hasControl(b)
}

// hasControl reports whether b holds control characters (C0, DEL, and C1 as UTF-8).
func hasControl(b []byte) bool {
	for i, c := range b {
		if c < 0x20 || c == 0x7f || c == 0xc2 && i+1 < len(b) && b[i+1] < 0xa0 {
			return true
		}
	}
	return false
}
