package trigger

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/piecework/piecework/functions"
)

// azureEvent is an event of Event Grid in its own schema.
type azureEvent struct {
	EventType string     `json:"eventType"`
	Subject   string     `json:"subject"`
	Topic     string     `json:"topic"`
	EventTime string     `json:"eventTime"`
	Data      *azureBlob `json:"data"`
}

// azureBlob is the data of an event of Blob Storage, the same in both schemas.
type azureBlob struct {
	API           string    `json:"api"`
	ETag          string    `json:"eTag"`
	ContentType   string    `json:"contentType"`
	ContentLength byteCount `json:"contentLength"`
	URL           string    `json:"url"`
	Sequencer     string    `json:"sequencer"`
}

// azureEvents is the prefix of the types of Blob Storage's events.
const azureEvents = "Microsoft.Storage."

// readAzure reads an event of Blob Storage, in Event Grid's schema or as a CloudEvent.
func readAzure(m *functions.Message) *notification {
	var e azureEvent
	var err error
	if m.Event == nil {
		err = json.Unmarshal(m.Body, &e)
	} else {
		e = azureEvent{EventType: m.Event.Type, Subject: m.Event.Subject, Topic: m.Event.Source, EventTime: m.Event.Attributes["time"]}
		if strings.HasPrefix(e.EventType, azureEvents) && m.Event.Data != nil {
			err = json.Unmarshal(m.Event.Data, &e.Data)
		}
	}
	if !strings.HasPrefix(e.EventType, azureEvents) {
		return nil
	}
	n := &notification{name: "Event Grid event of Blob Storage"}
	switch {
	case err != nil:
		n.err = fmt.Errorf("%s: %w", n.name, err)
	case e.EventType != azureEvents+"BlobCreated":
	case e.Data == nil:
		n.err = fmt.Errorf("%s: it has no data", n.name)
	case e.Data.API == "CreateFile": // Data Lake Storage: the file is still empty, and FlushWithClose follows
	default:
		n.created, n.err = e.objects(n.name)
	}
	return n
}

// objects reads the subject, "/blobServices/default/containers/CONTAINER/blobs/NAME". The names are
// not encoded.
func (e azureEvent) objects(form string) ([]Object, error) {
	_, place, ok := strings.Cut(e.Subject, "/containers/")
	container, name, ok2 := strings.Cut(place, "/blobs/")
	if !ok || !ok2 {
		return nil, fmt.Errorf("%s: subject %q: want /blobServices/default/containers/CONTAINER/blobs/NAME", form, e.Subject)
	}
	return []Object{{
		Store: storeAzure, Account: e.account(), Bucket: container, Key: name, Size: int64(e.Data.ContentLength), ETag: e.Data.ETag,
		ContentType: e.Data.ContentType, Time: parseTime(e.EventTime), sequencer: e.Data.Sequencer,
	}}, nil
}

// account returns the storage account: the end of the topic's resource id, or the first label of
// the blob's host.
func (e azureEvent) account() string {
	if _, name, ok := strings.Cut(strings.ToLower(e.Topic), "/storageaccounts/"); ok && !strings.Contains(name, "/") {
		return name
	}
	u, err := url.Parse(e.Data.URL)
	if err != nil {
		return ""
	}
	name, _, _ := strings.Cut(u.Hostname(), ".")
	return name
}
