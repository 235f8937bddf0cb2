package cloudrun

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/pubsubq"
	"github.com/piecework/piecework/tests/servers/endtoend"
)

// portion is how many jobs are submitted at once.
const portion = 20

// submit submits jobs, spread over some time, each in one of four ways. All have keys, by which they are found again.
func (c *cloud) submit(ctx context.Context, jobs int, over time.Duration) {
	for from := 0; from < jobs && ctx.Err() == nil; from += portion {
		for n := from; n < min(from+portion, jobs); n++ {
			var err error
			switch n % 4 {
			case 0:
				_, err = c.submitAgain(ctx, n)
			case 1:
				err = c.submitByAPI(ctx, n)
			case 2:
				err = c.opened.Queues.Sender().Submit(ctx, functions.SubmitQueue, message(n))
			case 3:
				err = c.submitByEvent(ctx, n)
			}
			if err != nil && ctx.Err() == nil {
				c.t.Errorf("submit job %d: %v", n, err)
				return
			}
		}
		mean := over * portion / time.Duration(jobs)
		pause(ctx, mean/2+time.Duration(c.random()%uint64(mean)))
	}
}

// key is that of a job.
func key(n int) string { return fmt.Sprint("job ", n) }

// args are those of a job, as JSON.
func args(n int) json.RawMessage {
	text, err := json.Marshal(endtoend.Plan(n).Task)
	if err != nil {
		panic(err)
	}
	return text
}

// submitAgain submits a job by a client, or finds it if it was submitted before.
func (c *cloud) submitAgain(ctx context.Context, n int) (functions.Receipt, error) {
	s := endtoend.Plan(n).Submission()
	return c.client.Submit(ctx, s.Kind, args(n), append(s.Options, functions.Key(key(n)))...)
}

// message is a job as a message.
func message(n int) pubsubq.Submission {
	j := endtoend.Plan(n)
	s := pubsubq.Submission{Kind: j.Kind, Args: args(n), Key: key(n), Delay: j.Delay}
	if j.Task.End == endtoend.EndExhausted {
		two := 2
		s.MaxAttempts = &two
	}
	return s
}

// submitByAPI submits a job to one of the instances, again with the same key when no answer came.
func (c *cloud) submitByAPI(ctx context.Context, n int) error {
	m := message(n)
	s := wire.Submit{Kind: m.Kind, Args: m.Args, Key: m.Key, MaxAttempts: m.MaxAttempts}
	if m.Delay > 0 {
		s.Delay = m.Delay.String()
	}
	return c.again(ctx, func(url string) error {
		client, err := apiclient.New(url, &apiclient.Options{Token: token})
		if err != nil {
			return err
		}
		_, err = client.Submit(ctx, s)
		return err
	})
}

// submitByEvent submits a job as an event that Eventarc delivers, in binary mode.
func (c *cloud) submitByEvent(ctx context.Context, n int) error {
	j := message(n)
	header := map[string]string{
		"Content-Type": "application/json", "Ce-Specversion": "1.0", "Ce-Type": j.Kind, "Ce-Source": "//tests", "Ce-Id": fmt.Sprint(n),
		"Ce-Piecekey": fmt.Sprintf("job%%20%d", n),
	}
	if j.Delay > 0 {
		header["Ce-Piecedelay"] = j.Delay.String()
	}
	if j.MaxAttempts != nil {
		header["Ce-Piecemaxattempts"] = fmt.Sprint(*j.MaxAttempts)
	}
	return c.again(ctx, func(url string) error {
		status, err := c.post(ctx, url+"/events", account, j.Args, header)
		if err == nil && status != http.StatusNoContent {
			err = fmt.Errorf("status %d", status)
		}
		return err
	})
}

// again does something with one instance after the other until it is done.
func (c *cloud) again(ctx context.Context, do func(url string) error) error {
	for limit := time.After(time.Minute); ; {
		err := do(c.front.url(c.random()))
		if err == nil || errors.Is(err, functions.ErrInvalid) || errors.Is(err, functions.ErrArgs) {
			return err
		}
		select {
		case <-limit:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// post sends a request with a good token.
func (c *cloud) post(ctx context.Context, url, account string, body []byte, header map[string]string) (int, error) {
	good, err := c.issuer.Token(account, audience)
	if err != nil {
		return 0, err
	}
	return send(ctx, url, good, body, header)
}

func send(ctx context.Context, url, bearer string, body []byte, header map[string]string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// pause waits for real time to pass.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
