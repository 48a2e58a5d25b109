package reftrain

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// The exit codes of [Main].
const (
	exitFinished = 0
	exitFailed   = 1
	exitUsage    = 2
	exitStopped  = 143 // 128 + SIGTERM, as a shell reports it
)

const usage = `usage: cotrain trainer [--fault LIST] @config.toml [--section.field value ...]

Trains a small language model on the CPU as CotrainCore's configuration says.
GLOBAL_ADDR, GLOBAL_PORT, GLOBAL_RANK, GLOBAL_WORLD_SIZE and GLOBAL_UNIQUE_ID connect workers.

COTRAIN_TRAINER_PACE is the least time of a step, such as 200ms. COTRAIN_DUMP_SIGNAL is the signal on which it prints its stacks and
goes on: SIGQUIT, SIGUSR1 or SIGUSR2.
--fault breaks it for tests: a list of faults, separated by commas, each with @STEP and, to strike one worker only, :RANK. So do the
variables COTRAIN_TRAINER_FAULT, for all runs of a console, and TRAINER_FAULT, which a run may set in its own environment.
  exit<code>@N, cuda-oom@N, disk-full@N, nccl-timeout@N, no-dataset@N    ends so
  kill@N           is killed by a signal
  eat@N            takes memory until the kernel kills it, 4 GiB at most
  hang@N           goes no further; heartbeats go on
  slow=X@N         takes X times as long for each step from N on
  clock=S@N        its clock is S seconds ahead from step N on, or behind with a minus
  alone@N          its all-reduces fail from step N on, and it trains on by itself
  nan@N            its loss is NaN from step N on
  spike@N          its loss rises by 0.5 with every step from N on
  flat@N           its loss stays as it is at step N
  garbage@N, longline@N, flood=LINES@N, binary@N    prints so
  silent           prints nothing
For example: --fault slow=5@40:1,hang@80:2
`

// Main runs one worker of the reference trainer until training is finished, and returns the exit code: 0 when it is
// finished, 1 when it failed, 2 for a configuration or an environment that is not valid, 143 when ctx was cancelled
// (SIGTERM), after a checkpoint at the present step if ckpt.path is set. On the signal that COTRAIN_DUMP_SIGNAL names it prints its stacks
// on stderr and goes on. args are the arguments after "trainer"; env
// returns the value of an environment variable, "" where there is none.
func Main(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) int {
	var names []string
	for _, kv := range os.Environ() { // only the names: a function cannot be asked what it knows
		name, _, _ := strings.Cut(kv, "=")
		names = append(names, name)
	}
	defer dumpOn(env("COTRAIN_DUMP_SIGNAL"), stderr)()
	return process{args: args, env: env, envNames: names, stdout: stdout, stderr: stderr, timing: defaultTiming()}.run(ctx)
}

// process is what surrounds a worker.
type process struct {
	args           []string
	env            func(string) string
	envNames       []string // names of the variables that exist
	stdout, stderr io.Writer
	timing         timing
	fault          string       // the list that --fault gives
	listener       net.Listener // worker 0 listens here instead of at GLOBAL_ADDR:GLOBAL_PORT, if not nil
}

// world says which worker of how many this is.
type world struct {
	rank, size int
	addr       string // host:port of worker 0, "" for none
	id         string
}

func (p process) run(ctx context.Context) int {
	if len(p.args) == 1 && (p.args[0] == "-h" || p.args[0] == "--help") {
		_, _ = io.WriteString(p.stdout, usage) // nobody is left to tell
		return exitFinished
	}
	if len(p.args) > 1 && p.args[0] == "--fault" {
		p.fault, p.args = p.args[1], p.args[2:]
	} else if len(p.args) > 0 && strings.HasPrefix(p.args[0], "--fault=") {
		p.fault, p.args = strings.TrimPrefix(p.args[0], "--fault="), p.args[1:]
	}
	t, err := p.setUp()
	if errors.Is(err, errNoData) { // the core finds out once it has begun
		return t.fail(err)
	}
	if err != nil {
		_, _ = fmt.Fprintf(p.stderr, "cotrain trainer: %s\n", err)
		return exitUsage
	}
	t.announce()
	if err := p.connect(ctx, t); err != nil && ctx.Err() != nil {
		return t.stopped()
	} else if err != nil {
		return t.fail(err)
	}
	err = t.run(ctx)
	var injected faultExit
	switch {
	case err == nil:
		t.log.info("Training finished, exiting ...")
		return exitFinished
	case errors.As(err, &injected):
		t.fail(err)
		return injected.code
	case ctx.Err() != nil:
		return t.stopped()
	case errors.Is(err, errStopping):
		return t.leaderStopped(ctx, err)
	}
	return t.fail(err)
}

// setUp reads configuration, environment and data. Its errors are the user's to fix; with errNoData the trainer can tell it.
func (p process) setUp() (*trainer, error) {
	cfg, err := loadConfig(p.args, p.env, p.envNames)
	if err != nil {
		return nil, err
	}
	w, err := readWorld(p.env)
	if err != nil {
		return nil, err
	}
	asked, by := p.fault, "--fault"
	for _, name := range []string{"COTRAIN_TRAINER_FAULT", "TRAINER_FAULT"} {
		if asked == "" {
			asked, by = p.env(name), name
		}
	}
	faults, err := parseFaults(faultsOf(asked, p.env("NOMAD_META_attempt")))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", by, err)
	}
	pace := time.Duration(0)
	if s := p.env("COTRAIN_TRAINER_PACE"); s != "" {
		if pace, err = time.ParseDuration(s); err != nil || pace < 0 || pace > time.Hour {
			return nil, fmt.Errorf("COTRAIN_TRAINER_PACE = %q: must be a duration such as 200ms, at most 1h", cut(s))
		}
	}
	gpus := 0
	if s := p.env("COTRAIN_GPUS"); s != "" {
		if gpus, err = strconv.Atoi(s); err != nil || gpus < 0 || gpus > maxProcesses {
			return nil, fmt.Errorf("COTRAIN_GPUS = %q: must be a whole number from 0 to %d", cut(s), maxProcesses)
		}
	}
	log := &logger{
		stdout: p.stdout, stderr: p.stderr, now: time.Now, least: parseLevel(cfg.LogLevel), silent: isSilent(faults, w.rank),
	}
	t, err := newTrainer(cfg, w, log)
	if err != nil {
		return &trainer{log: log}, err
	}
	t.pace, t.faults, t.processes = pace, faults, max(1, gpus)
	log.now = t.clock
	return t, nil
}

// connect makes the worker's side of the mesh.
func (p process) connect(ctx context.Context, t *trainer) error {
	fingerprint, err := t.fingerprint()
	if err != nil {
		return err
	}
	o := meshOptions{
		addr: t.world.addr, listener: p.listener, rank: t.world.rank, world: t.world.size, id: t.world.id, fingerprint: fingerprint,
		params: t.model.count(), elastic: t.cfg.DiLoCo != nil, timing: p.timing, log: t.log,
	}
	if s := t.cfg.Ckpt.LiveRecoveryRankSrc; s != nil {
		o.source = *s
	}
	if t.world.rank > 0 {
		t.mesh = newSpoke(o)
		return nil
	}
	if t.world.size == 1 && !o.elastic {
		o.addr = "" // nobody can join
	}
	h, err := newHub(ctx, o)
	if err != nil {
		return err
	}
	t.mesh = h
	return nil
}

// maxWorld bounds the world; a hub holds one connection for each worker.
const maxWorld = maxPeers

func readWorld(env func(string) string) (world, error) {
	w := world{size: 1, id: env("GLOBAL_UNIQUE_ID")}
	number := func(name string, into *int, least, most int) error {
		s := env(name)
		if s == "" {
			return nil
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%s = %q: must be a whole number from %d to %d", name, cut(s), least, most)
		}
		*into = n
		return nil
	}
	port := 0
	err := errors.Join(number("GLOBAL_RANK", &w.rank, 0, maxCount), number("GLOBAL_WORLD_SIZE", &w.size, 1, maxWorld),
		number("GLOBAL_PORT", &port, 1, 65535))
	if err != nil {
		return w, err
	}
	host := env("GLOBAL_ADDR")
	switch {
	case (host == "") != (port == 0):
		return w, errors.New("GLOBAL_ADDR and GLOBAL_PORT must be both set or both absent")
	case host != "":
		w.addr = net.JoinHostPort(host, strconv.Itoa(port))
	case w.size > 1 || w.rank > 0:
		return w, errors.New("GLOBAL_ADDR and GLOBAL_PORT of worker 0 are required with more than one worker")
	}
	if w.id == "" {
		w.id = fmt.Sprintf("worker-%d-%s", w.rank, rand.Text()[:8])
	}
	if !validID(w.id) {
		return w, fmt.Errorf("GLOBAL_UNIQUE_ID = %q: must be 1 to 128 printable characters without spaces and quotes", cut(w.id))
	}
	return w, nil
}

// fail prints a fatal error as CotrainCore does.
func (t *trainer) fail(err error) int {
	t.log.info("Caught an exception, terminating children")
	t.log.info("%s", err)
	return exitFailed
}

// stopped saves what there is after a SIGTERM.
func (t *trainer) stopped() int {
	t.log.info("Stopping at step %d: asked to stop", t.s.Step)
	t.log.machine("event", field{"name", "stopping"}, field{"step", t.s.Step})
	if err := t.saveAlone(); err != nil {
		return t.fail(err)
	}
	return exitStopped
}

// saveAlone saves this worker's part without waiting for others. A worker that has taken no step has nothing to keep.
func (t *trainer) saveAlone() error {
	if !t.saves() || t.s.Step == 0 {
		return nil
	}
	return t.write()
}

// leaderStopped handles worker 0 leaving because it was asked to. As a rule every worker is asked within moments; one
// that is not has failed, but keeps its place.
func (t *trainer) leaderStopped(ctx context.Context, cause error) int {
	const grace = 2 * time.Second
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return t.stopped()
	case <-timer.C:
	}
	if err := t.saveAlone(); err != nil {
		cause = errors.Join(cause, err)
	}
	return t.fail(cause)
}
