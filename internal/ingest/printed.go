package ingest

import (
	"bytes"
	"strconv"
	"time"

	"github.com/cotrain/cotrain/internal/run"
)

const (
	// lateAfter is how long after it was printed a line is late: it is stored with the time that it tells, not with that of its receipt.
	lateAfter = 10 * time.Second
	// aheadAtMost bounds what is taken for a clock that was put forward, as for summer; all else that is ahead was printed the day before.
	aheadAtMost = 2 * time.Hour
	// idle is how long nothing comes from a stream of which all was read, and delay how long a line takes until it is here at most.
	idle  = 200 * time.Millisecond
	delay = 2 * time.Second
	day   = 24 * time.Hour
	// zones are apart by so much.
	zones = 15 * time.Minute
)

// printClock tells when lines of a stream were printed, from the time of day that they begin with. Programs print local time, and without a
// date as a rule: how far it is behind the console's is learned from the stream itself.
type printClock struct {
	Known bool  `json:"known,omitempty"`
	Off   int64 `json:"off,omitempty"` // milliseconds, what the time of day of lines that are not late is behind UTC
	// Late is the time of what was stored last, if that was late.
	Late time.Time `json:"late,omitzero"`

	since time.Time // nothing that is still to come was printed before
	last  time.Time // of the newest line that told one
	live  bool      // what comes now is not late, unless it says so
}

// begin prepares for a session with a worker.
func (c *printClock) begin(started time.Time) { c.since, c.last, c.live = started, c.Late, false }

// behind is how long ago a line was printed that tells a time of day, as far as the clock knows.
func (c *printClock) behind(ofDay time.Duration, now time.Time) time.Duration {
	d := (sinceMidnight(now) - ofDay - time.Duration(c.Off)*time.Millisecond) % day
	switch {
	case d < -aheadAtMost:
		d += day
	case d >= day-aheadAtMost:
		d -= day
	}
	return d
}

func sinceMidnight(at time.Time) time.Duration { return at.Sub(at.UTC().Truncate(day)) }

// learn looks at what has come now, before it is cut into pieces. If nothing came for a while, then it was printed since: quiet is how long
// that was, or zero.
func (c *printClock) learn(data []byte, quiet time.Duration, now time.Time) {
	if first, ok := firstTime(data); ok {
		if !c.Known {
			c.Known, c.Off = true, c.zone(first, now).Milliseconds()
		}
		if late := c.behind(lastTime(data), now); late < 0 || quiet >= idle && late > quiet+delay {
			c.Off += late.Milliseconds()
		}
	}
	if quiet >= idle {
		c.live = true
		if before := now.Add(-quiet - delay); before.After(c.since) {
			c.since = before
		}
	}
}

// zone is how far the time of day of a stream's first line is behind UTC. It was printed soon after the worker's start, or now if that is not
// known. No zone is less than an hour from UTC, so that a program that needs a while to its first line is told from one of another zone.
func (c *printClock) zone(first time.Duration, now time.Time) time.Duration {
	switch at := now.Add(-(&printClock{}).behind(first, now)); {
	case c.since.IsZero():
		return sinceMidnight(now) - first
	case !at.Before(c.since.Add(-delay)) && at.Before(c.since.Add(time.Hour-zones)):
		return 0
	}
	return (sinceMidnight(c.since) - first).Round(zones)
}

func firstTime(data []byte) (ofDay time.Duration, ok bool) {
	for line := range bytes.Lines(data) {
		if ofDay, ok = timeOfDay(line); ok {
			return ofDay, true
		}
	}
	return 0, false
}

func lastTime(data []byte) (ofDay time.Duration) {
	for len(data) > 0 {
		i := bytes.LastIndexByte(data[:len(data)-1], '\n') + 1
		if ofDay, ok := timeOfDay(data[i:]); ok {
			return ofDay
		}
		data = data[:i]
	}
	return 0
}

// printed tells when a line was printed, if it says so: not before the lines that came before it, nor after now.
func (c *printClock) printed(line []byte, now time.Time) (at time.Time, ok bool) {
	if at, ok = ownTime(line); !ok {
		ofDay, ok := timeOfDay(line)
		if !ok || !c.Known {
			return at, false
		}
		at = now.Add(-c.behind(ofDay, now))
	}
	for _, bound := range []time.Time{c.since, c.last} {
		if at.Before(bound) {
			at = bound
		}
	}
	if at.After(now) {
		at = now
	}
	return at, true
}

// piece returns how many bytes of whole lines to store with one time, and that time: zero for the time of receipt. A line that tells none
// was printed with the one before it.
func (c *printClock) piece(data []byte, now time.Time) (n int, at time.Time) {
	if !c.live {
		at = c.last
	}
	for n < len(data) {
		end := bytes.IndexByte(data[n:], '\n') + 1
		if end == 0 {
			end = len(data) - n
		}
		if printed, ok := c.printed(data[n:n+end], now); ok {
			if n > 0 && !at.IsZero() && now.Sub(at) >= lateAfter && printed.Sub(at) >= max(time.Second, now.Sub(at)/pieces) {
				break
			}
			if n == 0 || at.IsZero() {
				at = printed
			}
			c.last = printed
			c.live = c.live || now.Sub(printed) < lateAfter
		}
		n += end
	}
	if now.Sub(at) < lateAfter {
		at = time.Time{}
	}
	c.Late = at
	return n, at
}

// pieces bounds how many there are: each is of so much of the time that it is late, or of a second.
const pieces = 600

// timeOfDay reads the time that a line begins with, after a date, a bracket or the letter of a level.
func timeOfDay(line []byte) (time.Duration, bool) {
	const form, within = "00:00:00", 24
	for i := 0; i+len(form) < len(line) && i < within; i++ {
		if h, m, s, ok := hms(line[i:]); ok {
			switch line[i+len(form)] {
			case ' ', ',', '.', ']', 'Z', '+', '-', '|', '\t':
			default:
				return 0, false
			}
			at := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
			if rest := line[i+len(form):]; len(rest) > 3 && (rest[0] == '.' || rest[0] == ',') {
				for j, unit := 1, 100*time.Millisecond; j <= 3 && rest[j] >= '0' && rest[j] <= '9'; j, unit = j+1, unit/10 {
					at += time.Duration(rest[j]-'0') * unit
				}
			}
			return at, true
		}
		if c := line[i]; (c < '0' || c > '9') && !bytes.ContainsRune([]byte("-/. [(TIWEFDC"), rune(c)) {
			break
		}
	}
	return 0, false
}

// ownTime is the time of a line for the console, such as "time":1767225600.25 in seconds since 1970.
func ownTime(line []byte) (time.Time, bool) {
	if !bytes.HasPrefix(line, []byte(run.MachineMark)) {
		return time.Time{}, false
	}
	_, rest, found := bytes.Cut(line, []byte(`"time":`))
	end := bytes.IndexAny(rest, ",}")
	if !found || end < 0 || end > 24 {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseFloat(string(rest[:end]), 64)
	if err != nil || !(seconds > 0 && seconds < 1e11) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(seconds * 1000)), true
}

func hms(b []byte) (h, m, s int, ok bool) {
	var n [3]int
	for i, c := range b[:8] {
		switch digit := c >= '0' && c <= '9'; {
		case i%3 == 2 && c != ':', i%3 != 2 && !digit:
			return 0, 0, 0, false
		case i%3 != 2:
			n[i/3] = n[i/3]*10 + int(c-'0')
		}
	}
	return n[0], n[1], n[2], n[0] < 24 && n[1] < 60 && n[2] < 60
}
