package store

import (
	"context"
	"time"

	"dirsync"
)

// ReadState implements engine.Reading.
func (y *Sync) ReadState(ctx context.Context) (state dirsync.ReadState, err error) {
	err = y.view(ctx, "read state", func(x *syncTx) error { return x.getJSON(keyState, &state) })
	return state, err
}

// SetReadState implements engine.Reading.
func (y *Sync) SetReadState(ctx context.Context, state dirsync.ReadState) error {
	return y.update(ctx, "keep state", func(x *syncTx) error { return x.putJSON(keyState, state) })
}

// Merge implements engine.Reading.
func (y *Sync) Merge(ctx context.Context, records []dirsync.Record, state dirsync.ReadState, now time.Time) (m dirsync.Merged, err error) {
	err = y.update(ctx, "merge records", func(x *syncTx) error {
		if state.Full && x.count.round != state.Round {
			if err := x.forgetSeen(); err != nil {
				return err
			}
			x.count.round = state.Round
		}
		if err := x.beginBatch(state); err != nil {
			return err
		}
		mark, asked := x.newMark(), state.AskedFor()
		for _, r := range records {
			if err := x.merge(r, state, asked, mark, now, &m); err != nil {
				return err
			}
		}
		return x.putJSON(keyState, state)
	})
	if err != nil {
		return dirsync.Merged{}, err
	}
	return m, nil
}

func (x *syncTx) merge(r dirsync.Record, state dirsync.ReadState, asked []string, mark uint64, now time.Time, m *dirsync.Merged) error {
	seq, p, err := x.find(r.ID)
	switch {
	case err != nil:
		return err
	case r.Gone != dirsync.Present && seq == 0:
		m.Unknown++
		return nil
	case r.Gone != dirsync.Present:
		if err := x.note(seq, true); err != nil {
			return err
		}
		return x.mergeTombstone(p, r.Gone, mark, now, m)
	case seq == 0:
		m.Added++
		return x.add(r, state, mark, now)
	}
	unsaid := p.Shadow.Unsaid(r.Attrs, asked)
	shadow := r.Attrs
	if !r.Whole {
		shadow = p.Shadow.Merge(r.Attrs)
	}
	if p.Gone == dirsync.Present && shadow.Equal(p.Shadow) {
		m.Same++
		return x.see(seq, r.Whole, unsaid, state)
	}
	m.Changed++
	if p.Gone != dirsync.Present {
		p.Gone, p.GoneAt = dirsync.Present, time.Time{}
		x.count.gone--
		if _, err := x.present.set(seq, true); err != nil {
			return err
		}
	}
	if err := x.rename(seq, p.Shadow, shadow); err != nil {
		return err
	}
	p.Shadow = shadow
	if err := x.putPerson(p); err != nil {
		return err
	}
	if err := x.owe(seq, mark, dirsync.WhyRecord, now); err != nil {
		return err
	}
	return x.see(seq, r.Whole, unsaid, state)
}

func (x *syncTx) mergeTombstone(p dirsync.Person, gone dirsync.Gone, mark uint64, now time.Time, m *dirsync.Merged) error {
	if p.Gone != dirsync.Present {
		m.Same++
		if gone <= p.Gone {
			return nil
		}
		p.Gone = gone
		return x.putPerson(p)
	}
	m.Removed++
	p.Gone, p.GoneAt = gone, now
	x.count.gone++
	if _, err := x.present.set(uint64(p.Seq), false); err != nil {
		return err
	}
	if err := x.putPerson(p); err != nil {
		return err
	}
	return x.owe(uint64(p.Seq), mark, dirsync.WhyRecord, now)
}

// add makes a person of a record of somebody unknown.
func (x *syncTx) add(r dirsync.Record, state dirsync.ReadState, mark uint64, now time.Time) error {
	x.count.last++
	seq := x.count.last
	p := dirsync.Person{Seq: dirsync.Seq(seq), ID: r.ID, Kind: r.Kind, Shadow: r.Attrs}
	if err := x.putPerson(p); err != nil {
		return err
	}
	for _, h := range x.y.keys(p) {
		if err := x.index(x.y.ids, h, seq); err != nil {
			return err
		}
	}
	if _, err := x.present.set(seq, true); err != nil {
		return err
	}
	if err := x.setDebt(seq, debt{}, dirsync.Owed{Mark: mark, Why: dirsync.WhyRecord, Since: now}); err != nil {
		return err
	}
	return x.see(seq, r.Whole, false, state)
}

// see notes that a present person was mentioned.
func (x *syncTx) see(seq uint64, whole, unsaid bool, state dirsync.ReadState) error {
	if !state.Full {
		return x.note(seq, whole)
	}
	if _, err := x.seen.set(seq, true); err != nil {
		return err
	}
	switch {
	case whole:
		_, err := x.unsure.set(seq, false)
		return err
	case unsaid:
		_, err := x.unsure.set(seq, true)
		return err
	default:
		return nil
	}
}

func (x *syncTx) forgetSeen() error {
	if err := x.seen.clear(); err != nil {
		return err
	}
	return x.unsure.clear()
}

// Unconfirmed implements engine.Reading.
func (y *Sync) Unconfirmed(ctx context.Context, round uint64, after dirsync.Seq, limit int) (out []dirsync.Candidate, err error) {
	err = y.view(ctx, "list unconfirmed people", func(x *syncTx) error {
		if redone, err := x.redone(); err != nil {
			return err
		} else if redone {
			out, err = x.notedAfter(uint64(after), limit)
			return err
		}
		for seq := uint64(after); len(out) < limit; {
			var found bool
			if seq, found, err = x.present.next(seq, x.count.last); err != nil || !found {
				return err
			}
			seen, err := x.seen.get(seq)
			if err != nil {
				return err
			}
			unsure, err := x.unsure.get(seq)
			if err != nil {
				return err
			}
			if seen && !unsure && x.count.round == round {
				continue
			}
			p, err := x.mustPerson(seq, true)
			if err != nil {
				return err
			}
			out = append(out, dirsync.Candidate{Seq: p.Seq, ID: p.ID, Kind: p.Kind})
		}
		return nil
	})
	return out, err
}

// EndRound implements engine.Reading.
func (y *Sync) EndRound(ctx context.Context, state dirsync.ReadState) error {
	return y.update(ctx, "end round", func(x *syncTx) error {
		if err := x.forgetSeen(); err != nil {
			return err
		}
		if err := x.noted.clear(); err != nil {
			return err
		}
		return x.putJSON(keyState, state)
	})
}
