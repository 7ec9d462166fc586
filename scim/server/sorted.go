package server

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"dirsync"
	"dirsync/scim"
)

// entry is a resource that is being sorted. Of the resource its id is kept, and of its attributes what it is sorted by.
type entry struct {
	item
	key *scim.Object
}

// sorted reads all that match and sorts them.
func (l *listing) sorted() error {
	all, err := l.entries()
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b entry) int { return l.order(a.key, b.key) })
	l.total = len(all)
	first := l.start - 1
	if l.paged {
		if first, err = l.resume(all); err != nil {
			return err
		}
	}
	first = min(first, len(all))
	at := first
	for ; at < len(all) && len(l.page) < l.count; at++ {
		it := all[at].item
		r, err := l.call.read(l.kinds[it.kind], it.r.ID)
		if gone(err) {
			continue // It was deleted in between.
		}
		if err != nil {
			return err
		}
		if it.r = r; !l.fits(it) {
			break
		}
		l.page = append(l.page, it)
	}
	if l.paged && at < len(all) && at > first {
		return l.leaveOff(all, at)
	}
	return nil
}

// entries are all that match, in the order of the store.
func (l *listing) entries() (all []entry, err error) {
	key := scim.Projection{Only: []scim.Path{l.by}}
	err = l.each(cursor{}, func(it item, o *scim.Object) (bool, error) {
		if len(all) == l.s.limits.Sorted {
			return false, refuse(http.StatusBadRequest, scim.TooMany, "more than %d resources cannot be sorted; add a filter, or leave out sortBy", l.s.limits.Sorted)
		}
		k := l.kinds[it.kind]
		if o == nil {
			var err error
			if o, err = l.whole(k, &it.r, key); err != nil {
				return false, err
			}
		}
		it.r = dirsync.Resource{ID: it.r.ID}
		all = append(all, entry{it, k.Project(o, key)})
		return true, nil
	})
	return all, err
}

// leaveOff makes the cursor of the next page: behind the last one of this page, wherever that then is, because others may come
// and go in front of it.
func (l *listing) leaveOff(all []entry, at int) error {
	last := all[at-1]
	text, err := last.key.MarshalJSON()
	if err != nil {
		return err
	}
	next := l.cursor
	next.offset, next.key, next.kind, next.after = at, "", last.kind, last.r.ID
	if len(text) <= maxSortKey {
		next.key = string(text)
	}
	l.next = &next
	return nil
}

// resume finds where a page by cursor begins.
func (l *listing) resume(all []entry) (int, error) {
	if l.cursor.key == "" {
		return l.cursor.offset, nil
	}
	key, err := scim.ReadObject([]byte(l.cursor.key), scim.Limits{})
	if err != nil {
		return 0, err
	}
	at, _ := slices.BinarySearchFunc(all, key, func(e entry, key *scim.Object) int {
		// Nobody is the same as the last one: whoever was on the page is in front, and the next one behind.
		before := cmp.Or(l.order(e.key, key), cmp.Compare(e.kind, l.cursor.kind), strings.Compare(e.r.ID, l.cursor.after)) <= 0
		return map[bool]int{true: -1, false: 1}[before]
	})
	return at, nil
}
