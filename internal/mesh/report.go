package mesh

import (
	"math"
	"time"
)

// Report is what is known of a run's outer steps, for the page, the API and the command line.
type Report struct {
	InnerSteps int64      `json:"inner_steps"`
	Total      int        `json:"rounds_total" doc:"Outer steps done, over all attempts"`
	Start      time.Time  `json:"start,omitzero" doc:"Of the first round"`
	End        time.Time  `json:"end,omitzero" doc:"Of the last"`
	Receipt    bool       `json:"by_receipt" doc:"Workers did not tell their clocks: rounds are where the console received their lines. Durations of syncs, stragglers and their cost do not depend on it"`
	Cut        bool       `json:"cut" doc:"There are more rounds, older ones, than are kept"`
	Shares     TimeShares `json:"shares" doc:"Of the time that workers were there"`
	Cost       float64    `json:"waited_seconds" doc:"What all workers waited for stragglers, together"`
	Workers    []Totals   `json:"workers" nullable:"false" doc:"By rank"`
	Rounds     []RoundRow `json:"rounds" nullable:"false" doc:"A page of the rounds, the newest first"`
	Next       int        `json:"next,omitempty" doc:"For before: the next page; absent on the last"`
	Plan       *RoundPlan `json:"plan,omitempty" doc:"What the configuration promised beside what happened, where it can be read"`
}

// TimeShares are of the time of all workers.
type TimeShares struct {
	Compute   float64 `json:"compute"`
	Wait      float64 `json:"wait"`
	AllReduce float64 `json:"all_reduce"`
	Recovery  float64 `json:"recovery"`
	Alone     float64 `json:"alone"`
}

// Totals is one worker over all attempts.
type Totals struct {
	Rank      int     `json:"rank"`
	Node      string  `json:"node"`
	Rounds    int     `json:"rounds" doc:"It took part in"`
	Tokens    int64   `json:"tokens" doc:"Of those rounds; 0 for unknown"`
	Compute   float64 `json:"compute_seconds"`
	Wait      float64 `json:"wait_seconds"`
	AllReduce float64 `json:"all_reduce_seconds"`
	Recovery  float64 `json:"recovery_seconds"`
	Alone     float64 `json:"alone_seconds"`
	Absent    float64 `json:"absent_seconds" doc:"From the first round to the last"`
	Step      float64 `json:"step_seconds" doc:"Of an inner step, the median of its newest rounds; 0 for unknown"`
	Last      int     `json:"straggler_rounds" doc:"Rounds to whose end it came last"`
	Cost      float64 `json:"cost_seconds" doc:"What others waited for it, together"`
	// Offset is nil where its clock, or that of worker 0, is not told.
	Offset       *float64 `json:"clock_offset_seconds,omitempty" doc:"By how much its clock is ahead of worker 0's; absent where it is not told"`
	OffsetError  float64  `json:"clock_offset_error_seconds,omitempty" doc:"Standard error of one round"`
	OffsetRounds int      `json:"clock_offset_rounds,omitempty" doc:"Rounds that say so"`
}

// Computing is the share of its time that it computed, of that in which it was there.
func (w Totals) Computing() float64 {
	return w.Compute / math.Max(w.Compute+w.Wait+w.AllReduce+w.Recovery+w.Alone, 1e-9)
}

// RoundRow is one round.
type RoundRow struct {
	Number    int        `json:"number" doc:"From 1, over all attempts"`
	Attempt   int        `json:"attempt"`
	Step      int64      `json:"step" doc:"Its last inner step"`
	Steps     int64      `json:"steps" doc:"Inner steps since the round before: more than inner_steps where reports are missing"`
	Start     time.Time  `json:"start"`
	End       time.Time  `json:"end"`
	Seconds   float64    `json:"seconds"`
	Workers   int        `json:"workers"`
	Straggler int        `json:"straggler" doc:"Rank of the worker that came last; -1 where fewer than two synced"`
	Margin    float64    `json:"margin_seconds" doc:"By how much it came after the last but one"`
	Cost      float64    `json:"cost_seconds" doc:"What the others waited for it, together"`
	AllReduce float64    `json:"all_reduce_seconds" doc:"The all-reduce alone"`
	Slowest   float64    `json:"sync_seconds" doc:"The longest sync of a worker, its waiting included"`
	Retries   int        `json:"retries"`
	Alone     int        `json:"alone" doc:"Workers whose all-reduce failed for good"`
	Bytes     int64      `json:"sync_bytes" doc:"What each worker sent, and received; 0 for unknown"`
	Bandwidth float64    `json:"bandwidth_bits_per_second" doc:"What the all-reduce reached: 8 x sync_bytes / all_reduce_seconds; 0 for unknown"`
	Syncs     []*float64 `json:"syncs,omitempty" doc:"With syncs=true: seconds of each worker's sync, in the order of workers; null where it had none"`
}

// RoundPlan is what a run's configuration promises, beside what happened.
type RoundPlan struct {
	SyncBytes       int64          `json:"sync_bytes" doc:"What each worker sends, and receives, at each outer step"`
	Bandwidth       float64        `json:"bandwidth_bits_per_second,omitempty" doc:"The slowest that was measured between the run's nodes; absent where none is known"`
	BandwidthOf     string         `json:"bandwidth_of,omitempty" doc:"Which link that is, and when it was measured"`
	SyncSeconds     float64        `json:"planned_sync_seconds,omitempty" doc:"How long that takes at this bandwidth"`
	ComputeSeconds  float64        `json:"planned_compute_seconds,omitempty" doc:"How long the inner steps take at 40 % MFU; absent where the GPU is not known"`
	ComputeShare    float64        `json:"planned_compute_share,omitempty" doc:"Share of the time that is not the sync; absent where either is not known"`
	Rounds          int            `json:"rounds" doc:"The newest, whose medians follow"`
	AllReduce       float64        `json:"all_reduce_seconds" doc:"What the all-reduce took"`
	Compute         float64        `json:"compute_seconds" doc:"What the inner steps took the straggler"`
	Wait            float64        `json:"wait_seconds" doc:"What a worker waited for it"`
	Share           float64        `json:"compute_share" doc:"Share of the time that is neither waiting nor the all-reduce"`
	ActualBandwidth float64        `json:"effective_bandwidth_bits_per_second,omitempty" doc:"What the all-reduces reached"`
	Options         []FasterOption `json:"options" nullable:"false" doc:"Settings with which the same rounds would have trained more tokens a second, the best first"`
}

// FasterOption is another setting, worked out from what happened.
type FasterOption struct {
	Setting    string  `json:"setting" enum:"inner_steps,compression,workers"`
	Value      string  `json:"value"`
	Gain       float64 `json:"gain" doc:"Tokens a second, as a multiple of what they were"`
	Arithmetic string  `json:"arithmetic"`
	Caveat     string  `json:"caveat"`
}

// Time is a time of rounds.
func Time(unix float64) time.Time { return time.UnixMilli(int64(math.Round(unix * 1000))).UTC() }

// Page says which rounds of a report to list: so many before a number, 0 for the newest.
type Page struct {
	Before, Limit int
	Syncs         bool // with each worker's
}

// Report sums up, with a page of rounds. volume is what each worker sends in a round with so many of them, 0 for unknown.
func (m *Mesh) Report(page Page, volume func(members int) int64) Report {
	first, last := m.Span()
	r := Report{InnerSteps: m.InnerSteps, Total: len(m.Rounds), Receipt: m.Receipt, Workers: []Totals{}, Rounds: []RoundRow{}}
	if len(m.Rounds) > 0 {
		r.Start, r.End = Time(first), Time(last)
	}
	there := 0.0
	for state := Computing; state < states; state++ {
		there += m.Seconds[state]
	}
	if there > 0 {
		of := func(s State) float64 { return m.Seconds[s] / there }
		r.Shares = TimeShares{of(Computing), of(Waiting), of(Syncing), of(Recovering), of(Alone)}
	}
	for _, l := range m.Lanes {
		r.Cost += l.Cost
		r.Workers = append(r.Workers, l.report())
	}
	if page.Before <= 0 || page.Before > len(m.Rounds) {
		page.Before = len(m.Rounds) + 1
	}
	for i := page.Before - 2; i >= 0 && len(r.Rounds) < page.Limit; i-- {
		r.Rounds = append(r.Rounds, m.row(i, volume, page.Syncs))
		if r.Next = i + 1; i == 0 {
			r.Next = 0
		}
	}
	return r
}

func (l Lane) report() Totals {
	w := Totals{
		Rank: l.Rank, Node: l.Node, Rounds: l.Rounds, Tokens: l.Tokens, Compute: l.Seconds[Computing], Wait: l.Seconds[Waiting], AllReduce: l.Seconds[Syncing],
		Recovery: l.Seconds[Recovering], Alone: l.Seconds[Alone], Absent: l.Seconds[Absent], Step: l.StepTime, Last: l.Last, Cost: l.Cost,
	}
	if l.Offset.Known {
		w.Offset, w.OffsetError, w.OffsetRounds = new(l.Offset.Seconds), l.Offset.Spread, l.Offset.Rounds
	}
	return w
}

// row is a round of the report.
func (m *Mesh) row(i int, volume func(members int) int64, syncs bool) RoundRow {
	r := m.Rounds[i]
	row := RoundRow{
		Number: i + 1, Attempt: r.Attempt, Step: r.Step, Steps: r.Steps, Start: Time(r.Start), End: Time(r.End), Seconds: r.Seconds(), Workers: r.Members,
		Straggler: r.Straggler, Margin: r.Margin, Cost: r.Cost, AllReduce: r.Reduce, Slowest: r.Slowest, Retries: r.Retries, Alone: r.Alone,
	}
	if n := r.Members - r.Alone; n > 1 {
		row.Bytes = volume(n)
		row.Bandwidth = Bandwidth(row.Bytes, r.Reduce)
	}
	if syncs {
		for _, c := range r.cells {
			var v *float64
			if c.Member && !c.Failed {
				v = new(float64(c.Sync))
			}
			row.Syncs = append(row.Syncs, v)
		}
	}
	return row
}

// Bandwidth is how many bits a second so many bytes in so many seconds are, 0 for unknown.
func Bandwidth(bytes int64, seconds float64) float64 {
	if bytes <= 0 || seconds <= 0 {
		return 0
	}
	return 8 * float64(bytes) / seconds
}
