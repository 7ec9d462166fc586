package store

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// An index finds the rows that hold a key: an object id, a folded e-mail address. An entry is 64 bits of the key's hash
// and the row's number, and says no more than that the row may hold the key; whoever looks reads the row and compares.
// So hashes may collide, and an entry too many does no harm.
//
// Hashes are random, so an entry that is written alone costs a page of the file. Entries of new rows are therefore
// gathered in a table in memory, and written many at a time in sorted order. The rows themselves are the log of the
// table: the index remembers up to which row everything is in the file, and the rows behind this mark are read again
// when the store is opened.
type index struct {
	what string // for errors
	// parent finds the bucket that has the rows, the index and its mark. It is nil when nothing was written yet.
	parent func(*bolt.Tx) *bolt.Bucket
	// rows is the name of the bucket of the rows, and hashes what a row is to be found by.
	rows   string
	hashes func(seq uint64, body []byte) ([]uint64, error)

	// The rest changes only while Store.write and Store.state are held, and is read under either; what is in the table has a
	// lock of its own, and is added to under Store.write alone.
	table *table
	mark  uint64 // all rows up to this one are in the file
	last  uint64 // the newest row that the table knows
}

// sizes bound the memory that indexes and readers take.
type sizes struct {
	// table is how many entries are gathered before they are written; each takes some thirty bytes.
	table int
	// flush is how many entries are written in one transaction. In a large index each of them changes a page.
	flush int
	// page is how many accounts a page of Directory.Source has.
	page int
	// joins is how many lines the log of memberships keeps at least.
	joins uint64
}

func defaultSizes() sizes { return sizes{table: 1 << 17, flush: 1 << 10, page: 500, joins: 1 << 17} }

const (
	bucketIndex = "index"
	keyIndexed  = "indexed"
)

// hashKey is what an index keeps of a key. The tag tells apart what different keys of one index mean.
func hashKey(tag, key string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(tag) {
		h = (h ^ uint64(tag[i])) * prime
	}
	h = (h ^ 0xff) * prime
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * prime
	}
	return h
}

// entry is one line of an index.
type entry struct{ hash, seq uint64 }

func (e entry) compare(o entry) int {
	switch {
	case e.hash != o.hash && e.hash < o.hash || e.hash == o.hash && e.seq < o.seq:
		return -1
	case e == o:
		return 0
	default:
		return 1
	}
}

func (e entry) key() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), e.hash), e.seq)
}

// changes are what one transaction did to an index.
type changes struct {
	added   *table
	removed map[entry]struct{}
	last    uint64
}

// merge takes over the rest of the changes of a transaction that was committed; what it added is in the table already.
func (ix *index) merge(c *changes) {
	for e := range c.removed {
		ix.table.remove(e)
	}
	ix.last = max(ix.last, c.last)
}

func (t *tx) changesOf(ix *index) *changes {
	c := t.changes[ix]
	if c == nil {
		c = &changes{added: newTable(), removed: map[entry]struct{}{}}
		t.changes[ix] = c
	}
	return c
}

// index adds a key of a row.
func (t *tx) index(ix *index, hash, seq uint64) error {
	c, e := t.changesOf(ix), entry{hash, seq}
	delete(c.removed, e)
	if seq > ix.mark {
		c.added.add(e)
		c.last = max(c.last, seq)
		return nil
	}
	b, err := t.bucket(ix.parent(t.b), bucketIndex)
	if err != nil {
		return err
	}
	return storageError(b.Put(e.key(), nil))
}

// unindex takes a key of a row away. The file is looked at even for rows that should not be in it yet: a crash while
// the table was written leaves entries there.
func (t *tx) unindex(ix *index, hash, seq uint64) error {
	c, e := t.changesOf(ix), entry{hash, seq}
	c.added.remove(e)
	c.removed[e] = struct{}{}
	b, err := t.bucket(ix.parent(t.b), bucketIndex)
	if err != nil {
		return err
	}
	return storageError(b.Delete(e.key()))
}

// look calls match for every row that may hold the key with the given hash, until it returns true, and returns that
// row, or 0.
func (t *tx) look(ix *index, hash uint64, match func(seq uint64) (bool, error)) (uint64, error) {
	table := t.tables.get(ix)
	if t.b.Writable() {
		table = ix.table
	}
	if c := t.changes[ix]; c != nil {
		if seq, err := c.added.look(hash, match); seq != 0 || err != nil {
			return seq, err
		}
		if len(c.removed) > 0 {
			inner := match
			match = func(seq uint64) (bool, error) {
				if _, gone := c.removed[entry{hash, seq}]; gone {
					return false, nil
				}
				return inner(seq)
			}
		}
	}
	if table != nil {
		if seq, err := table.look(hash, match); seq != 0 || err != nil {
			return seq, err
		}
	}
	cursor := t.cursor(ix)
	if cursor == nil {
		return 0, nil
	}
	var prefix [8]byte
	binary.BigEndian.PutUint64(prefix[:], hash)
	for k, _ := cursor.Seek(prefix[:]); len(k) == 16 && [8]byte(k) == prefix; k, _ = cursor.Next() {
		seq := binary.BigEndian.Uint64(k[8:])
		if ok, err := match(seq); err != nil || ok {
			return seq, err
		}
	}
	return 0, nil
}

// each calls fn for the rows after a number that may hold the key with the given hash, each once and in order, until it
// returns false. It is for transactions that only look. fn may look into the same index.
func (t *tx) each(ix *index, hash, after uint64, fn func(seq uint64) (bool, error)) error {
	var pending []uint64
	if table := t.tables.get(ix); table != nil {
		one, ok, many := table.find(hash)
		if pending = many; ok {
			pending = []uint64{one}
		}
		i, _ := slices.BinarySearch(pending, after+1)
		pending = pending[i:]
	}
	var key []byte
	written := t.newCursor(ix)
	if written != nil {
		key, _ = written.Seek(entry{hash, after + 1}.key())
	}
	for {
		seq, found := uint64(0), false
		if len(key) == 16 && binary.BigEndian.Uint64(key) == hash {
			seq, found = binary.BigEndian.Uint64(key[8:]), true
		}
		switch {
		case len(pending) > 0 && (!found || pending[0] <= seq):
			if found && pending[0] == seq {
				key, _ = written.Next()
			}
			seq, pending = pending[0], pending[1:]
		case found:
			key, _ = written.Next()
		default:
			return nil
		}
		if more, err := fn(seq); err != nil || !more {
			return err
		}
	}
}

// all returns the rows that may hold the key with the given hash, sorted. It is for transactions that change something, and
// knows of what they have added so far.
func (t *tx) all(ix *index, hash uint64) []uint64 {
	out := t.before(ix, hash)
	if c := t.changes[ix]; c != nil {
		out = c.added.append(out, hash)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// before is all, but for entries that this transaction has added, which may be missing. It is not sorted.
func (t *tx) before(ix *index, hash uint64) []uint64 {
	out := ix.table.append(nil, hash)
	if cursor := t.cursor(ix); cursor != nil {
		k, _ := cursor.Seek(entry{hash, 0}.key())
		for ; len(k) == 16 && binary.BigEndian.Uint64(k) == hash; k, _ = cursor.Next() {
			out = append(out, binary.BigEndian.Uint64(k[8:]))
		}
	}
	return out
}

// indexed tells whether an index has an entry, for a transaction that only looks.
func (t *tx) indexed(ix *index, e entry) bool {
	if table := t.tables.get(ix); table != nil && table.has(e) {
		return true
	}
	written := t.cursor(ix)
	if written == nil {
		return false
	}
	key, _ := written.Seek(e.key())
	return string(key) == string(e.key())
}

// cursor returns the cursor over the part of an index that is in the file, or nil when nothing is.
func (t *tx) cursor(ix *index) *bolt.Cursor {
	if c := t.indexes.get(ix); c != nil {
		return c
	}
	if c := t.newCursor(ix); c != nil {
		return t.indexes.put(ix, c)
	}
	return nil
}

// newCursor returns a cursor like cursor's that nobody else moves.
func (t *tx) newCursor(ix *index) *bolt.Cursor {
	parent := ix.parent(t.b)
	if parent == nil {
		return nil
	}
	if b := parent.Bucket([]byte(bucketIndex)); b != nil {
		return b.Cursor()
	}
	return nil
}

func (t *table) look(hash uint64, match func(seq uint64) (bool, error)) (uint64, error) {
	one, ok, many := t.find(hash)
	if ok {
		many = []uint64{one}
	}
	for _, seq := range many {
		if ok, err := match(seq); err != nil || ok {
			return seq, err
		}
	}
	return 0, nil
}

// flush writes the table to the file and begins an empty one. Readers who hold the old table keep it.
func (s *Store) flush(ix *index) error {
	entries := ix.table.sorted()
	for chunk := range slices.Chunk(entries, s.sizes.flush) {
		_, err := s.change(func(t *tx) error {
			b, err := t.bucket(ix.parent(t.b), bucketIndex)
			if err != nil {
				return err
			}
			for _, e := range chunk {
				if err := b.Put(e.key(), nil); err != nil {
					return storageError(err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	_, err := s.change(func(t *tx) error {
		parent := ix.parent(t.b)
		if parent == nil {
			return nil
		}
		return put(parent, []byte(keyIndexed), appendUint(nil, ix.last))
	})
	if err != nil {
		return err
	}
	s.state.Lock()
	defer s.state.Unlock()
	ix.table, ix.mark = newTable(), ix.last
	return nil
}

// replay makes the table again from the rows behind the mark. The caller holds Store.state, or nobody else knows ix.
func (s *Store) replay(ix *index) error {
	ix.table, ix.mark, ix.last = newTable(), 0, 0
	for {
		full, err := s.replaySome(ix)
		if err != nil {
			return named("read the "+ix.what, err)
		}
		if !full {
			return nil
		}
		// Only an index that is being made anew has so many rows behind its mark.
		s.state.Unlock()
		err = s.flush(ix)
		s.state.Lock()
		if err != nil {
			return err
		}
	}
}

func (s *Store) replaySome(ix *index) (full bool, err error) {
	err = s.db.View(func(b *bolt.Tx) error {
		parent := ix.parent(b)
		if parent == nil {
			return nil
		}
		if body, err := get(parent, []byte(keyIndexed)); err != nil {
			return err
		} else if body != nil {
			d := &decoder{b: body}
			ix.mark = d.uint()
			if err := d.end(); err != nil {
				return corrupt(fmt.Errorf("the mark of the %s: %w", ix.what, err))
			}
		}
		ix.last = max(ix.last, ix.mark)
		rows := parent.Bucket([]byte(ix.rows))
		if rows == nil || ix.last == math.MaxUint64 {
			return nil
		}
		cursor := rows.Cursor()
		for k, v := cursor.Seek(seqKey(ix.last + 1)); k != nil; k, v = cursor.Next() {
			if len(k) != 8 {
				return corrupt(fmt.Errorf("%s: a key of %d bytes", ix.what, len(k)))
			}
			body, err := open(k, v)
			if err != nil {
				return err
			}
			seq := binary.BigEndian.Uint64(k)
			hashes, err := ix.hashes(seq, body)
			if err != nil {
				return err
			}
			for _, h := range hashes {
				ix.table.add(entry{h, seq})
			}
			ix.last = seq
			if full = ix.table.len() >= 2*s.sizes.table && !s.opts.ReadOnly; full {
				return nil
			}
		}
		return nil
	})
	return full, err
}

// rebuild forgets an index and makes it again from all rows.
func (s *Store) rebuild(ix *index) error {
	_, err := s.change(func(t *tx) error {
		parent := ix.parent(t.b)
		if parent == nil {
			return nil
		}
		if parent.Bucket([]byte(bucketIndex)) != nil {
			if err := parent.DeleteBucket([]byte(bucketIndex)); err != nil {
				return storageError(err)
			}
		}
		return storageError(parent.Delete([]byte(keyIndexed)))
	})
	if err != nil {
		return err
	}
	s.state.Lock()
	defer s.state.Unlock()
	return s.replay(ix)
}

// fingerprint tells whether a list of texts is the one that was seen before.
func fingerprint(list []string) uint64 {
	h := fnv.New64a()
	for _, s := range list {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return h.Sum64()
}

// errDangling says that an index points to a row that should be there and is not.
func errDangling(what string, seq uint64) error {
	return &dirsync.Error{Kind: dirsync.Corrupt, Err: fmt.Errorf("%s: row %d is missing", what, seq)}
}
