package store

import (
	"encoding/json"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
)

// storedLedger is what is stored of a run's retries.
type storedLedger struct {
	run.RetryLedger
	GivenUp bool `json:"given_up,omitempty"`
}

// encodeLedger is "" for what most runs have.
func encodeLedger(r run.Run) (string, error) {
	data, err := json.Marshal(storedLedger{r.Ledger, r.GivenUp})
	if err != nil {
		return "", fmt.Errorf("encode ledger: %w", err)
	}
	if string(data) == "{}" {
		return "", nil
	}
	return string(data), nil
}

func decodeLedger(data string, r *run.Run) error {
	if data == "" {
		return nil
	}
	var l storedLedger
	err := json.Unmarshal([]byte(data), &l)
	r.Ledger, r.GivenUp = l.RetryLedger, l.GivenUp
	return err
}
