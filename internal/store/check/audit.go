package check

import (
	"context"
	"fmt"

	"github.com/cotrain/cotrain/internal/store/auditlog"
)

// audit verifies the chain of the audit log.
func (c *checker) audit(ctx context.Context) error {
	v := auditlog.New(c.db).NewVerification()
	for done := false; !done; {
		var err error
		if done, err = v.Next(ctx, batch); err != nil {
			return err
		}
	}
	verdict := v.Verdict()
	for _, p := range verdict.Problems {
		c.tell(AuditChain, fmt.Sprintf("entry %d", p.Seq), p.What, nil)
	}
	if f := c.found[AuditChain]; f != nil {
		f.Count = verdict.Count
	}
	return nil
}
