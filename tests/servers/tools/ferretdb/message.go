package main

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/FerretDB/wire"
	"github.com/FerretDB/wire/wirebson"
)

// message is one message of MongoDB's protocol: its length, itself included, a number, the number of the message that it
// answers, and a code; then, of OP_MSG, flags and the sections.
type message []byte

const (
	header  = wire.MsgHeaderLen
	opMsg   = 2013
	body    = header + 4 // behind the flags
	longest = 64 << 20
)

func readMessage(r io.Reader) (message, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head)
	if n < header || n > longest {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	m := make(message, n)
	copy(m, head)
	_, err := io.ReadFull(r, m[4:])
	return m, err
}

// document returns the document of an OP_MSG, its lists that were sent apart included; nil if it is anything else, which is passed on
// as it is.
func (m message) document() *wirebson.Document {
	if len(m) <= body || binary.LittleEndian.Uint32(m[12:]) != opMsg {
		return nil
	}
	var parsed wire.OpMsg
	if err := parsed.UnmarshalBinaryNocopy(m[header:]); err != nil || parsed.Flags.FlagSet(wire.OpMsgChecksumPresent) {
		return nil
	}
	doc, err := parsed.RawSection0().Decode()
	if err != nil {
		return nil
	}
	for _, section := range parsed.Sections() {
		if section.Kind == 0 {
			continue
		}
		list := wirebson.MakeArray(len(section.Documents()))
		for _, d := range section.Documents() {
			if err := list.Add(d); err != nil {
				return nil
			}
		}
		if err := doc.Add(section.Identifier, list); err != nil {
			return nil
		}
	}
	return doc
}

// with is the message with another document.
func (m message) with(doc *wirebson.Document) (message, error) {
	raw, err := doc.Encode()
	if err != nil {
		return nil, err
	}
	n := append(append(append(message{}, m[:body]...), 0), raw...)
	binary.LittleEndian.PutUint32(n, uint32(len(n)))
	return n, nil
}

// list is a value that is a list, or nil.
func list(value any) *wirebson.Array {
	raw, ok := value.(wirebson.AnyArray)
	if !ok {
		return nil
	}
	array, err := raw.Decode()
	if err != nil {
		return nil
	}
	return array
}

// document is a value that is a document, or nil.
func document(value any) *wirebson.Document {
	raw, ok := value.(wirebson.AnyDocument)
	if !ok {
		return nil
	}
	doc, err := raw.Decode()
	if err != nil {
		return nil
	}
	return doc
}
