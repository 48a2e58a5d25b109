package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/logarchive"
	"github.com/cotrain/cotrain/internal/run"
	"github.com/cotrain/cotrain/internal/store/db"
)

// logPiece is a stretch of a run's log: a sealed block, or chunks that are in none yet.
type logPiece struct {
	logarchive.About
	described bool // About is complete
	ranks     []int
	run       run.ID
	blob      string // "" for chunks
	sum       string // of the blob, "" for an old one
	chunks    []logarchive.Chunk
	lost      bool // chunks stand for a block that cannot be read
}

// selectPieces reads a run's blocks, for scanPiece.
const selectPieces = `SELECT run_id, first_chunk, last_chunk, ranks, since, until, counts, blob, sum FROM log_blocks WHERE run_id = ? AND `

func scanPiece(row db.Scanner) (p logPiece, err error) {
	var counts []byte
	var ranks string
	if err := row.Scan(&p.run, &p.First, &p.Last, &ranks, &p.Since, &p.Until, &counts, &p.blob, &p.sum); err != nil {
		return p, err
	}
	for rank := range strings.SplitSeq(strings.Trim(ranks, ","), ",") {
		n, _ := strconv.Atoi(rank) // as written by us
		p.ranks = append(p.ranks, n)
	}
	p.described = len(counts) > 0
	p.Counts, err = logarchive.DecodeCounts(counts)
	return p, err
}

// blocks are what is kept in memory of sealed blocks, which never change.
type blocks struct {
	open   *lru.Cache[string, []logarchive.Chunk] // the last few, for readers that page through a log
	lost   *lru.Cache[string, lostBlock]          // those that cannot be read
	counts *lru.Cache[countKey, int]              // lines that patterns leave
	slots  chan struct{}                          // of those that look through blocks
	memory sync.Pool                              // of *[]byte, for those that are looked through
}

// lostBlock is why a block could not be read, and when that was last tried.
type lostBlock struct {
	how string
	at  time.Time
}

// countKey is a filter and a block.
type countKey struct{ blob, filter string }

const (
	openBlocks  = 4
	lostBlocks  = 1000
	blockCounts = 50_000
	// lostFor is how long a block that could not be read is not tried again: its file may come back.
	lostFor = time.Second
)

func newBlocks() *blocks {
	b := &blocks{slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0)), memory: sync.Pool{New: func() any { return new([]byte) }}}
	b.lost, _ = lru.New[string, lostBlock](lostBlocks)
	b.open, _ = lru.New[string, []logarchive.Chunk](openBlocks) // fails for sizes below 1 only
	b.counts, _ = lru.New[countKey, int](blockCounts)
	return b
}

// open returns a piece's chunks, which nobody changes, and whether they stand for a block that cannot be read.
func (s *Store) open(ctx context.Context, p logPiece) (chunks []logarchive.Chunk, lost bool, err error) {
	if p.chunks != nil {
		return p.chunks, p.lost, nil
	}
	if chunks, ok := s.blocks.open.Get(p.blob); ok {
		return chunks, false, nil
	}
	chunks, lost, err = s.decode(ctx, p, nil)
	if err == nil && !lost {
		s.blocks.open.Add(p.blob, chunks)
	}
	return chunks, lost, err
}

// scan is pass for work that is bounded: few do it at once, however many search.
func (s *Store) scan(ctx context.Context, p logPiece, fn func([]logarchive.Chunk, bool) error) error {
	select {
	case s.blocks.slots <- struct{}{}:
		defer func() { <-s.blocks.slots }()
		return s.pass(ctx, p, fn)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pass calls fn with a piece's chunks, which it must not keep, and with whether they stand for a block that cannot be read.
func (s *Store) pass(ctx context.Context, p logPiece, fn func([]logarchive.Chunk, bool) error) error {
	if p.chunks != nil {
		return fn(p.chunks, p.lost)
	}
	memory := s.blocks.memory.Get().(*[]byte)
	defer s.blocks.memory.Put(memory)
	chunks, lost, err := s.decode(ctx, p, memory)
	if err != nil {
		return err
	}
	return fn(chunks, lost)
}

// decode reads a block. One that is gone or damaged is a line of each of its workers that says so: the others can still be read.
func (s *Store) decode(ctx context.Context, p logPiece, memory *[]byte) (chunks []logarchive.Chunk, lost bool, err error) {
	data, err := s.blobs.Get(ctx, p.blob)
	if err == nil {
		if chunks, err = openBlob(data, p.sum, memory); err == nil {
			s.blocks.lost.Remove(p.blob)
			return chunks, false, nil
		}
	}
	how := "is damaged"
	switch {
	case errors.Is(err, fault.ErrNotFound):
		if err := s.stillHas(ctx, p); err != nil {
			return nil, false, err
		}
		how = "is missing"
	case !errors.Is(err, logarchive.ErrDamaged):
		return nil, false, err
	}
	s.lose(p, how)
	return p.notices(how), true, nil
}

// lose remembers that a block cannot be read, and tells of it once.
func (s *Store) lose(p logPiece, how string) {
	now := lostBlock{how, time.Now()}
	before, known, _ := s.blocks.lost.PeekOrAdd(p.blob, now)
	if known {
		s.blocks.lost.Add(p.blob, now)
	}
	if s.Lost != nil && before.how != how {
		s.Lost(p.run, p.blob, how)
	}
}

// stillHas is an error if a block, which the archive lacks, was deleted with its run or log since its row was read.
func (s *Store) stillHas(ctx context.Context, p logPiece) error {
	var one int
	err := s.db.QueryRow(ctx, `SELECT 1 FROM log_blocks WHERE run_id = ? AND first_chunk = ?`, p.run, p.First).Scan(&one)
	if !errors.Is(err, fault.ErrNotFound) {
		return err
	}
	if _, err := s.Run(ctx, p.run); err != nil {
		return err
	}
	return fault.New(fault.ErrConflict, fmt.Sprintf("The log of run %s was deleted while it was read.", p.run), "Nothing is left of it to read; the run's page says why.")
}

// notices stand for the lines of a block.
func (p logPiece) notices(how string) (out []logarchive.Chunk) {
	for i, rank := range p.ranks {
		out = append(out, logarchive.Chunk{ID: min(p.First+int64(i), p.Last), Rank: rank, Stream: "stderr", At: p.Since, Lost: true,
			Data: fmt.Appendf(nil, "[CoTrain: lines of worker %d are lost here: the file %s of the archive of logs %s]\n", rank, p.blob, how)})
	}
	return out
}

// logView is a run's log at one moment: its blocks, and what is not sealed.
type logView struct {
	store  *Store
	run    run.ID
	pieces []logPiece // each described, unless it is lost
}

// view reads what there is of a log.
func (s *Store) view(ctx context.Context, id run.ID) (*logView, error) {
	v := &logView{store: s, run: id}
	var tail []logarchive.Chunk
	err := s.db.Read(ctx, func(tx *db.Snapshot) (err error) {
		if v.pieces, err = db.Select(ctx, tx, scanPiece, selectPieces+`first_chunk > ? ORDER BY first_chunk`, id, -1); err != nil {
			return err
		}
		tail = nil // of an earlier try
		return eachChunk(ctx, tx, id, 0, false, func(c logarchive.Chunk) bool { tail = append(tail, c); return true })
	})
	if err == nil {
		err = v.describe(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", id, err)
	}
	if len(tail) > 0 {
		v.pieces = append(v.pieces, logPiece{About: logarchive.Describe(tail), described: true, chunks: tail})
	}
	return v, nil
}

// describe replaces blocks that are known to be lost, unless they can be read again, and completes the rows of those that an earlier
// version sealed, once and for all.
func (v *logView) describe(ctx context.Context) error {
	var doubtful []int
	for i := range v.pieces {
		p := &v.pieces[i]
		switch lost, known := v.store.blocks.lost.Get(p.blob); {
		case known && time.Since(lost.at) < lostFor:
			p.chunks, p.lost = p.notices(lost.how), true
		case known || !p.described:
			doubtful = append(doubtful, i)
		}
	}
	return inOrder(ctx, len(doubtful), func(ctx context.Context, i int) (p logPiece, err error) {
		p = v.pieces[doubtful[i]]
		return p, v.store.scan(ctx, p, func(chunks []logarchive.Chunk, lost bool) error {
			switch {
			case lost:
				p.chunks, p.lost = chunks, true
				return nil
			case p.described:
				return nil
			}
			p.About, p.described = logarchive.Describe(chunks), true
			_, err := v.store.db.Exec(ctx, `UPDATE log_blocks SET since = ?, until = ?, counts = ?, trigrams = ? WHERE run_id = ? AND first_chunk = ?`,
				p.Since, p.Until, logarchive.AppendCounts(nil, p.Counts), []byte(logarchive.MakeTrigrams(chunks)), v.run, p.First)
			return err
		})
	}, func(i int, p logPiece) error {
		v.pieces[doubtful[i]] = p
		return nil
	})
}
