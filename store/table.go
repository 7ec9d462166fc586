package store

import (
	"slices"
	"sync"
)

// table is a set of entries in memory.
type table struct {
	mu   sync.RWMutex
	one  map[uint64]uint64   // the only row of a hash
	many map[uint64][]uint64 // the rows of a hash that has several, sorted
	n    int
}

func newTable() *table { return &table{one: map[uint64]uint64{}} }

func (t *table) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.n
}

func (t *table) add(e entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.insert(e)
}

// addAll adds everything that another table holds, which nobody else uses.
func (t *table) addAll(other *table) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for hash, seq := range other.one {
		t.insert(entry{hash, seq})
	}
	for hash, list := range other.many {
		for _, seq := range list {
			t.insert(entry{hash, seq})
		}
	}
}

// insert is add without the lock.
func (t *table) insert(e entry) {
	first, ok := t.one[e.hash]
	switch {
	case ok && first == e.seq || contains(t.many[e.hash], e.seq):
		return
	case !ok && len(t.many[e.hash]) == 0:
		t.one[e.hash] = e.seq
	default:
		if t.many == nil {
			t.many = map[uint64][]uint64{}
		}
		list := t.many[e.hash]
		if ok {
			delete(t.one, e.hash)
			list = []uint64{first}
		}
		t.many[e.hash] = addSorted(list, e.seq)
	}
	t.n++
}

// addSorted adds a row to a sorted list. Whoever holds the list goes on seeing what was in it: what is behind its end is
// not theirs to see, and anywhere else a new list is made. Rows come in the order of their numbers nearly always.
func addSorted(list []uint64, seq uint64) []uint64 {
	i, _ := slices.BinarySearch(list, seq)
	if i == len(list) {
		return append(list, seq)
	}
	return slices.Insert(slices.Clone(list), i, seq)
}

func (t *table) remove(e entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first, ok := t.one[e.hash]; ok && first == e.seq {
		delete(t.one, e.hash)
		t.n--
		return
	}
	list := t.many[e.hash]
	if i, ok := slices.BinarySearch(list, e.seq); ok {
		t.many[e.hash] = slices.Delete(slices.Clone(list), i, i+1)
		t.n--
	}
}

func contains(sorted []uint64, seq uint64) bool {
	_, ok := slices.BinarySearch(sorted, seq)
	return ok
}

// has tells whether an entry is in the table.
func (t *table) has(e entry) bool {
	one, ok, many := t.find(e.hash)
	return ok && one == e.seq || contains(many, e.seq)
}

// find returns the rows of a hash. Nobody changes the slice afterwards.
func (t *table) find(hash uint64) (uint64, bool, []uint64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	one, ok := t.one[hash]
	return one, ok, t.many[hash]
}

// append appends the rows of a hash to a list.
func (t *table) append(list []uint64, hash uint64) []uint64 {
	one, ok, many := t.find(hash)
	if list = append(list, many...); ok {
		list = append(list, one)
	}
	return list
}

// sorted returns all entries in order.
func (t *table) sorted() []entry {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]entry, 0, t.n)
	for hash, seq := range t.one {
		out = append(out, entry{hash, seq})
	}
	for hash, list := range t.many {
		for _, seq := range list {
			out = append(out, entry{hash, seq})
		}
	}
	slices.SortFunc(out, entry.compare)
	return out
}
