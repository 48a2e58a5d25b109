package points_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/cotrain/cotrain/internal/store/pgtest"
	"github.com/cotrain/cotrain/internal/store/storetest"
)

// killedDir and killedURL are the environment variables by which the test below makes its own program a console to be
// killed.
const (
	killedDir = "COTRAIN_TEST_KILLED_DIR"
	killedURL = "COTRAIN_TEST_KILLED_URL"
)

// TestAKillWhileSealingLosesAndDoublesNothing is not parallel: a process that it is about to start has for a moment the
// locks of the data folders that other tests have open.
func TestAKillWhileSealingLosesAndDoublesNothing(t *testing.T) {
	if dir := os.Getenv(killedDir); dir != "" {
		t.Fatal(trainForever(t.Context(), place{dir, os.Getenv(killedURL)}))
	}
	t.Run("SQLite", func(t *testing.T) { killWhileSealing(t, place{t.TempDir(), ""}) })
	t.Run("PostgreSQL", func(t *testing.T) { killWhileSealing(t, place{t.TempDir(), pgtest.URL(t)}) })
}

func killWhileSealing(t *testing.T, p place) {
	s, err := p.open(t.Context())
	must(t, err)
	must(t, createPointsRun(t.Context(), s))
	must(t, s.Close())
	chunks := 0
	for range 6 {
		acked := killOne(t, p)
		s, err := p.open(t.Context())
		must(t, err)
		for _, metric := range []string{"loss", "other"} {
			pts, err := storetest.AllPoints(t.Context(), s, pointsRun, metric)
			if err != nil || !whole(pts, acked) {
				t.Errorf("%d points of %s, %v; %d steps were stored", len(pts), metric, err, acked)
			}
		}
		rows, n, err := s.CountPoints(t.Context())
		must(t, err)
		if c, err := s.Cursor(t.Context(), "a0", "stdout"); err != nil || int64(rows)+16*int64(n) != 2*c.Offset { // each point once
			t.Errorf("%d rows and %d chunks of 16, %v; want %d points", rows, n, err, 2*c.Offset)
		}
		chunks = n
		must(t, s.Close())
	}
	if chunks == 0 {
		t.Error("nothing was ever sealed")
	}
}

// trainForever stores steps and seals them, and prints a line for each batch that is stored.
func trainForever(ctx context.Context, p place) error {
	s, err := p.open(ctx)
	if err != nil {
		return err
	}
	s.SetPointsPerChunk(20)
	c, err := s.Cursor(ctx, "a0", "stdout")
	if err != nil {
		return err
	}
	go func() { // until the process is killed
		for {
			if _, err := s.SealPoints(ctx); err != nil {
				fmt.Println("seal:", err)
				return
			}
		}
	}()
	for step := c.Offset; ; step += 10 {
		if err := train(ctx, s, 0, step, step+10); err != nil {
			return err
		}
		fmt.Println("stored", step+10)
	}
}

// killOne runs trainForever in a process of its own, kills it after some batches and returns the last step that was
// stored for certain.
func killOne(t *testing.T, p place) (acked int) {
	t.Helper()
	test, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), killedDir+"="+p.dir, killedURL+"="+p.url)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	for range 25 {
		if _, err := fmt.Fscanf(out, "stored %d\n", &acked); err != nil {
			t.Error(err)
			break
		}
	}
	must(t, cmd.Process.Kill())
	rest, err := io.ReadAll(out)
	must(t, err)
	if i := strings.LastIndex(string(rest), "stored "); i >= 0 && strings.HasSuffix(string(rest), "\n") {
		if _, err := fmt.Sscanf(string(rest[i:]), "stored %d", &acked); err != nil {
			t.Error(err)
		}
	}
	_ = cmd.Wait() // it was killed
	return acked
}
