package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cotrain/cotrain/internal/measure"
	"github.com/cotrain/cotrain/internal/nvidia"
)

// Files of the task that the job file makes.
const (
	specFile  = "measure.json"
	peersFile = "peers"
)

// Main takes part in a measurement as the job jobs/cotrain-measure.nomad.hcl says, and returns the exit code. What it finds goes to
// stdout.
func Main(ctx context.Context, env func(string) string, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		_, _ = fmt.Fprintln(stderr, "cotrain measure:", err) // nobody is left to tell
		return 1
	}
	folder := env("NOMAD_TASK_DIR")
	if folder == "" || env("COTRAIN_NODE_ID") == "" || env("NOMAD_META_token") == "" {
		return fail(errors.New("this is what the job cotrain-measure runs on the nodes; use cotrain cluster measure"))
	}
	text, err := os.ReadFile(filepath.Join(folder, specFile))
	if err != nil {
		return fail(err)
	}
	var out sync.Mutex
	c := Config{
		Self: env("COTRAIN_NODE_ID"), Token: env("NOMAD_META_token"), Listen: env("NOMAD_ADDR_measure"),
		Peers: func() (map[string]string, error) { return readPeers(filepath.Join(folder, peersFile)) },
		Facts: func(ctx context.Context) measure.Facts {
			return facts(ctx, env("NOMAD_ALLOC_DIR"), env("COTRAIN_STORAGE"), nvidia.Tool{Visible: env("CUDA_VISIBLE_DEVICES")})
		},
		Print: func(l measure.Line) {
			l.Version = 1
			b, err := json.Marshal(l)
			if err != nil {
				return // of numbers that JSON has not
			}
			out.Lock()
			defer out.Unlock()
			_, _ = fmt.Fprintf(stdout, "%s%s\n", measure.Prefix, b) // a log that is gone
		},
	}
	if err := json.Unmarshal(text, &c.Spec); err != nil {
		return fail(fmt.Errorf("%s: %w", specFile, err))
	}
	if err := Run(ctx, c); err != nil {
		return fail(err)
	}
	return 0
}

// readPeers reads lines of a node's ID, its address and its port.
func readPeers(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	peers := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 {
			peers[f[0]] = net.JoinHostPort(strings.Trim(f[1], "[]"), f[2])
		}
	}
	return peers, nil
}
