package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/cotrain/cotrain/internal/fault"
	"github.com/cotrain/cotrain/internal/run"
)

// Refusal is something that the storage's state does not allow. It matches [fault.ErrConflict], and its sentences may be
// shown.
type Refusal struct {
	Path   string // as [Display] shows it
	Reason string // a sentence
	Fix    string // a sentence
	cause  error
}

// Error gives path, reason and fix.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s %s", r.Path, r.Reason, r.Fix) }

// Is matches [fault.ErrConflict].
func (r *Refusal) Is(target error) bool { return target == fault.ErrConflict }

// Fault implements the interface of [fault.Of].
func (r *Refusal) Fault() *fault.Error {
	return fault.New(fault.ErrStorageRefused, r.Path+": "+r.Reason, r.Fix)
}

// Unwrap returns the system's error, if any.
func (r *Refusal) Unwrap() error { return r.cause }

func badPath(path, rule, fix string) error {
	return run.FieldErrors{{Field: "path", Value: fault.Quote(Display(path)), Rule: rule, Fix: fix}}
}

// explain maps a system error about a path to [fault.ErrNotFound], a [Refusal], [fault.ErrUnavailable], or ctx's error.
func explain(path string, err error) error {
	refuse := func(reason, fix string) error {
		return &Refusal{Path: named(path), Reason: reason, Fix: fix, cause: err}
	}
	var own *Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own), errors.Is(err, fault.ErrInvalid), errors.Is(err, fault.ErrNotFound), errors.Is(err, fault.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.ErrNoFile, fmt.Sprintf("%s does not exist, or has been deleted.", named(path)), "")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fault.New(fault.ErrFull, "Shared storage is full.", "Delete what nobody needs from it, such as old checkpoints, or give it more room.").Because(err)
	case errors.Is(err, fs.ErrPermission):
		return refuse("The console does not have the right to do that.", "Give its user, or its group, that right on the folder.")
	case errors.Is(err, syscall.EROFS):
		return refuse("The storage is read-only here.", "Do it on a machine that may write to it.")
	case errors.Is(err, syscall.ELOOP):
		return refuse("It is a loop of links.", "Correct or delete the links.")
	case errors.Is(err, syscall.ENOTDIR):
		return refuse("It is not a folder.", "Ask for the folder that it is in.")
	case errors.Is(err, syscall.EISDIR):
		return refuse("It is a folder, not a file.", "Ask for the files in it, one by one.")
	case errors.Is(err, syscall.ENAMETOOLONG):
		return refuse("The name is too long for this file system.", "Check the path.")
	case errors.Is(err, syscall.ENOTEMPTY):
		return refuse("Something was written there while it was being deleted.", "See whether a run still writes there, and try again.")
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EMFILE), errors.Is(err, fs.ErrClosed):
		return fault.ErrStorageUnavailable.Fault().Because(err)
	case escapes(err):
		return refuse("It is a link that leads out of the storage.", "Look at it on a machine that has both, or put the data into the storage.")
	}
	return fmt.Errorf("shared storage: %s: %w", named(path), err)
}

// escapeText is the error of an [os.Root] that refuses to leave its folder, which has no sentinel.
const escapeText = "path escapes from parent"

// escapes reports whether a link leads out of the storage.
func escapes(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe) && pe.Err != nil && pe.Err.Error() == escapeText
}

func named(path string) string {
	if path == "" || path == root {
		return "the root of shared storage"
	}
	return fault.Quote(Display(path))
}
