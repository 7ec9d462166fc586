package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// Marks lie under a person's number and the danger that they are about, so that those of one person lie together and
// nobody has two about the same.

func (x *syncTx) marks() (*bolt.Bucket, error) { return x.bucket(x.root, bucketMarks) }

func markKey(seq uint64, about dirsync.Danger) []byte { return append(seqKey(seq), byte(about)) }

func appendMark(b []byte, m dirsync.Mark) []byte {
	b = append(b, rowVersion, byte(m.Kind))
	b = appendUint(b, uint64(m.Hold))
	b = appendUint(b, uint64(m.Undone))
	b = appendTime(b, m.At)
	b = appendString(b, m.Digest)
	b = appendString(b, m.By)
	return appendString(b, m.Why)
}

func decodeMark(d *decoder, seq uint64, about dirsync.Danger) (dirsync.Mark, error) {
	m := dirsync.Mark{Seq: dirsync.Seq(seq), Danger: about, Kind: dirsync.MarkKind(d.byte()), Hold: dirsync.HoldID(d.uint()),
		Undone: dirsync.RunID(d.uint()), At: d.time(), Digest: d.string(), By: d.string(), Why: d.string()}
	return m, d.end()
}

// markRow reads a row of marks. ok is false when its key is none of a mark.
func markRow(key, row []byte) (m dirsync.Mark, ok bool, err error) {
	if len(key) != 9 {
		return m, false, nil
	}
	body, err := open(key, row)
	if err != nil {
		return m, true, err
	}
	seq := binary.BigEndian.Uint64(key)
	m, err = decodeMark(decodeOwned(body), seq, dirsync.Danger(key[8]))
	return m, true, rowError("mark of person", seq, err)
}

// marksOf lists the marks of one person, by danger.
func marksOf(cursor *bolt.Cursor, seq uint64) (out []dirsync.Mark, err error) {
	prefix := seqKey(seq)
	for k, v := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cursor.Next() {
		m, ok, err := markRow(k, v)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, m)
		}
	}
	return out, nil
}

func isKept(m dirsync.Mark) bool { return m.Kind == dirsync.Kept }

// remark changes the marks of one person, and the number of those who stay as they are with them.
func (x *syncTx) remark(marks *bolt.Bucket, seq uint64, change func() error) error {
	before, err := marksOf(marks.Cursor(), seq)
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	after, err := marksOf(marks.Cursor(), seq)
	if err != nil {
		return err
	}
	switch was, is := slices.ContainsFunc(before, isKept), slices.ContainsFunc(after, isKept); {
	case is && !was:
		x.count.kept++
	case was && !is:
		x.count.kept--
	}
	return nil
}

// Mark implements engine.Safety. A person who is not known is an *dirsync.Error of kind NotFound.
func (y *Sync) Mark(ctx context.Context, marks []dirsync.Mark) error {
	return y.update(ctx, "keep marks", func(x *syncTx) error {
		b, err := x.marks()
		if err != nil {
			return err
		}
		for _, m := range marks {
			if err := x.known(m.Seq); err != nil {
				return err
			}
			err := x.remark(b, uint64(m.Seq), func() error {
				x.buf = appendMark(x.buf[:0], m)
				return put(b, markKey(uint64(m.Seq), m.Danger), x.arena.keep(x.buf))
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Unmark implements engine.Safety.
func (y *Sync) Unmark(ctx context.Context, marks []dirsync.Mark) error {
	return y.update(ctx, "take marks away", func(x *syncTx) error {
		b, err := x.marks()
		if err != nil {
			return err
		}
		for _, m := range marks {
			err := x.remark(b, uint64(m.Seq), func() error {
				return storageError(b.Delete(markKey(uint64(m.Seq), m.Danger)))
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Marks implements engine.Safety.
func (y *Sync) Marks(ctx context.Context, people []dirsync.Seq) (out [][]dirsync.Mark, err error) {
	err = y.view(ctx, "read marks", func(x *syncTx) error {
		b, err := x.marks()
		if err != nil || b == nil {
			return err
		}
		cursor := b.Cursor()
		if k, _ := cursor.First(); k == nil {
			return nil
		}
		out = make([][]dirsync.Mark, len(people))
		for i, seq := range people {
			if out[i], err = marksOf(cursor, uint64(seq)); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Marked implements engine.Safety.
func (y *Sync) Marked(ctx context.Context, after dirsync.Seq, limit int) (out []dirsync.Mark, err error) {
	err = y.view(ctx, "list marks", func(x *syncTx) error {
		b, err := x.marks()
		if err != nil || b == nil || limit <= 0 {
			return err
		}
		cursor := b.Cursor()
		for k, v := cursor.Seek(seqKey(uint64(after) + 1)); k != nil; k, v = cursor.Next() {
			m, ok, err := markRow(k, v)
			if err != nil {
				return err
			}
			// All marks of one person are in one answer, so that the next one can begin after them.
			if n := len(out); n >= limit && m.Seq != out[n-1].Seq {
				return nil
			}
			if ok {
				out = append(out, m)
			}
		}
		return nil
	})
	return out, err
}

// Correct implements engine.Safety. A person who is not known is an *dirsync.Error of kind NotFound.
func (y *Sync) Correct(ctx context.Context, links map[dirsync.Seq]dirsync.Link, now time.Time) error {
	return y.update(ctx, "correct links", func(x *syncTx) error {
		mark := x.newMark()
		for _, person := range slices.Sorted(maps.Keys(links)) {
			if err := x.known(person); err != nil {
				return err
			}
			seq, link := uint64(person), links[person]
			was, err := x.link(seq)
			if err != nil {
				return err
			}
			if err := x.putLink(seq, was, link); err != nil {
				return err
			}
			if link.IsZero() {
				if err := x.differ(seq, false); err != nil {
					return err
				}
			}
			if err := x.owe(seq, mark, dirsync.WhyDrift, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// ChangesOf implements engine.Safety. Runs beyond the latest KeepRuns have none, as in Outcomes.
func (y *Sync) ChangesOf(ctx context.Context, person dirsync.Seq, limit int) (out []dirsync.PersonChange, err error) {
	err = y.view(ctx, "list changes of a person", func(x *syncTx) error {
		plans, err := x.bucket(x.root, bucketPlans)
		if err != nil || plans == nil {
			return err
		}
		cursor := plans.Cursor()
		for k, _ := cursor.Last(); len(k) == 8 && len(out) < limit; k, _ = cursor.Prev() {
			run, b := dirsync.RunID(binary.BigEndian.Uint64(k)), plans.Bucket(k)
			if b == nil {
				continue
			}
			for _, kind := range dirsync.ChangeKinds() {
				key := planKey(planChange, kind, uint64(person))
				row := b.Get(key)
				if row == nil || len(out) == limit {
					continue
				}
				p, err := x.plan(run)
				if err != nil {
					return err
				}
				o, err := p.outcome(dirsync.PlanKey{Kind: kind, Seq: person}, key, row)
				if err != nil {
					return err
				}
				out = append(out, dirsync.PersonChange{Run: run, Outcome: o})
			}
		}
		return nil
	})
	return out, err
}

// marks checks what Verify promises of the marks.
func (v *verifier) marks(x *syncTx, count *counters) error {
	b, err := x.marks()
	if err != nil || b == nil {
		return err
	}
	var last uint64 // the person who was counted last
	cursor := b.Cursor()
	for k, row := cursor.First(); k != nil; k, row = cursor.Next() {
		m, ok, err := markRow(k, row)
		switch {
		case err != nil || !ok:
			v.found("mark %x cannot be read", k)
		case x.known(m.Seq) != nil:
			v.found("there is a mark of person %d, who is not there", m.Seq)
		case isKept(m) && uint64(m.Seq) != last:
			count.kept++
			last = uint64(m.Seq)
		}
		if v.ctx.Err() != nil {
			return v.ctx.Err()
		}
	}
	return nil
}

// noted checks that nobody is noted who is not there.
func (v *verifier) noted(x *syncTx) error {
	last := (x.count.last/pieceBits+1)*pieceBits - 1 // the end of the last piece
	switch seq, found, err := x.noted.next(x.count.last, last); {
	case err != nil:
		return err
	case found:
		v.found("person %d is noted, but not there", seq)
	}
	return nil
}
