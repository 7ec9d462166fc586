package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// tx is one transaction.
type tx struct {
	s *Store
	b *bolt.Tx
	// tables are the pending parts of the indexes as they were when a reader began.
	tables few[*index, *table]
	// changes are what a writer has changed in the indexes so far.
	changes map[*index]*changes
	// cursors are kept to be used again, for a new one costs several allocations.
	cursors few[*bolt.Bucket, *bolt.Cursor]
	indexes few[*index, *bolt.Cursor]
	// finish is what a writer has to write at its end.
	finish []func() error
	// committed is called when a writer's rows are in the file, and before anything is taken out of the indexes' tables.
	committed []func()
	arena     arena
}

// few is a map with a handful of entries, which costs less as a list.
type few[K comparable, V any] []struct {
	key   K
	value V
}

func (f few[K, V]) get(key K) (none V) {
	for i := range f {
		if f[i].key == key {
			return f[i].value
		}
	}
	return none
}

// put adds an entry whose key is not there yet.
func (f *few[K, V]) put(key K, value V) V {
	*f = append(*f, struct {
		key   K
		value V
	}{key, value})
	return value
}

// guard runs fn and turns what bbolt does with a damaged page, a panic or a fault in mapped memory, into an error of
// kind Corrupt.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &panicError{corrupt(fmt.Errorf("the file cannot be understood: %v", r))}
		}
	}()
	return fn()
}

// panicError marks an error that was a panic.
type panicError struct{ error }

func (e *panicError) Unwrap() error { return e.error }

func isPanic(err error) bool {
	_, ok := errors.AsType[*panicError](err)
	return ok
}

// view runs fn in a transaction that only looks.
func (s *Store) view(ctx context.Context, op string, fn func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return named(op, guard(func() error {
		tx, err := s.beginView()
		if err != nil {
			return fileError(err)
		}
		defer func() { _ = tx.b.Rollback() }() // of a transaction that has only read
		return fn(tx)
	}))
}

func (s *Store) beginView() (*tx, error) {
	s.state.Lock()
	defer s.state.Unlock()
	b, err := s.db.Begin(false)
	if err != nil {
		return nil, err
	}
	t := &tx{s: s, b: b, tables: make(few[*index, *table], 0, len(s.syncs)+2)}
	for _, y := range s.syncs {
		t.tables.put(y.ids, y.ids.table)
	}
	if s.directory != nil {
		for _, a := range []*accounts{s.directory.accounts, s.directory.groups.accounts} {
			t.tables.put(a.keys, a.keys.table)
		}
	}
	return t, nil
}

// update runs fn in a transaction that changes something. When it returns an error nothing was changed, except that an
// error of the disk in the very last step may leave everything changed.
func (s *Store) update(ctx context.Context, op string, fn func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.write.Lock()
	defer s.write.Unlock()
	if s.broken != nil {
		return named(op, s.broken)
	}
	changed, err := s.change(fn)
	if err != nil {
		return named(op, err)
	}
	for ix := range changed {
		if ix.table.len() >= s.sizes.table {
			// The indexes are whole without this: should it fail, it is tried again after the next transaction.
			_ = s.flush(ix)
		}
	}
	return nil
}

// change is update without the locks.
func (s *Store) change(fn func(*tx) error) (map[*index]*changes, error) {
	var t *tx
	returned := false
	defer func() {
		if !returned && t != nil { // fn has ended its goroutine
			_ = t.b.Rollback()
		}
	}()
	err := guard(func() error {
		b, err := s.db.Begin(true)
		if err != nil {
			return fileError(err)
		}
		t = &tx{s: s, b: b, changes: map[*index]*changes{}}
		if err := fn(t); err != nil {
			return err
		}
		for _, finish := range t.finish {
			if err := finish(); err != nil {
				return err
			}
		}
		return s.commit(t)
	})
	returned = true
	if err == nil {
		return t.changes, nil
	}
	if t != nil {
		rollback := guard(func() error {
			if err := t.b.Rollback(); err != nil && !errors.Is(err, bolterrors.ErrTxClosed) {
				return err
			}
			return nil
		})
		if isPanic(err) || rollback != nil {
			// Whatever bbolt holds in memory now cannot be trusted, and must not be written.
			s.broken = corrupt(errors.New("the store was found damaged; it has to be opened again"))
		}
	}
	return nil, err
}

// commit ends a transaction and brings the indexes in memory up to date with it. No reader waits for the disk meanwhile:
// what the transaction adds to an index is there before its rows are, for an entry too many does no harm, and what it takes
// away is there until everybody who begins sees the new rows.
func (s *Store) commit(t *tx) error {
	for ix, c := range t.changes {
		ix.table.addAll(c.added)
	}
	// By how much more than it must the file grows, if it has to: an eighth, for growing is a wait for the disk of its own.
	s.db.AllocSize = int(min(max(t.b.Size()/8, 64<<10), 16<<20))
	if err := t.b.Commit(); err != nil {
		// The transaction may be in the file or not. The rows will tell.
		err = fileError(err)
		s.state.Lock()
		defer s.state.Unlock()
		for ix := range t.changes {
			if again := s.replay(ix); again != nil {
				s.broken = again
			}
		}
		return err
	}
	for _, fn := range t.committed {
		fn()
	}
	s.state.Lock()
	defer s.state.Unlock()
	for ix, c := range t.changes {
		ix.merge(c)
	}
	return nil
}

// bucket returns a bucket inside of parent. For a reader it is nil when it is not there.
func (t *tx) bucket(parent *bolt.Bucket, name string) (*bolt.Bucket, error) {
	if parent == nil {
		return nil, nil
	}
	if b := parent.Bucket([]byte(name)); b != nil || !t.b.Writable() {
		return b, nil
	}
	b, err := parent.CreateBucket([]byte(name))
	return b, storageError(err)
}

// top returns a bucket of the file.
func (t *tx) top(name string) (*bolt.Bucket, error) {
	if b := t.b.Bucket([]byte(name)); b != nil || !t.b.Writable() {
		return b, nil
	}
	b, err := t.b.CreateBucket([]byte(name))
	return b, storageError(err)
}

func storageError(err error) error {
	if err == nil {
		return nil
	}
	return fileError(err)
}

// put keeps body, sealed, under key. The body must stay as it is until the end of the transaction.
func put(b *bolt.Bucket, key, body []byte) error { return storageError(b.Put(key, seal(key, body))) }

// get returns the body that is kept under key; it is nil when nothing is. It shares memory with the transaction.
func get(b *bolt.Bucket, key []byte) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	row := b.Get(key)
	if row == nil {
		return nil, nil
	}
	return open(key, row)
}

// row returns the body of the row with a number, as get does.
func (t *tx) row(b *bolt.Bucket, seq uint64) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	c := t.cursors.get(b)
	if c == nil {
		c = t.cursors.put(b, b.Cursor())
	}
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], seq)
	k, row := c.Seek(key[:])
	if len(k) != 8 || [8]byte(k) != key {
		return nil, nil
	}
	return open(k, row)
}

// open is unseal with an error that says which row is damaged.
func open(key, row []byte) ([]byte, error) {
	body, err := unseal(key, row)
	if err != nil {
		return nil, corrupt(fmt.Errorf("row %x: %w", key, err))
	}
	return body, nil
}

// rowError says which row could not be decoded.
func rowError(what string, n uint64, err error) error {
	if err == nil {
		return nil
	}
	return corrupt(fmt.Errorf("%s %d: %w", what, n, err))
}

// arena hands out memory for rows, which bbolt wants to stay as it is until the end of the transaction.
type arena struct{ free []byte }

// keep returns a copy of b with room for the checksum behind it.
func (a *arena) keep(b []byte) []byte {
	n := len(b) + 4
	if n > len(a.free) {
		if n > 16<<10 {
			return append(make([]byte, 0, n), b...)
		}
		a.free = make([]byte, 64<<10)
	}
	out := append(a.free[:0:n], b...)
	a.free = a.free[n:]
	return out
}
