package store

import (
	"context"
	"errors"
	"regexp"
	"slices"

	"dirsync"
)

// handOverPage is how many accounts change hands in one transaction.
const handOverPage = 500

// objectID matches what tenants number their objects with.
var objectID = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// HandOver gives all users and groups from syncs to provisioning clients, or from these to syncs. Nobody's id, status or
// values change, but for references, which are kept by the directory's own ids from then on, as readers see them already.
//
// To clients: the source id of an account becomes its external id, and it belongs to nobody any more. To syncs: external ids
// that are object ids of a tenant are taken away, so that nobody is found by one that meant another tenant's; a sync then joins
// the accounts that it finds.
//
// It works through the directory in many transactions, and whatever of it is done already changes nothing, so one that was
// broken off is done again from the beginning. Nobody else should write meanwhile.
func (d *Directory) HandOver(ctx context.Context, toClients bool) error {
	const op = "hand the directory over"
	if toClients {
		// While everybody can still be found by their source id.
		if err := d.accounts.eachPage(ctx, op, (*accountsTx).resolveReferences); err != nil {
			return err
		}
	}
	for _, a := range []*accounts{d.accounts, d.groups.accounts} {
		err := a.eachPage(ctx, op, func(x *accountsTx, e *edit) error {
			if toClients {
				x.release(e)
			} else {
				x.anonymize(e)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachPage calls fn for every account, a page in a transaction, and writes those that it changes.
func (a *accounts) eachPage(ctx context.Context, op string, fn func(*accountsTx, *edit) error) error {
	for after, more := uint64(0), true; more; {
		err := a.update(ctx, op, func(x *accountsTx) error {
			var page []edit
			seen := 0
			err := x.rowsAfter(after, func(seq uint64, r account) (bool, error) {
				page = append(page, edit{seq: seq, was: r, now: r})
				seen++
				return seen < handOverPage, nil
			})
			if err != nil {
				return err
			}
			last, changed := after, false
			for i := range page {
				e := &page[i]
				last = e.seq
				if err := fn(x, e); err != nil {
					return err
				}
				if x.a.groups != nil {
					if e.now.in, err = x.cleaned(e.was.in); err != nil {
						return err
					}
				}
				if err := x.weigh(e); err != nil {
					return err
				}
				changed = changed || !e.same
				if err := x.put(e); err != nil {
					return err
				}
			}
			after, more = last, seen == handOverPage
			if !changed {
				return errUnchanged
			}
			return nil
		})
		if err != nil && !errors.Is(err, errUnchanged) {
			return err
		}
	}
	return nil
}

// resolveReferences replaces source ids in references, of fields past and present, by the ids of those whom they mean.
func (x *accountsTx) resolveReferences(e *edit) error {
	for _, v := range e.was.Values {
		if !x.a.foreign(e.was, v.Value) {
			continue
		}
		seq, r, err := x.holder(lookupKey{tagSource, v.Value.Text}, 0)
		if err != nil {
			return err
		}
		if seq != 0 {
			e.now.Values = slices.Clone(e.now.Values).Set(v.Field, dirsync.Value{Type: dirsync.Reference, Text: r.ID})
		}
	}
	return nil
}

// release makes an account of a sync one of clients.
func (x *accountsTx) release(e *edit) {
	if e.was.Source == "" {
		return
	}
	s := said{}
	if e.was.said != nil {
		s = *e.was.said
	} else {
		shown := x.a.resource(e.was)
		s.emails = shown.Emails
		if x.a.kind() == dirsync.KindUser {
			s.name = shown.Name
		}
	}
	s.external = string(e.was.Source)
	e.now.Source, e.now.said = "", &s
}

// anonymize takes an object id away that a client has given an account.
func (x *accountsTx) anonymize(e *edit) {
	if e.was.said == nil || !objectID.MatchString(e.was.said.external) {
		return
	}
	s := *e.was.said
	s.external = ""
	e.now.said = &s
}
