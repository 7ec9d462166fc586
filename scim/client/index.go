package client

import (
	"encoding/binary"
	"encoding/hex"
	"hash/maphash"

	"dirsync"
)

// index remembers who is there: of each account the id, the externalId and a hash of the user name, in some hundred bytes
// (less where ids are GUIDs), so that matching needs no request. It says nothing about what accounts hold.
type index struct {
	seed maphash.Seed
	// rows holds, one after the other, the hash of the name, the externalId and the id.
	rows []byte
	// byPerson, byID and byName lead from a hash to a row. The first two are checked against the row.
	byPerson, byID, byName map[uint64]uint32
}

func newIndex() *index {
	return &index{seed: maphash.MakeSeed(), rows: make([]byte, 1), byPerson: map[uint64]uint32{}, byID: map[uint64]uint32{}, byName: map[uint64]uint32{}}
}

func (x *index) hash(s string) uint64 { return maphash.String(x.seed, s) }

// set notes an account, and forgets what was noted of it before, except for its name if that is empty now: a write that
// does not touch the name leaves it as it was.
func (x *index) set(id string, person dirsync.ID, name string) {
	var key uint64
	if name != "" {
		key = x.hash(dirsync.Fold(name))
	} else if at, ok := x.byID[x.hash(id)]; ok {
		key, _, _ = x.row(at)
	}
	x.remove(id)
	at := uint32(len(x.rows))
	if key != 0 {
		x.byName[key] = at
	}
	x.rows = binary.LittleEndian.AppendUint64(x.rows, key)
	x.rows = appendText(appendText(x.rows, string(person)), id)
	x.byID[x.hash(id)] = at
	if person != "" {
		x.byPerson[x.hash(string(person))] = at
	}
}

func (x *index) row(at uint32) (name uint64, person dirsync.ID, id string) {
	name = binary.LittleEndian.Uint64(x.rows[at:])
	text, rest := cutText(x.rows[at+8:])
	id, _ = cutText(rest)
	return name, dirsync.ID(text), id
}

func (x *index) remove(id string) {
	key := x.hash(id)
	at, ok := x.byID[key]
	if !ok {
		return
	}
	name, person, _ := x.row(at)
	delete(x.byID, key)
	if x.byName[name] == at {
		delete(x.byName, name)
	}
	if p := x.hash(string(person)); x.byPerson[p] == at {
		delete(x.byPerson, p)
	}
}

// person returns the id of a person's account.
func (x *index) person(p dirsync.ID) (string, bool) {
	at, ok := x.byPerson[x.hash(string(p))]
	if !ok {
		return "", false
	}
	_, person, id := x.row(at)
	return id, person == p
}

// account returns whose an account is; empty if it is nobody's.
func (x *index) account(id string) (dirsync.ID, bool) {
	at, ok := x.byID[x.hash(id)]
	if !ok {
		return "", false
	}
	_, person, same := x.row(at)
	return person, same == id
}

// named returns the id of the account with a user name. Two names in a hundred million share a hash, so whoever acts on
// it looks at the account first.
func (x *index) named(name string) (string, bool) {
	at, ok := x.byName[x.hash(dirsync.Fold(name))]
	if !ok {
		return "", false
	}
	_, _, id := x.row(at)
	return id, true
}

// appendText writes a text with its length. GUIDs in lower case take 17 bytes.
func appendText(b []byte, s string) []byte {
	if guid, ok := packGUID(s); ok {
		return append(append(b, 0), guid[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(s))+1)
	return append(b, s...)
}

func cutText(b []byte) (string, []byte) {
	n, size := binary.Uvarint(b)
	b = b[size:]
	if n == 0 {
		return unpackGUID(b[:16]), b[16:]
	}
	return string(b[:n-1]), b[n-1:]
}

func packGUID(s string) (out [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return out, false
	}
	var digits [32]byte
	n := 0
	for i := range len(s) {
		switch c := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
		case c >= '0' && c <= '9' || c >= 'a' && c <= 'f':
			digits[n] = c
			n++
		default:
			return out, false
		}
	}
	_, err := hex.Decode(out[:], digits[:])
	return out, err == nil
}

func unpackGUID(b []byte) string {
	var out [36]byte
	hex.Encode(out[0:8], b[0:4])
	hex.Encode(out[9:13], b[4:6])
	hex.Encode(out[14:18], b[6:8])
	hex.Encode(out[19:23], b[8:10])
	hex.Encode(out[24:36], b[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
