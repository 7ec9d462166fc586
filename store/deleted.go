package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// A deleted account is kept as it was for a while, so that it can be brought back under its id. Those that were deleted
// first are forgotten first: once they are old enough, or when there are too many.

// Restores implements dirsync.Restorer.
func (a *accounts) Restores() time.Duration { return a.s.opts.KeepDeleted }

// forgetStep is how many more deleted accounts than it adds a transaction forgets, so that smaller bounds take hold.
const forgetStep = 1000

func (x *accountsTx) deletedRows() (rows, order *bolt.Bucket, err error) {
	if rows, err = x.bucket(x.root, bucketDeleted); err != nil {
		return nil, nil, err
	}
	order, err = x.bucket(x.root, bucketDeletedOrder)
	return rows, order, err
}

// deletedKey orders deleted accounts by when they were deleted, to the second, and then by number. Flipping the highest
// bit puts moments before 1970 first.
func deletedKey(when time.Time, seq uint64) []byte {
	return appendSeq(seqKey(uint64(when.Unix())^1<<63), seq)
}

// appendDeleted writes an account that was deleted.
func appendDeleted(b []byte, when time.Time, r account) []byte {
	return appendAccount(appendTime(append(b, rowVersion), when), r)
}

func decodeDeleted(d *decoder) (when time.Time, r account, err error) {
	when = d.time()
	d.version()
	r, err = decodeAccount(d)
	return when, r, err
}

// deletedAccount reads a deleted account.
func (x *accountsTx) deletedAccount(seq uint64) (r account, when time.Time, ok bool, err error) {
	rows, _, err := x.deletedRows()
	if err != nil {
		return r, when, false, err
	}
	body, err := get(rows, seqKey(seq))
	if err != nil || body == nil {
		return r, when, false, err
	}
	when, r, err = decodeDeleted(decodeOwned(body))
	return x.a.numbered(r, seq), when, true, rowError("deleted "+x.a.noun, seq, err)
}

// restorable reads a deleted account that may still be brought back.
func (x *accountsTx) restorable(seq uint64) (account, bool, error) {
	r, when, ok, err := x.deletedAccount(seq)
	return r, ok && err == nil && !x.tooOld(when), err
}

func (x *accountsTx) tooOld(when time.Time) bool {
	return when.Before(x.s.opts.Now().Add(-x.s.opts.KeepDeleted))
}

// keepDeleted keeps an account that is being deleted.
func (x *accountsTx) keepDeleted(seq uint64, r account) error {
	rows, order, err := x.deletedRows()
	if err != nil {
		return err
	}
	when := x.s.opts.Now().UTC()
	if r.number, err = x.relist(seq, r.number); err != nil {
		return err
	}
	x.kept++
	x.deletions++
	x.buf = appendDeleted(x.buf[:0], when, r)
	if err := put(rows, seqKey(seq), x.arena.keep(x.buf)); err != nil {
		return err
	}
	return storageError(order.Put(deletedKey(when, seq), nil))
}

// undelete takes an account out of the deleted ones.
func (x *accountsTx) undelete(seq uint64) error {
	_, when, ok, err := x.deletedAccount(seq)
	if err != nil || !ok {
		return err
	}
	return x.dropDeleted(deletedKey(when, seq))
}

func (x *accountsTx) dropDeleted(key []byte) error {
	rows, order, err := x.deletedRows()
	if err != nil {
		return err
	}
	x.kept--
	if err := storageError(order.Delete(key)); err != nil {
		return err
	}
	return storageError(rows.Delete(key[8:]))
}

// forgetDeleted forgets what was deleted too long ago, and what is too much.
func (x *accountsTx) forgetDeleted() error {
	if x.kept == 0 {
		return nil
	}
	_, order, err := x.deletedRows()
	if err != nil {
		return err
	}
	for range x.deletions + forgetStep {
		k, _ := order.Cursor().First()
		if len(k) != 16 {
			return nil
		}
		when := time.Unix(int64(binary.BigEndian.Uint64(k)^1<<63), 0)
		if x.kept <= uint64(x.s.opts.MaxDeleted) && !x.tooOld(when) {
			return nil
		}
		if err := x.forget(append([]byte(nil), k...)); err != nil {
			return err
		}
	}
	return nil
}

// forget forgets the deleted account with a key in the order, for good.
func (x *accountsTx) forget(key []byte) error {
	seq := binary.BigEndian.Uint64(key[8:])
	r, _, _, err := x.deletedAccount(seq)
	if err != nil {
		// A row that cannot be read any more must not stop everybody from writing.
		if r.number, err = x.listed(seq); err != nil {
			return err
		}
	}
	if err := x.bury(seq, r.number, x.s.opts.Now().UTC()); err != nil {
		return err
	}
	if err := x.dropDeleted(key); err != nil {
		return err
	}
	return x.forgetSize(seq)
}

// Forget forgets deleted accounts for good, before their time: nothing is kept of them but that their ids were given.
// Accounts of which nothing is kept are no error. One that is not deleted is an *dirsync.Error of kind Invalid, and then
// nothing is forgotten.
func (a *accounts) Forget(ctx context.Context, ids ...string) error {
	return a.update(ctx, "forget deleted "+a.noun+"s", func(x *accountsTx) error {
		for _, id := range ids {
			seq := a.seq(id)
			switch _, there, err := x.account(seq, false); {
			case err != nil:
				return err
			case there:
				return &dirsync.Error{Kind: dirsync.Invalid, Err: fmt.Errorf("%s is not deleted", id), Hint: "Delete it first."}
			}
			_, when, ok, err := x.deletedAccount(seq)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if err := x.forget(deletedKey(when, seq)); err != nil {
				return err
			}
		}
		return nil
	})
}

// forgetSize forgets how many users were in a group that will never come back.
func (x *accountsTx) forgetSize(group uint64) error {
	if x.a.users == nil {
		return nil
	}
	sizes, err := x.bucket(x.root, bucketSizes)
	if err != nil {
		return err
	}
	delete(x.resized, group)
	return storageError(sizes.Delete(seqKey(group)))
}
