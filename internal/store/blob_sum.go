package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/cotrain/cotrain/internal/logarchive"
)

// sumOf is the checksum of a blob, in log_blocks.
func sumOf(blob []byte) string {
	sum := sha256.Sum256(blob)
	return hex.EncodeToString(sum[:])
}

// openBlob decodes a blob that has the checksum of its row, which is "" for old ones; see [logarchive.Decode].
func openBlob(data []byte, sum string, memory *[]byte) ([]logarchive.Chunk, error) {
	if sum != "" && sumOf(data) != sum {
		return nil, fmt.Errorf("%w: its %d bytes do not have its checksum", logarchive.ErrDamaged, len(data))
	}
	return logarchive.Decode(data, memory)
}
