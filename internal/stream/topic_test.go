package stream

import "testing"

func TestTopicsAreKnownByTheirNames(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]bool{
		"training": true, "training:r-0123456789": true, "training:": false, "training:s-0123456789": false, "sweep:s-0123456789": true, "sweep:r-0123456789": false, "sweep:": false, "run:r-0123456789": true, "run:s-0123456789": false, "node:x": false, "": false,
		"runs": true, "runs:": false, "runs:vision": true, "runs:-x": false, "runs:a:b": false, "system": true, "system:x": false,
	} {
		if _, ok := subjectOf(topic); ok != want {
			t.Errorf("%q: %v", topic, !want)
		}
	}
}
