package push

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"
)

// acknowledged are the statuses that acknowledge a message.
var acknowledged = []int{
	http.StatusProcessing, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent,
}

// post sends a message once, and reports whether it was acknowledged.
func (s *Subscription) post(ctx context.Context, m Message, attempt int) bool {
	deadline, cancel := context.WithTimeout(ctx, s.cfg.AckDeadline)
	defer cancel()
	s.Figures.Requests.Add(1)
	status, err := s.send(deadline, m, attempt)
	if s.cfg.Answered != nil && ctx.Err() == nil {
		s.cfg.Answered(status, err)
	}
	switch {
	case err == nil && slices.Contains(acknowledged, status):
		s.Figures.Acks.Add(1)
		return true
	case errors.Is(err, context.DeadlineExceeded):
		s.Figures.Late.Add(1)
	case err != nil:
		s.Figures.Broken.Add(1)
	case status == http.StatusTooManyRequests:
		s.Figures.Busy.Add(1)
	default:
		s.Figures.Nacks.Add(1)
	}
	return false
}

func (s *Subscription) send(ctx context.Context, m Message, attempt int) (status int, err error) {
	body, header, err := s.form(m, attempt)
	if err != nil {
		return 0, err
	}
	token, err := s.cfg.Token()
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.Endpoint(ctx), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = header
	req.GetBody = nil // a request whose connection breaks is another attempt
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)")
	req.Header.Set("From", "noreply@google.com")
	res, err := s.cfg.Client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}

// form is the message as it is posted.
func (s *Subscription) form(m Message, attempt int) ([]byte, http.Header, error) {
	header := http.Header{}
	published := m.Published.UTC().Format(time.RFC3339Nano)
	if s.cfg.Unwrapped {
		for name, value := range m.Attributes {
			header.Set(name, value)
		}
		header.Set("X-Goog-Pubsub-Subscription-Name", s.cfg.Name)
		header.Set("X-Goog-Pubsub-Message-Id", m.ID)
		header.Set("X-Goog-Pubsub-Publish-Time", published)
		return m.Data, header, nil
	}
	message := map[string]any{"messageId": m.ID, "message_id": m.ID, "publishTime": published, "publish_time": published}
	if len(m.Data) > 0 {
		message["data"] = base64.StdEncoding.EncodeToString(m.Data)
	}
	if len(m.Attributes) > 0 {
		message["attributes"] = m.Attributes
	}
	envelope := map[string]any{"message": message, "subscription": s.cfg.Name}
	if s.cfg.MaxAttempts > 0 {
		envelope["deliveryAttempt"] = attempt
	}
	header.Set("Content-Type", "application/json")
	body, err := json.Marshal(envelope)
	return body, header, err
}
