package store

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"

	bolt "go.etcd.io/bbolt"
)

// A bitmap keeps one bit for every person of a sync: who is present, who was seen in a round, whose change was done in
// a run. It costs an eighth of a byte a person, so that everybody can be marked in one small transaction. It is cut into
// pieces of 8,192 people, each of which is a row under the bitmap's prefix; a piece without a bit is not kept.
type bitmap struct {
	bucket *bolt.Bucket // nil when nothing was written yet
	prefix string
	pieces map[uint64]*piece
	at     uint64 // the piece used last, and which it is
	recent *piece
}

const pieceBits = 1 << 13

type piece struct {
	words [pieceBits / 64]uint64
	dirty bool
}

func newBitmap(bucket *bolt.Bucket, prefix string) *bitmap {
	return &bitmap{bucket: bucket, prefix: prefix, pieces: map[uint64]*piece{}}
}

func (m *bitmap) key(n uint64) []byte { return appendSeq([]byte(m.prefix), n) }

// piece returns the piece with the given number, empty when it is not kept.
func (m *bitmap) piece(n uint64) (*piece, error) {
	if m.recent != nil && m.at == n {
		return m.recent, nil
	}
	p := m.pieces[n]
	if p == nil {
		p = &piece{}
		body, err := get(m.bucket, m.key(n))
		if err != nil {
			return nil, err
		}
		if body != nil {
			if err := p.decode(body); err != nil {
				return nil, corrupt(fmt.Errorf("bitmap %x: piece %d: %w", m.prefix, n, err))
			}
		}
		m.pieces[n] = p
	}
	m.at, m.recent = n, p
	return p, nil
}

func (p *piece) decode(body []byte) error {
	if len(body) != 1+pieceBits/8 || body[0] != rowVersion {
		return errRow
	}
	for i := range p.words {
		p.words[i] = binary.LittleEndian.Uint64(body[1+8*i:])
	}
	return nil
}

func (m *bitmap) get(seq uint64) (bool, error) {
	p, err := m.piece(seq / pieceBits)
	if err != nil {
		return false, err
	}
	return p.words[seq%pieceBits/64]&(1<<(seq%64)) != 0, nil
}

// set sets or clears a bit and tells whether it was different before.
func (m *bitmap) set(seq uint64, to bool) (bool, error) {
	p, err := m.piece(seq / pieceBits)
	if err != nil {
		return false, err
	}
	word, mask := &p.words[seq%pieceBits/64], uint64(1)<<(seq%64)
	if (*word&mask != 0) == to {
		return false, nil
	}
	*word ^= mask
	p.dirty = true
	return true, nil
}

// next returns the first set bit after seq and up to last.
func (m *bitmap) next(seq, last uint64) (uint64, bool, error) {
	for seq++; seq <= last; {
		p, err := m.piece(seq / pieceBits)
		if err != nil {
			return 0, false, err
		}
		for seq <= last {
			if word := p.words[seq%pieceBits/64] >> (seq % 64); word != 0 {
				seq += uint64(bits.TrailingZeros64(word))
				return seq, seq <= last, nil
			}
			seq = (seq/64 + 1) * 64
			if seq%pieceBits == 0 {
				break
			}
		}
	}
	return 0, false, nil
}

// write writes the pieces that have changed.
func (m *bitmap) write() error {
	for n, p := range m.pieces {
		if !p.dirty {
			continue
		}
		p.dirty = false
		key := m.key(n)
		if p.words == [pieceBits / 64]uint64{} {
			if err := m.bucket.Delete(key); err != nil {
				return storageError(err)
			}
			continue
		}
		body := make([]byte, 1, 1+pieceBits/8+4)
		body[0] = rowVersion
		for _, w := range p.words {
			body = binary.LittleEndian.AppendUint64(body, w)
		}
		if err := put(m.bucket, key, body); err != nil {
			return err
		}
	}
	return nil
}

// clear takes all bits away.
func (m *bitmap) clear() error {
	m.pieces, m.recent = map[uint64]*piece{}, nil
	return deletePrefix(m.bucket, []byte(m.prefix))
}

// deletePrefix deletes all rows whose keys begin with prefix.
func deletePrefix(b *bolt.Bucket, prefix []byte) error {
	if b == nil {
		return nil
	}
	cursor := b.Cursor()
	for k, _ := cursor.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, _ = cursor.Seek(prefix) {
		if err := storageError(b.Delete(k)); err != nil {
			return err
		}
	}
	return nil
}

func (p *piece) ones() uint64 {
	n := 0
	for _, w := range p.words {
		n += bits.OnesCount64(w)
	}
	return uint64(n)
}
