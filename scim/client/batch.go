package client

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"dirsync"
)

// ApplyAll implements dirsync.Batcher. Changes that have nothing to do with one another are made side by side; those that
// concern the same person, account or unique value one after the other, in their order. Memberships come last, gathered
// for each group.
func (c *Client) ApplyAll(ctx context.Context, changes []dirsync.Change) []dirsync.Applied {
	return c.applyAll(ctx, c.users, changes)
}

func (c *Client) applyAll(ctx context.Context, v *view, changes []dirsync.Change) []dirsync.Applied {
	b := &batch{c: c, v: v, works: make([]*work, len(changes)), out: make([]dirsync.Applied, len(changes))}
	for i, ch := range changes {
		b.works[i] = &work{c: c, v: v, ch: ch}
	}
	if err := b.prepare(ctx); err != nil {
		for i := range b.out {
			if b.out[i].Err == nil {
				b.out[i].Err = b.works[i].wrap(err)
			}
		}
		return b.out
	}
	b.run(ctx)
	if v == c.users {
		b.memberships(ctx)
		b.settleReferences(ctx)
	}
	return b.out
}

// batch is a list of changes on its way.
type batch struct {
	c     *Client
	v     *view
	works []*work
	out   []dirsync.Applied
	// stop is the error that concerns everybody, once there is one.
	stop atomic.Pointer[error]
}

// prepare learns who is there, once for all changes, and refuses memberships in groups that are not there.
func (b *batch) prepare(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	questions, groups := 0, false
	for _, w := range b.works {
		if w.ch.Person != "" && (w.ch.Kind == dirsync.Create || w.ch.Account == "") {
			questions++
		}
		for _, v := range w.ch.Writes() {
			if v.Value.Type == dirsync.Reference {
				questions++
			}
			groups = groups || b.c.memberships(v.Field) && b.v == b.c.users && (!v.Value.IsNull() || len(w.ch.Removed()) > 0)
		}
	}
	if groups {
		if err := b.c.groups.dir.prepare(ctx, len(b.works)+1); err != nil {
			return err
		}
		for i, w := range b.works {
			if b.out[i].Err = w.checkGroups(ctx); b.out[i].Err != nil && dirsync.KindOf(b.out[i].Err) != dirsync.Conflict && dirsync.KindOf(b.out[i].Err) != dirsync.Invalid {
				return b.out[i].Err
			}
		}
	}
	return b.v.dir.prepare(ctx, questions)
}

// run makes the changes, wave by wave: whoever is another one's manager comes before them.
func (b *batch) run(ctx context.Context) {
	for _, wave := range b.waves() {
		workers := min(b.c.profile.Concurrency, len(wave))
		var wg sync.WaitGroup
		var next atomic.Int64
		for range workers {
			wg.Go(func() {
				for {
					n := int(next.Add(1)) - 1
					if n >= len(wave) {
						return
					}
					for _, i := range wave[n] {
						b.one(ctx, i)
					}
				}
			})
		}
		wg.Wait()
	}
}

func (b *batch) one(ctx context.Context, i int) {
	w := b.works[i]
	if b.out[i].Err != nil {
		return
	}
	if stopped := b.stop.Load(); stopped != nil {
		b.out[i].Err = w.wrap(*stopped)
		return
	}
	a, err := w.apply(ctx)
	b.out[i] = dirsync.Applied{Account: a, Err: err}
	switch dirsync.KindOf(err) {
	case dirsync.Unauthorized, dirsync.Throttled:
		b.stop.CompareAndSwap(nil, &err)
	}
	if err == nil && a.ID != "" {
		for _, field := range w.waiting {
			v, _ := w.ch.After.Get(field)
			b.c.held.add(dirsync.ID(v.Text), reference{account: a.ID, person: w.ch.Person, field: field})
		}
	}
}

// waves sorts the changes into chains that must be kept in order, and the chains by how many managers of theirs are new
// themselves in this batch.
func (b *batch) waves() [][][]int {
	chains := b.chains()
	of := make([]int, len(b.works)) // the chain of a change
	made := map[dirsync.ID]int{}    // the change that makes a person's account
	for n, chain := range chains {
		for _, i := range chain {
			of[i] = n
			if b.works[i].ch.Kind == dirsync.Create {
				made[b.works[i].ch.Person] = i
			}
		}
	}
	depth := make([]int, len(chains)) // 0: not known yet, -1: being looked at
	var measure func(n int) int
	measure = func(n int) int {
		if depth[n] != 0 {
			return max(depth[n], 1) // a circle is cut here; who is left is written afterwards
		}
		depth[n] = -1
		deepest := 1
		for _, i := range chains[n] {
			for _, v := range b.works[i].ch.Writes() {
				if v.Value.Type != dirsync.Reference {
					continue
				}
				if boss, ok := made[dirsync.ID(v.Value.Text)]; ok && of[boss] != n {
					deepest = max(deepest, measure(of[boss])+1)
				}
			}
		}
		depth[n] = deepest
		return deepest
	}
	var waves [][][]int
	for n, chain := range chains {
		d := measure(n)
		for len(waves) < d {
			waves = append(waves, nil)
		}
		waves[d-1] = append(waves[d-1], chain)
	}
	return waves
}

// chains joins changes that speak of the same person, account or unique value.
func (b *batch) chains() [][]int {
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
	join := func(key string, i int) {
		if other, ok := first[key]; ok {
			a, b := root(other), root(i)
			parent[max(a, b)] = min(a, b)
			return
		}
		first[key] = i
	}
	for i, w := range b.works {
		if w.ch.Person != "" {
			join("person\x00"+string(w.ch.Person), i)
		}
		if w.ch.Account != "" {
			join("account\x00"+w.ch.Account, i)
		}
		for _, values := range []dirsync.Values{w.ch.Before, w.ch.After} {
			for _, v := range values {
				if f := b.v.shape.find(v.Field); f != nil && (f.Unique || f.Name == b.v.shape.name) && !v.Value.IsNull() {
					join(v.Field+"\x00"+dirsync.Fold(v.Value.Text), i)
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
	slices.SortStableFunc(chains, func(x, y []int) int { return cmp.Compare(len(y), len(x)) }) // the longest first, so that it is not what everybody waits for
	return chains
}

// settleReferences writes references to people whose account has been made since.
func (b *batch) settleReferences(ctx context.Context) {
	if b.stop.Load() != nil {
		return
	}
	for other, refs := range b.c.held.ready(func(p dirsync.ID) bool { id, sure := b.c.users.dir.known(p); return sure && id != "" }) {
		for _, ref := range refs {
			w := &work{c: b.c, v: b.c.users, ch: dirsync.Change{Kind: dirsync.Update, Person: ref.person, Account: ref.account,
				After: dirsync.Values{{Field: ref.field, Value: dirsync.Value{Type: dirsync.Reference, Text: string(other)}}}}}
			a, err := w.apply(ctx)
			for i := range b.works {
				if b.works[i].ch.Person != ref.person || ref.person == "" || b.out[i].Err != nil {
					continue
				}
				switch {
				case err != nil:
					b.out[i] = dirsync.Applied{Err: b.works[i].partly(err)}
				case a.ID != "":
					v, _ := w.ch.After.Get(ref.field)
					b.out[i].Account.Values = b.out[i].Account.Values.Set(ref.field, v)
				}
			}
			if err != nil && dirsync.KindOf(err) != dirsync.NotFound {
				b.c.held.add(other, ref)
			}
		}
	}
}

// pending are references that wait for somebody's account. They are kept in memory only: whoever is still waited for when
// the program ends is seen, as a difference, when the target is compared.
type pending struct {
	mu   sync.Mutex
	refs map[dirsync.ID][]reference
}

// reference is a field of an account that is to name somebody.
type reference struct {
	account string
	person  dirsync.ID
	field   string
}

func newPending() *pending { return &pending{refs: map[dirsync.ID][]reference{}} }

func (p *pending) add(other dirsync.ID, r reference) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.refs[other], r) {
		p.refs[other] = append(p.refs[other], r)
	}
}

// ready takes out what waits for people who are there.
func (p *pending) ready(there func(dirsync.ID) bool) map[dirsync.ID][]reference {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[dirsync.ID][]reference{}
	for other, refs := range p.refs {
		if there(other) {
			out[other] = refs
			delete(p.refs, other)
		}
	}
	return out
}

// Waiting counts the references that could not be written, because whom they name has no account there yet.
func (c *Client) Waiting() int {
	c.held.mu.Lock()
	defer c.held.mu.Unlock()
	n := 0
	for _, refs := range c.held.refs {
		n += len(refs)
	}
	return n
}
