package reftrain

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that no worker leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
