package dcp

import "encoding/binary"

// Encode writes the metadata as PyTorch 2 does for values that are no tensors (BytesStorageMetadata), in protocol 2 of
// pickle. [Parse] reads it back.
func (m Metadata) Encode() []byte {
	w := &writer{out: []byte{0x80, 2}, texts: map[string]uint32{}}
	w.object("metadata", "Metadata", func() {
		w.text("state_dict_metadata")
		w.dict(func() {
			for _, it := range m.Items {
				w.text(it.Name)
				w.object("metadata", "BytesStorageMetadata", nil)
			}
		})
		w.text("planner_data")
		w.raw('N')
		w.text("storage_data")
		w.dict(func() {
			for _, it := range m.Items {
				w.item(it)
			}
		})
	})
	return append(w.out, '.')
}

// writer appends opcodes; each text is written once and then referred to.
type writer struct {
	out   []byte
	texts map[string]uint32
}

func (w *writer) raw(b ...byte) { w.out = append(w.out, b...) }

func (w *writer) text(s string) {
	if at, ok := w.texts[s]; ok {
		w.out = binary.LittleEndian.AppendUint32(append(w.out, 'j'), at)
		return
	}
	at := uint32(len(w.texts)) // #nosec G115 -- one for each text of a checkpoint
	w.texts[s] = at
	w.out = binary.LittleEndian.AppendUint32(append(w.out, 'X'), uint32(len(s))) // #nosec G115 -- a name
	w.out = append(w.out, s...)
	w.out = binary.LittleEndian.AppendUint32(append(w.out, 'r'), at)
}

func (w *writer) number(n int64) {
	w.out = binary.LittleEndian.AppendUint64(append(w.out, 0x8a, 8), uint64(n)) // #nosec G115 -- two's complement
}

func (w *writer) dict(fill func()) {
	w.raw('}', '(')
	fill()
	w.raw('u')
}

// object writes an instance with its fields, nil for none.
func (w *writer) object(module, name string, fields func()) {
	w.out = append(w.out, "c"+newPackage+module+"\n"+name+"\n)\x81"...)
	if fields != nil {
		w.dict(fields)
		w.raw('b')
	}
}

func (w *writer) item(it Item) {
	w.object("metadata", "MetadataIndex", func() {
		w.text("fqn")
		w.text(it.Name)
		w.text("index")
		w.raw('N')
	})
	w.object("filesystem", "_StorageInfo", func() {
		w.text("relative_path")
		w.text(it.File)
		w.text("offset")
		w.number(it.Offset)
		w.text("length")
		w.number(it.Length)
	})
}
