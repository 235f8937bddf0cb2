package nats

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// takes is an error if a stream does not keep what is sent to a subject: then it is not the lane's, although it has the
// name, but another deployment's perhaps, whose messages would be received here. Streams that copy from others are left to
// whoever made them.
func takes(c jetstream.StreamConfig, subject string) error {
	covers := func(pattern string) bool { return covers(pattern, subject) }
	if c.Mirror != nil || len(c.Sources) > 0 || slices.ContainsFunc(c.Subjects, covers) {
		return nil
	}
	return fmt.Errorf("it takes %s and not %s, so it is that of another deployment: name one of your own, with stream=NAME-{queue}",
		strings.Join(c.Subjects, ", "), subject)
}

// covers reports whether a subject is one of those that a pattern of NATS stands for.
func covers(pattern, subject string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range want {
		switch {
		case token == ">":
			return len(have) > i
		case i >= len(have) || token != "*" && token != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}
