package sched

import (
	"testing"

	"github.com/hashicorp/nomad/api"
	"pgregory.net/rapid"
)

func TestConstraintOperatorsAnswerAsNomadDocumentsThem(t *testing.T) {
	t.Parallel()
	n := &api.Node{
		ID: "id", Name: "name", Datacenter: "dc1", NodePool: "default",
		Attributes: map[string]string{
			"arch": "amd64", "cores": "12", "load": "0.5", "version": "1.10.2", "pre": "1.10.2-beta1", "empty": "",
		},
		Meta: map[string]string{"rack": "r1"},
	}
	for _, c := range []struct {
		l, op, r string
		want     bool
	}{
		{"${attr.arch}", "=", "amd64", true}, {"${attr.arch}", "==", "arm64", false}, {"${attr.arch}", "is", "amd64", true},
		{"${attr.arch}", "!=", "arm64", true}, {"${attr.arch}", "not", "amd64", false}, {"${attr.none}", "!=", "x", true},
		{"${attr.none}", "=", "x", false}, {"${attr.empty}", "is_set", "", true}, {"${attr.none}", "is_set", "", false},
		{"${attr.none}", "is_not_set", "", true}, {"${attr.arch}", "is_not_set", "", false},
		{"${attr.cores}", ">", "9", true}, {"${attr.cores}", "<", "9", false}, {"${attr.cores}", ">=", "12", true},
		{"${attr.load}", "<", "0.75", true}, {"${attr.load}", "<=", "0.5", true}, {"${attr.arch}", "<", "arm64", true},
		{"${attr.cores}", ">", "abc", false}, {"${attr.arch}", "<", "3", false},
		{"${attr.version}", "version", ">= 1.9, < 2", true}, {"${attr.version}", "version", "~> 1.10.0", true},
		{"${attr.version}", "version", "> 1.10.2", false}, {"${attr.pre}", "version", ">= 1.10", false},
		{"${attr.arch}", "version", ">= 1", false},
		{"${attr.arch}", "regexp", "^amd", true}, {"${attr.arch}", "regexp", "^x86", false}, {"${attr.arch}", "regexp", "(", false},
		{"${meta.rack}", "=", "r1", true}, {"${node.datacenter}", "=", "dc1", true}, {"${node.unique.name}", "=", "name", true},
		{"${node.unique.id}", "=", "id", true}, {"${node.pool}", "=", "default", true}, {"${zap}", "=", "x", false},
		{"", "distinct_hosts", "true", true}, {"a", "zap", "a", false}, {"${attr.none}", "not", "", true},
	} {
		if got := meets(c.l, c.op, c.r, func(target string) (string, bool) { return resolveNode(target, n) }); got != c.want {
			t.Errorf("%s %s %s = %v, want %v", c.l, c.op, c.r, got, c.want)
		}
	}
}

func TestQuantitiesCompareAcrossUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, op, b string
		want     bool
	}{
		{"24 GiB", ">=", "24576 MiB", true}, {"24 GiB", ">", "24 GB", true}, {"24GiB", "=", "24 GiB", true},
		{"1.5 GiB", "=", "1536 MiB", true}, {"10 MB", "<", "1 GB/s", false},
		{"24 GiB", "=", "24", false}, {"24", ">", "9", true}, {"24 GiB", ">", "9", false}, {"true", "=", "true", true},
		{"true", "!=", "false", true}, {"sm_90", "=", "sm_90", true}, {"sm_90", "regexp", "^sm_9", true}, {"1.0", "=", "1", false},
		{"535.1", "version", ">= 500", true}, {"12", "version", ">= 10", true}, {"1 TiB", ">", "1 TB", true},
		{"3 zB", ">", "1 B", false},
	} {
		literal := func(text string) (string, bool) { return text, true }
		if got := meets(c.a, c.op, c.b, literal); got != c.want {
			t.Errorf("%s %s %s = %v, want %v", c.a, c.op, c.b, got, c.want)
		}
	}
}

func TestOrderIsAntisymmetric(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`-?[0-9]{1,6}(\.[0-9]{1,3})? ?(GiB|MiB|GB|W|MHz|MB/s)?`), rapid.String())
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		if inOrder("<", a, b) != inOrder(">", b, a) || inOrder("<=", a, b) != inOrder(">=", b, a) {
			t.Fatalf("%q and %q have another order the other way round", a, b)
		}
	})
}

func TestDeviceRequestsMatchByTypeVendorAndModel(t *testing.T) {
	t.Parallel()
	d := &api.NodeDeviceResource{
		Vendor: "nvidia", Type: "gpu", Name: "A100/80", Attributes: map[string]*api.Attribute{"memory": {IntVal: new(int64(81920)), Unit: "MiB"}},
		Instances: []*api.NodeDevice{{ID: "a", Healthy: true}, {ID: "b", Healthy: true}, {ID: "c"}},
	}
	n := &api.Node{NodeResources: &api.NodeResources{Devices: []*api.NodeDeviceResource{d}}}
	for name, want := range map[string]bool{
		"gpu": true, "nvidia/gpu": true, "nvidia/gpu/A100/80": true, "amd/gpu": false, "fpga": false, "nvidia/gpu/H100": false,
	} {
		if got := deviceMatches(&api.RequestedDevice{Name: name}, d); got != want {
			t.Errorf("%q matches: %v", name, got)
		}
	}
	req := func(count uint64, min string) *api.RequestedDevice {
		return &api.RequestedDevice{Name: "gpu", Count: &count, Constraints: []*api.Constraint{{LTarget: "${device.attr.memory}", Operand: ">=", RTarget: min}}}
	}
	if !hasDevices(n, []*api.RequestedDevice{req(2, "70 GiB")}) {
		t.Error("two healthy devices are not enough for two")
	}
	if hasDevices(n, []*api.RequestedDevice{req(3, "70 GiB")}) {
		t.Error("a device that is not healthy counts")
	}
	if hasDevices(n, []*api.RequestedDevice{req(1, "90 GiB")}) {
		t.Error("80 GiB is at least 90 GiB")
	}
	use := newDeviceUse(n, nil)
	offer, why := use.offer(req(1, "70 GiB"))
	if offer == nil || len(offer.DeviceIDs) != 1 {
		t.Fatalf("offer is %+v, %s", offer, why)
	}
	use.take(offer)
	if second, why := use.offer(req(2, "70 GiB")); second != nil || why != "no devices match request" {
		t.Errorf("offered %+v, %q although one is taken", second, why)
	}
}
