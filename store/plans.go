package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// plan is what one run intends, and what came of it: a bucket of its own, so that it can be dropped at once. Its keys
// begin with a letter: "c", kind and Seq is a change; "o", kind and Seq an outcome that was not simply Done; "d" and
// kind a bitmap of the changes that were; "p" how far the plan was applied.
type plan struct {
	x    *syncTx
	b    *bolt.Bucket // nil for a reader when nothing was planned
	done map[dirsync.ChangeKind]*bitmap
	odd  bool // whether there is an outcome that was not simply Done
}

const (
	planChange   = 'c'
	planOutcome  = 'o'
	planDone     = 'd'
	planProgress = "p"
)

func planKey(letter byte, kind dirsync.ChangeKind, seq uint64) []byte {
	return appendSeq([]byte{letter, byte(kind)}, seq)
}

// plan opens the plan of a run, which must be a run of this sync.
func (x *syncTx) plan(run dirsync.RunID) (*plan, error) {
	if err := x.knownRun(run); err != nil {
		return nil, err
	}
	plans, err := x.bucket(x.root, bucketPlans)
	if err != nil {
		return nil, err
	}
	p := &plan{x: x, done: map[dirsync.ChangeKind]*bitmap{}}
	if p.b, err = x.bucket(plans, string(seqKey(uint64(run)))); err != nil {
		return nil, err
	}
	if p.b != nil {
		p.b.FillPercent = 0.95
		k, _ := p.b.Cursor().Seek([]byte{planOutcome})
		p.odd = len(k) > 0 && k[0] == planOutcome
	}
	x.finish = append(x.finish, p.write)
	return p, nil
}

func (p *plan) write() error {
	for _, m := range p.done {
		if err := m.write(); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) doneBits(kind dirsync.ChangeKind) *bitmap {
	m := p.done[kind]
	if m == nil {
		m = newBitmap(p.b, string([]byte{planDone, byte(kind)}))
		p.done[kind] = m
	}
	return m
}

func (p *plan) add(c dirsync.Change, seq uint64) error {
	p.x.buf = appendChange(p.x.buf[:0], c)
	return put(p.b, planKey(planChange, c.Kind, seq), p.x.arena.keep(p.x.buf))
}

// walk calls fn for the changes behind a key, in order, until it returns false.
func (p *plan) walk(after dirsync.PlanKey, fn func(k dirsync.PlanKey, key, row []byte) (bool, error)) error {
	if p.b == nil {
		return nil
	}
	from := planKey(planChange, after.Kind, uint64(after.Seq))
	cursor := p.b.Cursor()
	key, row := cursor.Seek(from)
	if bytes.Equal(key, from) {
		key, row = cursor.Next()
	}
	for ; len(key) == 10 && key[0] == planChange; key, row = cursor.Next() {
		k := dirsync.PlanKey{Kind: dirsync.ChangeKind(key[1]), Seq: dirsync.Seq(binary.BigEndian.Uint64(key[2:]))}
		if more, err := fn(k, key, row); err != nil || !more {
			return err
		}
	}
	return nil
}

func (p *plan) change(k dirsync.PlanKey, key, row []byte) (dirsync.Change, error) {
	body, err := open(key, row)
	if err != nil {
		return dirsync.Change{}, err
	}
	c, err := decodeChange(decodeOwned(body), k.Kind, uint64(k.Seq))
	return c, rowError("change of person", uint64(k.Seq), err)
}

func (p *plan) progress() (dirsync.PlanKey, error) {
	body, err := get(p.b, []byte(planProgress))
	if err != nil || body == nil {
		return dirsync.PlanKey{}, err
	}
	d := decode(body)
	k := dirsync.PlanKey{Kind: dirsync.ChangeKind(d.byte()), Seq: dirsync.Seq(d.uint())}
	return k, rowError("progress of the plan", 0, d.end())
}

func (p *plan) setProgress(k dirsync.PlanKey) error {
	return put(p.b, []byte(planProgress), appendUint([]byte{rowVersion, byte(k.Kind)}, uint64(k.Seq)))
}

// settle keeps the result of one change.
func (p *plan) settle(o dirsync.Outcome) error {
	seq := uint64(o.Change.Seq)
	simple := o.Result == dirsync.Done && o.Error == "" && o.Rejection == nil
	if _, err := p.doneBits(o.Change.Kind).set(seq, simple); err != nil {
		return err
	}
	key := planKey(planOutcome, o.Change.Kind, seq)
	if simple && !p.odd {
		return nil
	}
	if simple {
		return storageError(p.b.Delete(key)) // of an earlier attempt
	}
	p.odd = true
	p.x.buf = appendOutcome(p.x.buf[:0], o)
	return put(p.b, key, p.x.arena.keep(p.x.buf))
}

// outcome reads what came of a change that is in the plan.
func (p *plan) outcome(k dirsync.PlanKey, key, row []byte) (dirsync.Outcome, error) {
	var o dirsync.Outcome
	c, err := p.change(k, key, row)
	if err != nil {
		return o, err
	}
	done, err := p.doneBits(k.Kind).get(uint64(k.Seq))
	if err != nil {
		return o, err
	}
	if done {
		return dirsync.Outcome{Change: c, Result: dirsync.Done}, nil
	}
	body, err := get(p.b, planKey(planOutcome, k.Kind, uint64(k.Seq)))
	if err != nil {
		return o, err
	}
	if body != nil {
		if o, err = decodeOutcome(decodeOwned(body)); err != nil {
			return o, rowError("outcome of person", uint64(k.Seq), err)
		}
	}
	o.Change = c
	return o, nil
}

// dropPlan forgets the plan of a run and everything that came of it.
func (x *syncTx) dropPlan(run dirsync.RunID) error {
	plans, err := x.bucket(x.root, bucketPlans)
	if err != nil || plans == nil {
		return err
	}
	key := seqKey(uint64(run))
	if plans.Bucket(key) == nil {
		return nil
	}
	return storageError(plans.DeleteBucket(key))
}

// Plan implements engine.Applying.
func (y *Sync) Plan(ctx context.Context, run dirsync.RunID, kind dirsync.ChangeKind, after dirsync.Seq, limit int) (out []dirsync.Change, err error) {
	err = y.view(ctx, "read plan", func(x *syncTx) error {
		p, err := x.plan(run)
		if err != nil {
			return err
		}
		return p.walk(dirsync.PlanKey{Kind: kind, Seq: after}, func(k dirsync.PlanKey, key, row []byte) (bool, error) {
			if k.Kind != kind || len(out) >= limit {
				return false, nil
			}
			if out == nil {
				out = make([]dirsync.Change, 0, min(limit, 2048))
			}
			c, err := p.change(k, key, row)
			out = append(out, c)
			return true, err
		})
	})
	return out, err
}

// Outcomes implements engine.Journal. What is remembered of an outcome is its Change as planned, its Result, its
// Rejection and its Error; the link and the debt are with the person. Runs beyond the latest KeepRuns have none.
func (y *Sync) Outcomes(ctx context.Context, run dirsync.RunID, after dirsync.PlanKey, limit int) (out []dirsync.Outcome, err error) {
	err = y.view(ctx, "read outcomes", func(x *syncTx) error {
		p, err := x.plan(run)
		if err != nil {
			return err
		}
		return p.walk(after, func(k dirsync.PlanKey, key, row []byte) (bool, error) {
			if len(out) >= limit {
				return false, nil
			}
			o, err := p.outcome(k, key, row)
			out = append(out, o)
			return true, err
		})
	})
	return out, err
}

// Settle implements engine.Applying.
func (y *Sync) Settle(ctx context.Context, run dirsync.RunID, outcomes []dirsync.Outcome, progress dirsync.PlanKey) error {
	return y.update(ctx, "keep outcomes", func(x *syncTx) error {
		p, err := x.plan(run)
		if err != nil {
			return err
		}
		mark := x.newMark()
		for _, o := range outcomes {
			if err := x.settle(o, mark); err != nil {
				return err
			}
			if err := p.settle(o); err != nil {
				return err
			}
		}
		return p.setProgress(progress)
	})
}

func (x *syncTx) settle(o dirsync.Outcome, mark uint64) error {
	if err := x.known(o.Change.Seq); err != nil {
		return err
	}
	seq := uint64(o.Change.Seq)
	link, err := x.link(seq)
	if err != nil {
		return err
	}
	if err := x.putLink(seq, link, o.Link); err != nil {
		return err
	}
	if o.Link.IsZero() || o.Result == dirsync.Done && o.Change.Kind == dirsync.Create {
		if err := x.differ(seq, o.Differs && !o.Link.IsZero()); err != nil {
			return err
		}
	}
	was, err := x.debt(seq)
	if err != nil {
		return err
	}
	owed := was.owed
	switch {
	case owed.Mark == 0 && o.Owed != nil:
		// Nothing was owed, but the change says that something is: a debt too many costs a look, one too few a person.
		owed = nextDebt(dirsync.Owed{Mark: mark}, *o.Owed)
	case owed.Mark == 0:
	case owed.Mark != o.Change.Mark:
		owed.Due = time.Time{}
	case o.Owed != nil:
		owed = nextDebt(owed, *o.Owed)
	default:
		owed = dirsync.Owed{}
	}
	if owed != was.owed {
		if err := x.setDebt(seq, was, owed); err != nil {
			return err
		}
	}
	if o.Rejection != nil || o.Result == dirsync.Done {
		return x.reject(seq, o.Rejection)
	}
	return nil
}

// Doubt implements engine.Applying.
func (y *Sync) Doubt(ctx context.Context, run dirsync.RunID, n int, skip func(dirsync.Change) bool, now time.Time) (marked int, err error) {
	err = y.update(ctx, "mark changes as in doubt", func(x *syncTx) error {
		marked = 0
		p, err := x.plan(run)
		if err != nil {
			return err
		}
		from, err := p.progress()
		if err != nil {
			return err
		}
		mark := x.newMark()
		return p.walk(from, func(k dirsync.PlanKey, key, row []byte) (bool, error) {
			if marked >= n {
				return false, nil
			}
			if skip != nil {
				if c, err := p.change(k, key, row); err != nil || skip(c) {
					return true, err
				}
			}
			marked++
			return true, x.doubt(k, mark, now)
		})
	})
	if err != nil {
		return 0, err
	}
	return marked, nil
}

func (x *syncTx) doubt(k dirsync.PlanKey, mark uint64, now time.Time) error {
	if err := x.known(k.Seq); err != nil {
		return corrupt(fmt.Errorf("the plan speaks of person %d, who is not there", k.Seq))
	}
	seq := uint64(k.Seq)
	was, err := x.link(seq)
	if err != nil {
		return err
	}
	link := was
	link = link.WithDoubt(k.Kind)
	if err := x.putLink(seq, was, link); err != nil {
		return err
	}
	return x.owe(seq, mark, dirsync.WhyDoubt, now)
}

// Standings implements engine.Applying.
func (y *Sync) Standings(ctx context.Context, people []dirsync.Seq) (out []dirsync.Standing, err error) {
	err = y.view(ctx, "read standings", func(x *syncTx) error {
		out = make([]dirsync.Standing, 0, len(people))
		for _, seq := range people {
			link, err := x.link(uint64(seq))
			if err != nil {
				return err
			}
			d, err := x.debt(uint64(seq))
			if err != nil {
				return err
			}
			out = append(out, dirsync.Standing{Link: link, Owed: d.owed})
		}
		return nil
	})
	return out, err
}
