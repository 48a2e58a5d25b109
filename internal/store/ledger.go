package store

import (
	"encoding/json"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
)

// encodeLedger is "" for what most runs have.
func encodeLedger(l run.RetryLedger) (string, error) {
	data, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("encode ledger: %w", err)
	}
	if string(data) == "{}" {
		return "", nil
	}
	return string(data), nil
}

func decodeLedger(data string) (l run.RetryLedger, err error) {
	if data == "" {
		return l, nil
	}
	return l, json.Unmarshal([]byte(data), &l)
}
