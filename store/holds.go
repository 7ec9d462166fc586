package store

import (
	"context"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

func (x *syncTx) holds() (*bolt.Bucket, error) { return x.bucket(x.root, bucketHolds) }

func (x *syncTx) putHold(holds *bolt.Bucket, h dirsync.Hold) error {
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return put(holds, seqKey(uint64(h.ID)), body)
}

func decodeHold(key, row []byte) (h dirsync.Hold, err error) {
	body, err := open(key, row)
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(body, &h); err != nil {
		return h, corrupt(fmt.Errorf("hold %x: %w", key, err))
	}
	return h, nil
}

// NewHold implements engine.Safety. Numbers grow across all syncs of the store.
func (y *Sync) NewHold(ctx context.Context, h dirsync.Hold) (id dirsync.HoldID, err error) {
	err = y.update(ctx, "keep new hold", func(x *syncTx) error {
		numbers, err := x.top(bucketNumbers)
		if err != nil {
			return err
		}
		if numbers, err = x.bucket(numbers, bucketHolds); err != nil {
			return err
		}
		n, err := numbers.NextSequence()
		if err != nil {
			return storageError(err)
		}
		holds, err := x.holds()
		if err != nil {
			return err
		}
		id = dirsync.HoldID(n)
		h.ID = id
		return x.putHold(holds, h)
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// SaveHold implements engine.Safety. A hold that this sync does not have is an *dirsync.Error of kind NotFound.
func (y *Sync) SaveHold(ctx context.Context, h dirsync.Hold) error {
	return y.update(ctx, "keep hold", func(x *syncTx) error {
		holds, err := x.holds()
		if err != nil {
			return err
		}
		if holds.Get(seqKey(uint64(h.ID))) == nil {
			return errNo("hold", uint64(h.ID))
		}
		return x.putHold(holds, h)
	})
}

// Holds implements engine.Safety.
func (y *Sync) Holds(ctx context.Context, before dirsync.HoldID, limit int) (out []dirsync.Hold, err error) {
	err = y.view(ctx, "list holds", func(x *syncTx) error {
		holds, err := x.holds()
		if err != nil || holds == nil {
			return err
		}
		cursor := holds.Cursor()
		for k, v := lastBefore(cursor, uint64(before)); len(k) == 8 && len(out) < limit; k, v = cursor.Prev() {
			h, err := decodeHold(k, v)
			if err != nil {
				return err
			}
			out = append(out, h)
		}
		return nil
	})
	return out, err
}

// lastBefore goes to the last row whose number is below before; zero means to the very last.
func lastBefore(cursor *bolt.Cursor, before uint64) (k, v []byte) {
	if before != 0 {
		if k, _ := cursor.Seek(seqKey(before)); k != nil {
			return cursor.Prev()
		}
	}
	return cursor.Last()
}

// heldRuns are the runs whose plans the open holds are about.
func (x *syncTx) heldRuns() (map[dirsync.RunID]bool, error) {
	holds, err := x.holds()
	if err != nil || holds == nil {
		return nil, err
	}
	held := map[dirsync.RunID]bool{}
	cursor := holds.Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		h, err := decodeHold(k, v)
		if err != nil {
			return nil, err
		}
		if h.Status == dirsync.HoldOpen {
			held[h.Run] = true
		}
	}
	return held, nil
}

// holds checks what Verify promises of the holds.
func (v *verifier) holds(x *syncTx) error {
	holds, err := x.holds()
	if err != nil {
		return err
	}
	var newest uint64
	err = v.rows(holds, "hold", func(id uint64, body []byte) error {
		newest = id
		var h dirsync.Hold
		if err := json.Unmarshal(body, &h); err != nil {
			return err
		}
		if uint64(h.ID) != id {
			v.found("hold %d says that it is hold %d", id, h.ID)
		}
		return nil
	})
	if err != nil || newest == 0 {
		return err
	}
	numbers := x.b.Bucket([]byte(bucketNumbers))
	if numbers != nil {
		numbers = numbers.Bucket([]byte(bucketHolds))
	}
	if numbers == nil || numbers.Sequence() < newest {
		v.found("hold %d has a number that was never given", newest)
	}
	return nil
}

// Planned implements engine.Safety.
func (y *Sync) Planned(ctx context.Context, run dirsync.RunID, keys []dirsync.PlanKey) (out []dirsync.Change, err error) {
	err = y.view(ctx, "read planned changes", func(x *syncTx) error {
		out = make([]dirsync.Change, len(keys))
		plans, err := x.bucket(x.root, bucketPlans)
		if err != nil {
			return err
		}
		p := plan{x: x}
		if p.b, err = x.bucket(plans, string(seqKey(uint64(run)))); err != nil || p.b == nil {
			return err
		}
		for i, k := range keys {
			key := planKey(planChange, k.Kind, uint64(k.Seq))
			row := p.b.Get(key)
			if row == nil {
				continue
			}
			if out[i], err = p.change(k, key, row); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}
