package run

import "testing"

func TestFailuresOfANodeAreItsOwnWhereRetriesAvoidIt(t *testing.T) {
	t.Parallel()
	var n NodeFailures
	for _, category := range []string{"ecc_error_xid", "cuda_oom", "ecc_error_xid", "disk_full"} {
		n = n.With(&Cause{Category: category, Title: category})
	}
	got := n.By(RetryRules{{Category: "ecc_error_xid", OtherNode: true}, {Category: "cuda_oom"}, {Category: "disk_full"}})
	if got.Failures != 4 || got.Hardware != 2 {
		t.Errorf("%+v", got)
	}
	if want := "4 failures in 7 days, 2 of them of the node itself: ecc_error_xid 2, cuda_oom 1, disk_full 1"; got.String() != want {
		t.Errorf("%q, want %q", got, want)
	}
}
