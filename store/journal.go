package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// bucketNumbers is the bucket whose sequence numbers the runs of all syncs. That of the bucket holds in it numbers the
// holds.
const bucketNumbers = "numbers"

func (x *syncTx) runs() (*bolt.Bucket, error) { return x.bucket(x.root, bucketRuns) }

// knownRun fails unless there is a run of this sync with that number.
func (x *syncTx) knownRun(id dirsync.RunID) error {
	runs, err := x.runs()
	if err != nil {
		return err
	}
	if runs == nil || runs.Get(seqKey(uint64(id))) == nil {
		return errNo("run", uint64(id))
	}
	return nil
}

func (x *syncTx) putRun(r dirsync.Run) error {
	runs, err := x.runs()
	if err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return put(runs, seqKey(uint64(r.ID)), body)
}

// NewRun implements engine.Journal.
func (y *Sync) NewRun(ctx context.Context, r dirsync.Run) (id dirsync.RunID, err error) {
	err = y.update(ctx, "keep new run", func(x *syncTx) error {
		numbers, err := x.top(bucketNumbers)
		if err != nil {
			return err
		}
		n, err := numbers.NextSequence()
		if err != nil {
			return storageError(err)
		}
		id = dirsync.RunID(n)
		r.ID = id
		return x.putRun(r)
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// pruneStep is how many plans are dropped when a run ends. More than one, so that a smaller KeepRuns takes hold.
const pruneStep = 4

// SaveRun implements engine.Journal. When the run has ended, the oldest plans beyond the latest KeepRuns are dropped, a
// few at a time, except for those about which somebody has yet to decide, and so are runs older than KeepSummaries.
func (y *Sync) SaveRun(ctx context.Context, r dirsync.Run) error {
	return y.update(ctx, "keep run", func(x *syncTx) error {
		if err := x.knownRun(r.ID); err != nil {
			return err
		}
		if err := x.putRun(r); err != nil || r.Phase != dirsync.PhaseEnded {
			return err
		}
		if err := x.prunePlans(); err != nil {
			return err
		}
		return x.pruneRuns()
	})
}

// keptRuns is how many of the latest runs are kept however old they are.
const keptRuns = 50

// pruneRuns forgets the oldest runs, when they are too old.
func (x *syncTx) pruneRuns() error {
	runs, err := x.runs()
	if err != nil {
		return err
	}
	cursor := runs.Cursor()
	k, _ := cursor.Last()
	for n := 1; n < keptRuns && k != nil; n++ {
		k, _ = cursor.Prev()
	}
	if k == nil {
		return nil
	}
	oldest, before := binary.BigEndian.Uint64(k), x.s.opts.Now().Add(-x.s.opts.KeepSummaries)
	var drop []dirsync.RunID
	var held map[dirsync.RunID]bool
	for k, v := cursor.First(); len(k) == 8 && len(drop) < pruneStep; k, v = cursor.Next() {
		r, err := decodeRun(k, v)
		if err != nil {
			return err
		}
		if uint64(r.ID) >= oldest || r.Started.IsZero() || r.Started.After(before) {
			break
		}
		if held == nil {
			if held, err = x.heldRuns(); err != nil {
				return err
			}
		}
		if !held[r.ID] {
			drop = append(drop, r.ID)
		}
	}
	for _, run := range drop {
		if err := x.dropPlan(run); err != nil {
			return err
		}
		if err := storageError(runs.Delete(seqKey(uint64(run)))); err != nil {
			return err
		}
	}
	return nil
}

func decodeRun(key, row []byte) (r dirsync.Run, err error) {
	body, err := open(key, row)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, corrupt(fmt.Errorf("run %x: %w", key, err))
	}
	return r, nil
}

func (x *syncTx) prunePlans() error {
	plans, err := x.bucket(x.root, bucketPlans)
	if err != nil {
		return err
	}
	runs, err := x.runs()
	if err != nil {
		return err
	}
	// The oldest run whose plan is kept.
	cursor := runs.Cursor()
	k, _ := cursor.Last()
	for n := 1; n < x.s.opts.KeepRuns && k != nil; n++ {
		k, _ = cursor.Prev()
	}
	if k == nil {
		return nil
	}
	oldest := binary.BigEndian.Uint64(k)
	if k, _ = plans.Cursor().First(); len(k) != 8 || binary.BigEndian.Uint64(k) >= oldest {
		return nil
	}
	held, err := x.heldRuns()
	if err != nil {
		return err
	}
	var drop []dirsync.RunID
	cursor = plans.Cursor()
	for k, _ := cursor.First(); len(k) == 8 && len(drop) < pruneStep; k, _ = cursor.Next() {
		run := dirsync.RunID(binary.BigEndian.Uint64(k))
		if uint64(run) >= oldest {
			break
		}
		if !held[run] {
			drop = append(drop, run)
		}
	}
	for _, run := range drop {
		if err := x.dropPlan(run); err != nil {
			return err
		}
	}
	return nil
}

// Runs implements engine.Journal.
func (y *Sync) Runs(ctx context.Context, before dirsync.RunID, limit int) (out []dirsync.Run, err error) {
	err = y.view(ctx, "list runs", func(x *syncTx) error {
		runs, err := x.runs()
		if err != nil || runs == nil {
			return err
		}
		cursor := runs.Cursor()
		k, v := cursor.Last()
		if before != 0 {
			if k, _ = cursor.Seek(seqKey(uint64(before))); k == nil {
				k, v = cursor.Last()
			} else {
				k, v = cursor.Prev()
			}
		}
		for ; len(k) == 8 && len(out) < limit; k, v = cursor.Prev() {
			r, err := decodeRun(k, v)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		return nil
	})
	return out, err
}
