package graph

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dirsync"
)

// Apply implements dirsync.Target.
func (w *Writer) Apply(ctx context.Context, c dirsync.Change) (dirsync.Account, error) {
	out := w.ApplyAll(ctx, []dirsync.Change{c})
	return out[0].Account, out[0].Err
}

// ApplyAll implements dirsync.Batcher. Changes that have nothing to do with one another are made side by side; those that
// concern the same person, account or unique value one after the other, in their order. Managers come last, when
// everybody is there.
func (w *Writer) ApplyAll(ctx context.Context, changes []dirsync.Change) []dirsync.Applied {
	ctx = context.WithValue(ctx, counterKey{}, &w.sent)
	b := &writing{w: w, p: w.client.newPost("write users"), works: make([]*work, len(changes))}
	for i, c := range changes {
		b.works[i] = &work{w: w, p: b.p, ctx: ctx, ch: c}
	}
	if err := b.begin(ctx); err != nil {
		for _, one := range b.works {
			one.err = one.wrap(err)
		}
	} else {
		chains := b.chains()
		b.p.each(ctx, len(chains), func(i int) {
			for _, n := range chains[i] {
				b.works[n].run()
			}
		})
		b.managers(ctx)
		b.memberships(ctx)
	}
	out := make([]dirsync.Applied, len(changes))
	for i, one := range b.works {
		if out[i].Err = one.err; one.err == nil {
			out[i].Account = one.account
		}
	}
	return out
}

// writing is a list of changes on its way.
type writing struct {
	w     *Writer
	p     *post
	works []*work
}

// begin learns what has to be known beforehand: the types of what is written, and who has an account already.
func (b *writing) begin(ctx context.Context) error {
	if ctx.Err() != nil {
		return b.w.client.sendError(ctx, b.p.op, context.Cause(ctx))
	}
	if err := b.w.shape(ctx); err != nil || b.w.cfg.Anchor == "" {
		return err
	}
	asking := map[dirsync.ID]*work{}
	var people []dirsync.ID
	for _, one := range b.works {
		c := one.ch
		if c.Person == "" || c.Kind != dirsync.Create && c.Account != "" || one.forbidden() != nil || asking[c.Person] != nil {
			continue
		}
		if b.w.known.of(c.Person) != "" || len(c.Person) > b.w.longestAnchor() {
			continue
		}
		asking[c.Person] = one
		people = append(people, c.Person)
	}
	at := b.w.client.cfg.Now()
	found, err := b.ask(ctx, people)
	if err != nil {
		return err
	}
	// Only the first change of somebody can use what was found: it changes it.
	for person, one := range asking {
		one.asked, one.found = at, found[person]
	}
	return nil
}

// ask asks whose accounts have the anchors of people.
func (b *writing) ask(ctx context.Context, people []dirsync.ID) (map[dirsync.ID][]dirsync.Record, error) {
	chunks := slices.Collect(slices.Chunk(people, mostIn))
	found, errs := make([]map[dirsync.ID][]dirsync.Record, len(chunks)), make([]error, len(chunks))
	b.p.each(ctx, len(chunks), func(i int) { found[i], errs[i] = b.w.owned(b.p, chunks[i]) })
	all := map[dirsync.ID][]dirsync.Record{}
	for _, part := range found {
		for person, records := range part {
			all[person] = records
		}
	}
	return all, firstError(errs)
}

// chains joins changes that speak of the same person, account or unique value, the longest first, so that it is not what
// everybody waits for.
func (b *writing) chains() [][]int {
	parent := make([]int, len(b.works))
	for i := range parent {
		parent[i] = i
	}
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	first := map[string]int{}
	join := func(what, key string, i int) {
		if key == "" {
			return
		}
		if other, ok := first[what+"\x00"+key]; ok {
			x, y := root(other), root(i)
			parent[max(x, y)] = min(x, y)
			return
		}
		first[what+"\x00"+key] = i
	}
	for i, one := range b.works {
		join("person", string(one.ch.Person), i)
		join("account", one.ch.Account, i)
		for _, values := range []dirsync.Values{one.ch.Before, one.ch.After} {
			for _, v := range values {
				if f := b.w.field(v.Field); f != nil && f.Unique {
					join("name", dirsync.Fold(v.Value.Text), i) // names and addresses are unique among one another
				}
			}
		}
	}
	byRoot := map[int][]int{}
	for i := range b.works {
		byRoot[root(i)] = append(byRoot[root(i)], i)
	}
	var chains [][]int
	for i := range b.works {
		if root(i) == i {
			chains = append(chains, byRoot[i])
		}
	}
	slices.SortStableFunc(chains, func(x, y []int) int { return cmp.Compare(len(y), len(x)) })
	return chains
}

// work is one change on its way.
type work struct {
	w   *Writer
	p   *post
	ctx context.Context // of the call of ApplyAll that this is a part of
	ch  dirsync.Change

	// found are the accounts that had the person's anchor when it was asked for, and asked when that was; zero if it was
	// not.
	found []dirsync.Record
	asked time.Time

	// account is what there is in the end, and err why it is not.
	account dirsync.Account
	err     error
	// begun is when this was begun, and effect says that a part of the change has taken effect.
	begun  time.Time
	effect bool
	// secret is the first password of an account that is made.
	secret password

	// id is the account that was written, and boss whom it is to have as a manager, nil if that is not spoken of; bossID is
	// the manager's account. late says that this was wanted earlier.
	id, bossID string
	boss       *dirsync.Value
	late       bool
}

// run makes the change, managers excepted.
func (k *work) run() {
	k.begun = k.w.client.cfg.Now()
	if k.err = k.forbidden(); k.err != nil {
		return
	}
	if k.ctx.Err() != nil {
		k.err = k.wrap(k.w.client.sendError(k.ctx, k.p.op, context.Cause(k.ctx)))
		return
	}
	if k.err = k.inGroups(); k.err != nil {
		return
	}
	switch k.ch.Kind {
	case dirsync.Create:
		k.account, k.err = k.create()
	case dirsync.Delete:
		k.err = k.delete()
	default:
		k.account, k.err = k.change()
	}
	if k.err != nil && k.effect {
		k.err = k.partly(k.err)
	}
	if k.err == nil && k.account.ID != "" && k.w.cfg.Anchor == "" {
		k.account.Source = ""
	}
}

// forbidden refuses what is switched off, before anything is sent.
func (k *work) forbidden() error {
	var what string
	switch {
	case k.ch.Kind == dirsync.Deactivate && !k.w.cfg.AllowBlock:
		what = "blocking people from signing in to Microsoft Entra ID is switched off"
	case k.ch.Kind == dirsync.Delete && !k.w.cfg.AllowDelete:
		what = "deleting accounts of Microsoft Entra ID is switched off"
	default:
		return nil
	}
	e := k.fault(dirsync.Invalid, errors.New(what))
	e.Hint = "Nothing was sent. Switch it on for this sync if it is to change who can sign in to the tenant, or keep the accounts of those who leave."
	return e
}

func (k *work) fault(kind dirsync.ErrorKind, err error) *dirsync.Error {
	return &dirsync.Error{Op: k.ch.Kind.String() + " user", ID: k.ch.Person, Kind: kind, Err: err}
}

// wrap gives an error of a request that was made on the way the operation and the person that it stops.
func (k *work) wrap(err error) error {
	e := k.fault(dirsync.KindOf(err), bare(err))
	e.RetryAt, e.Hint = dirsync.RetryAt(err), dirsync.HintOf(err)
	return e
}

// partly is the error of a change of which a part took effect: it must not be of a kind that promises the contrary.
func (k *work) partly(err error) error {
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok {
		return err
	}
	if e.Kind == dirsync.Conflict || e.Kind == dirsync.Invalid || e.Kind == dirsync.NotFound {
		e.Kind = dirsync.Unavailable
	}
	return e
}

// resolve returns the id of the account that the change speaks of, "" if there is none. It is for changes of accounts that
// are there: a creation looks more closely.
func (k *work) resolve() (string, error) {
	if k.ch.Account != "" {
		if !isGUID(k.ch.Account) {
			return "", nil // no account of a tenant has such an id
		}
		return k.ch.Account, nil
	}
	if id := k.w.known.of(k.ch.Person); id != "" {
		return id, nil
	}
	mine, err := k.owned()
	if err != nil || mine == nil {
		return "", err
	}
	return string(mine.ID), nil
}

// owned returns the account that has the person's anchor, nil if there is none. That there is none is believed only when
// every replica has had the time to hear of what was made before: by a process that ended just before this one began, or by
// a try of our own of which nothing came back. Meanwhile the person may have got another name, and nothing else would keep
// them from a second account.
func (k *work) owned() (*dirsync.Record, error) {
	switch {
	case k.w.cfg.Anchor == "" || k.ch.Person == "":
		return nil, nil //nolint:nilnil // nobody can say
	case len(k.ch.Person) > k.w.longestAnchor():
		return nil, k.tooLong()
	}
	heard := k.w.began
	if d, doubted := k.w.known.doubt(k.ch.Person); doubted && d.last.After(heard) {
		heard = d.last
	}
	heard = heard.Add(k.w.client.cfg.ReplicaLag)
	for {
		found, at, err := k.ask()
		switch {
		case err != nil:
			return nil, err
		case len(found) == 1:
			return &found[0], nil
		case len(found) > 1: // more than anybody can choose from
			e := k.fault(dirsync.Conflict, fmt.Errorf("two accounts say in %s that they are this person's: %s and %s", k.w.cfg.Anchor, found[0].ID, found[1].ID))
			e.Field, e.Value, e.Other = k.w.cfg.Anchor, string(k.ch.Person), string(found[0].ID)
			e.Hint = "Clear " + k.w.cfg.Anchor + " of the account that is not theirs."
			return nil, e
		case !at.Before(heard):
			return nil, nil //nolint:nilnil // there is none
		}
		if err := k.p.pause(heard.Sub(k.w.client.cfg.Now())); err != nil {
			return nil, k.wrap(err)
		}
	}
}

// heardOf reads an account once more that seems not to be there, when every replica has had the time to hear of it. Where there
// is an anchor, whoever is taken for new by mistake is known again by that, and nobody needs to wait.
func (k *work) heardOf(id string) (r dirsync.Record, there bool, err error) {
	if !k.w.Forgets() {
		return r, false, nil
	}
	heard := k.w.known.uncertain(k.w.began).Add(k.w.client.cfg.ReplicaLag)
	if !k.begun.Before(heard) {
		return r, false, nil
	}
	if err := k.p.pause(heard.Sub(k.w.client.cfg.Now())); err != nil {
		return r, false, err
	}
	return k.w.get(k.p, id)
}

func (k *work) tooLong() error {
	e := k.fault(dirsync.Invalid, errors.New("the id of the source is longer than "+k.w.cfg.Anchor+" can keep"))
	e.Field, e.Value = k.w.cfg.Anchor, string(k.ch.Person)
	e.Hint = "Choose another anchor: a directory extension, or one of the extension attributes."
	return e
}

// ask asks for the accounts that have the person's anchor, unless that was done for all, and says when.
func (k *work) ask() ([]dirsync.Record, time.Time, error) {
	if found, at := k.found, k.asked; !at.IsZero() {
		k.found, k.asked = nil, time.Time{} // what is found is changed from here on
		return found, at, nil
	}
	at := k.w.client.cfg.Now()
	all, err := k.w.owned(k.p, []dirsync.ID{k.ch.Person})
	if err != nil {
		return nil, at, k.wrap(err)
	}
	return all[k.ch.Person], at, nil
}
