package main

import (
	"net"

	"github.com/FerretDB/wire/wirebson"
)

// mostUpdates is how many updates FerretDB is asked for at once. It holds a connection to PostgreSQL for each until it
// has done all, and waits forever when it has no more.
const mostUpdates = 20

// updateSome asks for some updates after the others, and answers as if all had been asked for at once.
func updateSome(server net.Conn, command message, update *wirebson.Document, updates *wirebson.Array) (message, error) {
	var matched, modified int32
	var reply message
	var answer *wirebson.Document
	for from := 0; from < updates.Len(); from += mostUpdates {
		some := wirebson.MakeArray(mostUpdates)
		for i := from; i < min(from+mostUpdates, updates.Len()); i++ {
			if err := some.Add(updates.Get(i)); err != nil {
				return nil, err
			}
		}
		if err := update.Replace("updates", some); err != nil {
			return nil, err
		}
		var err error
		if reply, err = askWith(server, command, update); err != nil {
			return nil, err
		}
		answer = reply.document()
		n, ok := answer.Get("n").(int32)
		if !ok || answer.Get("writeErrors") != nil {
			return reply, nil // an error
		}
		more, _ := answer.Get("nModified").(int32)
		matched, modified = matched+n, modified+more
	}
	for name, n := range map[string]int32{"n": matched, "nModified": modified} {
		if err := answer.Replace(name, n); err != nil {
			return nil, err
		}
	}
	return reply.with(answer)
}
