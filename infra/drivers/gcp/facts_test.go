package gcp

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestRemarksOnSubscriptions(t *testing.T) {
	never, month := &pubsubpb.ExpirationPolicy{}, &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(31 * 24 * time.Hour)}
	for _, c := range []struct {
		s                  *pubsubpb.Subscription
		what, want, remedy string
		fatal              bool
	}{
		{&pubsubpb.Subscription{ExpirationPolicy: never}, "expiration", "stays when nobody uses it", "", false},
		{&pubsubpb.Subscription{}, "expiration", "not checked", "", false},
		{&pubsubpb.Subscription{Name: "s", ExpirationPolicy: month}, "expiration", "receives from it for 744h0m0s", "let s never expire", false},
		{&pubsubpb.Subscription{MessageRetentionDuration: durationpb.New(time.Hour)}, "retention", "1h0m0s: what nobody has received", "", false},
		{&pubsubpb.Subscription{Detached: true}, "state", "detached", "anew", true},
	} {
		found := false
		for _, r := range remarks(c.s) {
			if r.What != c.what {
				continue
			}
			found = true
			if !strings.Contains(r.Why, c.want) || !strings.Contains(r.Remedy, c.remedy) || (c.remedy == "") != (r.Remedy == "") || r.Fatal != c.fatal {
				t.Errorf("%+v, want %+v", r, c)
			}
		}
		if !found {
			t.Errorf("nothing is said of %s", c.what)
		}
	}
}
