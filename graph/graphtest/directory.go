package graphtest

import (
	"bytes"
	"encoding/binary"
	"time"
)

// directory holds the tenant's objects and the log of everything that ever happened to them. A position in the log,
// counted from 1, is what delta tokens carry; undoing the log from its end shows any object as it was earlier.
type directory struct {
	names   []string          // property names by their number
	numbers map[string]int    // and back
	keys    [][]byte          // `"name":` by number
	objects []object          // in order of creation
	byID    map[string]uint32 // into objects
	log     []entry
	bin     []binned // in order of deletion; who was restored since is skipped
	made    uint64   // how many ids were made up
	round   uint64   // delta rounds begun
	living  int      // how many objects are present
	ranges  ranges
	holders holders
	// members are who belongs to whom in the directory of groups, and nil in that of users.
	members *memberships
}

// binned is an object and the moment at which it was soft-deleted, in Unix nanoseconds.
type binned struct {
	object uint32
	at     int64
}

// object is one user. A million of them must fit into two gigabytes, so values are kept as JSON in one slice.
type object struct {
	id      string
	attrs   []byte // see packed
	created uint32 // position in the log
	last    uint32 // position of the latest entry
	state   state
	deleted int64 // when it was last soft-deleted, in Unix nanoseconds
}

// state is whether an object is there.
type state uint8

const (
	absent state = iota
	present
	softDeleted
	hardDeleted
)

// entry is one thing that happened to one object.
type entry struct {
	at     int64  // Unix nanoseconds
	round  uint64 // how many delta rounds had begun by then
	object uint32
	prev   uint32 // position of the object's entry before, 0 if there is none
	kind   entryKind
	old    []oldValue // what a change replaced
}

type entryKind uint8

const (
	created entryKind = iota
	changed
	deleted
	purged
	restored
	linked // members joined or left a group
)

// oldValue is a property's value before a change; a nil raw means that it had never been set.
type oldValue struct {
	prop int
	raw  []byte
}

// number returns a property's number, making one for a new name.
func (d *directory) number(name string) int {
	if n, ok := d.numbers[name]; ok {
		return n
	}
	if d.numbers == nil {
		d.numbers = make(map[string]int)
	}
	n := len(d.names)
	d.numbers[name] = n
	d.names = append(d.names, name)
	d.keys = append(d.keys, append(appendString(nil, name), ':'))
	return n
}

// record adds an entry to the log and links it to its object.
func (d *directory) record(at time.Time, i uint32, kind entryKind, old []oldValue) {
	o := &d.objects[i]
	when := at.UnixNano()
	if n := len(d.log); n > 0 {
		when = max(when, d.log[n-1].at) // a clock that is set back must not disorder the log
	}
	d.log = append(d.log, entry{at: when, round: d.round, object: i, prev: o.last, kind: kind, old: old})
	o.last = uint32(len(d.log))
}

// create adds a present object; its id must be new.
func (d *directory) create(at time.Time, id string, attrs []byte) {
	if d.byID == nil {
		d.byID = make(map[string]uint32)
	}
	i := uint32(len(d.objects))
	d.objects = append(d.objects, object{id: id, attrs: attrs, state: present})
	d.byID[id] = i
	d.living++
	d.record(at, i, created, nil)
	d.objects[i].created = d.objects[i].last
}

// find returns the object with an id, which is nil when there never was one.
func (d *directory) find(id string) (*object, uint32) {
	i, ok := d.byID[id]
	if !ok {
		return nil, 0
	}
	return &d.objects[i], i
}

// assign changes properties of an object and logs those that really changed.
func (d *directory) assign(at time.Time, i uint32, values []oldValue) {
	o := &d.objects[i]
	var old []oldValue
	attrs := o.attrs
	for _, v := range values {
		before, _ := get(attrs, v.prop)
		if bytes.Equal(before, v.raw) || before == nil && isNull(v.raw) {
			continue
		}
		old = append(old, oldValue{v.prop, bytes.Clone(before)})
		attrs = with(attrs, v.prop, v.raw)
	}
	if old == nil {
		return
	}
	o.attrs = attrs
	d.record(at, i, changed, old)
}

// at shows an object as it was when the log had length seq.
func (d *directory) at(o *object, seq uint32) ([]byte, state) {
	attrs, st := o.attrs, o.state
	for p := o.last; p > seq; {
		e := &d.log[p-1]
		switch e.kind {
		case created:
			return nil, absent
		case changed:
			for k := len(e.old) - 1; k >= 0; k-- {
				attrs = with(attrs, e.old[k].prop, e.old[k].raw)
			}
		case deleted:
			st = present
		case purged, restored:
			st = softDeleted
		}
		p = e.prev
	}
	return attrs, st
}

// packed values: for each property its number and the length of its JSON as uvarints, then the JSON.

func appendPacked(b []byte, prop int, raw []byte) []byte {
	b = binary.AppendUvarint(b, uint64(prop))
	b = binary.AppendUvarint(b, uint64(len(raw)))
	return append(b, raw...)
}

// next splits the first value off packed ones.
func next(b []byte) (prop int, raw, rest []byte) {
	if len(b) > 1 && b[0] < 0x80 && b[1] < 0x80 { // as most are
		l := 2 + int(b[1])
		return int(b[0]), b[2:l:l], b[l:]
	}
	p, n := binary.Uvarint(b)
	l, m := binary.Uvarint(b[n:])
	b = b[n+m:]
	return int(p), b[:l:l], b[l:]
}

func get(b []byte, prop int) ([]byte, bool) {
	for len(b) > 0 {
		var p int
		var raw []byte
		p, raw, b = next(b)
		if p == prop {
			return raw, true
		}
	}
	return nil, false
}

// with returns a copy of packed values in which one is replaced, added, or, with a nil raw, removed.
func with(b []byte, prop int, raw []byte) []byte {
	out := make([]byte, 0, len(b)+len(raw)+8)
	found := false
	for len(b) > 0 {
		p, _, rest := next(b)
		switch {
		case p != prop:
			out = append(out, b[:len(b)-len(rest)]...)
		case raw != nil:
			out, found = appendPacked(out, prop, raw), true
		}
		b = rest
	}
	if !found && raw != nil {
		out = appendPacked(out, prop, raw)
	}
	return out
}

func isNull(raw []byte) bool { return string(raw) == "null" }
