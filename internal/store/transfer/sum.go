package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"

	"github.com/cotrain/cotrain/internal/store/db"
)

// Sum is a table's content, the same in both databases.
type Sum struct {
	Rows int64  `json:"rows"`
	Hash string `json:"sha256"` // over its rows, columns by name, in order of the primary key
}

// SumOf reads a whole table.
func SumOf(ctx context.Context, d *db.DB, t db.Table, tell func(rows int64)) (s Sum, err error) {
	all := sha256.New()
	var encoded []byte
	for b := (batches{from: d, table: t}); ; {
		rows, err := b.next(ctx)
		if err != nil {
			return s, err
		}
		if len(rows) == 0 {
			s.Hash = hex.EncodeToString(all.Sum(nil))
			return s, nil
		}
		for _, row := range rows {
			encoded = appendRow(encoded[:0], row)
			_, _ = all.Write(encoded) // never fails
		}
		s.Rows += int64(len(rows))
		tell(s.Rows)
	}
}

// appendRow writes each value as its kind, its length where that differs, and its bytes.
func appendRow(b []byte, row []any) []byte {
	text := func(kind byte, n int) []byte { return binary.AppendUvarint(append(b, kind), uint64(n)) }
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			b = append(b, 'n')
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 'f'), math.Float64bits(v))
		case string:
			b = append(text('s', len(v)), v...)
		case []byte:
			b = append(text('b', len(v)), v...)
		}
	}
	return b
}
