package blobout

import "os"

// KeyOf is fileKey, for fuzzing.
var KeyOf = fileKey

// OnSync has f called where a file or a folder is synced.
func (s *Store) OnSync(f func(*os.File) error) { s.sync = f }

// File returns the unfinished file, so that a test can break it.
func (w *Writer) File() *os.File { return w.file }
