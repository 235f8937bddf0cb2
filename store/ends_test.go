package store

import (
	"slices"
	"testing"
)

// What was carried out for one end of a job is not taken out of the outbox of its next end, also if both ends fall into one
// millisecond.
func TestAnOutboxBelongsToOneEnd(t *testing.T) {
	for name, acts := range map[string]func(l *lab, first Job, now Time) error{
		"done": func(l *lab, first Job, now Time) error {
			_, err := l.Done(t.Context(), first, []Effect{EffectHooks}, now)
			return err
		},
		"postpone": func(l *lab, first Job, now Time) error {
			_, err := l.Postpone(t.Context(), first, now.Add(outboxGrace)) // when it is due
			return err
		},
	} {
		for what, second := range map[string]Time{"in one millisecond": t0, "later": t0 + 500} {
			t.Run(name+" "+what, func(t *testing.T) {
				l := newLab(t, openMemory(t))
				j, err := l.Create(t.Context(), l.New(Job{ID: "job-1", Kind: "k", Policy: Policy{Hooks: true}}, false, t0))
				if err != nil {
					t.Fatal(err)
				}
				first, err := l.RequestCancel(t.Context(), j.ID, "", t0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := l.Requeue(t.Context(), j.ID, second); err != nil {
					t.Fatal(err)
				}
				want, err := l.RequestCancel(t.Context(), j.ID, "", second)
				if err != nil {
					t.Fatal(err)
				}
				if err := acts(l, first, second); err != nil {
					t.Errorf("%v, want no error", err)
				}
				got, err := l.Get(t.Context(), j.ID)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got.Outbox, want.Outbox) || got.Due != want.Due || got.Resends != want.Resends {
					t.Errorf("outbox %v, due %d, resends %d; want %v, %d, %d: that of the second end",
						got.Outbox, got.Due, got.Resends, want.Outbox, want.Due, want.Resends)
				}
			})
		}
	}
}
