package store

import (
	"encoding/binary"
	"maps"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// Rows are numbered without gaps, but those of deleted accounts are missing. How many of each block of numbers are missing
// is kept, where any are, so that many accounts can be passed over without looking at each.

const (
	bucketHoles = "holes"
	// holeBlock is how many numbers a block has.
	holeBlock = 1 << 10
)

// hole counts a row that is gone, or one that is back, as the two's complement of 1.
func (x *accountsTx) hole(seq, by uint64) {
	if x.holes == nil {
		x.holes = map[uint64]uint64{}
	}
	x.holes[seq/holeBlock] += by
}

// dig writes the holes that were counted.
func (x *accountsTx) dig() error {
	if len(x.holes) == 0 {
		return nil
	}
	b, err := x.bucket(x.root, bucketHoles)
	if err != nil {
		return err
	}
	for _, block := range slices.Sorted(maps.Keys(x.holes)) {
		n, err := holesIn(b, block)
		if err != nil {
			return err
		}
		if n += x.holes[block]; n == 0 {
			err = storageError(b.Delete(seqKey(block)))
		} else {
			err = putHoles(b, block, n)
		}
		if err != nil {
			return err
		}
	}
	clear(x.holes)
	return nil
}

func putHoles(b *bolt.Bucket, block, n uint64) error {
	return put(b, seqKey(block), appendUint([]byte{rowVersion}, n))
}

// holesIn reads how many rows of a block are missing.
func holesIn(b *bolt.Bucket, block uint64) (uint64, error) {
	body, err := get(b, seqKey(block))
	if err != nil || body == nil {
		return 0, err
	}
	d := decode(body)
	n := d.uint()
	return n, rowError("block of rows", block, d.end())
}

// skip passes over n rows behind one, and returns the number of the last of them, or of any row at or beyond the end.
func (x *accountsTx) skip(after uint64, n uint64) (uint64, error) {
	if x.rows == nil || n == 0 {
		return after, nil
	}
	holes, err := x.bucket(x.root, bucketHoles)
	if err != nil {
		return 0, err
	}
	last := x.rows.Sequence()
	for n > 0 && after < last {
		block := (after + 1) / holeBlock
		next := last/holeBlock + 1 // the next block with holes
		if holes != nil {
			if k, _ := holes.Cursor().Seek(seqKey(block)); len(k) == 8 {
				next = binary.BigEndian.Uint64(k)
			}
		}
		if next > block { // there are no holes until then
			step := min(n, next*holeBlock-1-after, last-after)
			after, n = after+step, n-step
			continue
		}
		end := min((block+1)*holeBlock-1, last)
		missing, err := holesIn(holes, block)
		if err != nil {
			return 0, err
		}
		if there := end - after - min(end-after, missing); after+1 == max(block*holeBlock, 1) && there <= n {
			after, n = end, n-there
			continue
		}
		cursor := x.rows.Cursor()
		k, _ := cursor.Seek(seqKey(after + 1))
		for after = end; len(k) == 8 && binary.BigEndian.Uint64(k) <= end; k, _ = cursor.Next() {
			if n--; n == 0 {
				after = binary.BigEndian.Uint64(k)
				break
			}
		}
	}
	return after, nil
}
