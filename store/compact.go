package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// Compaction says what compacting has done.
type Compaction struct {
	// Before and After are the sizes of the file, in bytes.
	Before, After int64
}

// Compact makes the file of a store as small as it can be. bbolt uses again what becomes free in a file, but never gives
// it back; see Store.Compact for a copy of a store that is in use.
//
// No other process may have the store open: that is an *dirsync.Error of kind Locked. The store is copied beside itself,
// the copy is read again and compared with it, made durable, and only then given its name. Whenever the process dies, the
// store is whole, the old one or the new; a half-written copy, path with ".compact" behind it, is replaced by the next
// attempt. Of opts only LockTimeout is looked at.
func Compact(ctx context.Context, path string, opts Options) (c Compaction, err error) {
	s, err := Open(path, Options{LockTimeout: opts.LockTimeout})
	if err != nil {
		return c, err
	}
	// The lock is kept until the new file has the name. Whoever has waited for it then looks which file that is.
	defer func() { err = errors.Join(err, s.Close()) }()
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	temp := path + ".compact"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, named("compact store "+path, fileError(err))
	}
	if c, err = s.Compact(ctx, temp); err != nil {
		return c, err
	}
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return c, named("compact store "+path, fileError(err))
	}
	return c, named("compact store "+path, fileErrorOrNil(syncFolder(filepath.Dir(path))))
}

func fileErrorOrNil(err error) error {
	if err == nil {
		return nil
	}
	return fileError(err)
}

// Compact writes a copy of the whole store, as it is at this moment and as small as it can be, to a new file, and
// returns once the copy was compared with the store and is durable. Others may read and write meanwhile. A file that is
// there already is an *dirsync.Error of kind Conflict, and after any error there is no file.
func (s *Store) Compact(ctx context.Context, to string) (c Compaction, err error) {
	op := "write a compact copy of the store to " + to
	f, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return c, &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: errors.New("there is a file already"), Hint: "Name another file, or move that one away."}
	case err != nil:
		return c, named(op, fileError(err))
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(to)
			err = named(op, fileErrorOrNil(err))
		}
	}()
	info, err := os.Stat(s.path)
	if err != nil {
		return c, err
	}
	c.Before = info.Size()
	var want [sha256.Size]byte
	err = s.view(ctx, op, func(t *tx) (err error) {
		if want, err = digest(ctx, t.b); err != nil {
			return err
		}
		return copyInto(ctx, to, t.b)
	})
	if err != nil {
		return c, err
	}
	if c.After, err = trim(ctx, f, to, want); err != nil {
		return c, err
	}
	return c, syncFolder(filepath.Dir(to))
}

// copyStep is about how many bytes are copied in one transaction.
const copyStep = 4 << 20

// copyInto copies everything that a transaction sees into a new database.
func copyInto(ctx context.Context, path string, from *bolt.Tx) error {
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bolt.FreelistMapType, NoStatistics: true})
	if err != nil {
		return fileError(err)
	}
	c := &copier{ctx: ctx, db: db}
	err = c.all(from)
	if c.tx != nil {
		_ = c.tx.Rollback() // of what the error has left
	}
	return errors.Join(err, fileErrorOrNil(db.Close()))
}

// copier fills a database, in transactions of bounded size.
type copier struct {
	ctx  context.Context
	db   *bolt.DB
	tx   *bolt.Tx
	size int
	path [][]byte // the bucket that is being filled
	in   *bolt.Bucket
}

func (c *copier) all(from *bolt.Tx) (err error) {
	if c.tx, err = c.db.Begin(true); err != nil {
		return fileError(err)
	}
	err = from.ForEach(func(name []byte, b *bolt.Bucket) error { return c.bucket(name, b) })
	if err != nil {
		return err
	}
	return c.commit()
}

func (c *copier) commit() error {
	err := c.tx.Commit()
	c.tx = nil
	return fileErrorOrNil(err)
}

// enter opens the bucket at the end of path in the transaction under way, and makes it if it is not there.
func (c *copier) enter() (err error) {
	c.in = nil
	for i, name := range c.path {
		if i == 0 {
			c.in, err = c.tx.CreateBucketIfNotExists(name)
		} else {
			c.in, err = c.in.CreateBucketIfNotExists(name)
		}
		if err != nil {
			return fileError(err)
		}
	}
	if c.in != nil {
		c.in.FillPercent = 0.95 // rows come in order, and few will ever come between them
	}
	return nil
}

func (c *copier) bucket(name []byte, from *bolt.Bucket) error {
	c.path = append(c.path, name)
	if err := c.enter(); err != nil {
		return err
	}
	if err := c.in.SetSequence(from.Sequence()); err != nil {
		return fileError(err)
	}
	err := from.ForEach(func(k, v []byte) error {
		if v == nil {
			if inner := from.Bucket(k); inner != nil {
				return c.bucket(k, inner)
			}
		}
		if c.size += len(k) + len(v); c.size > copyStep {
			if err := c.next(); err != nil {
				return err
			}
		}
		return storageError(c.in.Put(k, v))
	})
	if err != nil {
		return err
	}
	c.path = c.path[:len(c.path)-1]
	return c.enter()
}

// next ends a transaction and begins another one.
func (c *copier) next() (err error) {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if err := c.commit(); err != nil {
		return err
	}
	if c.tx, err = c.db.Begin(true); err != nil {
		return fileError(err)
	}
	c.size = 0
	return c.enter()
}

// trim cuts off what a new database has grown beyond what it uses, makes it durable, and checks that it can be used and
// holds what it should.
func trim(ctx context.Context, f *os.File, path string, want [sha256.Size]byte) (size int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fileError(err)
	}
	check := &fileCheck{f: f, size: uint64(info.Size())}
	m, _, err := check.header()
	if err != nil {
		return 0, err
	}
	size = int64(m.pages * m.pageSize)
	if err := f.Truncate(size); err != nil {
		return 0, fileError(err)
	}
	if err := f.Sync(); err != nil {
		return 0, fileError(err)
	}
	if err := checkFile(f, size); err != nil {
		return 0, err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, NoFreelistSync: true})
	if err != nil {
		return 0, fileError(err)
	}
	err = guard(func() error {
		return db.View(func(tx *bolt.Tx) error {
			got, err := digest(ctx, tx)
			if err == nil && got != want {
				err = &dirsync.Error{Kind: dirsync.Storage, Err: errors.New("the copy is not what was copied"), Hint: "Check the disk."}
			}
			return err
		})
	})
	return size, errors.Join(err, db.Close())
}

// digest identifies everything that a transaction sees.
func digest(ctx context.Context, tx *bolt.Tx) (sum [sha256.Size]byte, err error) {
	h, n := sha256.New(), 0
	err = tx.ForEach(func(name []byte, b *bolt.Bucket) error { return digestBucket(ctx, h, &n, name, b) })
	h.Sum(sum[:0])
	return sum, err
}

func digestBucket(ctx context.Context, h hash.Hash, n *int, name []byte, b *bolt.Bucket) error {
	write := func(kind byte, parts ...[]byte) {
		h.Write([]byte{kind})
		for _, p := range parts {
			h.Write(binary.AppendUvarint(nil, uint64(len(p))))
			h.Write(p)
		}
	}
	write('b', name, seqKey(b.Sequence()))
	err := b.ForEach(func(k, v []byte) error {
		if *n++; *n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if v == nil {
			if inner := b.Bucket(k); inner != nil {
				return digestBucket(ctx, h, n, k, inner)
			}
			return fmt.Errorf("bucket %x cannot be opened", k)
		}
		write('r', k, v)
		return nil
	})
	write('e')
	return err
}
