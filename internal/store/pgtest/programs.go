package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"
)

// minVersion is the oldest PostgreSQL that the store supports.
const minVersion = 15

// findPrograms returns the folder of the newest PostgreSQL on the PATH or where Debian puts it.
func findPrograms() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is valid
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			found = append(found, initdb)
		}
	}
	newest, folder := 0, ""
	for _, initdb := range found {
		out, err := exec.CommandContext(context.Background(), initdb, "--version").Output()
		if err != nil {
			continue
		}
		digits := regexp.MustCompile(`\d+`).FindString(string(out))
		if v, _ := strconv.Atoi(digits); v > newest {
			newest, folder = v, filepath.Dir(initdb)
		}
	}
	switch {
	case newest == 0:
		return "", errors.New("initdb is neither in the PATH nor in /usr/lib/postgresql (apt-get install postgresql)")
	case newest < minVersion:
		return "", fmt.Errorf("version %d is installed, the store needs %d", newest, minVersion)
	}
	return folder, nil
}

func tempDir() string {
	if dir := os.TempDir(); len(dir) <= maxSocketDir {
		return dir
	}
	return "/tmp"
}

// command returns a command to run as another user where this one is root, which PostgreSQL refuses. With diskMiB it sees at
// /mnt a file system of that size, which ends with its processes: in a user namespace that takes no rights.
func command(diskMiB int, argv ...string) (*exec.Cmd, error) {
	uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
	attr := &syscall.SysProcAttr{Setsid: true} // an interrupt at the terminal is for the test
	if uid == 0 {
		var err error
		if uid, gid, err = unprivileged(); err != nil {
			return nil, err
		}
		attr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	if diskMiB > 0 {
		argv = slices.Concat([]string{"unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
			`mount -t tmpfs -o size=$0m,mode=700 pgtest /mnt && exec "$@"`, strconv.Itoa(diskMiB),
			"unshare", "--user", fmt.Sprintf("--map-user=%d", uid), fmt.Sprintf("--map-group=%d", gid)}, argv)
	}
	cmd := exec.CommandContext(context.Background(), argv[0], argv[1:]...) // no test owns it
	cmd.SysProcAttr = attr
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C"} // none of the PG variables
	return cmd, nil
}

// unprivileged returns the user that Debian's package makes for servers, or nobody.
func unprivileged() (uid, gid uint32, err error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return 0, 0, err
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	group, err := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(id), uint32(group), err
}
