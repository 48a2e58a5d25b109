package probe

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// chunk is written at once: small enough that a slow link is not busy for long after the time is over.
	chunk = 64 << 10
	// drain is for what is under way when the time is over, and for a connection that stalls.
	drain = 10 * time.Second
	// sampleEvery is how often the receiver looks how much has come.
	sampleEvery = 5 * time.Millisecond
)

// noise is what is sent: it cannot be compressed on the way.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 4+chunk)
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // only not to be compressible
	for i := 4; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	binary.BigEndian.PutUint32(b, chunk)
	return b
})

// sendAll fills all streams until the time or the bytes are used up, and marks the end.
func sendAll(streams []net.Conn, most time.Duration, bytes int64) error {
	var each errgroup.Group
	var sent atomic.Int64 // by all, so that they end together
	until := time.Now().Add(most)
	for _, conn := range streams {
		each.Go(func() error {
			_ = conn.SetDeadline(until.Add(drain)) // a broken connection shows at once
			for more := true; more; more = sent.Add(chunk) < bytes && time.Now().Before(until) {
				if _, err := conn.Write(noise()); err != nil {
					return err
				}
			}
			_, err := conn.Write(make([]byte, 4))
			return err
		})
	}
	return each.Wait()
}

// receiveAll takes what comes until all streams have ended, and returns the bits a second.
func receiveAll(streams []net.Conn, most time.Duration) (float64, error) {
	var came atomic.Int64
	var each errgroup.Group
	begin := sample{at: time.Now()}
	for _, conn := range streams {
		each.Go(func() error {
			_ = conn.SetDeadline(time.Now().Add(most + drain))
			return takeAll(conn, &came)
		})
	}
	ended := make(chan error, 1)
	go func() { ended <- each.Wait() }()
	samples, err := watch(begin, &came, ended)
	return rate(samples), err
}

func takeAll(conn net.Conn, came *atomic.Int64) error {
	buf := make([]byte, chunk)
	for {
		if _, err := io.ReadFull(conn, buf[:4]); err != nil {
			return err
		}
		left := binary.BigEndian.Uint32(buf)
		if left > chunk {
			return errors.New("a piece is longer than any that is sent")
		}
		if left == 0 {
			return nil
		}
		for left > 0 {
			got, err := conn.Read(buf[:left])
			came.Add(int64(got))
			left -= uint32(got) //nolint:gosec // at most left
			if err != nil {
				return err
			}
		}
	}
}

// sample is how much has come by a time.
type sample struct {
	at    time.Time
	bytes int64
}

func watch(begin sample, came *atomic.Int64, ended <-chan error) ([]sample, error) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	samples := []sample{begin}
	for {
		select {
		case err := <-ended:
			return append(samples, sample{time.Now(), came.Load()}), err
		case <-tick.C:
			samples = append(samples, sample{time.Now(), came.Load()})
		}
	}
}

// rate is bits a second without the first quarter of the time since anything came, in which connections are still speeding up.
func rate(samples []sample) float64 {
	end := samples[len(samples)-1]
	start := 0
	for start < len(samples)-2 && samples[start+1].bytes == 0 {
		start++
	}
	from := samples[start].at.Add(end.at.Sub(samples[start].at) / 4)
	for start < len(samples)-2 && !samples[start+1].at.After(from) {
		start++
	}
	seconds := end.at.Sub(samples[start].at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return 8 * float64(end.bytes-samples[start].bytes) / seconds
}
