package main

import (
	"net"

	"github.com/FerretDB/wire/wirebson"
)

// listed are the ids of a question for the documents of a list of ids; nil if it asks for anything else.
func listed(find *wirebson.Document) *wirebson.Array {
	filter := document(find.Get("filter"))
	if filter == nil || filter.Len() != 1 || find.Get("limit") != nil || find.Get("skip") != nil || find.Get("sort") != nil {
		return nil
	}
	in := document(filter.Get("_id"))
	if in == nil || in.Len() != 1 {
		return nil
	}
	return list(in.Get("$in"))
}

// findEach asks for one document after the other, and answers as if there had been one question. FerretDB looks up an
// id, but reads everything for a list of them.
func findEach(server net.Conn, command message, find *wirebson.Document, ids *wirebson.Array) (message, error) {
	found := wirebson.MakeArray(ids.Len())
	var reply message
	var answer, cursor *wirebson.Document
	for i := range ids.Len() {
		one, err := wirebson.NewDocument("_id", ids.Get(i))
		if err != nil {
			return nil, err
		}
		if err := find.Replace("filter", one); err != nil {
			return nil, err
		}
		if reply, err = askWith(server, command, find); err != nil {
			return nil, err
		}
		answer = reply.document()
		if cursor = document(answer.Get("cursor")); cursor == nil {
			return reply, nil // an error
		}
		batch := list(cursor.Get("firstBatch"))
		for n := range batch.Len() {
			if err := found.Add(batch.Get(n)); err != nil {
				return nil, err
			}
		}
	}
	if err := cursor.Replace("firstBatch", found); err != nil {
		return nil, err
	}
	if err := answer.Replace("cursor", cursor); err != nil {
		return nil, err
	}
	return reply.with(answer)
}
