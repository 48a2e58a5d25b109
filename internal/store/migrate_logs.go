package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cotrain/cotrain/internal/fault"
)

// LogsMigrated is the result of [MigrateLogs].
type LogsMigrated struct {
	From string `json:"from"`
	LogsCopied
	Deleted int  `json:"deleted"` // in From
	InUse   bool `json:"in_use"`  // a console has the data folder
}

// Clean reports whether all blocks are in the destination.
func (m *LogsMigrated) Clean() bool { return m.Missing == 0 && m.Damaged == 0 }

// String says it to a person.
func (m *LogsMigrated) String() string {
	text := fmt.Sprintf("%d of %d sealed blocks of logs are in %s, compared by their checksums; %d were copied now, %d bytes.\n", m.Blocks-m.Missing-m.Damaged, m.Blocks, m.Folder, m.Copied, m.Bytes)
	if m.Missing > 0 {
		text += fmt.Sprintf("%d are missing in %s, too.\n", m.Missing, m.From)
	}
	if m.Damaged > 0 {
		text += fmt.Sprintf("%d are damaged in %s, and were not copied: see cotrain logs verify.\n", m.Damaged, m.From)
	}
	if m.Deleted > 0 {
		text += fmt.Sprintf("%d were deleted from %s.\n", m.Deleted, m.From)
	}
	if m.InUse {
		text += "A console is running and may have sealed more meanwhile: stop it, run this again, and start it with the settings of the new place.\n"
	}
	return text
}

// MigrateLogs copies the sealed blocks of logs from the data folder to the address's archive, or back. It goes on where it was
// interrupted, and also runs beside a console: blocks never change. To delete them where they were, once all are copied, the console
// must be stopped.
func MigrateLogs(ctx context.Context, a Address, back, remove bool, tell func(LogsCopied)) (out *LogsMigrated, err error) {
	if a.Archive == nil {
		return nil, fault.New(fault.ErrInvalid, "No S3 store is configured.", "Set logs.s3_bucket (COTRAIN_LOGS_S3_BUCKET) and its neighbours.")
	}
	in, err := Inspect(ctx, a, remove)
	if err != nil {
		return nil, errors.Join(err, a.Archive.Close())
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	folder, err := a.logs()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	source, target := folder, a.Archive
	if back {
		source, target = target, source
	}
	out = &LogsMigrated{From: source.String()}
	if out.LogsCopied, err = copyLogs(ctx, in.DB, source, target, tell); err != nil {
		return nil, err
	}
	if !remove {
		out.InUse, err = a.inUse()
		return out, err
	}
	if !out.Clean() {
		return out, nil
	}
	err = eachBlock(ctx, in.DB, func(b sealedBlock) error {
		if _, err := source.Stat(ctx, b.blob); errors.Is(err, fault.ErrNotFound) {
			return nil
		}
		out.Deleted++
		return source.Delete(ctx, b.blob)
	})
	return out, err
}

// inUse reports whether a console has the data folder.
func (a Address) inUse() (bool, error) {
	unlock, err := a.lock()
	if errors.Is(err, fault.ErrInUse) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, unlock()
}
