package engine

import (
	"context"
	"hash/maphash"

	"dirsync"
)

// owners tell whose accounts are in a target that cannot say so itself; see dirsync.Forgetful. They are gathered when
// somebody is first asked for, and take some twenty bytes for each account.
type owners struct {
	e     *Engine
	seed  maphash.Seed
	known map[uint64]dirsync.Seq
}

// owners are nil for a target that keeps whose its accounts are.
func (e *Engine) owners() *owners {
	if f, ok := e.Target.(dirsync.Forgetful); !ok || !f.Forgets() {
		return nil
	}
	return newOwners(e)
}

func newOwners(e *Engine) *owners { return &owners{e: e, seed: maphash.MakeSeed()} }

// of finds the person whose account this is, if it is anybody's of this sync.
func (o *owners) of(ctx context.Context, account string) (p dirsync.Person, found bool, err error) {
	if o == nil || account == "" {
		return p, false, nil
	}
	if o.known == nil {
		o.known = map[uint64]dirsync.Seq{}
		if err := o.e.eachIn(ctx, o.e.Store, func(p dirsync.Person) error {
			if p.Link.Account != "" {
				o.known[maphash.String(o.seed, p.Link.Account)] = p.Seq
			}
			return nil
		}); err != nil {
			o.known = nil
			return p, false, err
		}
	}
	seq, ok := o.known[maphash.String(o.seed, account)]
	if !ok {
		return p, false, nil
	}
	people, err := o.e.Store.People(ctx, seq-1, 1)
	if err != nil || len(people) == 0 || people[0].Link.Account != account {
		return dirsync.Person{}, false, err
	}
	return people[0], true, nil
}
