package bench

import (
	"database/sql"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/cotrain/cotrain/internal/series"
)

// inXOR copies all chunks into a table of XOR chunks and returns what that takes on disk, and how long it takes to decode all
// chunks of each kind.
func inXOR(b *testing.B, dir string) (size float64, decoding, decodingXOR time.Duration) {
	b.Helper()
	all := readChunks(b, dir)
	other := b.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(other, "cotrain.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, q := range all.schema {
		if _, err := tx.ExecContext(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	var encoded []xorChunk
	for _, id := range slices.Sorted(maps.Keys(all.points)) {
		for pts := range slices.Chunk(all.points[id], xorPoints) {
			c, st := encodeXOR(b, pts), series.StatsOf(pts)
			encoded = append(encoded, c)
			_, err := tx.ExecContext(b.Context(), `INSERT INTO point_chunks (series, attempt, exact, first_step, last_step, count, nans, low, high, sum, first_at, last_at, data)
				VALUES (?,1,1,?,?,?,?,?,?,?,?,?,?)`, id, st.First, st.Last, st.Count, st.NaNs, st.Min, st.Max, st.Sum, st.FirstAt, st.LastAt, c.data())
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	count := 0
	for _, pts := range all.points {
		count += len(pts)
	}
	var r series.ChunkReader
	decoding = median(b, func() (n int, err error) {
		for _, c := range all.chunks {
			if err := r.Open(c.data, c.count); err != nil {
				return n, err
			}
			for ; r.Next(); n++ {
				_ = r.Point()
			}
		}
		return n, r.Err()
	}, count)
	var x xorReader
	decodingXOR = median(b, func() (n int, err error) {
		for _, c := range encoded {
			n += x.read(c)
		}
		return n, nil
	}, count)
	return tableBytes(b, other), decoding, decodingXOR
}

type stored struct {
	schema []string // of chunks
	chunks []storedChunk
	points map[int64][]series.Point // by series
}

type storedChunk struct {
	series int64
	count  int
	data   []byte
}

// readChunks reads all chunks of a store.
func readChunks(b *testing.B, dir string) stored {
	b.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, "cotrain.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	out := stored{points: map[int64][]series.Point{}}
	query(b, db, `SELECT sql FROM sqlite_master WHERE tbl_name = 'point_chunks' AND sql IS NOT NULL`, func(rows *sql.Rows) error {
		out.schema = append(out.schema, "")
		return rows.Scan(&out.schema[len(out.schema)-1])
	})
	query(b, db, `SELECT series, count, data FROM point_chunks ORDER BY series, first_step`, func(rows *sql.Rows) error {
		var c storedChunk
		if err := rows.Scan(&c.series, &c.count, &c.data); err != nil {
			return err
		}
		pts, err := series.DecodeChunk(c.data, c.count)
		out.chunks = append(out.chunks, c)
		out.points[c.series] = append(out.points[c.series], pts...)
		return err
	})
	return out
}

func query(b *testing.B, db *sql.DB, q string, row func(*sql.Rows) error) {
	b.Helper()
	rows, err := db.QueryContext(b.Context(), q)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows); err != nil {
			b.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
}

// xorChunk is two of Prometheus' chunks: steps with values, and times with zeros.
type xorChunk struct{ values, times []byte }

// data is as long as what was stored of it, with a checksum of 4 bytes and a length of 2.
func (c xorChunk) data() []byte { return slices.Concat(make([]byte, 4+2), c.values, c.times) }

func encodeXOR(b *testing.B, pts []series.Point) xorChunk {
	b.Helper()
	values, times := chunkenc.NewXORChunk(), chunkenc.NewXORChunk()
	value, err := values.Appender()
	if err != nil {
		b.Fatal(err)
	}
	at, err := times.Appender()
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range pts {
		value.Append(p.Step, p.Value)
		at.Append(p.At, 0)
	}
	return xorChunk{values.Bytes(), times.Bytes()}
}

// xorReader reads chunks with Prometheus' own code, as the store did.
type xorReader struct {
	values, times   chunkenc.XORChunk
	valueAt, timeAt chunkenc.Iterator
	point           series.Point
}

func (x *xorReader) read(c xorChunk) (count int) {
	x.values.Reset(c.values)
	x.times.Reset(c.times)
	x.valueAt, x.timeAt = x.values.Iterator(x.valueAt), x.times.Iterator(x.timeAt)
	for x.valueAt.Next() == chunkenc.ValFloat && x.timeAt.Next() == chunkenc.ValFloat {
		x.point.Step, x.point.Value = x.valueAt.At()
		x.point.At = x.timeAt.AtT()
		count++
	}
	return count
}
