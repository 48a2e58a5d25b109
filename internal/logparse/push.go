package logparse

// Push is a copy of a checkpoint to remote storage in progress.
type Push struct {
	Key    uint64 `json:"key"` // hash of "source to destination"
	Failed bool   `json:"failed,omitempty"`
}

// Pushes are the copies in progress, oldest first, padded with zeros. They overlap when copying takes longer than the
// checkpoint interval; the oldest is dropped when full.
type Pushes [4]Push

// start adds a copy, or restarts a known one.
func (p *Pushes) start(key uint64) {
	p.end(key)
	if p[len(p)-1] != (Push{}) {
		copy(p[:], p[1:])
		p[len(p)-1] = Push{}
	}
	for i := range p {
		if p[i] == (Push{}) {
			p[i].Key = key
			return
		}
	}
}

// fail marks a copy as failed, if known.
func (p *Pushes) fail(key uint64) bool {
	for i := range p {
		if p[i].Key == key {
			p[i].Failed = true
			return true
		}
	}
	return false
}

// end removes a copy and reports whether it had failed.
func (p *Pushes) end(key uint64) (failed bool) {
	for i := range p {
		if p[i].Key == key {
			failed = p[i].Failed
			copy(p[i:], p[i+1:])
			p[len(p)-1] = Push{}
			return failed
		}
	}
	return false
}

// pushKey is 64-bit FNV-1a, never zero. hash/fnv allocates.
func pushKey(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return max(h, 1)
}
