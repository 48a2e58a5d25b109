package cli

import (
	"encoding/json"
	"fmt"

	"github.com/cotrain/cotrain/internal/run"
)

// runDetail is one run as the API sends it. raw keeps all of it, for whoever asks for JSON.
type runDetail struct {
	Run      run.Run       `json:"run"`
	Workers  []run.Worker  `json:"workers"`
	Attempts []run.Attempt `json:"attempts"`

	raw json.RawMessage
}

// UnmarshalJSON keeps the text.
func (d *runDetail) UnmarshalJSON(b []byte) error {
	type plain runDetail
	if err := json.Unmarshal(b, (*plain)(d)); err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	d.raw = append(json.RawMessage(nil), b...)
	return nil
}

// logPage is a piece of a log as the API sends it.
type logPage struct {
	Lines []run.LogLine `json:"lines"`
	Next  run.LogPos    `json:"next"`
	More  bool          `json:"more"`
}
