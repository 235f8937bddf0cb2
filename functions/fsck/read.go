package fsck

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"gocloud.dev/blob"
	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"

	"github.com/piecework/piecework/blobout"
	"github.com/piecework/piecework/store"
)

// document is a document of the collection as it is stored.
type document struct {
	ID     string `docstore:"id"`
	Rev    any    `docstore:"rev"`
	Data   []byte `docstore:"data"`
	DuePK  string `docstore:"due_pk,omitempty"`
	DueSK  string `docstore:"due_sk,omitempty"`
	ListPK string `docstore:"list_pk,omitempty"`
	ListSK string `docstore:"list_sk,omitempty"`
	FailPK string `docstore:"fail_pk,omitempty"`
	FailSK string `docstore:"fail_sk,omitempty"`

	Expires any `docstore:"expires,omitempty"` // a number or a date, as the store wants it
}

// fields are the fields of a document. Naming them lets a later version add others.
var fields = []docstore.FieldPath{
	"id", "rev", "data", "due_pk", "due_sk", "list_pk", "list_sk", "fail_pk", "fail_sk", store.ExpiresField,
}

const kindsID = "kinds"

// The nouns that this version knows.
const (
	nounJob    = "job"
	nounParked = "parked"
	nounKinds  = "kinds"
)

// noun tells what a document is of by the form of its id.
func (d document) noun() string {
	noun, _, dashed := strings.Cut(d.ID, "-")
	switch {
	case d.ID == kindsID:
		return nounKinds
	case dashed && (noun == nounJob || noun == nounParked):
		return noun
	default:
		return ""
	}
}

// state is the state of a job, also of one that cannot be read further.
func (d document) state() store.State {
	var head struct {
		State store.State `json:"state"`
	}
	if err := json.Unmarshal(d.Data, &head, tolerant); err != nil {
		return "unreadable"
	}
	return head.State
}

// version is the version of the record's format; 0 if there is none.
func (d document) version() int {
	var head struct {
		Version int `json:"v"`
	}
	_ = json.Unmarshal(d.Data, &head, tolerant) // what does not decode is reported by the rule about that
	return head.Version
}

// readAll reads the whole collection.
func (c *checker) readAll(ctx context.Context) ([]document, error) {
	it := c.coll.Query().Get(ctx, fields...)
	defer it.Stop()
	var docs []document
	for {
		var d document
		err := it.Next(ctx, &d)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, fmt.Errorf("fsck: read document %d of the collection: %w", len(docs)+1, err)
		}
		docs = append(docs, d)
	}
}

// readOne reads one document; false if there is none.
func (c *checker) readOne(ctx context.Context, id string) (document, bool, error) {
	d := document{ID: id}
	err := c.coll.Get(ctx, &d, fields[1:]...)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return d, false, nil
	}
	if err != nil {
		return d, false, fmt.Errorf("fsck: read document %s: %w", id, err)
	}
	return d, true, nil
}

// file is a blob that exists.
type file struct {
	Key     string
	Size    int64
	ModTime time.Time
}

const jobsRoot = "jobs/"

// listBlobs lists the blobs of one record, or of all, by record.
func (c *checker) listBlobs(ctx context.Context, id string) (map[string][]file, error) {
	files := map[string][]file{}
	prefix := ""
	if id != "" {
		prefix = blobout.Prefix(id)
	}
	it := c.bucket.List(&blob.ListOptions{Prefix: prefix})
	for {
		o, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return files, fmt.Errorf("fsck: list blobs %q: %w", prefix, err)
		}
		rest, ours := strings.CutPrefix(o.Key, jobsRoot)
		owner, _, ok := strings.Cut(rest, "/")
		if !ours || !ok || owner == "" {
			c.report.Notes = append(c.report.Notes, Problem{o.Key, NoteForeign, "the blob is not one of Piecework's"})
			continue
		}
		files[owner] = append(files[owner], file{o.Key, o.Size, o.ModTime})
	}
}

// sum reads a blob and gives its checksum.
func (c *checker) sum(ctx context.Context, key string) (string, error) {
	r, err := c.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return "", fmt.Errorf("fsck: read blob %q: %w", key, err)
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, struct{ io.Reader }{r}); err != nil { // its WriteTo would take a megabyte, also for a small blob
		return "", fmt.Errorf("fsck: read blob %q: %w", key, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
