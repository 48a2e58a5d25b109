package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/cotrain/cotrain/internal/fault"
)

// DefaultMode is the mode of folders that jobs write: group-writable and setgid.
const DefaultMode = fs.ModeSetgid | 0o775

// ownMode is the mode of the other folders.
const ownMode fs.FileMode = 0o755

// Folder is a folder of the layout.
type Folder struct {
	Path    string // below the root
	Purpose string // a sentence
	Jobs    bool   // jobs write there

	Found bool
	Mode  fs.FileMode // permissions and setgid
	Owner string      // "user:group", by name where possible
	// Problem is a sentence, or "".
	Problem string
}

// layout lists the folders in order of creation and display.
func layout() []Folder {
	return []Folder{
		{Path: "models", Purpose: "Checkpoints and models of runs."},
		{Path: "models/checkpoints", Jobs: true, Purpose: "Checkpoints: a folder for each run, and in it a folder for each saved step."},
		{Path: "models/final", Jobs: true, Purpose: "Finished models, to be evaluated and exported."},
		{Path: "models/temp", Jobs: true, Purpose: "What jobs need for a while; it may be deleted when no job runs."},
		{Path: "datasets", Jobs: true, Purpose: "Datasets: a folder or a file for each."},
		{Path: "datasets/raw", Jobs: true, Purpose: "Datasets as they were downloaded."},
		{Path: "datasets/processed", Jobs: true, Purpose: "Datasets that were tokenised or packed, ready to train on."},
		{Path: "datasets/splits", Jobs: true, Purpose: "Parts of datasets: training, validation, one for each worker."},
		{Path: "configs", Purpose: "Configurations as files."},
		{Path: "configs/generated", Purpose: "Configurations that were made for runs."},
		{Path: "configs/templates", Purpose: "Configurations to start from."},
		{Path: "logs", Purpose: "Logs that are kept as files."},
		{Path: "logs/training", Jobs: true, Purpose: "What trainers write beside their output: profiles, traces."},
		{Path: "logs/system", Jobs: true, Purpose: "What launch scripts note of their workers, and logs of the machines."},
	}
}

// purposes maps paths, with the root's, to purposes.
func purposes() map[string]string {
	out := map[string]string{root: "One layout on every node."}
	for _, f := range layout() {
		out[f.Path] = f.Purpose
	}
	return out
}

// isLayout reports whether a clean path is the root or in the layout.
func isLayout(p string) bool {
	return p == root || slices.ContainsFunc(layout(), func(f Folder) bool { return f.Path == p })
}

// purpose is what belongs into a folder, "" for one that is nothing special. The root's is not of a project's folder.
func (s *Storage) purpose(p string) string {
	for _, f := range s.kept {
		switch {
		case p == f:
			return projectPurpose
		case p != root && below(f, p):
			return "Folders of projects."
		case below(p, f):
			return purposes()[strings.TrimPrefix(p, f+"/")]
		}
	}
	return purposes()[p]
}

const projectPurpose = "The folder of a project: its shared storage."

// parts are the folders with a layout, "" for the root: the one of a project, or all that there are.
func (s *Storage) parts() []string {
	switch {
	case s.folder != "":
		return []string{s.folder}
	case s.nobody:
		return []string{""}
	}
	return append([]string{""}, s.folders()...)
}

// InLayout reports whether a path is a folder of the layout.
func InLayout(path string) bool { return isLayout(path) }

// Layout reports on each folder of the layout; of all of shared storage also on those of projects.
func (s *Storage) Layout(ctx context.Context) ([]Folder, error) {
	return await(ctx, s.whole, func(_ context.Context, whole *Storage) (out []Folder, err error) {
		for _, part := range s.parts() {
			out = append(out, s.named(part, whole.look(part, nil))...)
		}
		return out, nil
	}, nil)
}

// Repair creates missing folders of the layout, a project's own included, and sets their owner if configured. done says what it
// did, a sentence each; what it could not do is in the folders' Problem.
func (s *Storage) Repair(ctx context.Context) (done []string, folders []Folder, err error) {
	type result struct {
		done    []string
		folders []Folder
	}
	r, err := await(ctx, s.whole, func(_ context.Context, whole *Storage) (out result, err error) {
		for _, part := range s.parts() {
			did, problems := whole.repair(part)
			if did != "" && part != s.folder {
				did = part + ": " + did
			}
			if did != "" {
				out.done = append(out.done, did)
			}
			out.folders = append(out.folders, s.named(part, whole.look(part, problems))...)
		}
		return out, nil
	}, nil)
	return r.done, r.folders, err
}

// named gives folders of a part the paths by which this one knows them.
func (s *Storage) named(part string, folders []Folder) []Folder {
	for i := range folders {
		if part != s.folder {
			folders[i].Path = path.Join(part, folders[i].Path)
		}
	}
	return folders
}

// madeAll is the result of repairing an empty storage.
const madeAll = "Made the layout."

// layoutOf is the layout of a part, with a project's folder itself.
func layoutOf(part string) []Folder {
	if part == "" {
		return layout()
	}
	return append([]Folder{{Path: root, Purpose: projectPurpose}}, layout()...)
}

// repair returns problems by path.
func (s *Storage) repair(part string) (done string, problems map[string]string) {
	problems = map[string]string{}
	at, err := s.enter(part, true)
	if err != nil {
		problems[root] = cannotBeMade(err)
		return "", problems
	}
	defer func() { _ = at.Close() }() // only read
	var made []string
	for _, f := range layoutOf(part) {
		err := at.Mkdir(f.Path, ownMode)
		switch {
		case err == nil:
			made = append(made, f.Path)
			if problem := s.dress(at, f, true); problem != "" {
				problems[f.Path] = problem
			}
		case errors.Is(err, fs.ErrExist), f.Path == root:
			if s.owner.set() {
				if problem := s.dress(at, f, false); problem != "" {
					problems[f.Path] = problem
				}
			}
		default:
			problems[f.Path] = cannotBeMade(err)
		}
	}
	if len(made) == len(layout()) {
		done = madeAll
	} else if len(made) > 0 {
		done = "Made " + strings.Join(made, ", ") + "."
	}
	return done, problems
}

func cannotBeMade(err error) string {
	var refused *Refusal
	if errors.As(err, &refused) {
		return "It is missing and could not be made. " + refused.Reason
	}
	return "It is missing and could not be made: " + reason(err) + "."
}

// dress sets a folder's owner, and a new one's mode, in this order since chown may clear setgid. It returns what failed.
func (s *Storage) dress(at *os.Root, f Folder, fresh bool) (problem string) {
	info, err := at.Lstat(f.Path)
	if err != nil || !info.IsDir() {
		return "" // look reports it
	}
	want := s.wantedMode(f)
	if s.owner.set() && !s.owner.has(info) {
		if err := at.Lchown(f.Path, s.owner.uid, s.owner.gid); err != nil {
			problem = fmt.Sprintf("It does not belong to %s: %s.", s.owner.name, reason(err))
		}
		if !fresh {
			want = info.Mode() & shownBits
		}
		fresh = true
	}
	if fresh {
		if err := at.Chmod(f.Path, want); err != nil {
			problem = strings.TrimSpace(problem + fmt.Sprintf(" Its mode could not be set to %s: %s.", FormatMode(want), reason(err)))
		}
	}
	return problem
}

// shownBits are the mode bits of interest.
const shownBits = fs.ModePerm | fs.ModeSetgid | fs.ModeSticky

func (s *Storage) wantedMode(f Folder) fs.FileMode {
	if f.Jobs {
		return s.mode
	}
	return ownMode
}

// look reports on the layout of a part, with problems by path that are known already.
func (s *Storage) look(part string, known map[string]string) []Folder {
	out := layoutOf(part)
	at, err := s.enter(part, false)
	if err == nil {
		defer func() { _ = at.Close() }() // only read
	}
	for i := range out {
		f := &out[i]
		var info fs.FileInfo
		failed := err
		if failed == nil {
			info, failed = at.Lstat(f.Path)
		}
		switch {
		case err != nil && i > 0: // said of the folder itself
		case errors.Is(failed, fs.ErrNotExist):
			f.Problem = "It is missing."
		case failed != nil:
			f.Problem = "It cannot be looked at: " + reason(failed) + "."
		case !info.IsDir():
			f.Problem = "It is not a folder, so nothing can be stored there."
		default:
			f.Found, f.Mode, f.Owner = true, info.Mode()&shownBits, ownerOf(info)
			f.Problem = s.judge(*f, info)
		}
		if p := known[f.Path]; p != "" {
			f.Problem = p
		}
	}
	return out
}

// judge reports what would make jobs fail; modes are otherwise the operator's choice.
func (s *Storage) judge(f Folder, info os.FileInfo) string {
	switch {
	case s.owner.set() && !s.owner.has(info):
		return fmt.Sprintf("It belongs to %s, not to %s.", f.Owner, s.owner.name)
	case f.Jobs && f.Mode&0o020 < s.mode&0o020:
		return fmt.Sprintf("Its mode is %s: jobs of other users in its group cannot write there; %s was asked for.", FormatMode(f.Mode), FormatMode(s.mode))
	}
	return ""
}

// FormatMode writes a mode in chmod's form: 2775.
func FormatMode(m fs.FileMode) string {
	bits := uint32(m.Perm())
	if m&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return fmt.Sprintf("%04o", bits)
}

// ParseMode parses chmod's form: three or four octal digits, without setuid.
func ParseMode(text string) (fs.FileMode, bool) {
	bits, err := strconv.ParseUint(text, 8, 32)
	if err != nil || len(text) < 3 || len(text) > 5 || bits > 0o3777 || bits&0o700 != 0o700 {
		return 0, false
	}
	m := fs.FileMode(bits & 0o777) // #nosec G115 -- at most 0o777
	if bits&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if bits&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m, true
}

// reason is the system's error without the path.
func reason(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fault.Quote(err.Error())
}

// ownership is the layout's owner; -1 changes nothing.
type ownership struct {
	uid, gid int
	name     string // "user:group", either may be ""
}

func (o ownership) set() bool { return o.uid >= 0 || o.gid >= 0 }

func (o ownership) has(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (o.uid < 0 || int64(st.Uid) == int64(o.uid)) && (o.gid < 0 || int64(st.Gid) == int64(o.gid))
}

// lookUp resolves names or numbers; "" is -1.
func lookUp(owner, group string) (ownership, error) {
	o := ownership{uid: -1, gid: -1, name: owner + ":" + group}
	var err error
	if owner != "" {
		o.uid, err = number(owner, func(name string) (string, error) {
			u, err := user.Lookup(name)
			if err != nil {
				return "", err
			}
			return u.Uid, nil
		})
		if err != nil {
			return o, fmt.Errorf("owner of shared storage: %w", err)
		}
	}
	if group != "" {
		o.gid, err = number(group, func(name string) (string, error) {
			g, err := user.LookupGroup(name)
			if err != nil {
				return "", err
			}
			return g.Gid, nil
		})
		if err != nil {
			return o, fmt.Errorf("group of shared storage: %w", err)
		}
	}
	return o, nil
}

func number(name string, find func(string) (string, error)) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	id, err := find(name)
	if err != nil {
		return -1, err
	}
	n, err := strconv.ParseUint(id, 10, 31)
	return int(n), err // #nosec G115 -- 31 bits
}

// ownerOf returns a file's owner, by name where possible.
func ownerOf(info os.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	uid, gid := strconv.FormatUint(uint64(st.Uid), 10), strconv.FormatUint(uint64(st.Gid), 10)
	if u, err := user.LookupId(uid); err == nil {
		uid = u.Username
	}
	if g, err := user.LookupGroupId(gid); err == nil {
		gid = g.Name
	}
	return uid + ":" + gid
}
