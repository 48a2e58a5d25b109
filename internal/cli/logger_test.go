package cli

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cotrain/cotrain/internal/config"
)

func TestLogLinesNameNomadAndHaveDurationsWithAUnit(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("list jobs: %w", errors.New(`Get "http://nomad.invalid/v1/jobs": refused`))
	for _, tt := range []struct{ nomad, want string }{
		{"https://10.0.0.1:4646", `https://10.0.0.1:4646/v1/jobs`},
		{"https://10.0.0.1:4646,https://10.0.0.2:4646", `Nomad at https://10.0.0.1:4646,https://10.0.0.2:4646/v1/jobs`},
		{"consul://nomad", `\"Nomad/v1/jobs`},
		{"", `\"Nomad/v1/jobs`},
	} {
		for _, format := range []config.LogFormat{config.LogJSON, config.LogText} {
			var out bytes.Buffer
			p := &process{stderr: &out}
			p.logger(format, slog.LevelInfo, tt.nomad).With("server", "http://embedded.invalid").Warn("not reachable", "err", err, "again", 1500*time.Millisecond)
			for _, want := range []string{tt.want, "embedded agent", "1.5s", "refused"} {
				if got := out.String(); !strings.Contains(got, want) || strings.Contains(got, ".invalid") {
					t.Errorf("with %q as %s: %s, want %s", tt.nomad, format, got, want)
				}
			}
		}
	}
}
