package measure

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"strings"
	"time"
)

// MaxNodes is how many nodes one measurement takes: their list has to fit into the payload of a dispatch, 16 KiB.
const MaxNodes = 256

// State is how far a measurement is.
type State string

// The states.
const (
	Starting State = "starting" // asked for; Nomad may have the job already
	Running  State = "running"  // Nomad has the job
	Done     State = "done"     // ended, with what there is of it stored
	Failed   State = "failed"   // ended without any result
)

// Active reports whether the measurement goes on.
func (s State) Active() bool { return s == Starting || s == Running }

// Measurement is one time that nodes measure each other.
type Measurement struct {
	ID        string        `json:"id"`
	State     State         `json:"state" enum:"starting,running,done,failed"`
	Actor     string        `json:"actor" doc:"Who asked for it"`
	Nodes     []Participant `json:"nodes" nullable:"false" doc:"Nodes that take part"`
	StartedAt time.Time     `json:"started_at"`
	EndsBy    time.Time     `json:"ends_by" doc:"It is ended then at the latest"`
	EndedAt   time.Time     `json:"ended_at,omitzero"`
	StoppedBy string        `json:"stopped_by,omitempty" doc:"Who stopped it"`
	Problem   string        `json:"problem,omitempty" doc:"Why it is not whole"`
	JobID     string        `json:"job_id,omitempty" doc:"Nomad's job"`
	// Token is what nodes show each other; it is worth nothing after the measurement.
	Token string `json:"-"`
}

// Participant is a node that takes part.
type Participant struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Site string `json:"site" doc:"Its datacenter"`
	// GPUs are the device names of those that Nomad offers, one each.
	GPUs []string `json:"gpus,omitempty" doc:"Device names of its GPUs"`
	// Problem is why not all is known from it, "" while it is awaited or when it has reported all.
	Problem  string `json:"problem,omitempty" doc:"Why it reported nothing, or not all"`
	Reported bool   `json:"reported" doc:"Whether it has reported"`
}

// NewID returns the ID of a measurement; IDs sort by time.
func NewID(t time.Time) string {
	ms := t.UnixMilli()
	var b [10]byte
	for i := range 6 {
		b[i] = byte(ms >> (8 * (5 - i)))
	}
	_, _ = rand.Read(b[6:]) // never fails
	return "m-" + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}

// NewToken returns a secret for one measurement.
func NewToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Link is the newest that a node has measured of its way to another.
type Link struct {
	At    time.Time `json:"at" doc:"When it was last tried"`
	Error string    `json:"error,omitempty" doc:"Why the other node was not reached; nothing else is known then"`

	RoundTrip    time.Duration `json:"round_trip_ns,omitempty" doc:"Median of several small messages"`
	RoundTripMin time.Duration `json:"round_trip_min_ns,omitempty"`
	Jitter       time.Duration `json:"jitter_ns,omitempty" doc:"Mean difference between one message and the next"`
	// Offset is the other's clock less one's own, wrong by half of RoundTripMin at most.
	Offset time.Duration `json:"clock_offset_ns,omitempty" doc:"The other's clock less one's own"`
	// Closed are the ports of the other that were not reached, of those that a trainer uses; see [Ports].
	Closed []string `json:"closed_ports,omitempty" doc:"Kinds of ports that were not reached: next, ephemeral"`

	Bandwidth      float64   `json:"bandwidth_bits_per_second,omitempty" doc:"From this node to the other, by several streams"`
	BandwidthAt    time.Time `json:"bandwidth_at,omitzero"`
	BandwidthError string    `json:"bandwidth_error,omitempty" doc:"Why it was not measured this time"`
}

// Ports that a trainer uses beside the one that Nomad reserves for it, and that are tried.
const (
	NextPort      = "next"      // the one after it, where the next local rank listens
	EphemeralPort = "ephemeral" // any that the system picks, where the all-reduce listens
)

// Merge returns the newer link with what it does not say anew: the bandwidth, which is measured between fewer nodes than the round
// trip, as long as the other node is reached at all.
func (l Link) Merge(newer Link) Link {
	if newer.Error == "" && newer.Bandwidth == 0 && newer.BandwidthError == "" {
		newer.Bandwidth, newer.BandwidthAt = l.Bandwidth, l.BandwidthAt
	}
	return newer
}

// Facts are what a node measured of itself.
type Facts struct {
	At      time.Time `json:"at"`
	Disk    Disk      `json:"disk" doc:"Where allocations keep their files"`
	Storage *Disk     `json:"storage,omitempty" doc:"Shared storage, while all nodes measure it"`

	MemoryTotal     int64 `json:"memory_total_bytes"`
	MemoryAvailable int64 `json:"memory_available_bytes"`

	GPUs     []GPUHealth `json:"gpus,omitempty"`
	GPUError string      `json:"gpu_error,omitempty" doc:"Why the GPUs could not be asked"`
}

// Disk is how fast a folder is.
type Disk struct {
	Write float64 `json:"write_bytes_per_second,omitempty"`
	Read  float64 `json:"read_bytes_per_second,omitempty" doc:"Past the system's cache"`
	Free  int64   `json:"free_bytes"`
	Total int64   `json:"total_bytes"`
	Error string  `json:"error,omitempty"`
}

// GPUHealth is how well one is.
type GPUHealth struct {
	ID          string   `json:"id"`
	Model       string   `json:"model"`
	Memory      int64    `json:"memory_bytes,omitempty"`
	Temperature int      `json:"temperature_celsius,omitempty"`
	Problems    []string `json:"problems,omitempty" doc:"What is wrong with it"`
}

// Report is all that is known of a node.
type Report struct {
	Node  Participant     `json:"node"`
	Facts Facts           `json:"facts,omitzero"`
	Links map[string]Link `json:"links" nullable:"false" doc:"Its ways to other nodes, by their IDs"`
}
