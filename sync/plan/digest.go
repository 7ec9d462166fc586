package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"dirsync"
)

// Digest identifies what a change takes away by one danger, and why: whatever of that is different another time has
// another digest. It is a SHA-256 in hexadecimal, empty when the change has no such danger.
func Digest(c dirsync.Change, d dirsync.Danger) string {
	if c.Takes(d) == 0 {
		return ""
	}
	h := sha256.New()
	put(h, d.String(), string(c.Person), c.Account)
	switch d {
	case dirsync.Deletion, dirsync.Deactivation:
		put(h, c.Why)
	case dirsync.Removal:
		put(h, c.Removed()...)
	case dirsync.Blanking:
		for _, field := range c.Blanked() {
			before, _ := c.Before.Get(field)
			put(h, field, string(before.Type), before.Text)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// List gathers the digests of a list of changes into one.
type List struct {
	h hash.Hash
	// People counts the changes.
	People int
}

// Add adds one change's digest. The order matters.
func (l *List) Add(digest string) {
	if l.h == nil {
		l.h = sha256.New()
	}
	put(l.h, digest)
	l.People++
}

// Digest identifies the list so far.
func (l *List) Digest() string {
	if l.h == nil {
		return ""
	}
	return hex.EncodeToString(l.h.Sum(nil))
}

// PersonDigest identifies what the source has said of somebody: their record, whether they are gone, and the groups that
// they are a direct member of.
func PersonDigest(p dirsync.Person, groups []dirsync.ID) string {
	h := sha256.New()
	put(h, string(p.ID), p.Gone.String())
	for _, a := range p.Shadow {
		put(h, a.Name, string(a.Raw))
	}
	put(h, "groups")
	for _, g := range groups {
		put(h, string(g))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Approved returns the dangers of c that marks approve, and those marks that mean nothing any more.
func Approved(c *dirsync.Change, marks []dirsync.Mark) (asked dirsync.Danger, void []dirsync.Mark) {
	for _, m := range marks {
		switch {
		case m.Kind != dirsync.Approved:
		case c != nil && m.Digest == Digest(*c, m.Danger):
			asked |= m.Danger
		default:
			void = append(void, m)
		}
	}
	return asked, void
}

// Respect takes out of a decision what marks say that it stays as it is. digest is that of the person. Marks of a person who
// is not the same any more mean nothing and are returned.
func Respect(d dirsync.Decision, marks []dirsync.Mark, digest string) (_ dirsync.Decision, void []dirsync.Mark) {
	for _, m := range marks {
		switch {
		case m.Kind != dirsync.Kept:
		case m.Digest != digest:
			void = append(void, m)
		case m.Danger == 0:
			d.Change, d.Rejection, d.Wait = nil, nil, false
		case d.Change != nil:
			if left, some := d.Change.Without(m.Danger); some {
				d.Change = &left
			} else {
				d.Change = nil
			}
		}
	}
	return d, void
}

// put writes texts so that no other texts give the same.
func put(h hash.Hash, texts ...string) {
	var b strings.Builder
	for _, t := range texts {
		fmt.Fprintf(&b, "%d:%s;", len(t), t)
	}
	_, _ = h.Write([]byte(b.String())) // a hash takes everything
}
