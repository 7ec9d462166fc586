package dirsync

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// ID is the source's immutable object id: in Entra a GUID in lower case. Everything joins on it and never on an
// e-mail address, so that a renamed person keeps their account.
type ID string

// Cursor is where a source goes on reading. It is opaque to everyone but the source that made it, may be several
// kilobytes long, and holds no secret. The zero Cursor means from the beginning.
type Cursor string

// Kind says what a record describes.
type Kind uint8

// The kinds of record. The zero Kind is a user.
const (
	KindUser Kind = iota
	KindGroup
)

func (k Kind) String() string {
	if k == KindGroup {
		return "group"
	}
	return "user"
}

// Gone says whether the source still holds an object.
type Gone uint8

// What a source may say of an object's existence. Soft deletion can be undone at the source (thirty days in Entra),
// hard deletion cannot.
const (
	Present Gone = iota
	GoneSoft
	GoneHard
)

func (g Gone) String() string {
	switch g {
	case GoneSoft:
		return "deleted, can be restored"
	case GoneHard:
		return "deleted for good"
	default:
		return "present"
	}
}

// Record is one object as the source sent it, or its tombstone.
type Record struct {
	ID   ID
	Kind Kind
	// Gone other than Present makes the record a tombstone: only ID and Kind are filled then.
	Gone Gone
	// Attrs holds what the source said. An attribute that is absent was not said and is unchanged as far as anyone
	// knows; one that is JSON null was cleared. The two must never be mixed up.
	Attrs Attributes
	// Whole says that Attrs holds every attribute that the source was asked for, so that an absent one is known to
	// be unset. Answers to a look-up by id are whole; rows of a delta round are not.
	Whole bool
	// Members are changes to a group's direct members. They are a slice of the membership, never the whole.
	Members []MemberChange
	// Fresh says that the round reads this group from the beginning, so that all its members are told of until the round is
	// complete. Whoever is known as a member from before and is not told of by then may have left without being
	// mentioned; GroupSource.Members can say.
	Fresh bool
}

// MemberChange says that somebody joined or left a group. Leaving says nothing about the member's own existence.
type MemberChange struct {
	ID      ID
	Kind    Kind
	Removed bool
}

// Membership says that a user or a group is a direct member of a group.
type Membership struct {
	Group, Member ID
	// Kind is what the member is.
	Kind Kind
}

// ID names a membership: the group's id, a slash, and the member's. It is the ID under which stores keep a membership.
func (m Membership) ID() ID { return m.Group + "/" + m.Member }

// MembershipOf reads what Membership.ID made. The second result is false when id is none.
func MembershipOf(id ID, kind Kind) (Membership, bool) {
	group, member, ok := strings.Cut(string(id), "/")
	return Membership{Group: ID(group), Member: ID(member), Kind: kind}, ok && group != "" && member != ""
}

// Attributes are a record's attributes by name, sorted by name and without duplicates.
type Attributes []Attribute

// Attribute is one attribute in the source's own JSON.
type Attribute struct {
	Name string
	// Raw is one valid JSON value, compact; null means cleared.
	Raw json.RawMessage
}

// IsNull tells a cleared attribute.
func (a Attribute) IsNull() bool { return isNull(a.Raw) }

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// NewAttributes sorts attrs by name. When a name occurs twice the later one wins.
func NewAttributes(attrs []Attribute) Attributes {
	slices.SortStableFunc(attrs, func(a, b Attribute) int { return strings.Compare(a.Name, b.Name) })
	out := attrs[:0]
	for _, a := range attrs {
		if n := len(out); n > 0 && out[n-1].Name == a.Name {
			out[n-1] = a
			continue
		}
		out = append(out, a)
	}
	return Attributes(out)
}

// Get returns an attribute's JSON. The second result tells absent (false) from null (true, "null").
func (as Attributes) Get(name string) (json.RawMessage, bool) {
	i, ok := slices.BinarySearchFunc(as, name, func(a Attribute, name string) int { return strings.Compare(a.Name, name) })
	if !ok {
		return nil, false
	}
	return as[i].Raw, true
}

// Text returns an attribute that is a JSON string, decoded. It is "" when the attribute is absent, null or no string.
func (as Attributes) Text(name string) string {
	raw, ok := as.Get(name)
	if !ok || len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// Merge lays newer over as: what newer says replaces, what it does not say stays. Neither argument is changed; the
// result may share memory with both.
func (as Attributes) Merge(newer Attributes) Attributes {
	out := make(Attributes, 0, max(len(as), len(newer)))
	for len(as) > 0 && len(newer) > 0 {
		switch c := strings.Compare(as[0].Name, newer[0].Name); {
		case c < 0:
			out, as = append(out, as[0]), as[1:]
		case c > 0:
			out, newer = append(out, newer[0]), newer[1:]
		default:
			out, as, newer = append(out, newer[0]), as[1:], newer[1:]
		}
	}
	return append(append(out, as...), newer...)
}

// Equal tells whether two sets of attributes say the same. A null and an absent attribute are not the same here.
func (as Attributes) Equal(other Attributes) bool {
	return slices.EqualFunc(as, other, func(a, b Attribute) bool { return a.Name == b.Name && bytes.Equal(a.Raw, b.Raw) })
}

// Unsaid tells whether as holds a value that newer leaves out. A full reading that leaves out what was there before
// may mean that it was cleared meanwhile, or nothing at all; only a look-up by id can say. asked are the names of the
// attributes that the reading asks for, sorted; what it does not ask for it cannot leave out. Nil means all.
func (as Attributes) Unsaid(newer Attributes, asked []string) bool {
	for _, a := range as {
		if a.IsNull() {
			continue
		}
		if _, ok := slices.BinarySearch(asked, a.Name); asked != nil && !ok {
			continue
		}
		if _, ok := newer.Get(a.Name); !ok {
			return true
		}
	}
	return false
}
