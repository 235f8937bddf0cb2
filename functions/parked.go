package functions

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/store"
)

// Parked lists messages that were put aside because they could not be made jobs, newest first. When
// messages are large, a page may be short although it has a cursor of the next page.
func (c *Client) Parked(ctx context.Context, limit int, cursor string) ([]store.Parked, string, error) {
	if limit <= 0 || limit > 1000 {
		return nil, "", fmt.Errorf("%w: limit %d: must be 1 to 1000", ErrInvalid, limit)
	}
	return c.rt.store.Parked(ctx, limit, cursor)
}

// RemoveParked deletes a parked message. It returns ErrNotFound if there is none with that id.
func (c *Client) RemoveParked(ctx context.Context, id string) error {
	p, err := c.rt.store.GetParked(ctx, id)
	if err != nil && !errors.Is(err, store.ErrCorrupt) {
		return err
	}
	return c.rt.unpark(ctx, p)
}

// ReplayParked submits a parked message again, for instance because a version of the program that
// understands it runs now, and deletes it when its jobs are there. It returns the id of the first
// job, or "" if a trigger knows the message and makes no job of it. A message that cannot be made a
// job this time either stays parked, and the error says why.
//
// Calling it again, also because the process died inside, creates no second job: the jobs are keyed
// as at the message's first delivery. A message that has neither a key nor a broker's id is keyed
// by the id under which it is parked.
func (c *Client) ReplayParked(ctx context.Context, id string) (jobID string, err error) {
	p, err := c.rt.store.GetParked(ctx, id)
	if err != nil {
		return "", err
	}
	if p.Queue != SubmitQueue {
		return "", fmt.Errorf("%w: parked message %s came from queue %q; only messages of queue %q can be submitted again",
			ErrInvalid, id, p.Queue, SubmitQueue)
	}
	body := p.Body
	if p.Blob != nil {
		if body, err = c.rt.blobs.Get(ctx, asPart(*p.Blob)); err != nil {
			return "", fmt.Errorf("parked message %s: %w", id, err)
		}
	}
	asked, err := c.rt.ask(ctx, Message{Body: body, Metadata: p.Metadata, MessageID: cmp.Or(p.Message, p.ID)})
	if err != nil {
		return "", fmt.Errorf("parked message %s: %w", id, err)
	}
	jobID, err = c.rt.submitAll(ctx, asked.requests)
	if err = errors.Join(asked.unknown, asked.refused, err); errors.Is(err, pubsubq.ErrMalformed) {
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return jobID, fmt.Errorf("replay parked message %s: %w", id, err)
	}
	return jobID, c.rt.unpark(ctx, p)
}

// unpark deletes a parked message, and then its body: without the body, a replay could not go on.
// Another delivery of the message may be parked meanwhile; its body has another key. If the process
// dies in between, fsck removes the body.
func (rt *Runtime) unpark(ctx context.Context, p store.Parked) error {
	gone, err := rt.store.Unpark(ctx, p)
	switch {
	case err != nil, !gone:
		return err
	case p.Blob != nil && p.Blob.Key != "":
		return rt.blobs.Remove(ctx, asPart(*p.Blob))
	case len(p.Body) == 0: // the record cannot be read
		_, err = rt.blobs.RemoveAll(ctx, p.ID)
	}
	return err
}

// parked is sweep's step for parked messages.
func (s *sweep) parked(ctx context.Context, ids []string) []store.Job {
	batch := make([]store.Result, len(ids))
	for i, id := range ids {
		batch[i].Job.ID = id
	}
	return s.each(ctx, batch, s.removeParked)
}

// removeParked deletes a parked message whose retention has passed, also one that cannot be read.
func (s *sweep) removeParked(ctx context.Context, r store.Result) store.Job {
	if s.isAway() {
		s.removed(ctx, r.Job, false, nil)
		return store.Job{}
	}
	p, err := s.rt.store.GetParked(ctx, r.Job.ID)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrNewerRecord), err == nil && (p.Due == 0 || p.Due > s.now):
		s.removed(ctx, r.Job, false, nil)
	case err == nil, errors.Is(err, store.ErrCorrupt):
		err = s.rt.unpark(ctx, p)
		s.removed(ctx, r.Job, err == nil, err)
	default:
		s.removed(ctx, r.Job, false, err)
	}
	return store.Job{}
}
