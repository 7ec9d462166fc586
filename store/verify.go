package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// Verify reads the whole store and returns everything that does not fit together, as sentences for people: rows that
// cannot be read, indexes that miss a row, two accounts with one address, figures that are not the sum of what they
// count. A sound store has none. It may be used while others read and write. The list ends after a hundred findings.
// The directory is looked at when it was opened: only then is it known which of its fields are unique.
func (s *Store) Verify(ctx context.Context) ([]string, error) {
	v := &verifier{ctx: ctx}
	err := s.view(ctx, "verify store", func(t *tx) error {
		places, err := placesIn(t.b)
		if err != nil {
			return err
		}
		for _, at := range places {
			s.state.Lock()
			y := s.syncs[at]
			s.state.Unlock()
			if y == nil || t.tables.get(y.ids) == nil {
				continue // it was made a moment ago, after this transaction began
			}
			v.where = at.String()
			if err := y.in(t, v.sync); err != nil {
				v.found("%v", err)
			}
		}
		s.state.Lock()
		d := s.directory
		s.state.Unlock()
		if d != nil && t.tables.get(d.keys) != nil {
			v.where = "directory"
			if err := v.directory(t, d); err != nil {
				v.found("%v", err)
			}
		}
		if err := v.small(t); err != nil {
			v.found("%v", err)
		}
		return ctx.Err()
	})
	return v.findings, err
}

type verifier struct {
	ctx      context.Context
	where    string
	findings []string
}

func (v *verifier) found(format string, args ...any) {
	if len(v.findings) < 100 {
		v.findings = append(v.findings, v.where+": "+fmt.Sprintf(format, args...))
	}
}

// same reports a figure that is not what was counted.
func (v *verifier) same(what string, kept, counted uint64) {
	if kept != counted {
		v.found("%s is kept as %d, but there are %d", what, kept, counted)
	}
}

func (v *verifier) sync(x *syncTx) error {
	var count counters
	if err := v.people(x, &count); err != nil {
		return err
	}
	for _, check := range []func(*syncTx, *counters) error{v.links, v.debts, v.blanket, v.rejections, v.marks} {
		if err := check(x, &count); err != nil {
			return err
		}
	}
	v.same("the number of people", x.count.last, count.last)
	v.same("the number of the gone", x.count.gone, count.gone)
	v.same("the number of active accounts", x.count.active, count.active)
	v.same("the number of inactive accounts", x.count.inactive, count.inactive)
	v.same("the number of the rejected", x.count.rejected, count.rejected)
	v.same("the number of the owed", x.count.owed, count.owed)
	v.same("the number of the failing", x.count.failing, count.failing)
	last := (x.count.last/pieceBits+1)*pieceBits - 1 // the end of the last piece
	for seq, more, err := x.differs.next(0, last); more || err != nil; seq, more, err = x.differs.next(seq, last) {
		if err != nil {
			return err
		}
		count.differs++
	}
	v.same("the number of the differing", x.count.differs, count.differs)
	v.same("the number of those who stay as they are", x.count.kept, count.kept)
	for _, check := range []func(*syncTx) error{v.noted, v.strangers, v.written, v.memberships} {
		if err := check(x); err != nil {
			return err
		}
	}
	var state dirsync.ReadState
	if err := x.getJSON(keyState, &state); err != nil {
		return err
	}
	if err := v.runs(x); err != nil {
		return err
	}
	return v.holds(x)
}

// rows calls fn for every row of a bucket whose keys are numbers.
func (v *verifier) rows(b *bolt.Bucket, what string, fn func(seq uint64, body []byte) error) error {
	if b == nil {
		return nil
	}
	cursor := b.Cursor()
	for k, row := cursor.First(); k != nil; k, row = cursor.Next() {
		if len(k) != 8 || row == nil {
			v.found("%s: %x is no number", what, k)
			continue
		}
		seq := binary.BigEndian.Uint64(k)
		if seq%1024 == 0 && v.ctx.Err() != nil {
			return v.ctx.Err()
		}
		body, err := unseal(k, row)
		if err == nil {
			err = fn(seq, body)
		}
		if err != nil {
			v.found("%s %d: %v", what, seq, err)
		}
	}
	return nil
}

func (v *verifier) people(x *syncTx, count *counters) error {
	return v.rows(x.people, "person", func(seq uint64, body []byte) error {
		if seq != count.last+1 {
			v.found("after person %d comes person %d", count.last, seq)
		}
		count.last = seq
		p, err := decodePerson(decode(body), seq)
		if err != nil {
			return err
		}
		if p.Gone != dirsync.Present {
			count.gone++
		}
		present, err := x.present.get(seq)
		if err != nil {
			return err
		}
		if present != (p.Gone == dirsync.Present) {
			v.found("person %d is %v, but the list of the present says otherwise", seq, p.Gone)
		}
		_, err = x.look(x.y.ids, hashKey("", string(p.ID)), func(other uint64) (bool, error) {
			if other == seq {
				return false, nil
			}
			q, ok, err := x.person(other, false)
			if ok && err == nil && q.ID == p.ID {
				v.found("people %d and %d both have the id %s", seq, other, p.ID)
			}
			return false, err
		})
		keys := x.y.keys(p)
		if x.y.place.part == bucketSyncs {
			keys = keys[:1] // names may be missing in a file of an earlier version
		}
		for _, h := range keys {
			if !x.indexed(x.y.ids, entry{h, seq}) {
				v.found("person %d is not in the index", seq)
				break
			}
		}
		return err
	})
}

func (v *verifier) links(x *syncTx, count *counters) error {
	return v.rows(x.links, "link", func(seq uint64, body []byte) error {
		if seq == 0 || seq > x.count.last {
			v.found("there is a link of person %d, who is not there", seq)
		}
		l, err := decodeLink(decode(body))
		if err != nil {
			return err
		}
		if l.Account != "" && l.Active {
			count.active++
		} else if l.Account != "" {
			count.inactive++
		}
		return nil
	})
}

func (v *verifier) rejections(x *syncTx, count *counters) error {
	return v.rows(x.rejected, "rejection", func(seq uint64, body []byte) error {
		if seq == 0 || seq > x.count.last {
			v.found("there is a rejection of person %d, who is not there", seq)
		}
		count.rejected++
		_, err := decodeRejection(decode(body))
		return err
	})
}

func (v *verifier) debts(x *syncTx, count *counters) error {
	return v.rows(x.owed, "debt", func(seq uint64, body []byte) error {
		if seq == 0 || seq > x.count.last {
			v.found("there is a debt of person %d, who is not there", seq)
		}
		o, err := decodeOwed(decode(body))
		if err != nil {
			return err
		}
		count.owed++
		if o.Attempts != 0 {
			count.failing++
		}
		return nil
	})
}

// blanket counts those who are owed without a row of their own.
func (v *verifier) blanket(x *syncTx, count *counters) error {
	covered := uint64(0)
	layers := make([]uint64, len(x.blanket.Layers))
	last := (x.count.last/pieceBits+1)*pieceBits - 1 // the end of the last piece
	for seq, more, err := x.covered.next(0, last); more || err != nil; seq, more, err = x.covered.next(seq, last) {
		if err != nil {
			return err
		}
		if seq > x.count.last {
			v.found("person %d is owed with everybody, but not there", seq)
			break
		}
		covered++
		if x.owed.Get(seqKey(seq)) != nil {
			continue
		}
		count.owed++
		in := 0
		for i, l := range x.blanket.Layers {
			ok, err := x.layerBits(l.ID).get(seq)
			if err != nil {
				return err
			}
			if ok {
				in++
				layers[i]++
			}
		}
		if in != 1 {
			v.found("person %d is owed with everybody since %d moments", seq, in)
		}
	}
	v.same("the number of those who are owed with everybody", x.blanket.Covered, covered)
	for i, l := range x.blanket.Layers {
		v.same("the number of those who are owed since "+l.Since.String(), l.Count, layers[i])
	}
	return nil
}

func (v *verifier) runs(x *syncTx) error {
	runs, err := x.runs()
	if err != nil {
		return err
	}
	var newest uint64
	err = v.rows(runs, "run", func(id uint64, body []byte) error {
		newest = id
		var r dirsync.Run
		return json.Unmarshal(body, &r)
	})
	if err != nil {
		return err
	}
	if numbers := x.b.Bucket([]byte(bucketNumbers)); newest > 0 && (numbers == nil || numbers.Sequence() < newest) {
		v.found("run %d has a number that was never given", newest)
	}
	plans, err := x.bucket(x.root, bucketPlans)
	if err != nil || plans == nil {
		return err
	}
	return plans.ForEachBucket(func(k []byte) error {
		if len(k) != 8 {
			v.found("there is a plan of run %x", k)
			return nil
		}
		id := binary.BigEndian.Uint64(k)
		p, err := x.plan(dirsync.RunID(id))
		if err != nil {
			v.found("there is a plan of run %d, but not the run: %v", id, err)
			return nil
		}
		return v.plan(x, p, id)
	})
}

func (v *verifier) plan(x *syncTx, p *plan, id uint64) error {
	err := p.walk(dirsync.PlanKey{}, func(k dirsync.PlanKey, key, row []byte) (bool, error) {
		if x.known(k.Seq) != nil {
			v.found("the plan of run %d speaks of person %d, who is not there", id, k.Seq)
		}
		if _, err := p.outcome(k, key, row); err != nil {
			v.found("the plan of run %d: %v", id, err)
		}
		return true, v.ctx.Err()
	})
	if err != nil {
		return err
	}
	_, err = p.progress()
	return err
}
