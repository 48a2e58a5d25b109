package live

import "testing"

func TestTheTopicOfASweepCanBeFollowed(t *testing.T) {
	t.Parallel()
	for topic, want := range map[string]bool{
		"sweep:s-0123456789": true, "sweep:r-0123456789": false, "sweep:": false, "run:r-0123456789": true, "run:s-0123456789": false, "node:x": false, "": false,
	} {
		if topicExists(topic) != want {
			t.Errorf("%q: %v", topic, !want)
		}
	}
}
