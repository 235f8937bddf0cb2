// Package engine reads and writes the records of a docstore collection. It knows no noun: a [Noun]
// tells it where a record keeps its id, revision and tokens, and which keys it has in the indexes.
//
// Every change of a record is one conditional write, made by [Records.Change]: read, apply a pure
// step, replace the document if its revision has not moved. The loop around it is written once,
// here: it repeats a write that lost a race, recognises a write whose answer was lost, pauses when
// the store is slow or away, and gives up when its [Tries] are used up.
//
//	record.go      documents, keys, nouns, ids; encoding and decoding
//	fault.go       the errors, and what an error of docstore says about the write
//	tries.go       pauses between tries, patience, hints of a store that throttles
//	change.go      Get, Create, Change, Remove, DeferDue
//	many.go        GetMany, and the rounds in which many records are read or written
//	many_write.go  CreateMany, ChangeMany, RemoveMany
//	query.go       index queries: Due, and the merged partitions of a list
//	list.go        pages and cursors
package engine
