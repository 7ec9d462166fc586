package store

import (
	"encoding/binary"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// numberChanges leads from schema 1, in which nobody knew which account of the directory changed when. Every account is
// taken to have changed last when it was made, so its number is that of its row, and no row needs to be written. See
// changes.go.
func numberChanges(tx *bolt.Tx) error {
	for _, kind := range [...]struct{ place, rows string }{{bucketDirectory, bucketUsers}, {bucketDirectoryGroups, bucketGroups}} {
		parent := tx.Bucket([]byte(kind.place))
		if parent == nil || parent.Bucket([]byte(kind.rows)) == nil {
			continue
		}
		if err := numberAccounts(parent, parent.Bucket([]byte(kind.rows))); err != nil {
			return fmt.Errorf("%s: %w", kind.place, err)
		}
	}
	return writeIdentity(tx)
}

func numberAccounts(parent, rows *bolt.Bucket) error {
	list, err := parent.CreateBucketIfNotExists([]byte(bucketChanges))
	if err != nil {
		return err
	}
	list.FillPercent = 0.95
	if err := list.SetSequence(rows.Sequence()); err != nil {
		return err
	}
	// Deleted accounts that are kept lie between those that are there. There are not many.
	var deleted []uint64
	if b := parent.Bucket([]byte(bucketDeleted)); b != nil {
		err := eachNumber(b, func(seq uint64) error { deleted = append(deleted, seq); return nil })
		if err != nil {
			return err
		}
	}
	var part []changed
	add := func(seq uint64) error {
		if part = append(part, changed{seq, seq}); len(part) < chunkSize {
			return nil
		}
		defer func() { part = part[:0] }()
		return put(list, seqKey(part[0].number), appendChunk(nil, part))
	}
	there := map[uint64]uint64{}
	err = eachNumber(rows, func(seq uint64) error {
		there[seq/holeBlock]++
		for len(deleted) > 0 && deleted[0] < seq {
			if err := add(deleted[0]); err != nil {
				return err
			}
			deleted = deleted[1:]
		}
		return add(seq)
	})
	for _, seq := range deleted {
		if err == nil {
			err = add(seq)
		}
	}
	if err == nil && len(part) > 0 {
		err = put(list, seqKey(part[0].number), appendChunk(nil, part))
	}
	if err != nil {
		return err
	}
	if rows.Sequence() > maxAccounts {
		return corrupt(fmt.Errorf("%d accounts are more than there can have been", rows.Sequence()))
	}
	holes, err := parent.CreateBucketIfNotExists([]byte(bucketHoles))
	for block := uint64(0); err == nil && block <= rows.Sequence()/holeBlock; block++ {
		if missing := given(block, rows.Sequence()) - there[block]; missing > 0 {
			err = putHoles(holes, block, missing)
		}
	}
	return err
}

// renewedAtOnce is how many accounts renewReferences looks at in one transaction.
const renewedAtOnce = 1000

// renewReferences leads from schema 2, in which readers of the directory were told references as the syncs had written
// them. Those who have one are told otherwise now, so they count as changed. That the index has to know of references is
// seen when the directory is opened; see accounts.load.
func renewReferences(t *tx, after uint64) (next uint64, err error) {
	if parent := t.b.Bucket([]byte(bucketDirectory)); parent == nil || parent.Bucket([]byte(bucketUsers)) == nil {
		return 0, nil
	}
	a := newAccounts(t.s, dirsync.KindUser.String(), bucketDirectory, bucketUsers, nil)
	x, err := a.open(t)
	if err != nil {
		return 0, err
	}
	var renewed []account
	seen := 0
	err = x.rowsAfter(after, func(seq uint64, r account) (bool, error) {
		if slices.ContainsFunc(r.Values, func(v dirsync.FieldValue) bool { return a.foreign(r, v.Value) }) {
			renewed = append(renewed, r)
		}
		seen, next = seen+1, seq
		return seen < renewedAtOnce, nil
	})
	if seen < renewedAtOnce {
		next = 0
	}
	now := t.s.opts.Now().UTC()
	for i := range renewed {
		r := &renewed[i]
		r.Updated = now
		if err == nil {
			err = x.keep(a.seq(r.ID), r)
		}
	}
	return next, err
}

// maxAccounts is more than there will ever have been; a greater number is damage.
const maxAccounts = 1 << 36

// given is how many numbers of a block were given, when last is the last of all.
func given(block, last uint64) uint64 {
	first := max(block*holeBlock, 1)
	return min((block+1)*holeBlock-1, last) - first + 1
}

// eachNumber calls fn for every key of a bucket whose keys are numbers.
func eachNumber(b *bolt.Bucket, fn func(seq uint64) error) error {
	return b.ForEach(func(k, _ []byte) error {
		if len(k) != 8 {
			return corrupt(fmt.Errorf("%x is no number", k))
		}
		return fn(binary.BigEndian.Uint64(k))
	})
}
