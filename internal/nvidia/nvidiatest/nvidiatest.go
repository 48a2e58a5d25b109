// Package nvidiatest puts an nvidia-smi on the PATH that says what a test wants.
package nvidiatest

import (
	"os"
	"path/filepath"
	"testing"
)

// Two is the body of a script that answers as an nvidia-smi of two A100s does, one of which is busy.
const Two = `case $1 in
*mig.mode*)
	echo "GPU-aaaa, NVIDIA A100-SXM4-80GB, 00000000:07:00.0, 535.129.03, 81920, Disabled"
	echo "GPU-bbbb, NVIDIA A100-SXM4-80GB, 00000000:0F:00.0, 535.129.03, 81920, Disabled" ;;
*utilization*)
	echo "GPU-aaaa, 87, 40960, 81920, 312.45, 63"
	echo "GPU-bbbb, 0, 4, 81920, [N/A], 31" ;;
esac`

// Install makes a shell script of body the only nvidia-smi of this test, which must not be parallel. Without a body there is
// none.
func Install(t *testing.T, body string) {
	t.Helper()
	dir := t.TempDir()
	search := dir
	if body != "" {
		search += ":/usr/bin:/bin"
		if err := os.WriteFile(filepath.Join(dir, "nvidia-smi"), []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil { //nolint:gosec // a script
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", search)
	t.Setenv("CUDA_VISIBLE_DEVICES", "")
}
