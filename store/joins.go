package store

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// Who joined or left a group changes nothing that the group's own row says, and the rows of users say only in which groups
// they are now. So it is kept in a log, under numbers of the sequence of the groups. It has a fixed length: whoever has
// read less than that has to look at who is in the groups that have changed since.
//
// A row of the log has some lines, and is kept under the number of the first.

const (
	bucketJoins = "joins"
	// joinsPerRow is how many lines a row has at most.
	joinsPerRow = 128
)

// joinKind is what a line of the log says.
type joinKind byte

const (
	joined joinKind = iota
	left
	// joinsNew says that a group was made, and joinsBack that it was brought back with all who were in it. No user is named.
	joinsNew
	joinsBack
)

type joinLine struct {
	number, group, user uint64
	kind                joinKind
}

func appendJoins(b []byte, lines []joinLine) []byte {
	b = appendUint(append(b, rowVersion), uint64(len(lines)))
	last := joinLine{}
	for _, l := range lines {
		b = appendUint(b, l.number-last.number)
		b = append(b, byte(l.kind))
		b = appendUint(b, l.group)
		b = binary.AppendVarint(b, int64(l.user-last.user))
		last = l
	}
	return b
}

// decodeJoins reads what appendJoins wrote. There is at least one line.
func decodeJoins(d *decoder) ([]joinLine, error) {
	n := d.count(4)
	d.bad = d.bad || n == 0
	out, last := make([]joinLine, 0, n), joinLine{}
	for range n {
		l := joinLine{number: last.number + d.uint(), kind: joinKind(d.byte()), group: d.uint(), user: last.user + uint64(d.int())}
		if d.bad = d.bad || l.number <= last.number || l.kind > joinsBack || l.group == 0 || (l.user == 0) != (l.kind >= joinsNew); d.bad {
			break
		}
		out, last = append(out, l), l
	}
	return out, d.end()
}

func openJoins(k, row []byte) (key uint64, lines []joinLine, err error) {
	if len(k) != 8 {
		return 0, nil, corrupt(fmt.Errorf("log of memberships: %x is no number", k))
	}
	key = binary.BigEndian.Uint64(k)
	body, err := open(k, row)
	if err != nil {
		return 0, nil, err
	}
	lines, err = decodeJoins(decode(body))
	if err == nil && lines[0].number != key {
		err = errRow
	}
	return key, lines, rowError("log of memberships from", key, err)
}

// log writes that somebody joined or left a group, and that the group has changed by it; or what became of the group.
func (x *accountsTx) log(group, user uint64, kind joinKind) error {
	if x.a.users == nil {
		return nil
	}
	h, err := x.past()
	if err != nil {
		return err
	}
	h.latest++
	h.lines = append(h.lines, joinLine{h.latest, group, user, kind})
	if user != 0 {
		if h.touched == nil {
			h.touched = map[uint64]struct{}{}
		}
		h.touched[group] = struct{}{}
	}
	return nil
}

// touch gives the groups that somebody has joined or left a number of that change.
func (x *accountsTx) touch() error {
	for _, seq := range slices.Sorted(maps.Keys(x.history.touched)) {
		r, ok, err := x.account(seq, false)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		r.Updated = x.s.opts.Now().UTC()
		if err := x.keep(seq, &r); err != nil {
			return err
		}
	}
	return nil
}

// writeLog writes what was gathered, and forgets what was long ago.
func (x *accountsTx) writeLog() error {
	h := &x.history
	if len(h.lines) == 0 {
		return nil
	}
	h.joins.FillPercent = 0.95 // the next ones go to the end
	for lines := range slices.Chunk(h.lines, joinsPerRow) {
		x.buf = appendJoins(x.buf[:0], lines)
		if err := put(h.joins, seqKey(lines[0].number), x.arena.keep(x.buf)); err != nil {
			return err
		}
	}
	h.now.joins += uint64(len(h.lines))
	h.lines = nil
	for h.now.joins > x.s.sizes.joins+joinsPerRow {
		k, row := h.joins.Cursor().First()
		if k == nil {
			return x.dropLog()
		}
		_, lines, err := openJoins(k, row)
		if err != nil {
			return x.dropLog() // nobody knows how many lines are lost with this row
		}
		h.now.joinsUpTo = lines[len(lines)-1].number
		h.now.joins -= min(h.now.joins, uint64(len(lines)))
		if err := storageError(h.joins.Delete(append([]byte(nil), k...))); err != nil {
			return err
		}
	}
	return nil
}

// dropLog forgets the whole log.
func (x *accountsTx) dropLog() (err error) {
	h := &x.history
	if err := storageError(x.root.DeleteBucket([]byte(bucketJoins))); err != nil {
		return err
	}
	h.now.joinsUpTo, h.now.joins = h.latest, 0
	h.joins, err = x.bucket(x.root, bucketJoins)
	return err
}

// joinsSince is what the log says of what happened after a number, by group, if it says everything. Of who joined and left
// only the user is kept, once, for what is true now is in their rows; all says that the whole group is to be told.
func (h *history) joinsSince(number uint64) (map[uint64]*joinNews, error) {
	out := map[uint64]*joinNews{}
	if h.joins == nil {
		return out, nil
	}
	cursor := h.joins.Cursor()
	k, row := seekChunk(cursor, number)
	if k == nil {
		k, row = cursor.First()
	}
	for ; k != nil; k, row = cursor.Next() {
		_, lines, err := openJoins(k, row)
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			if l.number <= number {
				continue
			}
			news := out[l.group]
			if news == nil {
				news = &joinNews{users: map[uint64]struct{}{}}
				out[l.group] = news
			}
			if l.user == 0 {
				news.all = true
			} else {
				news.users[l.user] = struct{}{}
			}
		}
	}
	return out, nil
}

// joinNews is what happened to the members of a group.
type joinNews struct {
	users map[uint64]struct{}
	all   bool
}
