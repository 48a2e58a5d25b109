package logparse

import "bytes"

// textEvent reads a record that is no sample. The texts are CotrainCore's.
func (p *Parser) textEvent(msg []byte) Result {
	var res Result
	if len(msg) > 0 {
		switch msg[0] {
		case 'o', 'e', 'a', 'g', 'l', 'S':
			res = p.rhythmEvent(msg)
		case 's', 'f':
			res = p.pushEvent(msg)
		case 'E', 'F', 'M', 'N', 'D', 'W':
			res = p.meshEvent(msg)
		case 'L', 'P', 'C', 'T':
			res = p.lifeEvent(msg)
		}
	}
	if p.State.Caught && res.Kind == None {
		p.State.Caught = false
		if len(msg) > 0 {
			return p.event(FatalError, msg)
		}
	}
	return res
}

// rhythmEvent reads the events of each outer step, and live recovery.
func (p *Parser) rhythmEvent(msg []byte) Result {
	if n, ok := cut(msg, "outer_step step: "); ok {
		if step, valid := parseStep(n); valid {
			p.add("outer_step", float64(step))
			return p.event(OuterStep, msg)
		}
		return Result{}
	}
	if n, ok := cut(msg, "effective mfu: "); ok {
		return p.numberEvent(OuterStepDone, "mfu", n, msg)
	}
	if n, ok := cut(msg, "Sync psuedo-gradient in "); ok {
		return p.secondsEvent(SyncDone, n, msg)
	}
	if n, ok := cut(msg, "Sync pseudo-gradient in "); ok { // in case the core fixes the spelling
		return p.secondsEvent(SyncDone, n, msg)
	}
	if n, ok := cut(msg, "all reduce pseudo gradient in: "); ok {
		return p.secondsEvent(AllReduceDone, n, msg)
	}
	if n, ok := cut(msg, "Start live recovery to rank "); ok {
		return p.numberEvent(RecoveryStarted, "to_rank", n, msg)
	}
	if n, ok := cut(msg, "Start live recovery from rank "); ok {
		return p.numberEvent(RecoveryStarted, "from_rank", n, msg)
	}
	if n, ok := cut(msg, "live recovery done in "); ok {
		return p.secondsEvent(RecoveryDone, n, msg)
	}
	if rest, ok := cut(msg, "Saved checkpoint to "); ok {
		return p.checkpointEvent(CheckpointSaved, rest, msg)
	}
	if rest, ok := cut(msg, "global_pg size : "); ok {
		peers, local, both := bytes.Cut(rest, []byte(", local_pg size: "))
		if !p.addNumber("peers", peers) || both && !p.addNumber("local_peers", local) {
			return Result{}
		}
		return p.event(MeshSize, msg)
	}
	return Result{}
}

// meshEvent reads membership of the mesh, and its errors.
func (p *Parser) meshEvent(msg []byte) Result {
	if rest, ok := cut(msg, "Elastic Device mesh init done with "); ok {
		peers, took, _ := bytes.Cut(rest, []byte(" peers in "))
		if !p.addNumber("peers", peers) {
			return Result{}
		}
		return p.secondsEvent(MeshReady, took, msg)
	}
	if rest, ok := cut(msg, "Error syncing pseudo gradient: "); ok {
		if i := bytes.LastIndex(rest, []byte(", retry ")); i >= 0 {
			p.addFraction(rest[i+len(", retry "):])
		}
		return p.event(SyncError, msg)
	}
	if rest, ok := cut(msg, "Failed to sync pseudo gradient"); ok {
		if n, after := cut(rest, " after "); after {
			n, _, _ = bytes.Cut(n, []byte(" "))
			p.addNumber("retries", n)
		}
		return p.event(SyncFailed, msg)
	}
	if rest, ok := cut(msg, "Error pushing "); ok {
		p.failPush(rest)
		return p.pushResult(PushFailed, rest, msg)
	}
	if rest, ok := cut(msg, "Evicting nodes: ["); ok {
		count := countItems(rest)
		if count == 0 {
			return Result{} // nobody
		}
		p.add("count", float64(count))
		return p.event(Evicted, msg)
	}
	if rest, ok := cut(msg, "Number of parameters: "); ok {
		return p.numberEvent(Parameters, "parameters", rest, msg)
	}
	_, node := cut(msg, "Node ")
	_, barrier := cut(msg, "Monitored barrier failed")
	switch {
	case node && bytes.HasSuffix(msg, []byte(" has no heartbeat")):
		return p.event(HeartbeatLost, msg)
	case barrier:
		return p.event(BarrierFailed, msg)
	case string(msg) == "Destroyed process group":
		return p.event(GroupDestroyed, msg)
	case string(msg) == "Waiting to join":
		return p.event(WaitingToJoin, msg)
	}
	return Result{}
}

// lifeEvent reads once-per-process events.
func (p *Parser) lifeEvent(msg []byte) Result {
	if rest, ok := cut(msg, "Loaded checkpoint from "); ok {
		return p.checkpointEvent(CheckpointLoaded, rest, msg)
	}
	if rest, ok := cut(msg, "Peak FLOPS used for computing MFU: "); ok {
		return p.numberEvent(PeakFLOPS, "flops", rest, msg)
	}
	if _, ok := cut(msg, "Caught an exception, terminating children"); ok {
		p.State.Caught = true
		return p.event(Fatal, msg)
	}
	if _, ok := cut(msg, "Training finished, exiting"); ok {
		return p.event(Finished, msg)
	}
	return Result{}
}

// pushEvent reads "start pushing A to B asynchronously" and "finish pushing A to B in 9 seconds". The latter follows
// failures too, and then gives no event.
func (p *Parser) pushEvent(msg []byte) Result {
	if rest, ok := cut(msg, "start pushing "); ok {
		pair, whole := bytes.CutSuffix(rest, []byte(" asynchronously"))
		if !whole {
			return Result{}
		}
		p.State.Pushes.start(pushKey(pair))
		return p.pushResult(PushStarted, pair, msg)
	}
	rest, ok := cut(msg, "finish pushing ")
	if !ok {
		return Result{}
	}
	pair, took, ok := cutSeconds(rest)
	if !ok || p.State.Pushes.end(pushKey(pair)) {
		return Result{}
	}
	p.add("seconds", took)
	return p.pushResult(PushFinished, pair, msg)
}

// failPush marks the copy of "A to B: error". Paths may contain ": ", so a known copy decides where they end, else the
// first ": ".
func (p *Parser) failPush(rest []byte) {
	const tries = 16
	first := -1
	for from, n := 0, 0; n < tries; n++ {
		i := bytes.Index(rest[from:], []byte(": "))
		if i < 0 {
			break
		}
		end := from + i
		if first < 0 {
			first = end
		}
		if p.State.Pushes.fail(pushKey(rest[:end])) {
			return
		}
		from = end + 2
	}
	if first < 0 {
		first = len(rest)
		if rest[first-1] == ':' { // an error without text
			first--
		}
	}
	key := pushKey(rest[:first])
	p.State.Pushes.start(key)
	p.State.Pushes.fail(key)
}

// pushResult makes an event about the local path in "A to B".
func (p *Parser) pushResult(name string, pair, msg []byte) Result {
	res := p.event(name, msg)
	if from, _, ok := bytes.Cut(pair, []byte(" to ")); ok {
		res.Event.path = from
		res.Event.Step, res.Event.HasStep = stepOfPath(from)
	}
	return res
}

// checkpointEvent reads "<path> in 3.2 seconds". Without the end the path could be cut.
func (p *Parser) checkpointEvent(name string, rest, msg []byte) Result {
	path, took, ok := cutSeconds(rest)
	if !ok {
		return Result{}
	}
	p.add("seconds", took)
	res := p.event(name, msg)
	res.Event.path = path
	res.Event.Step, res.Event.HasStep = stepOfPath(path)
	return res
}

// secondsEvent reads an optional duration, "1.2 seconds" or "1.2".
func (p *Parser) secondsEvent(name string, took, msg []byte) Result {
	n, _, _ := bytes.Cut(took, []byte(" "))
	p.addNumber("seconds", n)
	return p.event(name, msg)
}

// numberEvent requires its number.
func (p *Parser) numberEvent(name, field string, number, msg []byte) Result {
	if !p.addNumber(field, number) {
		return Result{}
	}
	return p.event(name, msg)
}

func (p *Parser) addNumber(name string, b []byte) bool {
	v, ok := parsePrinted(b)
	if ok {
		p.add(name, v)
	}
	return ok
}

// addFraction reads "1/3" as retry and retries.
func (p *Parser) addFraction(b []byte) {
	n, m, ok := bytes.Cut(b, []byte("/"))
	try, tryOK := parseStep(n)
	tries, triesOK := parseStep(m)
	if ok && tryOK && triesOK {
		p.add("retry", float64(try))
		p.add("retries", float64(tries))
	}
}

// cut removes a prefix; one ending in a space requires more text.
func cut(msg []byte, prefix string) (rest []byte, ok bool) {
	if len(msg) < len(prefix) || string(msg[:len(prefix)]) != prefix {
		return nil, false
	}
	rest = msg[len(prefix):]
	return rest, len(rest) > 0 || prefix[len(prefix)-1] != ' '
}

// cutSeconds splits "<text> in 3.2 seconds".
func cutSeconds(b []byte) (text []byte, seconds float64, ok bool) {
	b, ok = bytes.CutSuffix(b, []byte(" seconds"))
	i := bytes.LastIndex(b, []byte(" in "))
	if !ok || i <= 0 {
		return nil, 0, false
	}
	seconds, ok = parsePrinted(b[i+len(" in "):])
	return b[:i], seconds, ok
}

// stepOfPath reads the step of ".../step_100".
func stepOfPath(path []byte) (int64, bool) {
	path = bytes.TrimRight(path, "/")
	rest, ok := bytes.CutPrefix(path[bytes.LastIndexByte(path, '/')+1:], []byte("step_"))
	if !ok {
		return 0, false
	}
	return parseStep(rest)
}

// countItems counts the items of a Python list after its bracket.
func countItems(b []byte) int {
	if end := bytes.IndexByte(b, ']'); end >= 0 {
		b = b[:end]
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return 0
	}
	return bytes.Count(b, []byte(",")) + 1
}
