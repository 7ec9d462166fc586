package store

import (
	"context"
	"slices"

	"dirsync"
)

// People are found by their user principal names, letter case disregarded, by the same index as by their ids. An entry
// of a name that somebody had once does no harm: the row is what counts. In a file that was written before there were
// such entries, people have one from when their names next change.
const tagName = "\x00upn"

// nameKey is by what a person's name is found; zero without one.
func nameKey(shadow dirsync.Attributes) uint64 {
	if name := shadow.Text("userPrincipalName"); name != "" {
		return hashKey(tagName, dirsync.Fold(name))
	}
	return 0
}

// personKeys are the keys of a person: the id first, and the name.
func personKeys(p dirsync.Person) []uint64 {
	keys := []uint64{hashKey("", string(p.ID))}
	if k := nameKey(p.Shadow); k != 0 {
		keys = append(keys, k)
	}
	return keys
}

// rename puts a person's new name into the index.
func (x *syncTx) rename(seq uint64, was, is dirsync.Attributes) error {
	k := nameKey(is)
	if x.y.place.part != bucketSyncs || k == 0 || k == nameKey(was) {
		return nil
	}
	return x.index(x.y.ids, k, seq)
}

// Named returns the people who have this user principal name, letter case disregarded, or had it when they were deleted.
// It costs the same however many people there are. It may miss people in a file of an earlier version.
func (y *Sync) Named(ctx context.Context, name string) (out []dirsync.Person, err error) {
	want := dirsync.Fold(name)
	err = y.view(ctx, "find people by name", func(x *syncTx) error {
		out = nil
		_, err := x.look(x.y.ids, hashKey(tagName, want), func(seq uint64) (bool, error) {
			p, err := x.whole(seq)
			if err == nil && dirsync.Fold(p.Shadow.Text("userPrincipalName")) == want &&
				!slices.ContainsFunc(out, func(q dirsync.Person) bool { return q.Seq == p.Seq }) {
				out = append(out, p)
			}
			return false, err
		})
		return err
	})
	return out, err
}
