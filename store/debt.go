package store

import (
	"encoding/binary"
	"time"

	"dirsync"
)

// A debt is kept in one of two forms. Who became owed alone has a row in owed. When everybody becomes owed at once, a
// blanket is laid over them: a bit for each person, and what their debts have in common. So owing a million people is
// one small transaction, however long it then takes to plan them. A person who has both a row and the bit keeps the
// row's Since, Attempts and Error and has the rest from the blanket. Whatever happens to a debt under the blanket
// brings it out from there.
type blanket struct {
	Mark uint64      `json:"mark"`
	Why  dirsync.Why `json:"why"`
	// Covered counts the people under the blanket.
	Covered uint64 `json:"covered"`
	// Layers tell since when those of them are owed who have no row. A person is in at most one.
	Layers []layer `json:"layers,omitempty"`

	bits  map[uint64]*bitmap
	dirty bool
}

// layer is those people under the blanket who became owed at the same time.
type layer struct {
	ID    uint64    `json:"id"`
	Since time.Time `json:"since"`
	Count uint64    `json:"count"`
}

// maxLayers bounds the layers. A layer is left behind only when everybody becomes owed while some are still owed from
// the time before, and somebody was settled between. Beyond the bound the two oldest become one, with the older Since.
const maxLayers = 64

// debt is a person's debt and the form it is kept in.
type debt struct {
	owed    dirsync.Owed
	row     bool
	covered bool
	layer   *bitmap // the layer that the person is in
	inLayer int     // and its place
}

func (x *syncTx) layerBits(id uint64) *bitmap {
	m := x.blanket.bits[id]
	if m == nil {
		m = newBitmap(x.bits, bitsLayer+string(binary.BigEndian.AppendUint64(nil, id)))
		if x.blanket.bits == nil {
			x.blanket.bits = map[uint64]*bitmap{}
		}
		x.blanket.bits[id] = m
	}
	return m
}

// debt reads what a person is owed.
func (x *syncTx) debt(seq uint64) (debt, error) {
	var d debt
	body, err := x.row(x.owed, seq)
	if err != nil {
		return d, err
	}
	if body != nil {
		d.row = true
		if d.owed, err = decodeOwed(decode(body)); err != nil {
			return d, rowError("debt", seq, err)
		}
	}
	if x.blanket.Covered == 0 {
		return d, nil
	}
	if d.covered, err = x.covered.get(seq); err != nil || !d.covered {
		return d, err
	}
	d.owed.Mark, d.owed.Why, d.owed.Due = x.blanket.Mark, x.blanket.Why, time.Time{}
	if d.row {
		return d, nil
	}
	for i, l := range x.blanket.Layers {
		m := x.layerBits(l.ID)
		in, err := m.get(seq)
		if err != nil {
			return d, err
		}
		if in {
			d.owed.Since, d.layer, d.inLayer = l.Since, m, i
			return d, nil
		}
	}
	return d, nil
}

// setDebt replaces a person's debt, as debt has read it, by another; the zero Owed settles it.
func (x *syncTx) setDebt(seq uint64, was debt, owed dirsync.Owed) error {
	x.countDebt(was.owed, ^uint64(0))
	x.countDebt(owed, 1)
	if was.covered {
		if _, err := x.covered.set(seq, false); err != nil {
			return err
		}
		x.blanket.Covered--
		x.blanket.dirty = true
	}
	if was.layer != nil {
		if _, err := was.layer.set(seq, false); err != nil {
			return err
		}
		x.blanket.Layers[was.inLayer].Count--
	}
	if owed.Mark != 0 {
		x.buf = appendOwed(x.buf[:0], owed)
		return put(x.owed, seqKey(seq), x.arena.keep(x.buf))
	}
	if was.row {
		return storageError(x.owed.Delete(seqKey(seq)))
	}
	return nil
}

func (x *syncTx) countDebt(o dirsync.Owed, n uint64) {
	if o.Mark == 0 {
		return
	}
	x.count.owed += n
	if o.Attempts != 0 {
		x.count.failing += n
	}
}

// owe gives a person a new debt, or raises the one that stands.
func (x *syncTx) owe(seq, mark uint64, why dirsync.Why, now time.Time) error {
	was, err := x.debt(seq)
	if err != nil {
		return err
	}
	owed := was.owed
	if owed.Mark == 0 {
		owed.Since = now
	}
	owed.Mark, owed.Why, owed.Due = mark, why, time.Time{}
	return x.setDebt(seq, was, owed)
}

// nextDebt is what a debt becomes when somebody who acted on it says that it goes on.
func nextDebt(owed, to dirsync.Owed) dirsync.Owed {
	to.Mark = owed.Mark
	if to.Since.IsZero() {
		to.Since = owed.Since
	}
	return to
}

// oweAll lays a new blanket over everybody.
func (x *syncTx) oweAll(why dirsync.Why, now time.Time) error {
	b := &x.blanket
	b.Mark, b.Why, b.dirty = x.newMark(), why, true
	fresh := layer{ID: b.Mark, Since: now}
	m := x.layerBits(fresh.ID)
	cursor := x.owed.Cursor()
	row, _ := cursor.First()
	for n := uint64(0); n <= x.count.last/pieceBits; n++ {
		covered, err := x.covered.piece(n)
		if err != nil {
			return err
		}
		add, err := m.piece(n)
		if err != nil {
			return err
		}
		add.words = everybody(n, x.count.last)
		all := add.words
		for i := range add.words {
			add.words[i] &^= covered.words[i]
		}
		for ; len(row) == 8 && binary.BigEndian.Uint64(row)/pieceBits == n; row, _ = cursor.Next() {
			seq := binary.BigEndian.Uint64(row)
			add.words[seq%pieceBits/64] &^= 1 << (seq % 64)
		}
		fresh.Count += add.ones()
		add.dirty = true
		covered.words, covered.dirty = all, true
	}
	b.Covered, x.count.owed = x.count.last, x.count.last
	if fresh.Count > 0 {
		b.Layers = append(b.Layers, fresh)
	}
	if len(b.Layers) > maxLayers {
		return x.mergeLayers()
	}
	return nil
}

// everybody is a piece with a bit for each person from 1 to last who falls into it.
func everybody(n, last uint64) (words [pieceBits / 64]uint64) {
	for i := range words {
		words[i] = ^uint64(0)
	}
	if n == 0 {
		words[0] &^= 1
	}
	for seq := last + 1; seq < (n+1)*pieceBits; {
		if seq%64 == 0 {
			words[seq%pieceBits/64] = 0
			seq += 64
			continue
		}
		words[seq%pieceBits/64] &^= 1 << (seq % 64)
		seq++
	}
	return words
}

// mergeLayers makes one of the two oldest layers.
func (x *syncTx) mergeLayers() error {
	b := &x.blanket
	from, to := x.layerBits(b.Layers[1].ID), x.layerBits(b.Layers[0].ID)
	for n := uint64(0); n <= x.count.last/pieceBits; n++ {
		a, err := from.piece(n)
		if err != nil {
			return err
		}
		z, err := to.piece(n)
		if err != nil {
			return err
		}
		for i := range z.words {
			z.words[i] |= a.words[i]
		}
		z.dirty = true
	}
	b.Layers[0].Count += b.Layers[1].Count
	if err := from.clear(); err != nil {
		return err
	}
	b.Layers = append(b.Layers[:1], b.Layers[2:]...)
	return nil
}

// writeBlanket writes the blanket and forgets layers that nobody is in any more.
func (x *syncTx) writeBlanket() error {
	b := &x.blanket
	if !b.dirty {
		return nil
	}
	kept := b.Layers[:0]
	for _, l := range b.Layers {
		if l.Count == 0 {
			if err := x.layerBits(l.ID).clear(); err != nil {
				return err
			}
			continue
		}
		kept = append(kept, l)
	}
	b.Layers = kept
	for _, m := range b.bits {
		if err := m.write(); err != nil {
			return err
		}
	}
	return x.putJSON(keyBlanket, *b)
}
