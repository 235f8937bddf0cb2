package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/piecework/piecework/functions"
)

// The help has each exit status once, and the codes of errors.
func TestTheHelpHasTheExitStatuses(t *testing.T) {
	r := cli(t, "", nil, "help", "exit-status")
	statuses := []int{exitOK, exitError, exitUsage, exitFailed, exitCancelled, exitNotFound, exitTimeout, exitUnreachable, exitInterrupted}
	for _, status := range statuses {
		if n := strings.Count(r.out, fmt.Sprintf("\n  %3d  ", status)); n != 1 {
			t.Errorf("help exit-status tells the status %d %d times, want once:\n%s", status, n, r.out)
		}
		if text := fmt.Sprint(status, " "); !strings.Contains(strings.Join(strings.Fields(exitHelp), " "), text) {
			t.Errorf("the help of commands does not tell the status %d", status)
		}
	}
	if len(exits) != len(statuses) {
		t.Errorf("%d exit statuses are explained, want %d", len(exits), len(statuses))
	}
	for _, code := range functions.ErrorCodes() {
		if !strings.Contains(r.out, code) {
			t.Errorf("help exit-status does not tell the code %q", code)
		}
	}
	if root := cli(t, "", nil, "--help"); !strings.Contains(root.out, "piecework exit-status") {
		t.Errorf("--help does not name the topic:\n%s", root.out)
	}
}
