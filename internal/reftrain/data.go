package reftrain

import (
	"crypto/sha256"
	_ "embed" // the text
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// builtinText is prose made for this trainer: the day book of a harbour.
//
//go:embed text.txt
var builtinText string

// Text is the text that the trainer learns from when it is given none.
func Text() string { return builtinText }

// Bounds that keep a step affordable on a CPU and a worker within the memory that a job asks for by default.
const (
	maxSeqLength = 128
	maxTextBytes = 16 << 20
	defaultSeed  = 42 // CotrainCore calls torch.manual_seed(42)
)

// counterRand is splitmix64: a hash of a counter, so that any place of the stream can be named by its number.
type counterRand struct{ seed, n uint64 }

func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (r *counterRand) uniform() float64 {
	r.n++
	return (float64(mix(mix(r.seed)^r.n)>>11) + 0.5) / (1 << 53)
}

func (r *counterRand) normal() float64 {
	a, b := r.uniform(), r.uniform()
	return math.Sqrt(-2*math.Log(a)) * math.Cos(2*math.Pi*b)
}

// corpus is the text as tokens, and which of its samples are this worker's.
type corpus struct {
	tokens      []byte
	vocab       []byte // distinct bytes, in order; a token is an index in it
	seq         int    // positions per sample
	rank, world int    // this worker takes samples rank, rank+world, rank+2*world, ...
	limit       int64  // number of distinct samples, 0 for no limit
	seed        uint64
}

// loadCorpus reads the files and folders that data.dataset_name_or_paths names, or takes the built-in text where those hold
// no text. Data that is missing is errNoData.
func loadCorpus(d dataConfig, rank, world int) (*corpus, error) {
	text, err := readText(d)
	if err != nil {
		return nil, err
	}
	c := &corpus{seq: min(d.SeqLength, maxSeqLength), rank: rank, world: world, seed: defaultSeed}
	if d.DataRank != nil {
		c.rank, c.world = *d.DataRank, *d.DataWorldSize
	}
	if !d.SplitByDataRank {
		c.rank, c.world = 0, 1
	}
	if d.MaxTrainSamples != nil {
		c.limit = int64(*d.MaxTrainSamples)
	}
	if len(text) < c.seq+2 {
		return nil, fmt.Errorf("data.dataset_name_or_paths: the text has %d bytes, a sequence of %d needs at least %d", len(text), c.seq, c.seq+2)
	}
	var index [256]byte
	for i := range len(text) {
		index[text[i]] = 1
	}
	for b, seen := range index {
		if seen == 1 {
			index[b] = byte(len(c.vocab)) // #nosec G115 -- at most 255
			c.vocab = append(c.vocab, byte(b))
		}
	}
	c.tokens = make([]byte, len(text))
	for i := range len(text) {
		c.tokens[i] = index[text[i]]
	}
	return c, nil
}

func readText(d dataConfig) (string, error) {
	if d.Fake {
		return builtinText, nil
	}
	var b strings.Builder
	for name := range strings.SplitSeq(d.DatasetNameOrPaths, ",") {
		name = strings.TrimSpace(name)
		files, err := textFiles(name)
		if err != nil {
			return "", err
		}
		for _, file := range files {
			if err := appendFile(&b, file); err != nil {
				return "", err
			}
		}
	}
	if b.Len() == 0 {
		return builtinText, nil
	}
	return b.String(), nil
}

// errNoData is a dataset without data, in the words of the library that the core reads with.
var errNoData = errors.New("Couldn't find any data file") //nolint:staticcheck // its words

// textFiles are the files of a dataset: the file itself, or those of a folder that end in .txt, by name. The name of a
// dataset on the hub has none, and the built-in text stands in; a path must be there.
func textFiles(name string) ([]string, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil && isPath(name):
		return nil, fmt.Errorf("FileNotFoundError: %w at %s: %w", errNoData, cut(name), err)
	case err != nil:
		return nil, nil
	case info.Mode().IsRegular():
		return []string{name}, nil
	case !info.IsDir():
		return nil, fmt.Errorf("FileNotFoundError: %w at %s: it is neither a file nor a folder", errNoData, cut(name))
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, fmt.Errorf("read text: %w", err)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("FileNotFoundError: %w at %s: the folder is empty", errNoData, cut(name))
	}
	var files []string
	for _, e := range entries {
		if e.Type().IsRegular() && filepath.Ext(e.Name()) == ".txt" {
			files = append(files, filepath.Join(name, e.Name()))
		}
	}
	return files, nil
}

// isPath reports whether a dataset cannot be one of the hub, whose names are owner/name.
func isPath(name string) bool {
	return filepath.IsAbs(name) || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "datasets/") || strings.Count(name, "/") > 1
}

func appendFile(b *strings.Builder, name string) error {
	f, err := os.Open(name) // #nosec G304 -- the user names the text to train on
	if err != nil {
		return fmt.Errorf("read text: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	if _, err := io.Copy(b, io.LimitReader(f, maxTextBytes+1)); err != nil {
		return fmt.Errorf("read text %s: %w", name, err)
	}
	if b.Len() > maxTextBytes {
		return fmt.Errorf("read text %s: the texts are longer than %d bytes in all", name, maxTextBytes)
	}
	return nil
}

// sample returns this worker's n-th sample, counted from 0: seq+1 tokens.
func (c *corpus) sample(n int64) []byte {
	g := n*int64(c.world) + int64(c.rank)
	if c.limit > 0 {
		g %= c.limit
	}
	at := mix(mix(c.seed^0x5eed)^uint64(g)) % uint64(len(c.tokens)-c.seq) // #nosec G115 -- never negative
	return c.tokens[at : at+uint64(c.seq)+1]
}

// hash names text and vocabulary, which all workers must share.
func (c *corpus) hash() string {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%d %d ", len(c.tokens), c.seq) // a hash takes every write
	_, _ = h.Write(c.vocab)
	b := make([]byte, len(c.tokens))
	for i, t := range c.tokens {
		b[i] = c.vocab[t]
	}
	_, _ = h.Write(b)
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}
