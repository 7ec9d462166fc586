package graphtest

import (
	"cmp"
	"slices"
	"strings"
)

// span is what the bounds of a filter leave of the user principal names: from low up to high, both included, where they
// are given. It may be wider than what the filter asks for, never narrower.
type span struct {
	low, high string
	// given says that there is a bound, and void that other clauses let people in whom it leaves out.
	given, void bool
}

// narrow takes one more bound into account. Of several on one side the last counts.
func (s *span) narrow(below bool, limit string) {
	s.given = true
	if below {
		s.low = limit
	} else {
		s.high = limit
	}
}

// ranges finds the users in a span without looking at all of them, as the service's own directory does. It is made anew
// when something has changed, but not for a single question: in a tenant that changes all the time looking at everybody
// is cheaper.
type ranges struct {
	log   int // the length of the log that it was made for, or at which it was last asked for
	made  bool
	names []string // in lower case, sorted
	users []uint32 // whose they are
	// found are users by their span, in order of creation.
	found map[span][]uint32
}

// within returns the users in a span in order of creation, or false when they are to be looked for among all.
func (d *directory) within(s span) ([]uint32, bool) {
	r := &d.ranges
	prop, ok := d.numbers["userPrincipalName"]
	if !ok || !s.given || s.void || d.members != nil {
		return nil, false
	}
	if r.log != len(d.log) {
		*r = ranges{log: len(d.log)}
		return nil, false
	}
	if !r.made {
		r.make(d, prop)
	}
	users, ok := r.found[s]
	if !ok {
		from, to := 0, len(r.names)
		if s.low != "" {
			from, _ = slices.BinarySearch(r.names, s.low)
		}
		if s.high != "" {
			to, _ = slices.BinarySearch(r.names, s.high+"\x00") // whoever has the name itself is in
		}
		users = slices.Clone(r.users[from:max(from, to)])
		slices.Sort(users)
		if len(r.found) > 1000 {
			clear(r.found)
		}
		r.found[s] = users
	}
	return users, true
}

func (r *ranges) make(d *directory, prop int) {
	type named struct {
		name string
		user uint32
	}
	all := make([]named, 0, len(d.objects))
	var room []byte
	for i := range d.objects {
		raw, _ := get(d.objects[i].attrs, prop)
		name, ok := lowered(room[:0], raw)
		if room = name; ok {
			all = append(all, named{string(name), uint32(i)})
		}
	}
	slices.SortFunc(all, func(a, b named) int { return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.user, b.user)) })
	r.names, r.users = make([]string, len(all)), make([]uint32, len(all))
	for i, n := range all {
		r.names[i], r.users[i] = n.name, n.user
	}
	r.found, r.made = map[span][]uint32{}, true
}
