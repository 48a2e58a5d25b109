package nvidia_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cotrain/cotrain/internal/nvidia"
	"github.com/cotrain/cotrain/internal/nvidia/nvidiatest"
)

func TestGPUsAreWhatNvidiaSmiSays(t *testing.T) {
	a100 := func(id, bus string) nvidia.GPU {
		return nvidia.GPU{ID: id, Model: "NVIDIA A100-SXM4-80GB", BusID: bus, Driver: "535.129.03", MemoryMiB: 81920}
	}
	slice := func(id, profile string, mib int) nvidia.GPU {
		return nvidia.GPU{ID: id, Model: "NVIDIA A100-SXM4-40GB MIG " + profile, BusID: "00000000:07:00.0", Driver: "535.1", MemoryMiB: mib}
	}
	for _, c := range []struct {
		name, script, visible string
		want                  []nvidia.GPU
		err                   string
	}{
		{name: "no nvidia-smi", err: "no NVIDIA GPUs"},
		{name: "two GPUs", script: nvidiatest.Two, want: []nvidia.GPU{a100("GPU-aaaa", "00000000:07:00.0"), a100("GPU-bbbb", "00000000:0F:00.0")}},
		{name: "only one of them is ours", script: nvidiatest.Two, visible: "1", want: []nvidia.GPU{a100("GPU-bbbb", "00000000:0F:00.0")}},
		{name: "by its ID", script: nvidiatest.Two, visible: "GPU-aa", want: []nvidia.GPU{a100("GPU-aaaa", "00000000:07:00.0")}},
		{
			name: "memory that is shared with the CPU", script: `echo "GPU-1, NVIDIA GB10, 0000000F:01:00.0, 580.95.05, [N/A], [N/A]"`,
			want: []nvidia.GPU{{ID: "GPU-1", Model: "NVIDIA GB10", BusID: "0000000F:01:00.0", Driver: "580.95.05"}},
		},
		{name: "a lost GPU", script: `echo "[GPU is lost], NVIDIA A100, 00000000:07:00.0, 535.1, [GPU is lost], [GPU is lost]"`, err: "no GPU that can be used"},
		{name: "all of them are others'", script: nvidiatest.Two, visible: "-1", err: `CUDA_VISIBLE_DEVICES is "-1"`},
		{
			name: "MIG", script: `case $1 in
-L)	echo "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-1)"
	echo "  MIG 3g.20gb     Device  0: (UUID: MIG-x)"
	echo "  MIG 1g.5gb      Device  1: (UUID: MIG-y)"
	echo "GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-2)" ;;
*)	echo "GPU-1, NVIDIA A100-SXM4-40GB, 00000000:07:00.0, 535.1, 40960, Enabled"
	echo "GPU-2, NVIDIA A100-SXM4-40GB, 00000000:0F:00.0, 535.1, 40960, Enabled" ;;
esac`, want: []nvidia.GPU{slice("MIG-x", "3g.20gb", 20480), slice("MIG-y", "1g.5gb", 5120)},
		},
		{name: "none", script: `echo "No devices were found"`, err: "no NVIDIA GPUs"},
		{name: "none, by its code", script: "exit 6", err: "no NVIDIA GPUs"},
		{name: "no driver", script: `echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."; exit 9`, err: "exit status 9: \"NVIDIA-SMI has failed because it couldn't"},
		{name: "a complaint on stderr", script: `echo "Failed to initialize NVML" >&2; exit 18`, err: "exit status 18: \"Failed to initialize NVML\""},
		{name: "a long complaint", script: `printf "%09999d"; exit 9`, err: "000…\""},
		{name: "an answer without end", script: "exec yes", err: "nvidia-smi: "},
		{name: "nothing", script: "exit 0", err: "says nothing"},
		{name: "an answer of another shape", script: `echo "GPU-1, NVIDIA A100"`, err: "not 6 fields"},
		{name: "a hang", script: "exec sleep 60", err: "did not answer within 200ms"},
		{name: "a hang of a child", script: "sleep 60 & wait", err: "did not answer within 200ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			nvidiatest.Install(t, c.script)
			tool := nvidia.Tool{Visible: c.visible}
			if strings.Contains(c.name, "hang") {
				tool.Timeout = 200 * time.Millisecond
			}
			got, err := tool.Detect(t.Context())
			if (err != nil) != (c.err != "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("error is %v, want %q in it", err, c.err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestHealthTellsWhatIsWrong(t *testing.T) {
	const two = `
*temperature*)	echo "GPU-1, A100, 81920, 63"; echo "GPU-2, A100, 81920, [N/A]" ;;`
	for _, c := range []struct {
		name, cases string
		want        [][]string
	}{
		{"all is well", two + `
*ecc*)	echo 0; echo "[N/A]" ;;
*retired*)	echo No; echo No ;;
*event_reasons*)	echo 0x0000000000000005; echo 0x0000000000000000 ;;
*width*)	echo "16, 16"; echo "0, 16" ;;`, [][]string{nil, nil}},
		{"everything is wrong", two + `
*ecc*)	echo 3; echo 0 ;;
*retired*)	echo Yes; echo No ;;
*event_reasons*)	echo 0x0000000000000048; echo 0x00000000000000A0 ;;
*width*)	echo "16, 16"; echo "8, 16" ;;`, [][]string{
			{"ECC errors that were not corrected: 3 since the driver was loaded", "memory pages wait for a reset to be retired", "slowed down by its hardware, slowed down for its temperature, by its hardware"},
			{"slowed down for its temperature, by the driver, slowed down by the power supply", "its PCIe link uses 8 of 16 lanes"},
		}},
		{"an older driver", two + `
*throttle_reasons*)	echo 0x0000000000000008; echo 0x0000000000000000 ;;
*)	echo "Field is not a valid field to query." >&2; exit 2 ;;`, [][]string{{"slowed down by its hardware"}, nil}},
		{"a lost GPU", `
*temperature*)	echo "[GPU is lost], A100, [GPU is lost], [GPU is lost]"; echo "GPU-2, A100, 81920, 30" ;;
*)	exit 15 ;;`, [][]string{{"the driver says GPU is lost"}, nil}},
	} {
		t.Run(c.name, func(t *testing.T) {
			nvidiatest.Install(t, "case $1 in"+c.cases+"\nesac")
			got, err := nvidia.Tool{}.Health(t.Context())
			if err != nil || len(got) != 2 {
				t.Fatalf("%+v, %v", got, err)
			}
			if d := cmp.Diff(c.want, [][]string{got[0].Problems, got[1].Problems}); d != "" {
				t.Error(d)
			}
		})
	}
	nvidiatest.Install(t, "")
	if _, err := (nvidia.Tool{}).Health(t.Context()); !errors.Is(err, nvidia.ErrNone) {
		t.Errorf("without nvidia-smi: %v", err)
	}
}
