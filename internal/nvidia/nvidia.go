package nvidia

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cotrain/cotrain/internal/fault"
)

// Timeout bounds nvidia-smi: it hangs when the driver is broken, and takes seconds to load one that is not.
const Timeout = 10 * time.Second

// maxOutput bounds what is read of nvidia-smi's answer, in bytes: a GPU takes a few hundred.
const maxOutput = 1 << 20

// ErrNone says that the machine has no NVIDIA GPUs: there is no nvidia-smi, or it finds no devices.
var ErrNone = errors.New("no NVIDIA GPUs")

// Tool asks nvidia-smi.
type Tool struct {
	// Timeout bounds one question ([Timeout]).
	Timeout time.Duration
	// Visible leaves all but these GPUs to others, as in CUDA_VISIBLE_DEVICES: indexes or IDs; "" is all.
	Visible string
}

// GPU is one device that a task can be given: a GPU, or a MIG slice of one.
type GPU struct {
	ID        string // what CUDA_VISIBLE_DEVICES takes
	Model     string
	BusID     string
	Driver    string
	MemoryMiB int // 0 when the driver does not say
}

// Detect returns the machine's GPUs in the driver's order: one at least, or [ErrNone], or an error that says what is wrong with
// them.
func (t Tool) Detect(ctx context.Context) ([]GPU, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	rows, err := t.Query(ctx, "uuid", "name", "pci.bus_id", "driver_version", "memory.total", "mig.mode.current")
	if err != nil {
		return nil, err
	}
	var gpus []GPU
	var slices map[string][]GPU
	for i, row := range rows {
		if !strings.HasPrefix(row[0], "GPU-") || !t.visible(i, row[0]) { // [GPU is lost], for one
			continue
		}
		g := GPU{ID: row[0], Model: row[1], BusID: row[2], Driver: row[3]}
		g.MemoryMiB, _ = strconv.Atoi(row[4]) // [N/A] where memory is shared with the CPU
		if row[5] != "Enabled" {
			gpus = append(gpus, g)
			continue
		}
		if slices == nil {
			if slices, err = t.migSlices(ctx); err != nil {
				return nil, err
			}
		}
		for _, s := range slices[g.ID] { // the whole GPU cannot be used meanwhile
			s.Model, s.BusID, s.Driver = g.Model+" "+s.Model, g.BusID, g.Driver
			gpus = append(gpus, s)
		}
	}
	if len(gpus) == 0 {
		return nil, fmt.Errorf("nvidia-smi lists no GPU that can be used (CUDA_VISIBLE_DEVICES is %q): %q", t.Visible, fault.Quote(strings.Join(rows[0], ", ")))
	}
	return gpus, nil
}

func (t Tool) timeout() time.Duration { return cmp.Or(t.Timeout, Timeout) }

func (t Tool) visible(i int, id string) bool {
	if t.Visible == "" {
		return true
	}
	for name := range strings.SplitSeq(t.Visible, ",") {
		if name = strings.TrimSpace(name); name == strconv.Itoa(i) || name != "" && strings.HasPrefix(id, name) {
			return true
		}
	}
	return false
}

var (
	gpuLine = regexp.MustCompile(`^GPU \d+: .*\(UUID: (GPU-[^)]+)\)`)
	migLine = regexp.MustCompile(`^\s+(MIG \S*?(\d+)gb\S*)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)`)
)

// migSlices lists the MIG devices by the UUID of their GPU.
func (t Tool) migSlices(ctx context.Context) (map[string][]GPU, error) {
	out, err := t.run(ctx, "-L")
	if err != nil {
		return nil, err
	}
	slices := map[string][]GPU{}
	parent := ""
	for line := range strings.Lines(out) {
		if m := gpuLine.FindStringSubmatch(line); m != nil {
			parent = m[1]
		} else if m := migLine.FindStringSubmatch(line); m != nil {
			gb, _ := strconv.Atoi(m[2]) // digits
			slices[parent] = append(slices[parent], GPU{ID: m[3], Model: m[1], MemoryMiB: gb * 1024})
		}
	}
	return slices, nil
}

// Query returns fields of every GPU, as nvidia-smi names them: one row at least, or an error.
func (t Tool) Query(ctx context.Context, fields ...string) ([][]string, error) {
	out, err := t.run(ctx, "--query-gpu="+strings.Join(fields, ","), "--format=csv,noheader,nounits")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for line := range strings.Lines(out) {
		row := strings.Split(strings.TrimSpace(line), ", ")
		if len(row) != len(fields) {
			return nil, fmt.Errorf("nvidia-smi says %q, which is not %d fields", fault.Quote(strings.TrimSpace(line)), len(fields))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, errors.New("nvidia-smi says nothing")
	}
	return rows, nil
}

// run returns what nvidia-smi writes to stdout. An error has what it said, wherever it said it.
func (t Tool) run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	cmd := exec.CommandContext(ctx, "nvidia-smi", args...)
	cmd.WaitDelay = time.Second // a child of it may keep the pipe open
	var stdout, stderr output
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	said := strings.Join(strings.Fields(string(stderr)+" "+string(stdout)), " ")
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound), strings.Contains(said, "No devices were found"), errors.As(err, &exit) && exit.ExitCode() == exitNone:
		return "", ErrNone
	case err == nil:
		return string(stdout), nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("did not answer within %v", t.timeout())
	}
	return "", fmt.Errorf("nvidia-smi: %w: %q", err, fault.Quote(said))
}

// exitNone is nvidia-smi's exit code when a query finds no devices.
const exitNone = 6

// output keeps what is written to it, and refuses more than maxOutput.
type output []byte

func (o *output) Write(p []byte) (int, error) {
	if len(*o)+len(p) > maxOutput {
		return 0, fmt.Errorf("more than %d bytes", maxOutput)
	}
	*o = append(*o, p...)
	return len(p), nil
}
