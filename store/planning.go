package store

import (
	"context"
	"encoding/binary"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// OweAll implements engine.Planning. It is one small transaction, however many people there are.
func (y *Sync) OweAll(ctx context.Context, why dirsync.Why, state dirsync.ReadState, now time.Time) error {
	return y.update(ctx, "owe everybody", func(x *syncTx) error {
		if err := x.oweAll(why, now); err != nil {
			return err
		}
		return x.putJSON(keyState, state)
	})
}

// Owed implements engine.Planning.
func (y *Sync) Owed(ctx context.Context, now time.Time, after dirsync.Seq, limit int) (out []dirsync.Person, err error) {
	err = y.view(ctx, "list owed people", func(x *syncTx) error {
		seqs, err := x.owedAfter(now, uint64(after), limit)
		if err != nil {
			return err
		}
		out = make([]dirsync.Person, 0, len(seqs))
		for _, seq := range seqs {
			p, err := x.whole(seq)
			if err != nil {
				return err
			}
			out = append(out, p)
		}
		return nil
	})
	return out, err
}

// owedAfter finds the people who are owed and due: those under the blanket, and those with a row that is due.
func (x *syncTx) owedAfter(now time.Time, after uint64, limit int) ([]uint64, error) {
	var out []uint64
	var row []byte
	var value []byte
	var cursor *bolt.Cursor
	if x.owed != nil {
		cursor = x.owed.Cursor()
		row, value = cursor.Seek(seqKey(after + 1))
	}
	covered, more, err := after, x.blanket.Covered > 0, error(nil)
	if more {
		covered, more, err = x.covered.next(after, x.count.last)
	}
	for err == nil && len(out) < limit && (more || row != nil) {
		seq := ^uint64(0)
		if row != nil {
			seq = binary.BigEndian.Uint64(row)
		}
		if more && covered <= seq {
			out = append(out, covered)
			if covered == seq {
				row, value = cursor.Next()
			}
			covered, more, err = x.covered.next(covered, x.count.last)
			continue
		}
		body, e := open(row, value)
		if e != nil {
			return nil, e
		}
		owed, e := decodeOwed(decode(body))
		if e != nil {
			return nil, rowError("debt", seq, e)
		}
		if !owed.Due.After(now) {
			out = append(out, seq)
		}
		row, value = cursor.Next()
	}
	return out, err
}

// Decide implements engine.Planning.
func (y *Sync) Decide(ctx context.Context, run dirsync.RunID, decisions []dirsync.Decision) error {
	return y.update(ctx, "keep plan", func(x *syncTx) error {
		plan, err := x.plan(run)
		if err != nil {
			return err
		}
		for _, d := range decisions {
			if err := x.decide(plan, d); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *syncTx) decide(plan *plan, d dirsync.Decision) error {
	if err := x.known(d.Seq); err != nil {
		return err
	}
	seq := uint64(d.Seq)
	if d.Change != nil {
		if err := plan.add(*d.Change, seq); err != nil {
			return err
		}
	} else {
		was, err := x.debt(seq)
		if err != nil {
			return err
		}
		if was.owed.Mark != 0 && was.owed.Mark == d.Mark {
			var owed dirsync.Owed
			if d.Wait {
				owed = nextDebt(was.owed, d.Next)
			}
			if err := x.setDebt(seq, was, owed); err != nil {
				return err
			}
		}
	}
	if err := x.differ(seq, d.Differs); err != nil {
		return err
	}
	return x.reject(seq, d.Rejection)
}

// differ notes whether a person's account is meant to differ from the source.
func (x *syncTx) differ(seq uint64, differs bool) error {
	switch changed, err := x.differs.set(seq, differs); {
	case err != nil:
		return err
	case changed && differs:
		x.count.differs++
	case changed:
		x.count.differs--
	}
	return nil
}

// reject replaces the rejection that stands against a person; nil lifts it.
func (x *syncTx) reject(seq uint64, r *dirsync.Rejection) error {
	if r == nil && x.count.rejected == 0 {
		return nil
	}
	key := seqKey(seq)
	if x.rejected.Get(key) != nil {
		x.count.rejected--
		if r == nil {
			return storageError(x.rejected.Delete(key))
		}
	}
	if r == nil {
		return nil
	}
	x.count.rejected++
	x.buf = appendRejection(x.buf[:0], *r)
	return put(x.rejected, key, x.arena.keep(x.buf))
}

// Rejections implements engine.Journal.
func (y *Sync) Rejections(ctx context.Context, after dirsync.Seq, limit int) (out []dirsync.Rejection, last dirsync.Seq, err error) {
	last = after
	err = y.view(ctx, "list rejections", func(x *syncTx) error {
		if x.rejected == nil {
			return nil
		}
		cursor := x.rejected.Cursor()
		for k, v := cursor.Seek(seqKey(uint64(after) + 1)); len(k) == 8 && len(out) < limit; k, v = cursor.Next() {
			body, err := open(k, v)
			if err != nil {
				return err
			}
			seq := binary.BigEndian.Uint64(k)
			r, err := decodeRejection(decodeOwned(body))
			if err != nil {
				return rowError("rejection", seq, err)
			}
			out, last = append(out, r), dirsync.Seq(seq)
		}
		return nil
	})
	return out, last, err
}
