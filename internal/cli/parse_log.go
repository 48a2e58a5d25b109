package cli

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cotrain/cotrain/internal/logparse"
)

const (
	// parseBlock is how many bytes of a log are parsed at a time: few enough for a processor's cache.
	parseBlock = 256 << 10
	// maxWrongGuesses is after how many wrong guesses in a row blocks are no longer parsed ahead.
	maxWrongGuesses = 8
)

// lineWriter appends what a line yields.
type lineWriter func(dst []byte, line int64, res *logparse.Result) []byte

// logBlock is some whole lines of a log.
type logBlock struct {
	data  []byte
	first int64 // number of the first line
	// out is what the lines yield when the parser starts with state start, and end its state after them.
	out        []byte
	start, end logparse.State
	ahead      bool // parsed with a guessed state
	done       chan struct{}
}

// parseLog parses a log of any size. A line's meaning depends on the lines before, so blocks are parsed ahead with a guess of the
// parser's state, and once more where the guess was wrong.
func parseLog(in io.Reader, out io.Writer, site []*logparse.SiteFormat, write lineWriter) error {
	workers := min(runtime.GOMAXPROCS(0), 8)
	ordered := make(chan *logBlock, 2*workers)
	work := make(chan *logBlock, 2*workers)
	free := make(chan *logBlock, 4*workers+2)
	stop := make(chan struct{})
	var workersDone sync.WaitGroup
	defer func() {
		close(stop)
		for range ordered { // the reader ends
		}
		workersDone.Wait()
	}()
	var guess atomic.Pointer[logparse.State]
	guess.Store(&logparse.State{})
	for range workers {
		workersDone.Go(func() {
			p := logparse.Parser{Site: site}
			for b := range work {
				if state := guess.Load(); state != nil {
					b.ahead = true
					b.parse(&p, *state, write)
				}
				close(b.done)
			}
		})
	}
	var readErr error
	go func() {
		defer close(ordered)
		defer close(work)
		readErr = readBlocks(in, func() *logBlock {
			select {
			case b := <-free:
				return b
			default:
				return &logBlock{}
			}
		}, func(b *logBlock) bool {
			b.done, b.ahead = make(chan struct{}), false
			select {
			case ordered <- b:
			case <-stop:
				return false
			}
			work <- b
			return true
		})
	}()
	parser := logparse.Parser{Site: site}
	var state logparse.State
	wrong := 0
	for b := range ordered {
		<-b.done
		if !b.ahead || b.start != state {
			b.parse(&parser, state, write)
			wrong++
		} else {
			wrong = 0
		}
		state = b.end
		if next := state; wrong < maxWrongGuesses {
			guess.Store(&next)
		} else {
			guess.Store(nil)
		}
		if _, err := out.Write(b.out); err != nil {
			return writeError(err)
		}
		select {
		case free <- b:
		default:
		}
	}
	return readErr
}

// parse fills out and end.
func (b *logBlock) parse(p *logparse.Parser, start logparse.State, write lineWriter) {
	p.State, b.start, b.out = start, start, b.out[:0]
	number := b.first
	var res logparse.Result // outside of the loop, because it is allocated
	for rest := b.data; len(rest) > 0; number++ {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		rest = after
		if res = p.Line(line); res.Kind != logparse.None {
			b.out = write(b.out, number, &res)
		}
	}
	b.end = p.State
}

// readBlocks cuts a log into blocks at line ends. Of a line that is longer than a block, the parser looks at the start and the end
// only, and so only those are kept.
func readBlocks(in io.Reader, take func() *logBlock, give func(*logBlock) bool) error {
	b, line := take(), int64(0)
	b.data = b.data[:0]
	for {
		if cap(b.data) < parseBlock {
			b.data = append(make([]byte, 0, parseBlock), b.data...)
		}
		n, err := in.Read(b.data[len(b.data):parseBlock])
		b.data = b.data[:len(b.data)+n]
		end := bytes.LastIndexByte(b.data, '\n') + 1
		if len(b.data) == parseBlock && end == 0 {
			b.data = append(b.data[:logparse.MaxLine], b.data[parseBlock-logparse.MaxLine:]...)
		}
		if err != nil {
			end = len(b.data)
		}
		if end > 0 {
			next := take()
			next.data = append(next.data[:0], b.data[end:]...)
			b.data, b.first = b.data[:end], line
			line += int64(bytes.Count(b.data, []byte("\n")))
			if !give(b) {
				return nil
			}
			b = next
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
