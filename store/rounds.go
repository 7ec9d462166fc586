package store

import "dirsync"

// A round that reads only what changed may have to begin again half-way, and then does not tell what changed back
// between its attempts. So whoever an attempt mentions is noted, with a bit, until the round is complete. Most rounds
// are a single batch, which begins and completes them at once: they write no bits at all.

// beginBatch finds out what the records of a batch mean for the noted, from the state behind the batch and the one
// before it, which tells the batch that completes a round from what is looked up afterwards.
func (x *syncTx) beginBatch(state dirsync.ReadState) error {
	var before dirsync.ReadState
	if err := x.getJSON(keyState, &before); err != nil {
		return err
	}
	switch {
	case state.Full:
		return nil
	case state.Open || state.Redo && before.Open:
		x.noting = true
		return nil
	case state.Redo:
		x.settling = true
		return nil
	default:
		return x.noted.clear()
	}
}

// note keeps in mind that a batch mentions somebody. A record that is whole, and a tombstone, are certain.
func (x *syncTx) note(seq uint64, certain bool) error {
	var err error
	switch {
	case x.noting:
		_, err = x.noted.set(seq, true)
	case x.settling && certain:
		_, err = x.noted.set(seq, false)
	}
	return err
}

// redone tells whether the last round is complete, was not of everybody, and was begun more than once.
func (x *syncTx) redone() (bool, error) {
	var state dirsync.ReadState
	err := x.getJSON(keyState, &state)
	return state.Redo && !state.Full && !state.Open, err
}

// notedAfter lists who is noted, present or not.
func (x *syncTx) notedAfter(seq uint64, limit int) (out []dirsync.Candidate, err error) {
	for len(out) < limit {
		var found bool
		if seq, found, err = x.noted.next(seq, x.count.last); err != nil || !found {
			return out, err
		}
		p, err := x.mustPerson(seq, true)
		if err != nil {
			return out, err
		}
		out = append(out, dirsync.Candidate{Seq: p.Seq, ID: p.ID, Kind: p.Kind})
	}
	return out, nil
}
