package run

import (
	"context"
	"errors"

	"github.com/cotrain/cotrain/internal/fault"
)

// MaxBulk is how many runs one request changes.
const MaxBulk = 1000

// BulkResult tells what became of each run of an action on many.
type BulkResult struct {
	Done   []ID          `json:"done" nullable:"false" doc:"Runs that were changed"`
	Next   map[ID]string `json:"next,omitempty" doc:"What happens next with each of them, in a sentence, after a pause, a resume or a stop"`
	Failed []BulkFailure `json:"failed,omitempty" nullable:"false" doc:"Runs that were not, and why"`
}

// BulkFailure is a run that an action on many did not change.
type BulkFailure struct {
	ID   ID     `json:"id"`
	What string `json:"what" doc:"Why"`
}

// Bulk does something with each run. What one run fails with does not keep it from the others; an end of the context does, and whatever
// fails for the console as a whole.
func Bulk(ctx context.Context, ids []ID, do func(context.Context, ID) error) (out BulkResult, err error) {
	out.Done = []ID{}
	for _, id := range ids {
		err := do(ctx, id)
		switch {
		case err == nil:
			out.Done = append(out.Done, id)
		case ctx.Err() != nil:
			return out, ctx.Err()
		case errors.Is(err, fault.ErrForbidden), errors.Is(err, fault.ErrNotFound), errors.Is(err, fault.ErrConflict), errors.Is(err, fault.ErrInvalid):
			out.Failed = append(out.Failed, BulkFailure{id, whyNot(err)})
		default:
			return out, err
		}
	}
	return out, nil
}

func whyNot(err error) string {
	var fields FieldErrors
	if errors.As(err, &fields) {
		return fields.Error()
	}
	return fault.Of(err).What
}
