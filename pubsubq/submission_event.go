package pubsubq

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Submission returns the job that the event asks for. Its type is the kind, its data are the
// arguments, and the extension attributes with the prefix "piece" are the options; see
// [ParseSubmission].
func (e CloudEvent) Submission() (Submission, error) {
	s, err := e.options()
	return s, e.malformed(err)
}

func (e CloudEvent) options() (Submission, error) {
	a := e.Attributes
	for _, name := range sortedKeys(a) {
		if strings.HasPrefix(name, "piece") && !slices.Contains(eventOptions, name) {
			return Submission{}, unknownName("attribute", name, eventOptions)
		}
	}
	s := Submission{
		Kind: e.Type, Args: e.Data, Key: a["piecekey"], Queue: a["piecequeue"], Source: e.Source, Trace: TraceOf(a),
	}
	if s.Key == "" {
		s.Key = e.Key()
	}
	for tag := range strings.SplitSeq(a["piecetags"], ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			s.Tags = append(s.Tags, tag)
		}
	}
	if err := numbers(a, &s); err != nil {
		return s, err
	}
	if err := s.setTimes(a["pieceat"], a["piecedelay"]); err != nil {
		return s, err
	}
	return s, s.check()
}

// Key returns the idempotency key of the event: all deliveries of the event have it, and no other
// event has it. It is the source, a slash and the id. If that is too long for a key, or could be
// the key of another event, because the id has a slash or the source begins with "event", it is
// "event/" and a digest of source and id.
func (e CloudEvent) Key() string {
	key := e.Source + "/" + e.ID
	if len(key) <= maxKey && !strings.Contains(e.ID, "/") && !strings.HasPrefix(e.Source, "event") {
		return key
	}
	sum := sha256.Sum256([]byte(e.Source + "\x00" + e.ID)) // neither has a NUL
	return "event/" + hex.EncodeToString(sum[:16])
}

// maxKey is how many bytes a key may have.
const maxKey = 512

var eventOptions = []string{
	"piecekey", "pieceat", "piecedelay", "piecequeue", "piecetags", "pieceheld", "piecemaxattempts",
}

// numbers reads the options that are not text.
func numbers(e map[string]string, s *Submission) error {
	if v := e["pieceheld"]; v != "" {
		held, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("pieceheld: want true or false, got %q", v)
		}
		s.Held = held
	}
	if v := e["piecemaxattempts"]; v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return fmt.Errorf("piecemaxattempts: want a whole number, got %q", v)
		}
		s.MaxAttempts = &n
	}
	return nil
}
