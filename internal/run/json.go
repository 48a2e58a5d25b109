package run

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// Number is a float64 that also survives JSON as "NaN", "Infinity" or "-Infinity": a diverged loss must not get lost.
type Number float64

// MarshalJSON writes a number, or one of the three strings.
func (n Number) MarshalJSON() ([]byte, error) {
	f := float64(n)
	switch {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`), nil
	}
	return json.Marshal(f)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		switch string(b) {
		case `"NaN"`, `"Infinity"`, `"-Infinity"`:
		default:
			return fmt.Errorf("number %.40s: %w", b, fault.ErrInvalid)
		}
		b = b[1 : len(b)-1]
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("number %.40s: %w", b, fault.ErrInvalid)
	}
	*n = Number(f)
	return nil
}

type progressJSON struct {
	Step         int64     `json:"step"`
	Loss         Number    `json:"loss"`
	HasLoss      bool      `json:"has_loss"`
	TokensPerSec Number    `json:"tokens_per_second"`
	Participants int       `json:"participants"`
	UpdatedAt    time.Time `json:"updated_at,omitzero"`
}

// MarshalJSON writes numbers that are not finite as strings; see [Number].
func (p Progress) MarshalJSON() ([]byte, error) {
	return json.Marshal(progressJSON{p.Step, Number(p.Loss), p.HasLoss, Number(p.TokensPerSec), p.Participants, p.UpdatedAt})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Progress) UnmarshalJSON(b []byte) error {
	var v progressJSON
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*p = Progress{v.Step, float64(v.Loss), v.HasLoss, float64(v.TokensPerSec), v.Participants, v.UpdatedAt}
	return nil
}

type curvePointJSON struct {
	Step    int64     `json:"step"`
	Mean    Number    `json:"mean"`
	Min     Number    `json:"min"`
	Max     Number    `json:"max"`
	Sum     Number    `json:"sum"`
	Workers int       `json:"workers"`
	At      time.Time `json:"at"`
}

// MarshalJSON writes numbers that are not finite as strings; see [Number].
func (p CurvePoint) MarshalJSON() ([]byte, error) {
	return json.Marshal(curvePointJSON{p.Step, Number(p.Mean), Number(p.Min), Number(p.Max), Number(p.Sum), p.Workers, p.At})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *CurvePoint) UnmarshalJSON(b []byte) error {
	var v curvePointJSON
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	*p = CurvePoint{v.Step, float64(v.Mean), float64(v.Min), float64(v.Max), float64(v.Sum), v.Workers, v.At}
	return nil
}
