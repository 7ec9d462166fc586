package store

import (
	"encoding/binary"

	"dirsync"
)

// directory checks what Verify promises of the users, of the groups and of who is in them.
func (v *verifier) directory(t *tx, d *Directory) error {
	users, err := d.accounts.open(t)
	if err != nil {
		return err
	}
	groups, err := d.groups.open(t)
	if err != nil {
		return err
	}
	sizes := map[uint64]uint64{}
	for _, x := range []*accountsTx{users, groups} {
		if err := v.accounts(x, groups, sizes); err != nil {
			return err
		}
		if err := v.deleted(x); err != nil {
			return err
		}
		if err := v.history(x); err != nil {
			return err
		}
	}
	return v.sizes(users, groups, sizes)
}

// accounts checks the accounts of one kind, and counts the users in each group.
func (v *verifier) accounts(x, groups *accountsTx, sizes map[uint64]uint64) error {
	noun, count, told, there := x.a.noun, uint64(0), uint64(0), map[uint64]uint64{}
	err := v.rows(x.rows, noun, func(seq uint64, body []byte) error {
		count++
		there[seq/holeBlock]++
		r, err := decodeAccount(decode(body))
		if err != nil {
			return err
		}
		r = x.a.numbered(r, seq)
		if r.said != nil {
			told++
		}
		if other, q, err := x.namesake(&edit{seq: seq, now: r, claims: dirsync.Fold(r.said.called())}); err != nil || other != 0 {
			v.found("%ss %s and %s have the same user name, or it cannot be looked for: %v", noun, r.ID, q.ID, err)
		}
		if seq > x.rows.Sequence() {
			v.found("%s %s has a number that was never given", noun, r.ID)
		}
		for _, n := range r.in {
			sizes[n]++
			if groups.rows == nil || n > groups.rows.Sequence() {
				v.found("%s %s is in group %d, which there never was", noun, r.ID, n)
			}
			if !x.indexed(x.a.keys, entry{groupHash(n), seq}) {
				v.found("%s %s cannot be found by the group %s", noun, r.ID, groups.a.id(n))
			}
		}
		for _, key := range x.a.keysOf(r) {
			if !x.indexed(x.a.keys, entry{key.hash(), seq}) && (key.tag != tagRefers || !x.a.unindexed) {
				v.found("%s %s cannot be found by its %s", noun, r.ID, key.what())
			}
			if err := v.alone(x, r, seq, key); err != nil {
				return err
			}
		}
		return nil
	})
	v.same("the number of "+noun+"s", x.count, count)
	v.same("the number of "+noun+"s of whom clients have said something", x.told, told)
	if err != nil {
		return err
	}
	return v.holes(x, there)
}

// holes checks how many rows of each block are kept as missing.
func (v *verifier) holes(x *accountsTx, there map[uint64]uint64) error {
	if x.rows == nil {
		return nil
	}
	last, rows := x.rows.Sequence(), uint64(0)
	for _, n := range there {
		rows += n
	}
	holes, err := x.bucket(x.root, bucketHoles)
	if err != nil {
		return err
	}
	missing := uint64(0)
	err = v.rows(holes, "block of "+x.a.noun+"s", func(block uint64, body []byte) error {
		d := decode(body)
		n := d.uint()
		if missing += n; block > last/holeBlock || n != given(block, last)-there[block] {
			v.found("%d %ss of block %d are kept as missing, but %d are there", n, x.a.noun, block, there[block])
		}
		return d.end()
	})
	v.same("the number of missing "+x.a.noun+"s", missing, last-rows)
	return err
}

// alone checks that no account after this one has the same key, where it is one of which there may be only one.
func (v *verifier) alone(x *accountsTx, r account, seq uint64, key lookupKey) error {
	if !x.a.unique(key) {
		return nil
	}
	return x.each(x.a.keys, key.hash(), seq, func(other uint64) (bool, error) {
		q, ok, err := x.account(other, false)
		if ok && err == nil && x.a.has(q, key) {
			v.found("%ss %s and %s have the same %s %q", x.a.noun, r.ID, q.ID, key.what(), key.text)
		}
		return err == nil, err
	})
}

// deleted checks the deleted accounts of one kind, and the order in which they are forgotten.
func (v *verifier) deleted(x *accountsTx) error {
	noun, count, ordered := "deleted "+x.a.noun, uint64(0), uint64(0)
	rows, order, err := x.deletedRows()
	if err != nil {
		return err
	}
	err = v.rows(rows, noun, func(seq uint64, body []byte) error {
		count++
		when, _, err := decodeDeleted(decode(body))
		if err != nil {
			return err
		}
		if _, there, err := x.account(seq, false); err != nil || there {
			v.found("%s %s is there all the same", noun, x.a.id(seq))
		}
		if x.rows == nil || seq > x.rows.Sequence() {
			v.found("%s %s has a number that was never given", noun, x.a.id(seq))
		}
		if k, _ := order.Cursor().Seek(deletedKey(when, seq)); string(k) != string(deletedKey(when, seq)) {
			v.found("%s %s would never be forgotten", noun, x.a.id(seq))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if order != nil {
		cursor := order.Cursor()
		for k, _ := cursor.First(); k != nil; k, _ = cursor.Next() {
			ordered++
			if len(k) != 16 || rows.Get(k[8:]) == nil {
				v.found("%s %x is to be forgotten, and is not kept", noun, k)
			}
		}
	}
	v.same("the number of "+noun+"s", x.kept, count)
	v.same("the number of "+noun+"s that are to be forgotten", ordered, count)
	return nil
}

// sizes checks how many users are kept as being in each group.
func (v *verifier) sizes(users, groups *accountsTx, counted map[uint64]uint64) error {
	kept, err := groups.bucket(groups.root, bucketSizes)
	if err != nil {
		return err
	}
	for n, count := range counted {
		g, err := users.group(n)
		if err != nil {
			return err
		}
		if !g.there && !g.deleted {
			continue // it will never come back, and counts for nothing
		}
		size, err := groups.size(n)
		if err != nil {
			return err
		}
		v.same("the size of group "+groups.a.id(n), size, count)
	}
	if kept == nil {
		return nil
	}
	cursor := kept.Cursor()
	for k, _ := cursor.First(); k != nil; k, _ = cursor.Next() {
		if len(k) != 8 || counted[binary.BigEndian.Uint64(k)] == 0 {
			v.found("group %x has a size, and nobody is in it", k)
		}
	}
	return nil
}
