package dcp

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Item is one thing that a checkpoint holds: a tensor or a chunk of one, or some other value.
type Item struct {
	Name   string // such as "model.tok_embeddings.weight"
	File   string // the shard, relative to the checkpoint's folder; never outside of it
	Offset int64  // in the file, bytes
	Length int64  // bytes
}

// Metadata says where a checkpoint has what.
type Metadata struct{ Items []Item }

// Files returns the shards, with the bytes that each must have at least.
func (m Metadata) Files() map[string]int64 {
	out := map[string]int64{}
	for _, it := range m.Items {
		out[it.File] = max(out[it.File], it.Offset+it.Length)
	}
	return out
}

// shardName is how PyTorch names what a rank writes: __<rank>_<number>.distcp.
var shardName = regexp.MustCompile(`^__([0-9]{1,6})_[0-9]+\.distcp$`)

// Ranks returns the ranks that wrote the shards, ascending.
func (m Metadata) Ranks() []int {
	seen := map[int]bool{}
	var out []int
	for file := range m.Files() {
		if parts := shardName.FindStringSubmatch(file); parts != nil {
			if n, err := strconv.Atoi(parts[1]); err == nil && !seen[n] { // six digits
				seen[n] = true
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out
}

// The modules of the classes, in PyTorch 1.13 and since 2.0.
const (
	oldPackage = "torch.distributed._shard.checkpoint."
	newPackage = "torch.distributed.checkpoint."
)

// getAttribute is the only function; see [reader.makeObject].
const getAttribute class = "builtins.getattr"

// known reports whether a class may stand in a checkpoint's metadata.
func known(module, name string) bool {
	var names []string
	switch module {
	case newPackage + "metadata", oldPackage + "metadata":
		names = []string{
			"Metadata", "MetadataIndex", "TensorStorageMetadata", "BytesStorageMetadata", "ChunkStorageMetadata", "TensorProperties",
			"_MEM_FORMAT_ENCODING", "StorageMeta",
		}
	case newPackage + "filesystem", oldPackage + "filesystem":
		names = []string{"_StorageInfo"}
	case "torch.distributed._shard.sharded_tensor.metadata":
		names = []string{"TensorProperties", "MEM_FORMAT_ENCODING"}
	case "torch":
		names = []string{
			"Size", "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "complex64",
			"complex128", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool",
		}
	case "torch.serialization":
		names = []string{"_get_layout"}
	case "pathlib", "pathlib._local": // where it was saved
		names = []string{"PosixPath"}
	case "builtins":
		names = []string{"getattr"}
	}
	return slices.Contains(names, name)
}

func enumeration(c class) bool { return strings.HasSuffix(string(c), "MEM_FORMAT_ENCODING") }

// is reports whether a value is an object of a class of the checkpoint package, and returns its fields.
func is(v value, name string) (*dict, bool) {
	o, ok := v.(*object)
	if !ok || o.class != class(newPackage+name) && o.class != class(oldPackage+name) {
		return nil, false
	}
	fields, ok := o.state.(*dict)
	return fields, ok
}

// Parse reads the .metadata of a checkpoint. Its errors match [ErrFormat].
func Parse(in []byte) (Metadata, error) {
	v, err := unpickle(in, maxMemory)
	if err != nil {
		return Metadata{}, err
	}
	top, ok := is(v, "metadata.Metadata")
	if !ok {
		return Metadata{}, fmt.Errorf("%w: it does not begin with the class Metadata", ErrFormat)
	}
	stored, ok := top.get("storage_data").(*dict)
	if !ok || len(stored.keys) == 0 {
		return Metadata{}, fmt.Errorf("%w: it names no file", ErrFormat)
	}
	m := Metadata{Items: make([]Item, 0, len(stored.keys))}
	for i := range stored.keys {
		it, err := itemOf(stored.keys[i], stored.values[i])
		if err != nil {
			return Metadata{}, err
		}
		m.Items = append(m.Items, it)
	}
	return m, nil
}

func itemOf(index, info value) (Item, error) {
	key, ok := is(index, "metadata.MetadataIndex")
	where, found := is(info, "filesystem._StorageInfo")
	if !ok || !found {
		return Item{}, fmt.Errorf("%w: an entry is no MetadataIndex with a _StorageInfo", ErrFormat)
	}
	name, named := key.get("fqn").(string)
	file, filed := where.get("relative_path").(string)
	offset, placed := where.get("offset").(int64)
	length, long := where.get("length").(int64)
	switch {
	case !named || !filed || !placed || !long:
		return Item{}, fmt.Errorf("%w: an entry lacks name, file, offset or length", ErrFormat)
	case !filepath.IsLocal(file) || strings.ContainsAny(file, "\\\x00"):
		return Item{}, fmt.Errorf("%w: %.100q is no file in its folder", ErrFormat, file)
	case offset < 0 || length < 0 || offset > math.MaxInt64-length:
		return Item{}, fmt.Errorf("%w: %.100q has %d bytes at %d", ErrFormat, name, length, offset)
	}
	return Item{Name: name, File: file, Offset: offset, Length: length}, nil
}
