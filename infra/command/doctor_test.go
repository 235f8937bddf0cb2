package command_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gocloud.dev/blob/memblob"
	"gocloud.dev/docstore"
	"gocloud.dev/docstore/memdocstore"
	"gocloud.dev/pubsub"

	"github.com/piecework/piecework/functions/fsck"
	"github.com/piecework/piecework/infra/drivers"
)

// findings runs the doctor.
func (w *world) findings(status int) string {
	w.t.Helper()
	got, out, errs := w.run("doctor", "--patience", "1s")
	if got != status || errs != "" {
		w.t.Errorf("status %d, want %d: %s", got, status, errs)
	}
	for line := range strings.Lines(out) {
		bad := strings.HasPrefix(line, "FAIL ") || strings.HasPrefix(line, "warn ")
		if !bad && !strings.HasPrefix(line, "ok ") || bad != strings.Contains(line, "; ") && !strings.Contains(line, "ok ") {
			w.t.Errorf("not a finding, or not with a remedy: %s", line)
		}
	}
	return out
}

func TestDoctorFindsAllWell(t *testing.T) {
	t.Parallel()
	for _, probe := range []string{"", "probe"} {
		w := newWorld(t)
		w.env["PIECEWORK_PROBE_QUEUE"] = probe
		out := w.findings(0)
		want(t, out, "ok store create:", "ok store create again: refused", "ok store read:", "ok store compare and set:",
			"ok store query by due_pk: finds the record by an index", "ok store query by list_pk: finds the record by an index",
			"ok store query by fail_pk: finds the record by an index", "ok store delete:", "ok lane default send:",
			"acknowledged", "delay: a message that was to come after 1s came after 1", "ok blobs put:", "ok blobs get:",
			"ok blobs range:", "ok blobs list:", "warn blobs sign: this bucket cannot", "ok blobs remove:")
		if probe != "" {
			want(t, out, "ok lane probe receive")
		}
		w.leavesNothing()
	}
}

// leavesNothing checks that the doctor removed what it wrote.
func (w *world) leavesNothing() {
	w.t.Helper()
	set := drivers.New(w.register...)
	coll, closeStore, err := set.OpenStore(w.t.Context(), w.env["PIECEWORK_STORE"])
	if err != nil {
		w.t.Fatal(err)
	}
	defer closeStore()
	bucket, err := set.OpenBucket(w.t.Context(), w.env["PIECEWORK_BLOBS"])
	if err != nil {
		w.t.Fatal(err)
	}
	defer bucket.Close()
	report, err := fsck.Check(w.t.Context(), coll, bucket, fsck.Options{Now: time.Now()})
	if err != nil || report.Records+report.Blobs != 0 || len(report.Notes) != 0 {
		w.t.Errorf("left: %+v, %v", report, err)
	}
	if err := bucket.WriteAll(w.t.Context(), "jobs/doctor-1", []byte("x"), nil); err != nil {
		w.t.Fatal(err)
	}
	if err := coll.Create(w.t.Context(), map[string]any{"id": "doctor-1", "data": []byte("1"), "due_pk": "doctor-1", "due_sk": "doctor-1"}); err != nil {
		w.t.Fatal(err)
	}
	report, err = fsck.Check(w.t.Context(), coll, bucket, fsck.Options{Now: time.Now()})
	if err != nil || len(report.Problems) != 0 || len(report.Notes) != 2 {
		w.t.Errorf("what a killed doctor leaves: %+v, %v", report, err)
	}
}

func TestDoctorPrintsJSON(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["PIECEWORK_BLOBS"] = "file:///dev/null/blobs"
	status, out, _ := w.run("doctor", "--json")
	var report struct {
		OK       bool `json:"ok"`
		Findings []struct {
			Level  string `json:"level"`
			What   string `json:"what"`
			Remedy string `json:"remedy"`
		} `json:"findings"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	last := report.Findings[len(report.Findings)-1]
	if status != 1 || report.OK || last.Level != "FAIL" || last.What != "blobs open" || !strings.Contains(last.Remedy, "PIECEWORK_BLOBS") {
		t.Errorf("status %d: %+v", status, report)
	}
}

func TestDoctorFindsAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["PIECEWORK_STORE"] = "sqlite:///dev/null/records.db"
	want(t, w.findings(1), "FAIL store open: open store sqlite:///dev/null/records.db", "PIECEWORK_STORE", "ok blobs get")
}

func TestDoctorFindsAMissingIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run("init")
	db, err := sql.Open("sqlite", strings.TrimPrefix(w.env["PIECEWORK_STORE"], "sqlite://"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var name string
	if err := db.QueryRowContext(t.Context(), "SELECT name FROM sqlite_schema WHERE type='index' AND sql LIKE '%fail_pk%'").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "DROP INDEX "+name); err != nil {
		t.Fatal(err)
	}
	w.env["PIECEWORK_STORE"] += "?create=false"
	want(t, w.findings(1), "FAIL store query by fail_pk: finds the record by reading everything", "run init", "ok store query by due_pk")
}

func TestDoctorFindsStaleWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["PIECEWORK_STORE"] = "stale://x"
	w.register = append(w.register, func(s *drivers.Set) {
		s.AddStore("stale", drivers.StoreDriver{Open: func(context.Context, *drivers.Address) (*docstore.Collection, func() error, error) {
			coll, err := memdocstore.OpenCollection("id", &memdocstore.Options{RevisionField: "other"})
			return coll, coll.Close, err
		}})
	})
	want(t, w.findings(1), "FAIL store compare and set: a stale write was accepted", "jobs would run twice")
}

// brokenQueues makes the queues those of a broker.
func (w *world) brokenQueues(b drivers.Broker) {
	w.env["PIECEWORK_QUEUES"] = "broken://{queue}"
	w.register = append(w.register, func(s *drivers.Set) {
		s.AddQueue("broken", func(_ context.Context, _ *drivers.Address, log *slog.Logger) (drivers.Queue, error) {
			return drivers.NewQueue(b, log), nil
		})
	})
}

func TestDoctorFindsABrokerThatIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	away := errors.New("connection refused")
	w.brokenQueues(drivers.Broker{
		Topic:        func(context.Context, string) (*pubsub.Topic, error) { return nil, away },
		Subscription: func(context.Context, string) (*pubsub.Subscription, error) { return nil, away },
	})
	want(t, w.findings(1), "FAIL lane default send:", "connection refused", "PIECEWORK_QUEUES", "ok blobs get")
}

func TestDoctorFindsABrokenBucket(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["PIECEWORK_BLOBS"] = "broken://x"
	w.register = append(w.register, func(s *drivers.Set) {
		s.AddBucket("broken", func(context.Context, *drivers.Address) (drivers.Bucket, error) {
			b := memblob.OpenBucket(nil)
			return drivers.Bucket{Bucket: b}, b.Close()
		})
	})
	want(t, w.findings(1), "FAIL blobs put:", "PIECEWORK_BLOBS", "ok store delete")
}

func TestDoctorGivesBackTheMessageOfAJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client, _ := w.beside()
	receipt, err := client.Submit(t.Context(), "test.double", 4)
	if err != nil {
		t.Fatal(err)
	}
	want(t, w.findings(0), "ok lane default receive: a message of a job came first, and was given back")
	p := w.start()
	if _, err := client.Wait(t.Context(), receipt.ID); err != nil {
		t.Error(err)
	}
	p.stop()
	p.ends()
}

func TestDoctorFindsALaneWithoutSubscription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env["PIECEWORK_PROBE_QUEUE"] = "probe"
	w.brokenQueues(lossy())
	want(t, w.findings(1), "FAIL lane probe receive: nothing came within 1s", "a topic needs its subscription")
	w.env["PIECEWORK_PROBE_QUEUE"] = ""
	want(t, w.findings(0), "warn lane default receive: nothing came within 1s: a worker may have taken it", "PIECEWORK_PROBE_QUEUE")
}

func TestDoctorLeavesNoFolders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.findings(0)
	entries, err := os.ReadDir(filepath.Join(strings.TrimPrefix(w.env["PIECEWORK_BLOBS"], "file://"), "jobs"))
	if err != nil && !errors.Is(err, os.ErrNotExist) || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
