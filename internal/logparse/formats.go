package logparse

import "bytes"

// CotrainCore is the format of CotrainCore's lines and of machine lines.
const CotrainCore = "cotraincore"

// format reads the records of one kind of trainer. parse gets a line without its head; a result of kind None means that it is no
// record of this kind.
type format struct {
	name  string
	mark  string // occurs in each of its records; the cheapest check there is
	loose bool   // reads what any trainer might print; a stream with records of another format is not read so
	parse func(*Parser, []byte) Result

	marked []byte // mark, in the form that is searched for
}

// formats are tried in this order, after the one that matched last in the stream.
func formats() []format {
	return []format{
		{name: "json", mark: `"`, parse: (*Parser).jsonLine},
		{name: "huggingface", mark: "'", parse: (*Parser).dict},
		{name: "tqdm", mark: "[", parse: (*Parser).bar},
		{name: "lightning-rich", mark: "━", parse: (*Parser).richBar},
		{name: "keras", mark: "/", parse: (*Parser).keras},
		{name: "megatron", mark: "teration", parse: (*Parser).megatron},
		{name: "nemo", mark: "iteration ", parse: (*Parser).nemo},
		{name: "torchtitan", mark: "  loss: ", parse: (*Parser).titan},
		{name: "verl", mark: " - ", parse: (*Parser).verl},
		{name: "maxtext", mark: "completed step: ", parse: (*Parser).maxText},
		{name: "fairseq", mark: "epoch ", parse: (*Parser).fairseq},
		{name: "mmengine", mark: "[", parse: (*Parser).mmengine},
		{name: "metriclogger", mark: ": ", parse: (*Parser).metricLogger},
		{name: "deepspeed", mark: "step", parse: (*Parser).deepSpeed},
		{name: "nanogpt", mark: "loss", parse: (*Parser).nanoGPT},
		{name: "columns", mark: "l", parse: (*Parser).columns},
		{name: "tensorflow", mark: "loss = ", parse: (*Parser).tensorFlow},
		{name: "hivemind", mark: "Step #", parse: (*Parser).hivemind},
		{name: "block", mark: "/", parse: (*Parser).block},
		{name: "levanter", mark: "postfix:", parse: (*Parser).levanter},
		{name: "clu", mark: "] ", parse: (*Parser).clu},
		{name: "logfmt", mark: "=", parse: (*Parser).logfmt},
		{name: "pairs", mark: "", loose: true, parse: (*Parser).prose},
	}
}

// foreign reads a line of another trainer than CotrainCore.
func (p *Parser) foreign(line []byte) Result {
	for _, site := range p.Site {
		p.metrics = p.metrics[:0]
		if res := site.parse(p, line); res.Kind != None {
			return p.matched(site.Name, res)
		}
	}
	if p.State.Format == CotrainCore || !p.State.Block && !promising(line) {
		return Result{}
	}
	msg, ok := message(line)
	if !ok || len(msg) == 0 {
		return Result{}
	}
	if p.formats == nil {
		p.formats = formats()
		for i := range p.formats {
			p.formats[i].marked = []byte(p.formats[i].mark)
		}
	}
	last := p.last
	if last >= len(p.formats) || p.formats[last].name != p.State.Format {
		last = -1
		for i := range p.formats {
			if p.formats[i].name == p.State.Format {
				last, p.last = i, i
			}
		}
	}
	if last >= 0 {
		if res := p.tryFormat(last, msg); res.Kind != None {
			return res
		}
	}
	for i := range p.formats {
		if i == last || p.formats[i].loose && last >= 0 && !p.formats[last].loose {
			continue
		}
		if res := p.tryFormat(i, msg); res.Kind != None {
			return res
		}
	}
	return Result{}
}

func (p *Parser) tryFormat(i int, msg []byte) Result {
	f := &p.formats[i]
	if !bytes.Contains(msg, f.marked) {
		return Result{}
	}
	p.metrics, p.text = p.metrics[:0], p.text[:0]
	res := f.parse(p, msg)
	if res.Kind == None {
		return res
	}
	p.last = i
	return p.matched(f.name, res)
}

// matched notes the format of a result.
func (p *Parser) matched(name string, res Result) Result {
	res.Format, p.State.Format = name, name
	if res.Sample.HasStep {
		p.State.Bar = bar{}
	}
	return res
}

// promising reports whether a line could be a record at all: each has a loss, an epoch, a step, an iteration or a batch, or is JSON.
func promising(line []byte) bool {
	return bytes.Contains(line, []byte("oss")) || bytes.IndexByte(line, '{') >= 0 || bytes.IndexByte(line, '}') >= 0 || bytes.Contains(line, []byte("tep")) ||
		bytes.Contains(line, []byte("poch")) || bytes.Contains(line, []byte("ter")) || bytes.Contains(line, []byte("%|")) || bytes.Contains(line, []byte("atch"))
}
