package store

import (
	"slices"

	"dirsync"
)

// No two users have the same user name, letter case disregarded. Most have none of their own but go by their e-mail
// address, which the index of addresses finds, so only names that clients have said are in the index of names. As long as
// there are none of those, addresses alone keep names apart, and nobody pays for more.
//
// Groups are another matter: a source may have several with the same name, and they come to the directory as they are. Only
// clients are refused a name that a group has; see resourceWriter.

// rename finds out which name an edit takes and leaves.
func (x *accountsTx) rename(e *edit) {
	if x.a.kind() != dirsync.KindUser || x.told == 0 && e.now.said == nil {
		return
	}
	e.claims = dirsync.Fold(x.a.nameOf(e.now))
	if e.seq == 0 || e.back {
		return
	}
	if e.frees = dirsync.Fold(x.a.nameOf(e.was)); e.claims == e.frees {
		e.claims, e.frees = "", ""
	}
}

// namesake finds another user who has the name that an edit takes; its number is 0 when there is none.
func (x *accountsTx) namesake(e *edit) (uint64, account, error) {
	if e.claims == "" {
		return 0, account{}, nil
	}
	seq, other, err := x.holder(lookupKey{tagUserName, e.claims}, e.seq)
	if seq != 0 || err != nil {
		return seq, other, err
	}
	seq, other, err = x.holder(lookupKey{dirsync.EmailAddress, e.claims}, e.seq)
	if seq != 0 && goesBy(other) {
		return 0, account{}, err
	}
	return seq, other, err
}

// called is the user name that a client has said, "" if none has.
func (s *said) called() string {
	if s == nil {
		return ""
	}
	return s.name
}

// goesBy tells whether a user goes by a name of their own, and not by the e-mail address.
func goesBy(r account) bool { return r.said.called() != "" }

// reads tells whether mail to an address, folded, is read by a user who has it as the directory's e-mail address: unless a
// client has said other ones.
func (s *said) reads(address string) bool {
	return s == nil || slices.ContainsFunc(s.emails, func(e string) bool { return dirsync.Fold(e) == address })
}

// moved follows a change of the e-mail address that was not the client's: it takes the place of the one before.
func (s *said) moved(was, now dirsync.Values) *said {
	before, _ := was.Get(dirsync.EmailAddress)
	after, _ := now.Get(dirsync.EmailAddress)
	if s == nil || len(s.emails) == 0 || before.Same(after) {
		return s
	}
	copied := *s
	copied.emails = nil
	add := func(email string) {
		if !slices.ContainsFunc(copied.emails, func(e string) bool { return dirsync.Fold(e) == dirsync.Fold(email) }) {
			copied.emails = append(copied.emails, email)
		}
	}
	for _, e := range s.emails {
		if before.IsNull() || dirsync.Fold(e) != dirsync.Fold(before.Text) {
			add(e)
		} else if !after.IsNull() {
			add(after.Text)
		}
	}
	if !after.IsNull() {
		add(after.Text)
	}
	return &copied
}

// settled is s once a change has happened that may have been pending.
func (s *said) settled(kind dirsync.ChangeKind) *said {
	if s == nil || s.pending != kind {
		return s
	}
	copied := *s
	copied.pending = 0
	return &copied
}
