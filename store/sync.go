package store

import (
	"context"
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// Sync is the part of a store that belongs to one sync. It is an engine.Store.
type Sync struct {
	s     *Store
	place place
	ids   *index
	// keys are what a row is to be found by.
	keys func(dirsync.Person) []uint64
}

// The layout of the file. Everything of a sync lies in syncs/<name>, what it keeps of its groups in groups/<name>, and who
// is in them in memberships/<name> (parts.go), all three built alike:
//
//	state         "state" (JSON), "counters", "blanket" (JSON)
//	people        Seq → id, existence, shadow
//	index         hash of an id and Seq → nothing; "indexed" beside it is how far it reaches
//	links         Seq → account
//	owed          Seq → debt
//	rejected      Seq → rejection
//	bits          prefix and piece → who is present, seen, seen in doubt, noted, meant to differ, owed with everybody
//	runs          RunID → run (JSON)
//	plans         RunID → a bucket with the plan, what came of it, and how far it was applied
//	holds         HoldID → hold (JSON)
//	marks         Seq and danger → mark
const (
	bucketSyncs    = "syncs"
	bucketState    = "state"
	bucketPeople   = "people"
	bucketLinks    = "links"
	bucketOwed     = "owed"
	bucketRejected = "rejected"
	bucketBits     = "bits"
	bucketRuns     = "runs"
	bucketPlans    = "plans"
	bucketHolds    = "holds"
	bucketMarks    = "marks"

	keyState    = "state"
	keyCounters = "counters"
	keyBlanket  = "blanket"

	bitsPresent = "p"
	bitsSeen    = "s"
	bitsUnsure  = "u"
	bitsNoted   = "n"
	bitsDiffers = "d"
	bitsBlanket = "b"
	bitsLayer   = "l" // and the layer's number
)

func newSync(s *Store, at place) *Sync {
	y := &Sync{s: s, place: at, keys: idKeys}
	switch at.part {
	case bucketMemberships:
		y.keys = membershipKeys
	case bucketSyncs:
		y.keys = personKeys
	}
	y.ids = &index{what: "index of " + at.String(), rows: bucketPeople, table: newTable()}
	y.ids.parent = func(b *bolt.Tx) *bolt.Bucket {
		if part := b.Bucket([]byte(at.part)); part != nil {
			return part.Bucket([]byte(at.sync))
		}
		return nil
	}
	y.ids.hashes = func(seq uint64, body []byte) ([]uint64, error) {
		p, err := decodePerson(decode(body), seq)
		if err != nil {
			return nil, rowError("person", seq, err)
		}
		return y.keys(p), nil
	}
	return y
}

func idKeys(p dirsync.Person) []uint64 { return []uint64{hashKey("", string(p.ID))} }

// syncTx is a transaction that works on one sync.
type syncTx struct {
	*tx
	y    *Sync
	root *bolt.Bucket // nil for a reader of a sync to which nothing was written yet

	people, links, owed, rejected, state, bits *bolt.Bucket

	count   counters
	before  counters // as they are in the file
	blanket blanket
	present *bitmap
	seen    *bitmap
	unsure  *bitmap
	noted   *bitmap // whom a round that may have to be redone has mentioned; see rounds.go
	differs *bitmap
	covered *bitmap // whom the blanket covers
	// noting and settling say what a batch of records does to the noted; see beginBatch.
	noting, settling bool
	buf              []byte
}

func (y *Sync) view(ctx context.Context, op string, fn func(*syncTx) error) error {
	return y.s.view(ctx, op, func(t *tx) error { return y.in(t, fn) })
}

func (y *Sync) update(ctx context.Context, op string, fn func(*syncTx) error) error {
	return y.s.update(ctx, op, func(t *tx) error { return y.in(t, fn) })
}

// in opens what nearly every method needs.
func (y *Sync) in(t *tx, fn func(*syncTx) error) error {
	x := &syncTx{tx: t, y: y}
	part, err := t.top(y.place.part)
	if err != nil {
		return err
	}
	if x.root, err = t.bucket(part, y.place.sync); err != nil {
		return err
	}
	for _, open := range []struct {
		to   **bolt.Bucket
		name string
	}{
		{&x.people, bucketPeople}, {&x.links, bucketLinks}, {&x.owed, bucketOwed}, {&x.rejected, bucketRejected},
		{&x.state, bucketState}, {&x.bits, bucketBits},
	} {
		if *open.to, err = t.bucket(x.root, open.name); err != nil {
			return err
		}
		if *open.to != nil {
			(*open.to).FillPercent = 0.95 // nearly all rows are added at the end, where no room need be left between them
		}
	}
	body, err := get(x.state, []byte(keyCounters))
	if err != nil {
		return err
	}
	if body != nil {
		if x.count, err = decodeCounters(decode(body)); err != nil {
			return corrupt(fmt.Errorf("counters of %s: %w", y.place, err))
		}
	}
	if err := x.getJSON(keyBlanket, &x.blanket); err != nil {
		return err
	}
	x.before = x.count
	x.present, x.seen = newBitmap(x.bits, bitsPresent), newBitmap(x.bits, bitsSeen)
	x.differs = newBitmap(x.bits, bitsDiffers)
	x.unsure, x.covered = newBitmap(x.bits, bitsUnsure), newBitmap(x.bits, bitsBlanket)
	x.noted = newBitmap(x.bits, bitsNoted)
	t.finish = append(t.finish, x.write)
	return fn(x)
}

// write writes at the end of a transaction what was only counted until then.
func (x *syncTx) write() error {
	for _, m := range []*bitmap{x.present, x.seen, x.unsure, x.noted, x.differs, x.covered} {
		if err := m.write(); err != nil {
			return err
		}
	}
	if err := x.writeBlanket(); err != nil {
		return err
	}
	if x.count == x.before {
		return nil
	}
	return put(x.state, []byte(keyCounters), appendCounters(nil, x.count))
}

func (x *syncTx) getJSON(key string, to any) error {
	body, err := get(x.state, []byte(key))
	if err != nil || body == nil {
		return err
	}
	if err := json.Unmarshal(body, to); err != nil {
		return corrupt(fmt.Errorf("%s of %s: %w", key, x.y.place, err))
	}
	return nil
}

func (x *syncTx) putJSON(key string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return put(x.state, []byte(key), body)
}

// person reads the row of a person; ok is false when there is none. With owned its parts outlive the transaction.
func (x *syncTx) person(seq uint64, owned bool) (p dirsync.Person, ok bool, err error) {
	body, err := x.row(x.people, seq)
	if err != nil || body == nil {
		return dirsync.Person{}, false, err
	}
	d := decode(body)
	if owned {
		d = decodeOwned(body)
	}
	p, err = decodePerson(d, seq)
	return p, true, rowError("person", seq, err)
}

// mustPerson reads the row of a person who must be there.
func (x *syncTx) mustPerson(seq uint64, owned bool) (dirsync.Person, error) {
	p, ok, err := x.person(seq, owned)
	if err == nil && !ok {
		err = errDangling("people of "+x.y.place.String(), seq)
	}
	return p, err
}

func (x *syncTx) putPerson(p dirsync.Person) error {
	x.buf = appendPerson(x.buf[:0], p)
	return put(x.people, seqKey(uint64(p.Seq)), x.arena.keep(x.buf))
}

func (x *syncTx) link(seq uint64) (dirsync.Link, error) {
	body, err := x.row(x.links, seq)
	if err != nil || body == nil {
		return dirsync.Link{}, err
	}
	l, err := decodeLink(decodeOwned(body))
	return l, rowError("link", seq, err)
}

// putLink keeps the link of a person; the zero Link is kept as nothing.
func (x *syncTx) putLink(seq uint64, old, l dirsync.Link) error {
	x.countLink(old, ^uint64(0))
	x.countLink(l, 1)
	if l.Account == "" && !l.Active && len(l.Held) == 0 && l.Doubt == 0 && l.DeactivatedAt.IsZero() && l.Joined == "" {
		return storageError(x.links.Delete(seqKey(seq)))
	}
	x.buf = appendLink(x.buf[:0], l)
	return put(x.links, seqKey(seq), x.arena.keep(x.buf))
}

func (x *syncTx) countLink(l dirsync.Link, n uint64) {
	switch {
	case l.Account == "":
	case l.Active:
		x.count.active += n
	default:
		x.count.inactive += n
	}
}

// whole reads everything that is remembered of a person.
func (x *syncTx) whole(seq uint64) (dirsync.Person, error) {
	p, err := x.mustPerson(seq, true)
	if err != nil {
		return p, err
	}
	if p.Link, err = x.link(seq); err != nil {
		return p, err
	}
	d, err := x.debt(seq)
	p.Owed = d.owed
	return p, err
}

// find returns the number of the person with an id, or 0.
func (x *syncTx) find(id dirsync.ID) (seq uint64, p dirsync.Person, err error) {
	seq, err = x.look(x.y.ids, hashKey("", string(id)), func(seq uint64) (bool, error) {
		var ok bool
		p, ok, err = x.person(seq, false)
		return ok && p.ID == id, err
	})
	return seq, p, err
}

// known fails unless there is a person with that number.
func (x *syncTx) known(seq dirsync.Seq) error {
	if seq < 1 || uint64(seq) > x.count.last {
		return errNo("person", uint64(seq))
	}
	return nil
}

// newMark returns a Mark that no debt has had.
func (x *syncTx) newMark() uint64 {
	x.count.mark++
	return x.count.mark
}

// Person implements engine.Journal.
func (y *Sync) Person(ctx context.Context, id dirsync.ID) (out dirsync.Person, err error) {
	err = y.view(ctx, "find person", func(x *syncTx) error {
		seq, _, err := x.find(id)
		if err != nil {
			return err
		}
		if seq == 0 {
			return &dirsync.Error{ID: id, Kind: dirsync.NotFound}
		}
		out, err = x.whole(seq)
		return err
	})
	return out, err
}

// People implements engine.Journal.
func (y *Sync) People(ctx context.Context, after dirsync.Seq, limit int) (out []dirsync.Person, err error) {
	err = y.view(ctx, "list people", func(x *syncTx) error {
		for seq := uint64(after) + 1; seq <= x.count.last && len(out) < limit; seq++ {
			p, err := x.whole(seq)
			if err != nil {
				return err
			}
			out = append(out, p)
		}
		return nil
	})
	return out, err
}

// Totals implements engine.Journal.
func (y *Sync) Totals(ctx context.Context) (t dirsync.Totals, err error) {
	err = y.view(ctx, "count people", func(x *syncTx) error {
		c := x.count
		t = dirsync.Totals{People: int(c.last - c.gone), Gone: int(c.gone), Active: int(c.active), Inactive: int(c.inactive),
			Rejected: int(c.rejected), Owed: int(c.owed), Failing: int(c.failing), Differing: int(c.differs), Kept: int(c.kept)}
		return nil
	})
	return t, err
}
