package store

import (
	"dirsync"
)

// strangers checks that no bit is set of somebody who is not there.
func (v *verifier) strangers(x *syncTx) error {
	last := (x.count.last/pieceBits+1)*pieceBits - 1 // the end of the last piece
	for what, m := range map[string]*bitmap{"present": x.present, "seen": x.seen, "seen in doubt": x.unsure, "differing": x.differs} {
		switch seq, found, err := m.next(x.count.last, last); {
		case err != nil:
			return err
		case found:
			v.found("person %d is %s, but not there", seq, what)
		}
	}
	return nil
}

// written checks that the index does not claim to know rows that never were: new ones would then be missing in it.
func (v *verifier) written(x *syncTx) error {
	if x.root == nil {
		return nil
	}
	body, err := get(x.root, []byte(keyIndexed))
	if err != nil || body == nil {
		return err
	}
	d := &decoder{b: body}
	mark := d.uint()
	if err := d.end(); err != nil {
		return err
	}
	if mark > x.count.last {
		v.found("the index is written up to person %d, and there are only %d", mark, x.count.last)
	}
	return nil
}

// memberships checks that everything kept as a membership is one, and has nothing that only people have.
func (v *verifier) memberships(x *syncTx) error {
	if x.y.place.part != bucketMemberships {
		return nil
	}
	err := v.rows(x.people, "membership", func(seq uint64, body []byte) error {
		p, broken := decodePerson(decode(body), seq)
		// A row that cannot be read was found already.
		if _, ok := dirsync.MembershipOf(p.ID, p.Kind); broken == nil && !ok {
			v.found("membership %d is called %q, which names no group and member", seq, p.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if x.count.active+x.count.inactive > 0 {
		v.found("memberships have accounts")
	}
	return nil
}
