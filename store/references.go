package store

import (
	"slices"

	"dirsync"
)

// An account of a sync keeps a reference as the sync wrote it: as the id that somebody has at the source. So the sync finds
// what it wrote when it compares, and people may refer to somebody who comes later. Whoever else reads the directory is told
// the directory's own id of the account that was made for them, and nothing as long as there is none. Nothing is written
// for it: references are resolved where they are read, and the index knows who refers to whom.
//
// So what is told of an account changes with another one's coming and going. When one goes, or comes in another way than by
// being made, those who refer to it get the next numbers, in the same transaction. That would be too much in a first run,
// where half of the people come before their managers. So when an account is made, nobody else is written: its row says
// under which number it was made, readers who meet it then for the first time are told of those who have waited for it
// along with it, and it counts for when these have changed last.

const (
	// tagRefers is by what those are found who refer to a source id.
	tagRefers = "\x00refers"
	// mostWaiting is how many may have waited for an account that is made. If there are more, they are written after all, so
	// that no page of readers has all of them.
	mostWaiting = 1000
)

// foreign tells whether a reference in an account is a source id. The directory's own people refer to others by the
// directory's ids, and so does an account in what no sync has written since it was joined. Ids of both kinds are told apart
// by how they look; where those of the source look like the directory's, as another directory's do, they are the source's.
func (a *accounts) foreign(r account, v dirsync.Value) bool {
	return v.Type == dirsync.Reference && v.Text != "" && r.Source != "" && (a.seq(v.Text) == 0 || a.seq(string(r.Source)) != 0)
}

// refersTo tells whether an account has a reference to a source id of which fn says that it is one that is looked for.
func (a *accounts) refersTo(r account, fn func(source string) bool) bool {
	return slices.ContainsFunc(a.references, func(name string) bool {
		v, _ := r.Values.Get(name)
		return a.foreign(r, v) && fn(v.Text)
	})
}

// seen is an account as readers are told of it: with references by the directory's ids, and changed last when it was, or
// when those came to whom it refers. It may share memory with what is kept.
func (x *accountsTx) seen(r account) (account, error) {
	out, own := r, false
	for _, name := range x.a.references {
		v, _ := r.Values.Get(name)
		if !x.a.foreign(r, v) {
			continue
		}
		seq, other, err := x.holder(lookupKey{tagSource, v.Text}, 0)
		if err != nil {
			return account{}, err
		}
		if !own {
			out.Values, own = slices.Clone(out.Values), true
		}
		if seq == 0 {
			out.Values = slices.DeleteFunc(out.Values, func(v dirsync.FieldValue) bool { return v.Field == name })
			continue
		}
		out.Values = out.Values.Set(name, dirsync.Value{Type: dirsync.Reference, Text: other.ID})
		if out.number = max(out.number, other.made); other.Created.After(out.Updated) {
			out.Updated = other.Created
		}
	}
	return out, nil
}

// unseen is the opposite of seen: where values say of a reference what readers are told of it, it is what is kept. To say
// anything else of a source id is to change an account that belongs to a sync.
func (x *accountsTx) unseen(r account, values dirsync.Values) (dirsync.Values, error) {
	told, err := x.seen(r)
	if err != nil {
		return nil, err
	}
	for _, name := range x.a.references {
		kept, _ := r.Values.Get(name)
		if !x.a.foreign(r, kept) {
			continue
		}
		was, _ := told.Values.Get(name)
		if is, _ := values.Get(name); is != was {
			return nil, owned(r)
		}
		values = values.Set(name, kept)
	}
	return values, nil
}

// shift notes that another account, or none, is that of a source id from now on, if a key is one; made says that it is of an
// account that is being made.
func (x *accountsTx) shift(k lookupKey, made bool) {
	if k.tag != tagSource || len(x.a.references) == 0 || made && len(x.before(x.a.keys, lookupKey{tagRefers, k.text}.hash())) <= mostWaiting {
		return
	}
	if x.shifted == nil {
		x.shifted = map[string]struct{}{}
	}
	x.shifted[k.text] = struct{}{}
}

// renumber gives those the next numbers who refer to somebody who came or went, at the end of a transaction. Whoever was
// written in this transaction has one.
func (x *accountsTx) renumber() error {
	var found []uint64
	for source := range x.shifted {
		found = append(found, x.before(x.a.keys, lookupKey{tagRefers, source}.hash())...)
	}
	if len(found) == 0 {
		return nil
	}
	h, err := x.past()
	if err != nil {
		return err
	}
	shifted := func(source string) bool { _, ok := x.shifted[source]; return ok }
	now := x.s.opts.Now().UTC()
	slices.Sort(found)
	for _, seq := range slices.Compact(found) {
		r, ok, err := x.account(seq, true)
		if err != nil {
			return err
		}
		if !ok || r.number > h.began || !x.a.refersTo(r, shifted) {
			continue
		}
		r.Updated = now
		if err := x.keep(seq, &r); err != nil {
			return err
		}
	}
	return nil
}

// waiting calls fn for those who have waited for an account, if it was made after a number: who refer to it and were written
// before it was made.
func (x *accountsTx) waiting(seq, after uint64, fn func(seq uint64, r account) error) error {
	if len(x.a.references) == 0 {
		return nil
	}
	other, ok, err := x.account(seq, true)
	if err != nil || !ok || other.Source == "" || other.made <= after {
		return err
	}
	is := func(source string) bool { return source == string(other.Source) }
	return x.each(x.a.keys, lookupKey{tagRefers, string(other.Source)}.hash(), 0, func(seq uint64) (bool, error) {
		r, ok, err := x.account(seq, true)
		if err == nil && ok && r.number < other.made && x.a.refersTo(r, is) {
			err = fn(seq, r)
		}
		return err == nil, err
	})
}
