package cloudrun

import "net/http"

// Unwrapped is what a push holds, for the tests.
type Unwrapped struct {
	Body     []byte
	Metadata map[string]string
	ID, From string
}

// Unwrap takes a message out of its envelope.
func Unwrap(body []byte, header http.Header) (Unwrapped, error) {
	d, err := unwrap(body, header)
	return Unwrapped{d.body, d.metadata, d.id, d.from}, err
}
