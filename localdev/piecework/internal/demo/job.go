package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/piecework/piecework/functions"
	"github.com/piecework/piecework/localdev/piecework/internal/airports"
)

// handler is what the job's attempts in one process share.
type handler struct {
	tables *functions.Resource[*airports.Data]
}

// stride is how many rows are computed between two looks at the clock, the deadline and the context.
const stride = 50

// nearest is the job: it computes row by row, from where the last checkpoint left off.
func (h handler) nearest(ctx context.Context, job *functions.Job[Args]) (Result, error) {
	if err := job.Args.Check(); err != nil {
		return Result{}, functions.Permanent(err)
	}
	data, err := h.tables.Get(ctx)
	if err != nil {
		return Result{}, err
	}
	r := &run{job: job, data: data, start: time.Now()}
	if err := r.begin(ctx); err != nil {
		return Result{}, err
	}
	for r.at.Row < data.Len() {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		if err := r.rows(ctx, r.next()); err != nil {
			return Result{}, err
		}
		if r.at.Row < data.Len() && job.DeadlineNear() { // asked after some rows, so that every invocation gets on
			return r.letGo()
		}
	}
	if err := r.end(ctx); err != nil {
		return Result{}, err
	}
	return r.result(), nil
}

// Cursor is the job's checkpoint: the rows before Row are computed, written, and counted in Stats.
type Cursor struct {
	Row         int            `json:"row"`
	Stats       airports.Stats `json:"stats"`
	Checkpoints int            `json:"checkpoints"` // saved so far, this one included
}

// check refuses a checkpoint that does not belong to this table.
func (c Cursor) check(rows int) error {
	if c.Row < 0 || c.Row > rows || c.Stats.ZIPCodes() != int64(c.Row) {
		return fmt.Errorf("the checkpoint stands at row %d with %d ZIP codes counted; the table has %d rows",
			c.Row, c.Stats.ZIPCodes(), rows)
	}
	return nil
}
