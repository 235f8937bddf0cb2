package blobout

import "os"

// KeyOf is fileKey, for fuzzing.
var KeyOf = fileKey

// File returns the unfinished file, so that a test can break it.
func (w *Writer) File() *os.File { return w.file }
