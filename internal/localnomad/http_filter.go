package localnomad

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/hashicorp/go-bexpr"
)

// list answers a list: keep what the filter keeps, cut the page, set the
// next page's token. items are in key order; key returns an item's token.
func list[T any](w http.ResponseWriter, q query, items []T, key func(T) string) ([]T, error) {
	if q.reverse {
		slices.Reverse(items)
	}
	var eval *bexpr.Evaluator
	if q.filter != "" {
		var err error
		if eval, err = bexpr.CreateEvaluator(q.filter); err != nil {
			return nil, codedError{http.StatusBadRequest, fmt.Sprintf("failed to create result paginator: failed to read filter expression: %v", err)}
		}
	}
	out := make([]T, 0, len(items))
	for _, item := range items {
		if q.nextToken != "" && before(key(item), q.nextToken, q.reverse) {
			continue
		}
		if eval != nil {
			ok, err := eval.Evaluate(item)
			if err != nil {
				return nil, codedError{http.StatusBadRequest, fmt.Sprintf("failed to read result page: %v", err)}
			}
			if !ok {
				continue
			}
		}
		if q.perPage > 0 && len(out) == q.perPage {
			w.Header().Set("X-Nomad-NextToken", key(item))
			break
		}
		out = append(out, item)
	}
	return out, nil
}

func before(key, token string, reverse bool) bool {
	if reverse {
		return key > token
	}
	return key < token
}
