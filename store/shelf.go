package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// shelf is a bucket of rows that are listed in several orders. Beside the rows lies a bucket with a key for each row and
// order: a prefix that names the order, then what is sorted by, then the end of the row's own key. The order's keys hold
// no value, so a list is a walk along neighbouring pages, and a row is read only when it is wanted.
//
// Whoever puts a row says which keys it has in the orders, and which it had; both follow from the row alone, so that
// Verify can count them again.
type shelf struct {
	what string // "message"
	// Both are nil for a reader when nothing was ever written.
	rows, orders *bolt.Bucket
}

// shelf opens the shelf of a bucket of the file.
func (t *tx) shelf(what, place, rows, orders string) (shelf, error) {
	root, err := t.top(place)
	if err != nil {
		return shelf{}, err
	}
	f := shelf{what: what}
	if f.rows, err = t.bucket(root, rows); err != nil {
		return shelf{}, err
	}
	f.orders, err = t.bucket(root, orders)
	return f, err
}

// get returns the body of a row, which shares memory with the transaction; nil when there is none.
func (f shelf) get(key []byte) ([]byte, error) { return get(f.rows, key) }

// must is get for a row of which an order speaks.
func (f shelf) must(key []byte) ([]byte, error) {
	body, err := f.get(key)
	if err == nil && body == nil {
		err = corrupt(fmt.Errorf("%s %q is missing, and it is listed", f.what, key))
	}
	return body, err
}

// put keeps a row; had are the keys that it had in the orders, and has those that it has from now on.
func (f shelf) put(key, body []byte, had, has [][]byte) error {
	for _, k := range had {
		if !containsKey(has, k) {
			if err := storageError(f.orders.Delete(k)); err != nil {
				return err
			}
		}
	}
	for _, k := range has {
		if !containsKey(had, k) {
			if err := storageError(f.orders.Put(k, nil)); err != nil {
				return err
			}
		}
	}
	return put(f.rows, key, body)
}

// drop removes a row and the keys that it has in the orders.
func (f shelf) drop(key []byte, had [][]byte) error {
	for _, k := range had {
		if err := storageError(f.orders.Delete(k)); err != nil {
			return err
		}
	}
	return storageError(f.rows.Delete(key))
}

func containsKey(keys [][]byte, key []byte) bool {
	for _, k := range keys {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

// ascend calls fn for what follows a prefix in the orders' keys, smallest first, until it returns false.
func (f shelf) ascend(prefix []byte, fn func(rest []byte) (bool, error)) error {
	if f.orders == nil {
		return nil
	}
	cursor := f.orders.Cursor()
	for k, _ := cursor.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cursor.Next() {
		if more, err := fn(k[len(prefix):]); err != nil || !more {
			return err
		}
	}
	return nil
}

// descend is ascend in the other direction. It begins below the key before, or at the end of the prefix when that is nil.
func (f shelf) descend(prefix, before []byte, fn func(rest []byte) (bool, error)) error {
	if f.orders == nil {
		return nil
	}
	if before == nil {
		before = successor(prefix)
	}
	cursor := f.orders.Cursor()
	k, _ := cursor.Seek(before)
	if k == nil {
		k, _ = cursor.Last()
	} else {
		k, _ = cursor.Prev()
	}
	for ; bytes.HasPrefix(k, prefix); k, _ = cursor.Prev() {
		if more, err := fn(k[len(prefix):]); err != nil || !more {
			return err
		}
	}
	return nil
}

// successor returns the smallest key that is greater than every key with a prefix, which is not all of 0xff: prefixes
// begin with a letter.
func successor(prefix []byte) []byte {
	next := bytes.TrimRight(prefix, "\xff")
	next = bytes.Clone(next)
	next[len(next)-1]++
	return next
}

// momentSize is how long a moment is in a key.
const momentSize = 12

// appendMoment writes a moment so that earlier ones come first. Flipping the highest bit puts those before 1970 first.
func appendMoment(b []byte, t time.Time) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(t.Unix())^1<<63)
	return binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
}

// maxName bounds ids and names that are part of keys, of which bbolt takes no more than 32 kilobytes.
const maxName = 4096

// checkName refuses what cannot be part of a key.
func checkName(what, name string) error {
	switch {
	case name == "":
		return &dirsync.Error{Kind: dirsync.Invalid, Err: fmt.Errorf("the %s is empty", what)}
	case len(name) > maxName:
		return &dirsync.Error{Kind: dirsync.Invalid, Err: fmt.Errorf("the %s has %d bytes, more than %d", what, len(name), maxName)}
	}
	return nil
}

// maxBody bounds what is kept in one row or named value: far above anything that makes sense, and far below what would
// make the file unwieldy.
const maxBody = 16 << 20

func checkBody(what string, body []byte) error {
	if len(body) > maxBody {
		return &dirsync.Error{Kind: dirsync.Invalid, Err: fmt.Errorf("the %s has %d bytes, more than %d", what, len(body), maxBody)}
	}
	return nil
}

// errUnchanged ends a transaction that would write what is there already.
var errUnchanged = errors.New("nothing has changed")

// unchanged makes success of errUnchanged.
func unchanged(err error) error {
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// small checks what Verify promises of what belongs to no sync and not to the directory.
func (v *verifier) small(t *tx) error {
	v.where = "store"
	for _, check := range []func(*tx) error{v.outbox, v.inbox, v.clockwork} {
		if err := check(t); err != nil {
			return err
		}
	}
	return nil
}

// shelf checks that every row can be read, lies in all of its orders, and that nothing else lies there.
func (v *verifier) shelf(f shelf, keys func(key, body []byte) ([][]byte, error)) error {
	if f.rows == nil || f.orders == nil {
		if f.rows != nil || f.orders != nil {
			v.found("the %ss or their orders are missing", f.what)
		}
		return nil
	}
	listed, cursor := uint64(0), f.rows.Cursor()
	for k, row := cursor.First(); k != nil; k, row = cursor.Next() {
		if v.ctx.Err() != nil {
			return v.ctx.Err()
		}
		body, err := unseal(k, row)
		var has [][]byte
		if err == nil {
			has, err = keys(k, body)
		}
		if err != nil {
			v.found("%s %q: %v", f.what, k, err)
			continue
		}
		for _, key := range has {
			listed++
			if found, _ := f.orders.Cursor().Seek(key); !bytes.Equal(found, key) {
				v.found("%s %q is not listed by %q", f.what, k, key[:1])
			}
		}
	}
	count := uint64(0)
	cursor = f.orders.Cursor()
	for k, _ := cursor.First(); k != nil; k, _ = cursor.Next() {
		count++
	}
	v.same("how often "+f.what+"s are listed", count, listed)
	return nil
}
