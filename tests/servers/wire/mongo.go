package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/bson"
)

// MongoDB starts a proxy before a server of MongoDB's protocol. It refuses as Azure Cosmos DB does: a command with error
// 16500, and of a write the documents that it has no room for.
func MongoDB(tb testing.TB, server string, opts Options) *Proxy {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	p := &Proxy{opts: opts, URL: "mongodb://" + l.Addr().String()}
	target := strings.TrimPrefix(server, "mongodb://")
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer client.Close()
				dialer := &net.Dialer{}
				behind, err := dialer.DialContext(tb.Context(), "tcp", target)
				if err != nil {
					return
				}
				defer behind.Close()
				_ = p.mongo(client, behind) // the client sees that the connection is gone
			}()
		}
	}()
	return p
}

// opMsg is the code of the messages that carry commands.
const opMsg = 2013

// message is one of MongoDB's protocol.
type message struct {
	id, code int32
	payload  []byte // behind the header
}

func readMessage(r io.Reader) (message, error) {
	var head [16]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return message{}, err
	}
	n := int32(binary.LittleEndian.Uint32(head[:]))
	if n < 16 || n > 64<<20 {
		return message{}, fmt.Errorf("a message of %d bytes", n)
	}
	m := message{
		id: int32(binary.LittleEndian.Uint32(head[4:])), code: int32(binary.LittleEndian.Uint32(head[12:])),
		payload: make([]byte, n-16),
	}
	_, err := io.ReadFull(r, m.payload)
	return m, err
}

func (m message) write(w io.Writer, to int32) error {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(m.payload)+16))
	b = binary.LittleEndian.AppendUint32(b, uint32(m.id))
	b = binary.LittleEndian.AppendUint32(b, uint32(to))
	b = binary.LittleEndian.AppendUint32(b, uint32(m.code))
	_, err := w.Write(append(b, m.payload...))
	return err
}

// mongo serves a connection: one command, one answer.
func (p *Proxy) mongo(client, behind net.Conn) error {
	for {
		m, err := readMessage(client)
		if err != nil {
			return err
		}
		answer, err := p.command(m, behind)
		if err != nil {
			return err
		}
		if err := answer.write(client, m.id); err != nil {
			return err
		}
	}
}

// sequences are the lists of documents of the commands that write.
var sequences = map[string]string{"insert": "documents", "update": "updates", "delete": "deletes"}

// command passes on what it does not refuse, and puts the answer together.
func (p *Proxy) command(m message, behind net.Conn) (message, error) {
	forward := func(m message) (message, error) {
		if err := m.write(behind, 0); err != nil {
			return m, err
		}
		return readMessage(behind)
	}
	if m.code != opMsg {
		return forward(m)
	}
	body, docs, name, err := parse(m.payload)
	if err != nil {
		return m, err
	}
	seq, writes := sequences[name]
	if !writes && name != "find" && name != "getMore" {
		return forward(m)
	}
	if !writes {
		if _, no := p.refuse(name); no {
			return reply(bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: 16500}, {Key: "codeName", Value: "RequestRateTooLarge"}, {Key: "errmsg", Value: p.tooMany()}})
		}
		answer, err := p.read(name, m, forward)
		if err == nil {
			p.add(name, Count{Calls: 1, Items: found(answer)})
		}
		return answer, err
	}
	var through []bson.Raw
	var errs bson.A
	for i, d := range docs {
		if _, no := p.refuse(name); no {
			errs = append(errs, bson.D{{Key: "index", Value: i}, {Key: "code", Value: 16500}, {Key: "errmsg", Value: p.tooMany()}})
		} else {
			through = append(through, d)
		}
	}
	if len(through) == 0 {
		return reply(bson.D{{Key: "ok", Value: 1}, {Key: "n", Value: 0}, {Key: "nModified", Value: 0}, {Key: "writeErrors", Value: errs}})
	}
	p.add(name, Count{Calls: 1, Items: len(through)})
	answer, err := forward(message{m.id, opMsg, build(body, seq, through)})
	if err != nil || len(errs) == 0 {
		return answer, err
	}
	said, _, _, err := parse(answer.payload)
	if err != nil {
		return answer, err
	}
	var all bson.D
	if err := bson.Unmarshal(said, &all); err != nil {
		return answer, err
	}
	return reply(append(all, bson.E{Key: "writeErrors", Value: errs})) // the server's own, if any, come before: the first counts
}

// heldCursor is the cursor of an answer whose documents are held back.
const heldCursor = int64(4711)

// read passes a read on. If answers are to be split, the answer to a find is empty, and its documents come with getMore.
func (p *Proxy) read(name string, m message, forward func(message) (message, error)) (message, error) {
	if !p.opts.Split {
		return forward(m)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if name == "getMore" && !p.held.IsZero() {
		docs := p.held
		p.held = bson.RawValue{}
		return reply(bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{{Key: "id", Value: int64(0)}, {Key: "ns", Value: p.ns}, {Key: "nextBatch", Value: docs}}}})
	}
	answer, err := forward(m)
	if err != nil || name != "find" || found(answer) == 0 {
		return answer, err
	}
	body, _, _, err := parse(answer.payload)
	if err != nil {
		return answer, err
	}
	p.held = body.Lookup("cursor", "firstBatch")
	p.ns = body.Lookup("cursor", "ns").StringValue()
	return reply(bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{{Key: "id", Value: heldCursor}, {Key: "ns", Value: p.ns}, {Key: "firstBatch", Value: bson.A{}}}}})
}

// tooMany is the text of Cosmos DB, as its users quote it.
func (p *Proxy) tooMany() string {
	wait := p.opts.RetryAfter
	if wait == 0 {
		wait = 34 * time.Millisecond
	}
	const reason = "Request rate is large. More Request Units may be needed, so no changes were made. Please retry this request later."
	return fmt.Sprintf("Error=16500, RetryAfterMs=%d, Details='Response status code does not indicate success: TooManyRequests (429); "+
		"Substatus: 3200; Reason: ({ \"Errors\": [ \"%s\" ]});", wait.Milliseconds(), reason)
}

// parse takes a command apart: its document, its list of documents if it has one, and its name.
func parse(payload []byte) (body bson.Raw, docs []bson.Raw, name string, err error) {
	if len(payload) < 4 {
		return nil, nil, "", errors.New("a message without flags")
	}
	if flags := binary.LittleEndian.Uint32(payload); flags&1 != 0 {
		payload = payload[:len(payload)-4] // a checksum
	}
	for rest := payload[4:]; len(rest) > 0; {
		kind := rest[0]
		rest = rest[1:]
		n := int(binary.LittleEndian.Uint32(rest))
		section := rest[:n]
		rest = rest[n:]
		if kind == 0 {
			body = section
			continue
		}
		_, list, ok := strings.Cut(string(section[4:]), "\x00")
		for ok && list != "" {
			n := int(binary.LittleEndian.Uint32([]byte(list[:4])))
			docs = append(docs, bson.Raw(list[:n]))
			list = list[n:]
		}
	}
	first, err := body.IndexErr(0)
	if err != nil {
		return nil, nil, "", err
	}
	return body, docs, first.Key(), nil
}

// build puts a command together again.
func build(body bson.Raw, seq string, docs []bson.Raw) []byte {
	b := append([]byte{0, 0, 0, 0, 0}, body...)
	list := append([]byte(seq), 0)
	for _, d := range docs {
		list = append(list, d...)
	}
	b = append(b, 1)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)+4))
	return append(b, list...)
}

// reply is an answer of the proxy's own.
func reply(doc bson.D) (message, error) {
	b, err := bson.Marshal(doc)
	return message{1, opMsg, append([]byte{0, 0, 0, 0, 0}, b...)}, err
}

// found counts the documents of an answer.
func found(answer message) int {
	body, _, _, err := parse(answer.payload)
	if err != nil {
		return 0
	}
	for _, batch := range []string{"firstBatch", "nextBatch"} {
		if docs, err := body.LookupErr("cursor", batch); err == nil {
			if list, ok := docs.ArrayOK(); ok {
				if values, err := list.Values(); err == nil {
					return len(values)
				}
			}
		}
	}
	return 0
}
