package cli

import (
	"runtime"
	"runtime/debug"
)

type versionCmd struct {
	Local `embed:""`
}

// buildInfo is what the binary knows about itself.
type buildInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, "+changes" when it was not committed
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuildInfo() buildInfo {
	b := buildInfo{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	changed := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			if s.Value == "true" {
				changed = "+changes"
			}
		}
	}
	if b.Revision != "" {
		b.Revision += changed
	}
	return b
}

// Run prints the version.
func (c *versionCmd) Run(p *process) error {
	b := readBuildInfo()
	if c.Format == "json" {
		return p.printJSON(b)
	}
	if b.Revision != "" {
		return p.print("cotrain %s (%s, %s, %s)\n", b.Version, b.Revision, b.Go, b.Platform)
	}
	return p.print("cotrain %s (%s, %s)\n", b.Version, b.Go, b.Platform)
}
