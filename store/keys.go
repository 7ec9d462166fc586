package store

import (
	"slices"

	"dirsync"
)

// lookupKey is something by which accounts can be found.
type lookupKey struct {
	tag  string // the field, or tagSource
	text string // folded
}

func (k lookupKey) hash() uint64 { return hashKey(k.tag, k.text) }

// what says which of an account's properties the key is.
func (k lookupKey) what() string {
	switch k.tag {
	case tagSource:
		return "source id"
	case tagUserName:
		return "user name"
	case tagDisplay:
		return "display name"
	case tagExternal:
		return "external id"
	case tagMail:
		return "addresses"
	case tagRefers:
		return "references"
	default:
		return k.tag
	}
}

// unique tells whether no two accounts may have the same such key. That names are unique is another matter; see named.go.
func (a *accounts) unique(k lookupKey) bool {
	switch k.tag {
	case tagUserName, tagDisplay, tagExternal, tagMail, tagRefers:
		return false
	default:
		return !slices.Contains(a.indexed, k.tag)
	}
}

// finds tells whether accounts can be found by a field.
func (a *accounts) finds(f dirsync.Field) bool { return f.Unique || slices.Contains(a.indexed, f.Name) }

// keysOf are an account's keys, the source id first.
func (a *accounts) keysOf(r account) []lookupKey {
	out := make([]lookupKey, 0, 2+len(a.references))
	if r.Source != "" {
		out = append(out, lookupKey{tagSource, string(r.Source)})
	}
	for _, f := range a.schema {
		if !a.finds(f) {
			continue
		}
		if v, _ := r.Values.Get(f.Name); !v.IsNull() {
			out = append(out, lookupKey{f.Name, dirsync.Fold(v.Text)})
		}
	}
	for _, name := range a.references {
		if v, _ := r.Values.Get(name); a.foreign(r, v) {
			out = append(out, lookupKey{tagRefers, v.Text})
		}
	}
	if r.said != nil {
		out = r.said.keys(out)
	}
	return out
}

// keys appends what an account is found by beyond its fields. An address by which it is found already is not there twice.
func (s *said) keys(out []lookupKey) []lookupKey {
	add := func(tag, text string) {
		if text != "" {
			out = append(out, lookupKey{tag, text})
		}
	}
	add(tagUserName, dirsync.Fold(s.name))
	add(tagDisplay, dirsync.Fold(s.display))
	add(tagExternal, s.external)
	for _, e := range s.emails {
		text := dirsync.Fold(e)
		if !slices.Contains(out, lookupKey{dirsync.EmailAddress, text}) && !slices.Contains(out, lookupKey{tagMail, text}) {
			add(tagMail, text)
		}
	}
	return out
}

// has tells whether somebody is found by a key beyond the fields of the account.
func (s *said) has(k lookupKey) bool {
	switch k.tag {
	case tagUserName:
		return dirsync.Fold(s.name) == k.text
	case tagDisplay:
		return dirsync.Fold(s.display) == k.text
	case tagExternal:
		return s.external == k.text
	default:
		return s.reads(k.text)
	}
}

// hashesOf is all that an account's row is to be found by.
func (a *accounts) hashesOf(r account) []uint64 {
	keys := a.keysOf(r)
	out := make([]uint64, 0, len(keys)+len(r.in))
	for _, k := range keys {
		out = append(out, k.hash())
	}
	for _, group := range r.in {
		out = append(out, groupHash(group))
	}
	return out
}

// groupHash is what users in a group are found by.
func groupHash(group uint64) uint64 { return hashKey(tagGroup, string(seqKey(group))) }

// has tells whether an account has a key.
func (a *accounts) has(r account, k lookupKey) bool {
	switch k.tag {
	case tagSource:
		return string(r.Source) == k.text
	case tagRefers:
		return a.refersTo(r, func(source string) bool { return source == k.text })
	case tagUserName, tagDisplay, tagExternal, tagMail:
		return r.said != nil && r.said.has(k)
	}
	v, _ := r.Values.Get(k.tag)
	return !v.IsNull() && dirsync.Fold(v.Text) == k.text
}
