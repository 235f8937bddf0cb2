package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/piecework/piecework/store/internal/engine"
)

// Parked is a message that could not be understood, kept where an operator finds it.
type Parked struct {
	Version  int               `json:"v"`
	ID       string            `json:"id"` // begins with ParkedPrefix
	At       Time              `json:"at"`
	Due      Time              `json:"due,omitzero"` // when it is to be deleted; zero: never
	Queue    string            `json:"queue"`
	Message  string            `json:"message,omitzero"` // the broker's id, if it has one
	Reason   string            `json:"reason"`
	Body     []byte            `json:"body,omitzero"` // the message, if it is at most MaxInline long
	Blob     *Blob             `json:"blob,omitzero"` // the message, if it is longer
	Metadata map[string]string `json:"metadata,omitzero"`
	Extra    jsontext.Value    `json:",embed"`

	rev any
}

// ParkedPrefix begins the ids of parked messages, and of no other records.
const ParkedPrefix = "parked-"

const (
	parkedPK   = "parked"
	parkedName = "parked message"
)

// parkedNoun says how parked messages are stored. They are listed by the time at which they were
// parked, and due when they are to be deleted.
func parkedNoun() engine.Noun[Parked] {
	return engine.Noun[Parked]{
		Name:    parkedName,
		Version: Version,
		Head:    func(p *Parked) engine.Head { return engine.Head{Version: &p.Version, ID: &p.ID, Rev: &p.rev} },
		Keys: func(p Parked) engine.Keys {
			k := engine.Keys{ListPK: parkedPK, ListSK: sortKey(p.At, p.ID)}
			if p.Due != 0 {
				k.DuePK, k.DueSK = duePK(DueShards+shard(p.ID, GoneShards)), sortKey(p.Due, p.ID)
			}
			return k
		},
	}
}

// Park stores a message under its id, and returns the stored message. If there is a message with
// that id already, Park returns that message and stores nothing, so that a redelivered message is
// parked once.
func (s *Store) Park(ctx context.Context, p Parked) (Parked, error) {
	p.Version = formatPlain
	stored, err := s.parked.Create(ctx, s.tries(), p)
	switch {
	case errors.Is(err, ErrExists):
		return stored, nil
	case err != nil:
		return stored, fmt.Errorf("park message: %w", err)
	default:
		return stored, nil
	}
}

// Parked lists parked messages, newest first, from the cursor on. It returns the cursor of the next
// page, or "" at the end. Like a page of jobs, a page of messages has 3 MiB of data at most, and
// may be short although there is a next one.
func (s *Store) Parked(ctx context.Context, limit int, cursor string) ([]Parked, string, error) {
	page, err := s.parked.List(ctx, s.opts.Patience, engine.List[Parked]{
		Name: parkedPK, Partitions: []engine.Partition{{Index: "list", Key: parkedPK}},
		Passes: func(r engine.Result[Parked]) bool { return !errors.Is(r.Err, ErrNotFound) },
	}, limit, cursor)
	if err != nil {
		return nil, "", fmt.Errorf("parked messages: %w", err)
	}
	list := make([]Parked, len(page.Results))
	for i, r := range page.Results {
		if list[i] = r.Record; r.Err != nil {
			list[i].Reason = "unreadable record: " + r.Err.Error()
		}
	}
	return list, page.Next, nil
}

// GetParked reads a parked message. With ErrCorrupt or ErrNewerRecord, it returns the message as
// far as it can be read.
func (s *Store) GetParked(ctx context.Context, id string) (Parked, error) {
	if CheckID(id) == nil && !strings.HasPrefix(id, ParkedPrefix) {
		return Parked{}, fmt.Errorf("%w: the id %.60q does not begin with %s", &NotFoundError{Noun: parkedName}, id, ParkedPrefix)
	}
	return s.parked.Get(ctx, s.tries(), id)
}

// Unpark deletes a parked message on condition that it is as it was read. False means that the
// message was parked again meanwhile or, on stores that report it, that the record was gone.
func (s *Store) Unpark(ctx context.Context, have Parked) (bool, error) {
	return s.parked.Remove(ctx, s.tries(), have)
}
