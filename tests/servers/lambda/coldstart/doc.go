// Package coldstart measures what Piecework costs beside the least that a function in Go can be: the size of the programs
// of each target, the time from the start of a process to its first answer, and the time of a warm invocation beside a
// handler that only writes the same number of records to the same server.
//
//	go test -v -count=1 ./lambda/coldstart
//
// prints the tables, and fails if a budget is exceeded. Sizes are strict. Times are medians of runs that alternate between
// the programs, so that a busy machine slows all alike, and one on which the empty function takes long leaves the others as
// much more; if they are over the budget they are taken once more.
//
// The directories bare (beside this one), barehttp and barewriter have the programs to compare with.
package coldstart
