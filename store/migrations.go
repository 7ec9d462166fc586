package store

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
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
	err = eachNumber(rows, func(seq uint64) error {
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
	if err != nil || len(part) == 0 {
		return err
	}
	return put(list, seqKey(part[0].number), appendChunk(nil, part))
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
