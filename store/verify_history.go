package store

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"
)

// history checks what Verify promises of the changes of the accounts of one kind. If each entry of the list is the last
// change of the account that it names, and there are as many as there are accounts, then every account is in the list.
func (v *verifier) history(x *accountsTx) error {
	h, err := x.past()
	if err != nil {
		return err
	}
	noun, listed, last := x.a.noun, uint64(0), uint64(0)
	err = v.pairs(h.list, func(k, row []byte) error {
		key, entries, err := openChunk(k, row)
		if err != nil {
			return err
		}
		if key <= last {
			v.found("changes of %ss from %d come behind change %d", noun, key, last)
		}
		for _, c := range entries {
			listed, last = listed+1, c.number
			if known, err := x.numberOfLast(c.seq); err != nil || known != c.number {
				v.found("change %d is of %s %s, which does not know of it", c.number, noun, x.a.id(c.seq))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.same("the number of changes of "+noun+"s", x.count+x.kept, listed)
	set := uint64(0)
	err = v.pairs(h.tombstones, func(k, _ []byte) error {
		set++
		if len(k) != 16 {
			v.found("the tombstone %x of a %s has no number", k, noun)
			return nil
		}
		number, seq := binary.BigEndian.Uint64(k), binary.BigEndian.Uint64(k[8:])
		last = max(last, number)
		if number <= h.now.upTo {
			v.found("the tombstone of %s %s has the number %d, and all up to %d are forgotten", noun, x.a.id(seq), number, h.now.upTo)
		}
		if known, err := x.numberOfLast(seq); err == nil && known != 0 {
			v.found("%s %s has a tombstone, and is kept", noun, x.a.id(seq))
		}
		_, err := get(h.tombstones, k)
		return err
	})
	if err != nil {
		return err
	}
	v.same("the number of tombstones of "+noun+"s", h.now.tombstones, set)
	if err := v.log(h, &last); err != nil {
		return err
	}
	if last = max(last, h.now.upTo, h.now.joinsUpTo); last > h.latest {
		v.found("change %d of a %s has a number that was never given", last, noun)
	}
	return nil
}

// log checks the log of memberships.
func (v *verifier) log(h *history, last *uint64) error {
	lines, upTo := uint64(0), h.now.joinsUpTo
	err := v.pairs(h.joins, func(k, row []byte) error {
		key, some, err := openJoins(k, row)
		if err != nil {
			return err
		}
		if key <= upTo {
			v.found("the log of memberships from %d lies behind %d", key, upTo)
		}
		lines += uint64(len(some))
		upTo = some[len(some)-1].number
		return nil
	})
	*last = max(*last, upTo)
	v.same("the length of the log of memberships", h.now.joins, lines)
	return err
}

// numberOfLast is the number of the last change of an account that is there or deleted; 0 when nothing is kept of it.
func (x *accountsTx) numberOfLast(seq uint64) (uint64, error) {
	r, ok, err := x.account(seq, false)
	if err == nil && !ok {
		r, _, _, err = x.deletedAccount(seq)
	}
	return r.number, err
}

// pairs calls fn for everything in a bucket. What fn says is wrong is found, and not the end.
func (v *verifier) pairs(b *bolt.Bucket, fn func(k, row []byte) error) error {
	if b == nil {
		return nil
	}
	cursor := b.Cursor()
	for k, row := cursor.First(); k != nil; k, row = cursor.Next() {
		if err := v.ctx.Err(); err != nil {
			return err
		}
		if err := fn(k, row); err != nil {
			v.found("%v", err)
		}
	}
	return nil
}
