package localnomad

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
			"arch": "amd64", "cores": "12", "load": "0.5", "version": "1.10.2", "pre": "1.10.2-beta1", "list": "a, b,c", "empty": "",
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
		{"${attr.cores}", ">", "abc", false}, // lexical: "12" < "abc"
		{"${attr.version}", "version", ">= 1.9, < 2", true}, {"${attr.version}", "version", "~> 1.10.0", true},
		{"${attr.version}", "version", "> 1.10.2", false}, {"${attr.pre}", "version", ">= 1.10", false},
		{"${attr.version}", "semver", ">= 1.9.0, < 2.0.0", true}, {"${attr.pre}", "semver", ">= 1.10.0", true},
		{"${attr.version}", "semver", "~> 1.10.0", false}, {"${attr.arch}", "version", ">= 1", false},
		{"${attr.arch}", "regexp", "^amd", true}, {"${attr.arch}", "regexp", "^x86", false}, {"${attr.arch}", "regexp", "(", false},
		{"${attr.list}", "set_contains", "a,b", true}, {"${attr.list}", "set_contains_all", "a,d", false},
		{"${attr.list}", "set_contains_any", "d,c", true}, {"${attr.list}", "set_contains_any", "d,e", false},
		{"${meta.rack}", "=", "r1", true}, {"${node.datacenter}", "=", "dc1", true}, {"${node.unique.name}", "=", "name", true},
		{"${node.unique.id}", "=", "id", true}, {"${node.pool}", "=", "default", true}, {"${zap}", "=", "x", false},
		{"", "distinct_hosts", "true", true}, {"a", "zap", "a", false},
	} {
		if got := meets(&api.Constraint{LTarget: c.l, Operand: c.op, RTarget: c.r}, n); got != c.want {
			t.Errorf("%s %s %s = %v, want %v", c.l, c.op, c.r, got, c.want)
		}
	}
}

func TestConstraintsWithOperatorsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []api.Constraint{
		{LTarget: "a", Operand: "", RTarget: "b"}, {LTarget: "a", Operand: "zap", RTarget: "b"},
		{LTarget: "a", Operand: "=", RTarget: ""}, {LTarget: "", Operand: "=", RTarget: "b"},
		{LTarget: "a", Operand: "regexp", RTarget: "("}, {LTarget: "a", Operand: "version", RTarget: "zap"},
		{LTarget: "a", Operand: "semver", RTarget: "1.2"[:0] + "zap"}, {LTarget: "a", Operand: "is_set", RTarget: "b"},
		{LTarget: "a", Operand: "distinct_property", RTarget: "0"}, {LTarget: "a", Operand: "set_contains", RTarget: ""},
	} {
		if checkConstraint(&c) == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
	if err := checkConstraint(&api.Constraint{Operand: "distinct_hosts"}); err != nil {
		t.Error(err)
	}
}

func TestDatacenterPatternsMatchAnyText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "dc1", true}, {"dc1", "dc1", true}, {"dc1", "dc2", false}, {"dc*", "dc1", true}, {"*1", "dc1", true},
		{"d*1", "dc1", true}, {"eu-*-a", "eu-west-a", true}, {"eu-*-a", "eu-west-b", false}, {"*a*b*", "xaybz", true}, {"a*a", "a", false},
	} {
		if got := glob(c.pattern, c.text); got != c.want {
			t.Errorf("glob(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
}

func TestDeviceAttributesCompareAcrossUnits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, op, b string
		want     bool
	}{
		{"24 GiB", ">=", "24576 MiB", true}, {"24 GiB", ">", "24 GB", true}, {"24GiB", "=", "24 GiB", true},
		{"1.5 GiB", "=", "1536 MiB", true}, {"10 MB/s", "<", "1 GB/s", true}, {"10 MB", "<", "1 GB/s", false},
		{"1000 MHz", "=", "1 GHz", true}, {"350 W", ">", "0.3 kW", true}, {"500 mW", "<", "1 W", true}, {"1 MW", "=", "1000 kW", true},
		{"24 GiB", "=", "24", false}, {"24", ">", "9", true}, {"24 GiB", "!=", "24", false}, {"true", "=", "true", true},
		{"true", "!=", "false", true}, {"sm_90", "=", "sm_90", true}, {"sm_90", "regexp", "^sm_9", true},
		{"535.1", "version", ">= 500", false}, {"abc", "set_contains", "abc", true}, {"12", "version", ">= 10", true}, {"1 EiB", ">", "1 EB", true},
		{"1 kB", "=", "1 KB", true},
	} {
		l, r := parseAttribute(c.a), parseAttribute(c.b)
		if got := checkDeviceOperator(c.op, l, r, true, true); got != c.want {
			t.Errorf("%s %s %s = %v, want %v", c.a, c.op, c.b, got, c.want)
		}
	}
}

func TestComparingAttributesIsAntisymmetric(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`-?[0-9]{1,6}(\.[0-9]{1,3})? ?(GiB|MiB|GB|W|MHz|MB/s)?`), rapid.String())
		a, b := parseAttribute(text.Draw(t, "a")), parseAttribute(text.Draw(t, "b"))
		x, ok1 := a.compare(b)
		y, ok2 := b.compare(a)
		if ok1 != ok2 || ok1 && a.flag == nil && x != -y {
			t.Fatalf("compare is %d %v one way, %d %v the other", x, ok1, y, ok2)
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
		if got := deviceNameMatches(name, d); got != want {
			t.Errorf("%q matches: %v", name, got)
		}
	}
	req := func(count uint64, min string) *api.RequestedDevice {
		return &api.RequestedDevice{Name: "gpu", Count: &count, Constraints: []*api.Constraint{{LTarget: "${device.attr.memory}", Operand: ">=", RTarget: min}}}
	}
	if !nodeHasDevices(n, []*api.RequestedDevice{req(2, "70 GiB")}) {
		t.Error("two healthy devices are not enough for two")
	}
	if nodeHasDevices(n, []*api.RequestedDevice{req(3, "70 GiB")}) {
		t.Error("a device that is not healthy counts")
	}
	if nodeHasDevices(n, []*api.RequestedDevice{req(1, "90 GiB")}) {
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

func FuzzParseAttribute(f *testing.F) {
	for _, s := range []string{"24 GiB", "1.5", "true", "", "inf GiB", "1e999 W", "0x10 MB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a := parseAttribute(s)
		if order, ok := a.compare(a); ok && order != 0 {
			t.Errorf("%q differs from itself", s)
		}
	})
}
