package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"gocloud.dev/docstore"
)

// Parked is a message that could not be understood, kept where an operator finds it.
type Parked struct {
	Version  int               `json:"v"`
	ID       string            `json:"id"` // begins with ParkedPrefix
	At       Time              `json:"at"`
	Due      Time              `json:"due,omitzero"` // when it is to be deleted; zero: never
	Queue    string            `json:"queue"`
	Message  string            `json:"message,omitzero"` // the broker's id of the message; empty if there is none
	Reason   string            `json:"reason"`
	Body     []byte            `json:"body,omitzero"` // the message, if it is at most MaxInline long
	Blob     *Blob             `json:"blob,omitzero"` // the message, if it is longer
	Metadata map[string]string `json:"metadata,omitzero"`
	Extra    jsontext.Value    `json:",embed"`

	rev any
}

// ParkedPrefix begins the ids of parked messages, and of no other records.
const ParkedPrefix = "parked-"

const parkedPK = "parked"

// Park stores a message under its id, and returns what is stored: if a message of that id is there already, that one, so
// that a redelivered message is parked once.
func (s *Store) Park(ctx context.Context, p Parked) (Parked, error) {
	p.Version = formatPlain
	data, err := json.Marshal(&p, tolerant, json.Deterministic(true))
	if err != nil {
		return p, fmt.Errorf("encode parked message %s: %w", p.ID, err)
	}
	for tries := s.retries(); ; {
		r := &record{ID: p.ID, Data: data, ListPK: parkedPK, ListSK: sortKey(p.At, p.ID)}
		if p.Due != 0 {
			r.DuePK, r.DueSK = duePK(DueShards+shard(p.ID, GoneShards)), sortKey(p.Due, p.ID)
		}
		f, err := classify(ctx, s.coll.Create(ctx, r))
		switch f {
		case faultNone:
			p.rev = r.Rev
			return p, nil
		case faultConflict:
			there, err := s.GetParked(ctx, p.ID)
			if !errors.Is(err, ErrNotFound) { // else it was dealt with meanwhile
				return there, err
			}
		case faultFinal:
			return p, fmt.Errorf("park message %s: %w", p.ID, err)
		}
		if err := tries.again(ctx, err); err != nil {
			return p, fmt.Errorf("park message %s: %w", p.ID, err)
		}
	}
}

// Parked lists parked messages, newest first, from before the cursor on. Like a page of jobs, a page of messages has
// 3 MiB of data at most, and may be short and yet have a cursor of the next.
func (s *Store) Parked(ctx context.Context, limit int, cursor string) ([]Parked, string, error) {
	f := Filter{Tag: parkedPK}
	before, err := f.openCursor(cursor)
	if err != nil {
		return nil, "", err
	}
	q := s.coll.Query().Where("list_pk", "=", parkedPK).Where("list_sk", "<", before).
		OrderBy("list_sk", docstore.Descending).Limit(limit)
	found, err := s.find(ctx, q, IDField, "list_sk") // an index need not hold the data
	if err != nil {
		return nil, "", fmt.Errorf("list parked messages: %w", err)
	}
	list := make([]Parked, 0, len(found))
	size := 0
	for _, ref := range found {
		r, err := s.read(ctx, ref.ID, s.retries())
		if errors.Is(err, ErrNotFound) {
			before = ref.ListSK
			continue // it was dealt with meanwhile
		}
		if err != nil {
			return nil, "", fmt.Errorf("read parked message %s: %w", ref.ID, err)
		}
		if size += len(r.Data); size > maxPage && len(list) > 0 {
			return list, f.cursor(before), nil
		}
		before = ref.ListSK
		p, err := decodeParked(r)
		if err != nil {
			p.Reason = "unreadable record: " + err.Error()
		}
		list = append(list, p)
	}
	if len(found) < limit {
		return list, "", nil
	}
	return list, f.cursor(before), nil
}

// decodeParked reads a document's message. After an error, it is what could be read.
func decodeParked(r *record) (Parked, error) {
	var p Parked
	err := json.Unmarshal(r.Data, &p, tolerant)
	p.ID, p.rev = r.ID, r.Rev
	if err != nil {
		return p, fmt.Errorf("record %s: %w: %w", r.ID, ErrCorrupt, err)
	}
	if p.Version > Version {
		return p, newerError(r.ID, p.Version)
	}
	return p, nil
}

// GetParked reads a parked message. One that cannot be read, or that a newer version parked, comes with ErrCorrupt or
// ErrNewerRecord, as far as it can be read.
func (s *Store) GetParked(ctx context.Context, id string) (Parked, error) {
	if err := CheckID(id); err != nil {
		return Parked{}, fmt.Errorf("parked message: %w: %w", ErrNotFound, err)
	}
	if !strings.HasPrefix(id, ParkedPrefix) {
		return Parked{}, fmt.Errorf("parked message %.60q: %w: their ids begin with %s", id, ErrNotFound, ParkedPrefix)
	}
	r, err := s.read(ctx, id, s.retries())
	if err != nil {
		return Parked{}, fmt.Errorf("parked message %s: %w", id, err)
	}
	return decodeParked(r)
}

// Unpark deletes a parked message that has been dealt with, as it was read. False means that the record is another one,
// since the message was parked again; or, where the store tells, that it was gone.
func (s *Store) Unpark(ctx context.Context, have Parked) (bool, error) {
	return s.remove(ctx, s.retries(), Job{ID: have.ID, rev: have.rev})
}
