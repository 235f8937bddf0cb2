// Package killing kills the real command with SIGKILL, at random and under load, and looks whether anything was lost,
// done twice or left broken. It has tests only.
package killing
