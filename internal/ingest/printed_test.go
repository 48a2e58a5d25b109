package ingest

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/nomad"
	"github.com/cotrain/cotrain/internal/store"
)

func TestTheTimeOfALineIsReadWhereProgramsWriteIt(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"12:00:01 [INFO] [Rank 0] step: 2":       "12h0m1s",
		"2026-05-06 07:08:09,250 - INFO - x":     "7h8m9.25s",
		"[2026-05-06T07:08:09.5Z] x":             "7h8m9.5s",
		"I0506 07:08:09.123456 12 x.cc:1] x":     "7h8m9.123s",
		"2026/05/06 07:08:09 x":                  "7h8m9s",
		"[07:08:09] x":                           "7h8m9s",
		" 24%|██▍  | 25/104 [03:15:22<10:03:32]": "",
		"step 12 took 00:00:12 s":                "",
		"25:00:00 x":                             "",
		"12:60:00 x":                             "",
		"12:00:00":                               "",
		"0:1:2 x":                                "",
		"":                                       "",
		`COTRAIN {"v":1,"time":1767225600.25,"step":12}`: "2026-01-01T00:00:00.25Z",
		`COTRAIN {"v":1,"time":1e300}`:                   "",
		`COTRAIN {"v":1,"time":"x"}`:                     "",
		`COTRAIN {"v":1,"time":12`:                       "",
	} {
		got := ""
		if at, ok := ownTime([]byte(line)); ok {
			got = at.UTC().Format(time.RFC3339Nano)
		} else if d, ok := timeOfDay([]byte(line)); ok {
			got = d.String()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

// came is what comes at once, some time after midnight, after so much of silence.
type came struct {
	at, quiet time.Duration
	text      string
}

func TestLateLinesHaveTheTimeThatTheyTell(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC)
	const h, m, s = time.Hour, time.Minute, time.Second
	for name, tt := range map[string]struct {
		started time.Duration
		came    []came
		want    string // text@time of each batch; no time for that of receipt
	}{
		"lines that come at once": {9 * h, []came{{9*h + 2*s, 0, "09:00:01 a\n09:00:02 b\n"}, {9*h + 5*s, 3 * s, "09:00:05 c\n"}}, "a b; c"},
		"a console that was away": {9 * h, []came{
			{9*h + 2*s, 0, "09:00:01 a\n"},
			{10 * h, 0, "09:10:00 b\nTraceback\n09:20:00 c\n09:20:01 d\n09:59:58 e\n"}, {10 * h, 0, "\tmore\n10:00:00 f\n"},
		}, "a; b Traceback@09:10:00; c d@09:20:00; e; more f"},
		"a zone, found from the start": {9 * h, []came{{10 * h, 0, "Loading\n14:30:10 a\n15:00:00 b\n"}}, "Loading a@09:00:10; b@09:30:00"},
		"a zone of an hour":            {9 * h, []came{{12 * h, 0, "10:00:10 a\n10:20:00 b\n"}}, "a@09:00:10; b@09:20:00"},
		"midnight":                     {23 * h, []came{{25 * h, 0, "23:30:00 a\n00:30:00 b\n"}}, "a@23:30:00; b@00:30:00"},
		"for the console":              {9 * h, []came{{10 * h, 0, fmt.Sprintf("COTRAIN {\"time\":%d}\nx\n", midnight.Add(9*h+m).Unix())}}, fmt.Sprintf("COTRAIN {\"time\":%d} x@09:01:00", midnight.Add(9*h+m).Unix())},
		"clocks that are wrong are taken for late until lines come one by one": {9 * h, []came{
			{9*h + 10*m, 0, "09:05:00 a\n"}, {9*h + 11*m, m, "09:06:00 b\n"}, {9*h + 12*m, 0, "09:07:00 c\n"}, {9*h + 30*m, 0, "09:10:00 d\n"},
		}, "a@09:05:00; b; c; d@09:15:00"},
		"summer":             {9 * h, []came{{9*h + 1*s, 0, "09:00:01 a\n"}, {9*h + 5*s, s, "10:00:05 b\n"}, {9*h + 9*s, s, "10:00:09 c\n"}}, "a; b; c"},
		"winter":             {9 * h, []came{{9*h + 1*s, 0, "09:00:01 a\n"}, {9*h + 5*s, s, "08:00:05 b\n"}, {9*h + 9*s, s, "08:00:09 c\n"}}, "a; b; c"},
		"times that go back": {9 * h, []came{{10 * h, 0, "09:10:00 a\n09:05:00 b\n09:11:00 c\n"}}, "a b@09:10:00; c@09:11:00"},
		"no times":           {9 * h, []came{{10 * h, 0, "a\nb\n"}, {11 * h, h, "c\n"}}, "a b; c"},
		"no times after one": {9 * h, []came{{9*h + s, 0, "09:00:01 a\n"}, {9*h + 30*s, 29 * s, "b\n"}, {9*h + 60*s, 0, "c\n"}}, "a; b; c"},
	} {
		r := newLineReader(store.Cursor{}, 0, nil, slog.New(slog.DiscardHandler))
		r.clock.begin(midnight.Add(tt.started))
		var got []string
		at := int64(0)
		for _, c := range tt.came {
			now := midnight.Add(c.at)
			r.clock.learn([]byte(c.text), c.quiet, now)
			for _, b := range r.feed(nomad.LogChunk{File: "f", Offset: at, Data: []byte(c.text)}, now) {
				var words []string
				for line := range strings.Lines(string(b.Log)) {
					fields := strings.Fields(line)
					if len(fields) > 1 && len(fields[0]) == len("00:00:00") {
						fields = fields[1:]
					}
					words = append(words, strings.Join(fields, " "))
				}
				text := strings.Join(words, " ")
				if !b.Printed.IsZero() {
					text += "@" + b.Printed.Format(time.TimeOnly)
				}
				got = append(got, text)
			}
			at += int64(len(c.text))
		}
		if got := strings.Join(got, "; "); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestFewPiecesHoweverLate keeps a long absence from making a row of every line.
func TestFewPiecesHoweverLate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 20, 0, 0, 0, time.UTC)
	r := newLineReader(store.Cursor{}, 0, nil, slog.New(slog.DiscardHandler))
	r.clock.begin(now.Add(-10 * time.Hour))
	var text strings.Builder
	for i := range 36_000 {
		fmt.Fprintf(&text, "%s x\n", now.Add(time.Duration(i-36_000)*time.Second).Format(time.TimeOnly))
	}
	r.clock.learn([]byte(text.String()), 0, now)
	bs := r.feed(nomad.LogChunk{File: "f", Data: []byte(text.String())}, now)
	if len(bs) < 1000 || len(bs) > 4000 {
		t.Errorf("ten hours are %d pieces", len(bs))
	}
	for i := 1; i < len(bs); i++ {
		if bs[i].From.Offset != bs[i-1].To.Offset || !bs[i].Printed.IsZero() && bs[i].Printed.Before(bs[i-1].Printed) {
			t.Fatalf("piece %d is from %d at %s, after one to %d at %s", i, bs[i].From.Offset, bs[i].Printed, bs[i-1].To.Offset, bs[i-1].Printed)
		}
	}
	if last := bs[len(bs)-1]; last.To.Offset != int64(text.Len()) {
		t.Errorf("the last piece ends at %d of %d", last.To.Offset, text.Len())
	}
}
