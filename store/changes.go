package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Every change of an account gets the next number of a sequence, one for the users and one for the groups, that never
// goes back. An account remembers the number of its last change, deleted ones included, and the list of changes has that
// one alone, so it is as long as there are accounts, however often they change. Whoever has read up to a number goes on
// behind it and meets everybody who has changed since, once, as they are now.
//
// When a deleted account is forgotten for good, a tombstone takes its place, under the next number. Tombstones are
// forgotten in their turn, the oldest first; whoever has read no further than that has missed one.
//
// Who joined or left a group is in a log of its own (joins.go), under numbers of the groups.

const (
	bucketChanges    = "changes"
	bucketTombstones = "tombstones"
	keyForgotten     = "forgotten"
	// maxTombstones bounds how many are remembered, whatever Options.KeepTombstones says.
	maxTombstones = 1_000_000
)

// history is what a transaction knows of the changes of the accounts of one kind.
type history struct {
	opened           bool
	list, tombstones *bolt.Bucket
	joins            *bolt.Bucket // of groups
	// latest is the number that was given last, and began what it was when the transaction began.
	latest, began uint64
	now, was      forgotten
	// chunks are the parts of the list that were changed, by their keys, and added the changes of this transaction.
	chunks map[uint64]*chunk
	last   *chunk // the one that was changed last
	added  []changed
	// lines are those that the log of memberships gets, and touched the groups that somebody has joined or left, and that
	// have no number of that change yet.
	lines   []joinLine
	touched map[uint64]struct{}
}

// forgotten says what is not known any more.
type forgotten struct {
	// upTo is the last change of which a tombstone was forgotten, and joinsUpTo the last one that the log has lost.
	upTo, joinsUpTo uint64
	// tombstones and joins are how many are kept.
	tombstones, joins uint64
}

func (f forgotten) append(b []byte) []byte {
	b = append(b, rowVersion)
	for _, n := range [...]uint64{f.upTo, f.joinsUpTo, f.tombstones, f.joins} {
		b = appendUint(b, n)
	}
	return b
}

func decodeForgotten(d *decoder) (forgotten, error) {
	f := forgotten{upTo: d.uint(), joinsUpTo: d.uint(), tombstones: d.uint(), joins: d.uint()}
	return f, d.end()
}

// past opens the history.
func (x *accountsTx) past() (*history, error) {
	h := &x.history
	if h.opened {
		return h, nil
	}
	var err error
	if h.list, err = x.bucket(x.root, bucketChanges); err != nil {
		return nil, err
	}
	if h.tombstones, err = x.bucket(x.root, bucketTombstones); err != nil {
		return nil, err
	}
	if x.a.users != nil {
		if h.joins, err = x.bucket(x.root, bucketJoins); err != nil {
			return nil, err
		}
	}
	body, err := get(x.root, []byte(keyForgotten))
	if err != nil {
		return nil, err
	}
	if body != nil {
		if h.now, err = decodeForgotten(decode(body)); err != nil {
			return nil, corrupt(fmt.Errorf("what is forgotten of the directory's %ss: %w", x.a.noun, err))
		}
	}
	if h.list != nil {
		h.latest = h.list.Sequence()
	}
	h.began, h.was, h.opened = h.latest, h.now, true
	return h, nil
}

// changed says that an account has changed.
type changed struct{ number, seq uint64 }

func (c changed) compare(o changed) int { return cmp.Compare(c.number, o.number) }

// chunk is a part of the list of changes that is kept in one row, under a key that is not above its numbers and above
// those of the chunk before it.
type chunk struct {
	// entries are in order of their numbers. From low to high are those that the chunk had.
	entries   []changed
	low, high uint64
}

// chunkSize is how many changes a chunk has at most. Those who come one at a time rewrite one chunk, and those who come by
// the thousand write few.
const chunkSize = 64

func appendChunk(b []byte, entries []changed) []byte {
	b = appendUint(append(b, rowVersion), uint64(len(entries)))
	var last changed
	for _, c := range entries {
		b = appendUint(b, c.number-last.number)
		b = binary.AppendVarint(b, int64(c.seq-last.seq))
		last = c
	}
	return b
}

// decodeChunk reads what appendChunk wrote. There is at least one entry.
func decodeChunk(d *decoder) ([]changed, error) {
	n := d.count(2)
	d.bad = d.bad || n == 0
	out, last := make([]changed, 0, n), changed{}
	for range n {
		c := changed{last.number + d.uint(), last.seq + uint64(d.int())}
		if d.bad = d.bad || c.number <= last.number || c.seq == 0; d.bad {
			break
		}
		out, last = append(out, c), c
	}
	return out, d.end()
}

func openChunk(k, row []byte) (key uint64, entries []changed, err error) {
	if len(k) != 8 {
		return 0, nil, corrupt(fmt.Errorf("changes: %x is no number", k))
	}
	key = binary.BigEndian.Uint64(k)
	body, err := open(k, row)
	if err != nil {
		return 0, nil, err
	}
	entries, err = decodeChunk(decode(body))
	if err == nil && entries[0].number < key {
		err = errRow
	}
	return key, entries, rowError("changes from", key, err)
}

// seekChunk goes to the only chunk that may have a number; the key is nil when there is none.
func seekChunk(cursor *bolt.Cursor, number uint64) (k, row []byte) {
	if k, _ = cursor.Seek(seqKey(number + 1)); k == nil {
		return cursor.Last()
	}
	return cursor.Prev()
}

// relist gives an account the next number in place of the one it had; 0: it had none.
func (x *accountsTx) relist(seq, had uint64) (uint64, error) {
	h, err := x.past()
	if err != nil {
		return 0, err
	}
	if had != 0 {
		if err := h.unlist(changed{had, seq}); err != nil {
			return 0, err
		}
	}
	h.latest++
	h.added = append(h.added, changed{h.latest, seq})
	return h.latest, nil
}

// unlist takes a change out of the list.
func (h *history) unlist(c changed) error {
	entries := &h.added
	if c.number <= h.began {
		part, err := h.chunkOf(c.number)
		if err != nil || part == nil {
			return err
		}
		entries = &part.entries
	}
	if i, ok := slices.BinarySearchFunc(*entries, c, changed.compare); ok && (*entries)[i] == c {
		*entries = slices.Delete(*entries, i, i+1)
	}
	return nil
}

// chunkOf returns the chunk that may have a number, to be changed; nil when there is none.
func (h *history) chunkOf(number uint64) (*chunk, error) {
	if h.last != nil && h.last.low <= number && number <= h.last.high {
		return h.last, nil
	}
	k, row := seekChunk(h.list.Cursor(), number)
	if k == nil {
		return nil, nil
	}
	return h.changing(k, row)
}

// changing returns the chunk of a row, to be changed.
func (h *history) changing(k, row []byte) (*chunk, error) {
	if len(k) == 8 {
		if part := h.chunks[binary.BigEndian.Uint64(k)]; part != nil {
			h.last = part
			return part, nil
		}
	}
	key, entries, err := openChunk(k, row)
	if err != nil {
		return nil, err
	}
	if h.chunks == nil {
		h.chunks = map[uint64]*chunk{}
	}
	h.last = &chunk{entries: entries, low: entries[0].number, high: entries[len(entries)-1].number}
	h.chunks[key] = h.last
	return h.last, nil
}

// bury sets a tombstone in place of an account that is forgotten for good, under the next number.
func (x *accountsTx) bury(seq, had uint64, when time.Time) error {
	h, err := x.past()
	if err != nil {
		return err
	}
	if err := h.unlist(changed{had, seq}); err != nil {
		return err
	}
	h.latest++
	h.now.tombstones++
	return put(h.tombstones, appendSeq(seqKey(h.latest), seq), appendTime([]byte{rowVersion}, when))
}

// listed finds the number of an account's last change when its row cannot be read, by looking at all of them; 0: none.
func (x *accountsTx) listed(seq uint64) (number uint64, err error) {
	h, err := x.past()
	if err != nil || h.list == nil {
		return 0, err
	}
	if i := slices.IndexFunc(h.added, func(c changed) bool { return c.seq == seq }); i >= 0 {
		return h.added[i].number, nil
	}
	cursor := h.list.Cursor()
	for k, row := cursor.First(); k != nil; k, row = cursor.Next() {
		_, entries, err := openChunk(k, row)
		if err != nil {
			return 0, err
		}
		if i := slices.IndexFunc(entries, func(c changed) bool { return c.seq == seq }); i >= 0 {
			return entries[i].number, nil
		}
	}
	return 0, nil
}

// keep writes the row of an account that has changed, with the next number in place of the one it has, if it has one.
func (x *accountsTx) keep(seq uint64, r *account) (err error) {
	isNew := r.number == 0
	if r.number, err = x.relist(seq, r.number); err != nil {
		return err
	}
	if isNew && len(x.a.references) > 0 {
		r.made = r.number
	}
	delete(x.history.touched, seq)
	x.buf = appendAccount(x.buf[:0], *r)
	return put(x.rows, seqKey(seq), x.arena.keep(x.buf))
}

// writeHistory writes at the end of a transaction what was only gathered until then, and forgets what was long ago.
func (x *accountsTx) writeHistory() error {
	if err := x.touch(); err != nil {
		return err
	}
	h := &x.history
	if !h.opened {
		return nil
	}
	for _, write := range []func() error{x.writeChanges, x.writeLog, x.forgetTombstones} {
		if err := write(); err != nil {
			return err
		}
	}
	if h.latest != h.began {
		if err := storageError(h.list.SetSequence(h.latest)); err != nil {
			return err
		}
	}
	if h.now == h.was {
		return nil
	}
	return put(x.root, []byte(keyForgotten), h.now.append(nil))
}

// writeChanges writes the list of changes.
func (x *accountsTx) writeChanges() error {
	h := &x.history
	if len(h.added) > 0 {
		// Changes that come one at a time join the last chunk, until it is full.
		if k, row := h.list.Cursor().Last(); k != nil {
			last, err := h.changing(k, row)
			if err != nil {
				return err
			}
			n := min(len(h.added), max(0, chunkSize-len(last.entries)))
			last.entries = append(last.entries, h.added[:n]...)
			h.added = h.added[n:]
		}
	}
	for _, key := range slices.Sorted(maps.Keys(h.chunks)) {
		if entries := h.chunks[key].entries; len(entries) > 0 {
			if err := x.putChunk(key, entries); err != nil {
				return err
			}
		} else if err := storageError(h.list.Delete(seqKey(key))); err != nil {
			return err
		}
	}
	h.list.FillPercent = 0.95 // the next ones go to the end
	for entries := range slices.Chunk(h.added, chunkSize) {
		if err := x.putChunk(entries[0].number, entries); err != nil {
			return err
		}
	}
	h.chunks, h.last, h.added = nil, nil, nil
	return nil
}

func (x *accountsTx) putChunk(key uint64, entries []changed) error {
	x.buf = appendChunk(x.buf[:0], entries)
	return put(x.history.list, seqKey(key), x.arena.keep(x.buf))
}

// forgetTombstones forgets those that are old, some more than a transaction sets.
func (x *accountsTx) forgetTombstones() error {
	h := &x.history
	for range x.deletions + 2*forgetStep {
		if h.now.tombstones == 0 {
			return nil
		}
		k, row := h.tombstones.Cursor().First()
		if len(k) != 16 {
			return corrupt(fmt.Errorf("a tombstone of the directory's %ss has the key %x", x.a.noun, k))
		}
		body, err := unseal(k, row)
		when := decode(body).time()
		if err == nil && h.now.tombstones <= maxTombstones && !when.Before(x.s.opts.Now().Add(-x.s.opts.KeepTombstones)) {
			return nil
		}
		h.now.upTo = binary.BigEndian.Uint64(k)
		h.now.tombstones--
		if err := storageError(h.tombstones.Delete(append([]byte(nil), k...))); err != nil {
			return err
		}
	}
	return nil
}
