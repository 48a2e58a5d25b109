package ratelimit

import (
	"strconv"
	"testing"
	"time"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func TestAfterABurstEachHasToWait(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1e9, 0)}
	l := New(3, 2*time.Second, c.now)
	for range 3 {
		if w := l.Take("ann"); w != 0 {
			t.Fatalf("within the burst: wait %v", w)
		}
	}
	for range 10 { // asking in vain costs nothing
		if w := l.Take("ann"); w != 2*time.Second {
			t.Errorf("after the burst: wait %v", w)
		}
	}
	if w := l.Take("bob"); w != 0 {
		t.Errorf("another one waits %v", w)
	}
	c.t = c.t.Add(2 * time.Second)
	if w := l.Wait("ann"); w != 0 {
		t.Errorf("later: wait %v", w)
	}
	if w := l.Take("ann"); w != 0 {
		t.Errorf("later: wait %v", w)
	}
	if w := l.Wait("ann"); w != 2*time.Second {
		t.Errorf("and then again: wait %v", w)
	}
}

func TestWhatIsGivenBackIsThereAgainAndNoMore(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1e9, 0)}
	l := New(10, time.Second, c.now)
	if l.TakeN("ann", 10) != 0 || l.Take("ann") == 0 {
		t.Fatal("the burst is not 10")
	}
	l.Give("ann", 7)
	if w := l.TakeN("ann", 7); w != 0 || l.Take("ann") == 0 {
		t.Errorf("after 7 were given back: wait %v", w)
	}
	for range 3 { // a burst, whatever comes back
		l.Give("ann", 100)
	}
	c.t = c.t.Add(time.Millisecond)
	if w := l.TakeN("ann", 10); w != 0 || l.Take("ann") == 0 {
		t.Errorf("after more than the burst was given back: wait %v", w)
	}
}

func TestMemoryIsBoundedAndNobodyIsForgotten(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1e9, 0)}
	l := New(1, time.Minute, c.now)
	l.Take("attacker")
	for i := range maxKeys * 2 {
		l.Take(strconv.Itoa(i))
	}
	if len(l.keys) > maxKeys {
		t.Errorf("%d are kept", len(l.keys))
	}
	if l.Take("attacker") == 0 {
		t.Error("who made others come may start anew")
	}
	if l.Take("newcomer") == 0 {
		t.Error("those beyond are not limited")
	}
	c.t = c.t.Add(time.Minute)
	if w := l.Take("newcomer"); w != 0 || len(l.keys) != 1 {
		t.Errorf("after a while: wait %v, %d are kept", w, len(l.keys))
	}
}
