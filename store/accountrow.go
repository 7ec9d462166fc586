package store

import (
	"bytes"
	"slices"

	"dirsync"
)

// account is an account as it is kept: with the values that are not null, of fields past and present.
type account struct {
	dirsync.Account
	// number is that of the account's last change; see changes.go.
	number uint64
	// made is the number of the change by which the account was made, in a directory with references; see references.go. It
	// is 0 where nobody knows.
	made uint64
	// in are the numbers of the groups that a user is in, sorted. Those of groups that are not there any more count for
	// nothing.
	in []uint64
	// said is what provisioning clients have said of the account; nil when none has. It is never changed in place.
	said *said
}

// said is what a dirsync.Resource has beyond an account.
type said struct {
	// name is the user name, of users; that of a group is its field name.
	name, display, external string
	emails                  []string
	pending                 dirsync.ChangeKind
	document                []byte
}

func (s *said) equal(o *said) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.name == o.name && s.display == o.display && s.external == o.external && slices.Equal(s.emails, o.emails) &&
		s.pending == o.pending && bytes.Equal(s.document, o.document)
}

func (s *said) append(b []byte) []byte {
	b = appendString(b, s.name)
	b = appendString(b, s.display)
	b = appendString(b, s.external)
	b = append(b, byte(s.pending))
	b = appendUint(b, uint64(len(s.emails)))
	for _, e := range s.emails {
		b = appendString(b, e)
	}
	return append(appendUint(b, uint64(len(s.document))), s.document...)
}

func (d *decoder) said() *said {
	s := &said{name: d.string(), display: d.string(), external: d.string(), pending: dirsync.ChangeKind(d.byte())}
	if n := d.count(1); n > 0 {
		s.emails = make([]string, 0, n)
		for range n {
			s.emails = append(s.emails, d.string())
		}
	}
	// It is most of the row, so it is not copied along with the rest.
	if n := d.count(1); n > 0 {
		s.document = bytes.Clone(d.b[d.at : d.at+n])
		d.at += n
	}
	return s
}

// What a row has behind the groups, as bits.
const (
	hasSaid = 1 << iota
	hasMade
)

// appendAccount writes an account. In a file of before, whose accounts had no number of their last change, the row ends
// with the groups; a zero in place of how many they are says that there is more to come.
func appendAccount(b []byte, r account) []byte {
	b = append(b, rowVersion)
	b = appendBool(b, r.Active)
	b = appendID(b, r.Source)
	b = appendTime(b, r.Created)
	b = appendTime(b, r.Updated)
	b = appendValues(b, r.Values)
	if r.number == 0 {
		if len(r.in) == 0 {
			return b
		}
		return appendIn(b, r.in)
	}
	b = appendUint(append(b, 0), r.number)
	more := byte(0)
	if r.said != nil {
		more |= hasSaid
	}
	if r.made != 0 {
		more |= hasMade
	}
	if b = append(appendIn(b, r.in), more); r.said != nil {
		b = r.said.append(b)
	}
	if r.made != 0 {
		b = appendUint(b, r.made)
	}
	return b
}

// appendIn writes sorted numbers.
func appendIn(b []byte, in []uint64) []byte {
	b = appendUint(b, uint64(len(in)))
	last := uint64(0)
	for _, n := range in {
		b = appendUint(b, n-last)
		last = n
	}
	return b
}

// in reads what appendIn wrote, of which the first number was read already.
func (d *decoder) in(n int) []uint64 {
	if n == 0 {
		return nil
	}
	out, last := make([]uint64, 0, n), uint64(0)
	for range n {
		step := d.uint()
		if step == 0 || last+step < last {
			d.bad = true
			break
		}
		last += step
		out = append(out, last)
	}
	return out
}

// decodeAccount reads an account without its ID, which is in the key.
func decodeAccount(d *decoder) (account, error) {
	r := account{Account: dirsync.Account{Active: d.bool(), Source: d.id(), Created: d.time(), Updated: d.time(), Values: d.values()}}
	if !d.more() {
		return r, d.end()
	}
	if n := d.count(1); n > 0 || d.bad {
		r.in = d.in(n)
		return r, d.end()
	}
	if r.number = d.uint(); r.number == 0 {
		d.bad = true
	}
	r.in = d.in(d.count(1))
	more := d.byte()
	d.bad = d.bad || more > hasSaid|hasMade
	if more&hasSaid != 0 {
		r.said = d.said()
	}
	if more&hasMade != 0 {
		r.made = d.uint()
		d.bad = d.bad || r.made == 0 || r.made > r.number
	}
	return r, d.end()
}
