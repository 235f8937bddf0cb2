//go:build unix

package postgres

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// PostgreSQL refuses to run as root. account is another user to run it as, nil if this
// process is not root.
func account() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// giveAway makes the directory belong to that user.
func giveAway(dir string) error {
	cred, err := account()
	if err != nil || cred == nil {
		return err
	}
	return os.Chown(dir, int(cred.Uid), int(cred.Gid))
}

// unprivileged has cmd run as that user, in a process group of its own, so that a
// terminal's interrupt does not reach it.
func unprivileged(cmd *exec.Cmd) {
	cred, _ := account() // giveAway has reported the error
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: cred}
}
