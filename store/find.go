package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"dirsync"
)

// Lookup returns the account with an id, a unique value such as an e-mail address, a user name that a client has said, or a
// source id, whichever is tried first in this order. When there is none the error's kind is NotFound.
func (a *accounts) Lookup(ctx context.Context, key string) (out dirsync.Account, err error) {
	op := "find " + a.noun + " " + strconv.Quote(key)
	found := false
	err = a.steady(func() (bool, error) {
		err := a.view(ctx, op, func(x *accountsTx) error {
			r, ok, err := x.findAny(key)
			if err != nil || !ok {
				return err
			}
			found = true
			out, err = x.show(r)
			return err
		})
		return found, err
	})
	switch {
	case err != nil:
		return dirsync.Account{}, err
	case !found:
		return dirsync.Account{}, &dirsync.Error{Op: op, Kind: dirsync.NotFound}
	}
	return out, nil
}

// steady looks something up, and again as long as it was not all found and an account lost a key meanwhile: an address
// may have gone from one account to another just then.
func (a *accounts) steady(look func() (all bool, err error)) error {
	for {
		moved := a.moved.Load()
		all, err := look()
		if err != nil || all || moved == a.moved.Load() {
			return err
		}
	}
}

func (x *accountsTx) findAny(key string) (account, bool, error) {
	if seq := x.a.seq(key); seq != 0 {
		if r, ok, err := x.account(seq, true); ok || err != nil {
			return r, ok, err
		}
	}
	folded := dirsync.Fold(key)
	for _, f := range x.a.schema {
		if !f.Unique {
			continue
		}
		if seq, r, err := x.holder(lookupKey{f.Name, folded}, 0); seq != 0 || err != nil {
			return r, seq != 0, err
		}
	}
	for _, k := range [...]lookupKey{{tagUserName, folded}, {tagSource, key}} {
		if seq, r, err := x.holder(k, 0); seq != 0 || err != nil {
			return r, seq != 0, err
		}
	}
	return account{}, false, nil
}

// foundPerValue is how many accounts Find returns at most for each value; see dirsync.Finder.
const foundPerValue = 3

// Find implements dirsync.Finder, for the fields whose values are unique, and for the name of a group.
func (a *accounts) Find(ctx context.Context, field string, values []dirsync.Value) (out [][]dirsync.Account, err error) {
	op := "find " + a.noun + "s by " + field
	if !slices.ContainsFunc(a.schema, func(f dirsync.Field) bool { return f.Name == field && a.finds(f) }) {
		return nil, &dirsync.Error{Op: op, Kind: dirsync.Invalid, Field: field, Err: fmt.Errorf("%ss cannot be found by it", a.noun)}
	}
	err = a.steady(func() (all bool, err error) {
		all, out = true, make([][]dirsync.Account, len(values))
		err = a.view(ctx, op, func(x *accountsTx) error {
			for i, v := range values {
				if v.IsNull() {
					continue
				}
				if out[i], err = x.findAll(lookupKey{field, dirsync.Fold(v.Text)}); err != nil {
					return err
				}
				all = all && len(out[i]) > 0
			}
			return nil
		})
		return all, err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// findAll finds the accounts that have a key, the first few of them in order.
func (x *accountsTx) findAll(k lookupKey) (out []dirsync.Account, err error) {
	err = x.each(x.a.keys, k.hash(), 0, func(seq uint64) (bool, error) {
		r, ok, err := x.account(seq, true)
		if err != nil || !ok || !x.a.has(r, k) {
			return true, err
		}
		shown, err := x.show(r)
		out = append(out, shown)
		return len(out) < foundPerValue, err
	})
	return out, err
}
