package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/piecework/piecework/functions/httpapi/apiclient"
	"github.com/piecework/piecework/functions/httpapi/wire"
	"github.com/piecework/piecework/store"
)

// idHelp explains shortened ids in help texts.
const idHelp = `An ID may be shortened to its end of 4 characters or more, or to its beginning, if that is unique. Tables on a
terminal show the last 8. It is looked for among the newest 10,000 jobs or so, and the last 10,000 that failed.`

const (
	shownID = 8 // characters of an id in tables: 38 random bits. The beginning of an id is the time when it was made.
	leastID = 4 // characters of an id that a command looks for
	maxAsks = 10
)

// wholeID matches ids as a server makes them: of a UUID, of a job's key, or of a message that is parked.
var wholeID = regexp.MustCompile(`^(job-([0-9a-v]{26}|k[0-9a-v]{32})|parked-[0-9a-f]{24})$`)

// partOfID matches what can be the end of an id, or its beginning.
var partOfID = regexp.MustCompile(fmt.Sprintf(`^((job|parked)-)?[0-9a-v]{%d,}$`, leastID))

// shortID returns an id as tables show it: its end on a terminal, and all of it elsewhere, for scripts.
func (c *console) shortID(id string) string {
	if c.Width() == 0 || !wholeID.MatchString(id) {
		return id
	}
	return id[len(id)-shownID:]
}

// entry is a job or a message that an id may mean, with what tells it from others.
type entry struct{ id, about string }

// pager returns a page of entries, newest first, and the cursor of the next.
type pager func(ctx context.Context, cursor string) (page []entry, next string, err error)

// finder finds the whole ids that arguments mean.
type finder struct {
	noun   string
	looked int
	found  map[string][]entry // by argument, for those that are not whole
}

// findJobs looks for the jobs that ids mean.
func findJobs(ctx context.Context, client *apiclient.Client, ids ...string) (*finder, error) {
	list := func(states ...string) pager {
		return func(ctx context.Context, cursor string) ([]entry, string, error) {
			list, err := client.List(ctx, wire.List{States: states, Limit: 1000, Cursor: cursor})
			var page []entry
			for _, j := range list.Jobs {
				page = append(page, entry{j.ID, j.Kind + ", " + string(j.State)})
			}
			return page, list.Next, err
		}
	}
	return find(ctx, "job", ids, list(), list(string(store.Failed))) // a list of failed jobs goes back further
}

// findParked looks for the parked messages that ids mean.
func findParked(ctx context.Context, client *apiclient.Client, ids ...string) (*finder, error) {
	return find(ctx, "parked message", ids, func(ctx context.Context, cursor string) ([]entry, string, error) {
		list, err := client.Parked(ctx, 1000, cursor)
		var page []entry
		for _, p := range list.Parked {
			page = append(page, entry{p.ID, oneLine(p.Reason)})
		}
		return page, list.Next, err
	})
}

// find looks through the lists for what the ids mean, if some are not whole: through the second only if the first does
// not have all. It asks for maxAsks pages of each at most, and for no more when all are found by as many characters as
// tables show.
func find(ctx context.Context, noun string, ids []string, lists ...pager) (*finder, error) {
	f := &finder{noun: noun, found: map[string][]entry{}}
	for _, id := range ids {
		if !wholeID.MatchString(id) && partOfID.MatchString(id) {
			f.found[id] = nil
		}
	}
	for _, list := range lists {
		cursor := ""
		for range maxAsks {
			if f.has(shownID) {
				return f, nil
			}
			page, next, err := list(ctx, cursor)
			if err != nil {
				return nil, err
			}
			f.look(page)
			if cursor = next; cursor == "" {
				break
			}
		}
		if f.has(0) {
			break
		}
	}
	return f, nil
}

// has reports whether each argument is found, and has so many characters at least.
func (f *finder) has(least int) bool {
	for part, entries := range f.found {
		if len(entries) == 0 || strings.Contains(part, "-") && least > 0 || len(part) < least {
			return false
		}
	}
	return true
}

// look notes the entries that arguments may mean.
func (f *finder) look(page []entry) {
	f.looked += len(page)
	for part, entries := range f.found {
		for _, e := range page {
			fits := strings.HasSuffix(e.id, part) || strings.Contains(part, "-") && strings.HasPrefix(e.id, part)
			if fits && !slices.ContainsFunc(entries, func(known entry) bool { return known.id == e.id }) {
				entries = append(entries, e)
			}
		}
		f.found[part] = entries
	}
}

// maxCandidates is how many ids an error lists.
const maxCandidates = 10

// whole returns the id that an argument means.
func (f *finder) whole(id string) (string, error) {
	entries, part := f.found[id]
	switch {
	case !part:
		return id, nil
	case len(entries) == 1:
		return entries[0].id, nil
	case len(entries) == 0:
		return "", fmt.Errorf("%w: none of the newest %s has an id that ends in %q, or begins with it; an older one needs its whole id",
			&store.NotFoundError{Noun: f.noun}, count(f.looked, f.noun, f.noun+"s"), id)
	}
	var text strings.Builder
	for _, e := range entries[:min(len(entries), maxCandidates)] {
		text.WriteString("\n  " + e.id + "  " + e.about)
	}
	if more := len(entries) - maxCandidates; more > 0 {
		_, _ = fmt.Fprintf(&text, "\n  and %d more", more)
	}
	return "", usage("%q can be any of %d %ss; give more of the id:%s", id, len(entries), f.noun, text.String())
}

// jobID returns the id of the job that an argument means.
func jobID(ctx context.Context, client *apiclient.Client, id string) (string, error) {
	f, err := findJobs(ctx, client, id)
	if err != nil {
		return "", err
	}
	return f.whole(id)
}
