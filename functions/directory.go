package functions

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/piecework/piecework/store"
)

// Announce puts the kinds that this process runs into the directory of kinds, and logs how other
// processes know them differently. A worker calls it when it starts. The directory is read once, and
// written if something has changed. A process that never calls it announces each kind when it first
// submits a job of it, but for submissions in a transaction of the caller.
func (rt *Runtime) Announce(ctx context.Context) error {
	if err := rt.checkOpen(); err != nil {
		return err
	}
	var kinds []*kind
	for _, name := range slices.Sorted(maps.Keys(rt.reg.Runs())) {
		if k, err := rt.reg.kind(name); err == nil {
			kinds = append(kinds, k)
		}
	}
	return rt.compare(ctx, rt.store, kinds...)
}

// learn returns a kind that is about to be submitted, and what its jobs are submitted with before
// the options of the submission. The first time it asks the directory and puts the kind there. In a
// transaction of the caller, whose store to is, it only looks: a write would keep other processes from
// the directory until the transaction ends.
func (rt *Runtime) learn(ctx context.Context, to *store.Store, name string) (*kind, settings, error) {
	if err := rt.checkOpen(); err != nil {
		return nil, settings{}, err
	}
	k, err := rt.reg.kind(name)
	if err != nil {
		return nil, settings{}, err
	}
	l, known := rt.learntOf(name)
	if !known || !l.again.IsZero() && !rt.cfg.Now().Before(l.again) {
		if err := rt.compare(ctx, to, k); err != nil {
			return nil, settings{}, err
		}
		l, _ = rt.learntOf(name)
	}
	return k, l.settings, nil
}

// learntOf returns what this process has learnt of a kind, if it has.
func (rt *Runtime) learntOf(name string) (learnt, bool) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	l, known := rt.learnt[name]
	return l, known
}

// learnt is what a process has learnt of a kind from the directory.
type learnt struct {
	settings settings
	told     bool      // the differences from the directory have been told
	again    time.Time // when to ask again, because the directory may not have the kind or its options; zero: never
}

// askAgain is how long a process submits jobs of a kind without knowing its options.
const askAgain = 5 * time.Second

// compare puts kinds into the directory, or only looks there, through a store in a transaction. A kind
// that is declared here without options has those of the directory. Other differences are logged, once
// in the life of a process.
func (rt *Runtime) compare(ctx context.Context, through *store.Store, kinds ...*kind) error {
	specs := make([]store.KindSpec, len(kinds))
	for i, k := range kinds {
		specs[i] = k.spec()
	}
	look := through != rt.store
	var before map[string]store.KindSpec
	var err error
	if look {
		before, err = through.KindSpecs(ctx)
	} else {
		before, err = rt.store.AddKinds(ctx, rt.now(), specs...)
	}
	if err != nil {
		return err
	}
	for i, k := range kinds {
		there, ok := before[k.name]
		l := learnt{settings: k.settings}
		switch {
		case !k.isBare():
		case ok && there.Queue != "":
			s := &l.settings
			s.queue, s.policy, s.deadline = there.Queue, there.Policy, millis(there.Deadline)
		default:
			l.again = rt.cfg.Now().Add(askAgain)
		}
		if look {
			l.again = rt.cfg.Now().Add(askAgain) // then a submission without a transaction puts it there
		}
		rt.mu.Lock()
		told := rt.learnt[k.name].told
		l.told = told || ok
		rt.learnt[k.name] = l
		rt.mu.Unlock()
		if ok && !told {
			rt.tellDifferences(ctx, specs[i], there)
		}
	}
	return nil
}

// tellDifferences logs how a kind is known here and elsewhere.
func (rt *Runtime) tellDifferences(ctx context.Context, here, there store.KindSpec) {
	all := differences(here, there)
	if len(all) == 0 {
		return
	}
	rt.log.LogAttrs(ctx, levelWarn, "processes disagree about a kind: let them share one value of functions.Kind, and deploy them together",
		slog.String("kind", here.Name), slog.String("differences", strings.Join(all, "; ")))
}

// differences says in words how two processes know a kind.
func differences(here, there store.KindSpec) []string {
	var all []string
	compare := func(what string, here, there any) {
		if !reflect.DeepEqual(here, there) {
			all = append(all, fmt.Sprintf("%s: %v here, %v elsewhere", what, here, there))
		}
	}
	if here.Args != anyShape && there.Args != anyShape {
		compare("arguments", here.Args, there.Args)
	}
	if here.Result != anyShape && there.Result != anyShape {
		compare("result", here.Result, there.Result)
	}
	if here.Queue == "" || there.Queue == "" { // one of them has no opinion on the options
		return all
	}
	h, t := here.Policy, there.Policy
	compare("Queue", here.Queue, there.Queue)
	compare("MaxAttempts", h.MaxAttempts, t.MaxAttempts)
	compare("MaxErrors", h.MaxErrors, t.MaxErrors)
	compare("MaxTimeouts", h.MaxTimeouts, t.MaxTimeouts)
	compare("MaxLost", h.MaxLost, t.MaxLost)
	compare("Timeout", millis(h.Timeout), millis(t.Timeout))
	compare("Retention", millis(h.Retention), millis(t.Retention))
	compare("Deadline", millis(here.Deadline), millis(there.Deadline))
	compare("Retries", backoffText(h.Backoff), backoffText(t.Backoff))
	return all
}

// backoffText describes a backoff for people.
func backoffText(b store.Backoff) string {
	return fmt.Sprintf("%s from %v to %v", b.Shape, millis(b.Min), millis(b.Max))
}

// isBare reports whether a kind is declared without options, so that it has those that the process
// tells that runs its jobs.
func (k *kind) isBare() bool { return k.call == nil && k.bare }

// spec is what this process knows of the kind.
func (k *kind) spec() store.KindSpec {
	spec := store.KindSpec{Name: k.name, Own: k.call != nil, Args: shapeOf(k.args), Result: shapeOf(k.result)}
	if !k.isBare() {
		spec.Queue, spec.Policy, spec.Deadline = k.settings.queue, k.settings.policy, k.settings.deadline.Milliseconds()
	}
	return spec
}
