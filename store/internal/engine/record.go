package engine

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"gocloud.dev/docstore"
)

// The names of fields. A collection has IDField as its key and RevisionField as its revision.
const (
	IDField       = "id"
	RevisionField = "rev"
	ExpiresField  = "expires"
)

// Doc is a document of the collection. It holds one record.
type Doc struct {
	ID   string `docstore:"id"`
	Rev  any    `docstore:"rev"`
	Data []byte `docstore:"data"`
	Keys
}

// Keys are a document's keys in the indexes, and the time at which the store deletes it. An empty
// field is absent.
type Keys struct {
	DuePK   string `docstore:"due_pk,omitempty"`
	DueSK   string `docstore:"due_sk,omitempty"`
	ListPK  string `docstore:"list_pk,omitempty"`
	ListSK  string `docstore:"list_sk,omitempty"`
	FailPK  string `docstore:"fail_pk,omitempty"`
	FailSK  string `docstore:"fail_sk,omitempty"`
	Expires any    `docstore:"expires,omitempty"` // an int64 or a time.Time in UTC
}

// dataFields are what a read by id asks for. Naming them keeps a field that a later version adds
// from failing the decoding of the whole document.
var dataFields = []docstore.FieldPath{"data", RevisionField}

// Noun is what the engine must know about the records of one noun. R is the record, passed by
// value. Name, Version, Head and Keys are required.
type Noun[R any] struct {
	// Name is what users call such a record, as in "job".
	Name string
	// Version is the newest format that this version of the software knows. A record of a newer
	// format is not changed.
	Version int
	// Head points at the members of a record that the engine reads and sets.
	Head func(*R) Head
	// Keys returns the keys under which the indexes must list a record.
	Keys func(R) Keys
	// Encode encodes next, which replaces cur. cur is the zero value if next is new. It may return
	// a changed record, such as a shortened one. Nil: Lenient JSON of any size.
	Encode func(cur, next R) (R, []byte, error)
	// Complete completes the result of each change before it is written. Nil: nothing to do.
	Complete func(R) R
	// Expired reports whether a record counts as deleted although the store has not deleted it yet.
	// Nil: never.
	Expired func(R) bool
}

// Head points at members of a record.
type Head struct {
	Version *int
	ID      *string
	Rev     *any    // docstore's revision; nil: the record was never stored
	Nonce   *string // token of the creation; nil: Create cannot recognise its own write
	Write   *string // token of the last write; nil: Change asks step
}

// Records are the records of one noun in a collection.
type Records[R any] struct {
	*Collection
	Noun[R]
}

// Lenient is how records are encoded and decoded. It accepts what encoding/json accepts: users'
// arguments and results may repeat a name, and texts of errors may not be UTF-8. Refusing them
// would lose the whole write. What is not UTF-8 is replaced.
var Lenient = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), json.Deterministic(true))

// encode returns the document with which next replaces cur, and next as it is written. Call it once
// for each try: drivers spoil the revision of a document that they fail to write.
func (rs Records[R]) encode(cur, next R) (R, *Doc, error) {
	if *rs.Head(&cur).Rev == nil {
		if err := CheckID(*rs.Head(&next).ID); err != nil {
			return next, nil, err
		}
	}
	var data []byte
	var err error
	if rs.Encode != nil {
		next, data, err = rs.Encode(cur, next)
	} else if data, err = json.Marshal(&next, Lenient); err != nil {
		err = fmt.Errorf("encode %s: %w", *rs.Head(&next).ID, err)
	}
	if err != nil {
		return next, nil, err
	}
	h := rs.Head(&next)
	return next, &Doc{ID: *h.ID, Rev: *h.Rev, Data: data, Keys: rs.Keys(next)}, nil
}

// Decode returns the record of a document. After an error it returns as much as could be read, its
// id and revision at least. The error is ErrNewerRecord or ErrCorrupt.
func (rs Records[R]) Decode(d *Doc) (R, error) {
	var r R
	err := json.Unmarshal(d.Data, &r, Lenient)
	h := rs.Head(&r)
	*h.ID, *h.Rev = d.ID, d.Rev
	version := *h.Version
	if err != nil {
		var head struct {
			Version int `json:"v"`
		}
		if json.Unmarshal(d.Data, &head, Lenient) != nil {
			head.Version = 0
		}
		version = head.Version
	}
	if version > rs.Version {
		*h.Version = version
		return r, fmt.Errorf("record %s: %w: format %d, this version writes format %d; update this process",
			d.ID, ErrNewerRecord, version, rs.Version)
	}
	if err != nil {
		return r, fmt.Errorf("record %s: %w: %w", d.ID, ErrCorrupt, err)
	}
	return r, nil
}

// notFound is the error of a record that is not there.
func (rs Records[R]) notFound() error { return &NotFoundError{Noun: rs.Name} }

// hasExpired is the error of a record that counts as deleted.
func (rs Records[R]) hasExpired() error { return &NotFoundError{Noun: rs.Name, Expired: true} }

// expired reports whether a record counts as deleted.
func (rs Records[R]) expired(r R) bool { return rs.Expired != nil && rs.Expired(r) }

// stamp gives a record the token of its next write, and returns the token; "" if the noun has none.
func (rs Records[R]) stamp(r *R) string {
	h := rs.Head(r)
	if h.Write == nil {
		return ""
	}
	*h.Write = rs.Token()
	return *h.Write
}

// Mods lists what a write must change in the indexes, from was to k. Fields that stay are not
// written. That spares stores the work on their indexes, and keeps fields of the document that a
// later version has added.
func (k Keys) Mods(was Keys) docstore.Mods {
	mods := docstore.Mods{}
	index := func(name, pk, sk, wasPK, wasSK string) {
		if pk != wasPK || sk != wasSK {
			mods[docstore.FieldPath(name+"_pk")], mods[docstore.FieldPath(name+"_sk")] = field(pk), field(sk)
		}
	}
	index("due", k.DuePK, k.DueSK, was.DuePK, was.DueSK)
	index("list", k.ListPK, k.ListSK, was.ListPK, was.ListSK)
	index("fail", k.FailPK, k.FailSK, was.FailPK, was.FailSK)
	if k.Expires != was.Expires {
		mods[ExpiresField] = k.Expires
	}
	return mods
}

// mods lists what a write must change in the stored document of cur to make it d.
func (rs Records[R]) mods(cur R, d *Doc) docstore.Mods {
	mods := d.Keys.Mods(rs.Keys(cur))
	mods["data"] = d.Data
	return mods
}

// field returns the value to set a field to; nil removes the field.
func field(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// MaxID is the longest id of a record in bytes.
const MaxID = 200

// ErrID says that a text cannot be the id of a record. Verbs that read give it together with
// ErrNotFound.
var ErrID = errors.New("malformed id")

// CheckID says what is wrong with the id of a record, or nil. An id is 1 to MaxID bytes long: ASCII
// letters, digits and "-", ".", "_", ":", "~" and "@", with a letter or digit first. Every store,
// queue, bucket and URL takes such ids as they are, so no verb passes another id to a driver.
func CheckID(id string) error {
	if id == "" || len(id) > MaxID || !alphanumeric(id[0]) {
		return malformedID(id)
	}
	for i := 1; i < len(id); i++ {
		switch c := id[i]; {
		case alphanumeric(c), c == '-', c == '.', c == '_', c == ':', c == '~', c == '@':
		default:
			return malformedID(id)
		}
	}
	return nil
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z'
}

func malformedID(id string) error {
	return fmt.Errorf("%w %.60q: an id has 1 to %d letters, digits, dashes, dots, underscores, colons, tildes and at signs, "+
		"and begins with a letter or digit", ErrID, id, MaxID)
}
