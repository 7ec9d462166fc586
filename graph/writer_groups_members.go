package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"dirsync"
)

const (
	// mostBound is how many members one request can add (Graph document "Add members").
	mostBound = 20
	// lanes is how many requests change one group at a time: more of them get in each other's way.
	lanes = 4
)

// groupsFault says why a value cannot be the groups that somebody is in; "" if it can.
func groupsFault(v dirsync.Value) string {
	if !v.IsNull() && v.List() == nil {
		return "must be a list of the source ids of groups"
	}
	return ""
}

// account returns the tenant's group that a group of the source was made into, "" if there is none.
func (g *GroupWriter) account(ctx context.Context, group dirsync.ID) (string, error) {
	if id := g.known.of(group); id != "" || g.cfg.Links == nil {
		return id, nil
	}
	id, err := g.cfg.Links(ctx, group)
	if err != nil {
		return "", &dirsync.Error{Op: findGroups, Kind: dirsync.KindOf(err), Err: fmt.Errorf("look for group %s: %w", group, bare(err)), Hint: dirsync.HintOf(err)}
	}
	if id = strings.ToLower(id); !isGUID(id) || g.known.deleted(id, g.w.client.cfg.Now()) {
		return "", nil // no group of a tenant has such an id
	}
	return id, nil
}

// inGroups refuses, before anything is sent, memberships in groups that are not there.
func (k *work) inGroups() error {
	g := k.w.groups.Load()
	if g == nil || k.ch.Kind.Destructive() {
		return nil
	}
	v, _ := k.ch.After.Get(dirsync.GroupsField)
	for _, group := range v.List() {
		id, err := g.account(k.ctx, dirsync.ID(group))
		if err != nil {
			return k.wrap(err)
		}
		if id == "" {
			e := k.fault(dirsync.Conflict, fmt.Errorf("there is no group %s", group))
			e.Field, e.Value, e.Hint = dirsync.GroupsField, group, "The group is added first, and the user in the next run."
			return e
		}
	}
	return nil
}

// joining is one membership that is to begin or to end.
type joining struct {
	of    *work
	leave bool
}

// errand is one request about the members of a group.
type errand struct {
	group string
	part  []joining
}

// memberships writes who is in which group, of those who were written. For each group all who join and leave are gathered.
func (b *writing) memberships(ctx context.Context) {
	g := b.w.groups.Load()
	if g == nil {
		return
	}
	last, before, unsure := map[string]*work{}, map[string][]string{}, map[string]bool{}
	for _, k := range b.works {
		v, said := k.ch.After.Get(dirsync.GroupsField)
		switch {
		case k.err != nil || k.id == "":
		case k.ch.Kind == dirsync.Delete:
			delete(last, k.id)
		case said && k.ch.Kind != dirsync.Deactivate:
			is, _ := k.ch.Before.Get(dirsync.GroupsField)
			doubted := g.unsure.take(k.id)
			// Whoever was in a group before may have been taken out by a change that failed, or by one of this batch. Where what is
			// to be written is believed to be there, the caller is not sure either.
			unsure[k.id] = unsure[k.id] || doubted != nil || last[k.id] != nil || v == is || k.doubtful()
			before[k.id] = slices.Concat(before[k.id], is.List(), doubted)
			last[k.id] = k
		}
	}
	b.lookIn(ctx, g, last, before)
	byGroup := map[string][]joining{}
	for _, k := range b.works {
		if last[k.id] != k || k.err != nil {
			continue
		}
		v, _ := k.ch.After.Get(dirsync.GroupsField)
		wanted := v.List()
		for _, group := range wanted {
			is, _ := k.ch.Before.Get(dirsync.GroupsField)
			if unsure[k.id] || !slices.Contains(is.List(), group) {
				b.gather(ctx, g, byGroup, k, group, false)
			}
		}
		was := before[k.id]
		slices.Sort(was)
		for _, group := range slices.Compact(was) {
			if !slices.Contains(wanted, group) {
				b.gather(ctx, g, byGroup, k, group, true)
			}
		}
	}
	roads := errands(byGroup)
	var mu sync.Mutex
	b.p.each(ctx, len(roads), func(i int) {
		for _, e := range roads[i] {
			g.carry(b.p, e, func(j joining, err error) {
				mu.Lock()
				defer mu.Unlock()
				j.of.effect = true
				j.of.err = j.of.partly(j.of.wrap(err))
			})
		}
	})
	for id, k := range last {
		if v, _ := k.ch.After.Get(dirsync.GroupsField); k.err != nil {
			g.unsure.add(id, slices.Concat([]string{}, v.List(), before[id]))
		}
	}
}

// mostChecked is how many groups one question can name (Graph document "user: checkMemberGroups").
const mostChecked = 20

// lookIn asks in which groups those are of whom that is not known, and adds what it finds to before: of accounts that were
// joined, and of changes that write everything, because the outcome of an earlier one is unknown. Groups in groups count
// here, which does no harm: nobody is taken out of a group that they are in by another one only.
func (b *writing) lookIn(ctx context.Context, g *GroupWriter, last map[string]*work, before map[string][]string) {
	var who []*work
	for _, k := range b.works {
		if last[k.id] == k && !g.w.known.young(k.id, g.w.client.cfg.Now()) && (k.ch.Kind == dirsync.Create || k.doubtful()) {
			who = append(who, k)
		}
	}
	if len(who) == 0 || g.cfg.All == nil {
		return
	}
	sources, accounts := map[string]string{}, []string(nil)
	err := g.cfg.All(ctx, func(group dirsync.ID, account string) {
		if account = strings.ToLower(account); isGUID(account) {
			sources[account] = string(group)
			accounts = append(accounts, account)
		}
	})
	if err != nil {
		for _, k := range who {
			k.err = k.partly(k.wrap(err))
		}
		return
	}
	chunks := slices.Collect(slices.Chunk(accounts, mostChecked))
	var mu sync.Mutex
	b.p.each(ctx, len(who)*len(chunks), func(i int) {
		k := who[i/len(chunks)]
		in, err := g.settled(b.p, k.id, chunks[i%len(chunks)])
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			k.effect = true
			k.err = k.partly(k.wrap(err))
			return
		}
		for _, account := range in {
			if group := sources[strings.ToLower(account)]; group != "" {
				before[k.id] = append(before[k.id], group)
			}
		}
	})
}

// doubtful tells a change that writes all there is, or what is believed to be there already: then the outcome of an earlier
// one, which this process need not have made, is unknown.
func (k *work) doubtful() bool {
	return k.everything() || slices.ContainsFunc(k.ch.Writes(), func(v dirsync.FieldValue) bool {
		before, known := k.ch.Before.Get(v.Field)
		return known && !v.Value.IsNull() && before == v.Value
	})
}

// everything tells a change that writes all there is to write.
func (k *work) everything() bool {
	for _, f := range k.w.all() {
		if _, said := k.ch.After.Get(f.Name); !said {
			return false
		}
	}
	return true
}

// settled is check when every replica has heard of what a process has done that ended just before this one began. What this
// one has tried is remembered.
func (g *GroupWriter) settled(p *post, account string, groups []string) ([]string, error) {
	if left := g.w.began.Add(g.w.client.cfg.ReplicaLag).Sub(g.w.client.cfg.Now()); left > 0 {
		if err := p.pause(left); err != nil {
			return nil, err
		}
	}
	return g.check(p, account, groups)
}

// check asks which of at most twenty groups an account is in.
func (g *GroupWriter) check(p *post, account string, groups []string) ([]string, error) {
	body, _ := json.Marshal(map[string][]string{"groupIds": groups}) // texts always marshal
	path := "/users/" + account + "/checkMemberGroups"
	a, err := g.patiently(p, func() *parcel { return &parcel{method: http.MethodPost, path: path, body: body, again: true} }, append(groups, account)...)
	switch {
	case err != nil:
		return nil, err
	case isNowhere(a):
		return nil, nil // whoever is to join a group is told so then
	case a.status != http.StatusOK:
		return nil, g.fault(p.op, a)
	}
	var doc struct{ Value []string }
	if err := json.Unmarshal(a.body, &doc); err != nil {
		return nil, g.w.client.decodeError(p.op, a, errors.New("it is no list of groups"))
	}
	return doc.Value, nil
}

// unsure are the groups, by their source ids, that accounts may be in after a change that failed, whatever they are believed
// to be in. They are kept in memory only.
type unsure struct {
	mu sync.Mutex
	by map[string][]string
}

func (u *unsure) add(account string, groups []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.by == nil || len(u.by) >= mostKnown {
		u.by = map[string][]string{}
	}
	u.by[account] = groups
}

// take returns the groups of an account, and forgets them.
func (u *unsure) take(account string) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	groups := u.by[account]
	delete(u.by, account)
	return groups
}

func (b *writing) gather(ctx context.Context, g *GroupWriter, byGroup map[string][]joining, k *work, group string, leave bool) {
	id, err := g.account(ctx, dirsync.ID(group))
	switch {
	case err != nil:
		k.err = k.partly(k.wrap(err))
	case id != "": // whoever is in a group that is not there any more is in none
		byGroup[id] = append(byGroup[id], joining{k, leave})
	}
}

// errands divides what is to be done into requests, and these into lanes that are gone through side by side.
func errands(byGroup map[string][]joining) (roads [][]errand) {
	for _, group := range slices.Sorted(maps.Keys(byGroup)) {
		var joins []joining
		var all []errand
		for _, j := range byGroup[group] {
			if j.leave {
				all = append(all, errand{group, []joining{j}})
			} else {
				joins = append(joins, j)
			}
		}
		for part := range slices.Chunk(joins, mostBound) {
			all = append(all, errand{group, part})
		}
		own := make([][]errand, min(lanes, len(all)))
		for i, e := range all {
			own[i%len(own)] = append(own[i%len(own)], e)
		}
		roads = append(roads, own...)
	}
	return roads
}

// carry writes memberships of one group. What the tenant refuses together is tried in halves, so that one member whom it
// does not take keeps nobody else out; that somebody is in the group already, or is not any more, is what was wanted.
func (g *GroupWriter) carry(p *post, e errand, failed func(joining, error)) {
	ids := []string{e.group}
	for _, j := range e.part {
		ids = append(ids, j.of.id)
	}
	at, heard := g.w.client.cfg.Now(), g.w.began.Add(g.w.client.cfg.ReplicaLag)
	a, err := g.patiently(p, func() *parcel { return g.memberParcel(e) }, ids...)
	first, leaves := e.part[0], e.part[0].leave
	refused := a.status == http.StatusBadRequest || isNowhere(a)
	switch {
	case err != nil:
		for _, j := range e.part {
			failed(j, fmt.Errorf("group %s: %w", e.group, err))
		}
		return
	case a.status/100 == 2:
		return
	case refused && len(e.part) > 1:
		half := len(e.part) / 2
		g.carry(p, errand{e.group, e.part[:half]}, failed)
		g.carry(p, errand{e.group, e.part[half:]}, failed)
		return
	case leaves && isNowhere(a) && at.Before(heard):
		// Not every replica need have heard of what was made by a process that ended just before this one began.
		if err := p.pause(heard.Sub(g.w.client.cfg.Now())); err != nil {
			failed(first, fmt.Errorf("group %s: %w", e.group, err))
			return
		}
		g.carry(p, e, failed)
		return
	case leaves && isNowhere(a):
		return // not in it, or one of the two is not there at all
	case !leaves && a.status == http.StatusBadRequest && parseRefusal(a.body).mentions("already exist"):
		return
	case isNowhere(a):
		failed(first, g.absent(p, e.group, first.of.id))
		return
	}
	err = g.notTaken(p, e.group, a)
	for _, j := range e.part {
		failed(j, err)
	}
}

// memberParcel is the request of an errand. A member who leaves is named by the link: without its last segment the
// request would delete the user (Graph document "Remove member").
func (g *GroupWriter) memberParcel(e errand) *parcel {
	if e.part[0].leave {
		return &parcel{method: http.MethodDelete, path: "/groups/" + e.group + "/members/" + e.part[0].of.id + "/$ref", again: true}
	}
	links := make([]string, len(e.part))
	for i, j := range e.part {
		links[i] = g.w.client.cfg.BaseURL + "/users/" + j.of.id
	}
	body, _ := json.Marshal(map[string][]string{"members@odata.bind": links}) // texts always marshal
	return &parcel{method: http.MethodPatch, path: "/groups/" + e.group, body: body, again: true}
}

// absent says which of the two is not there.
func (g *GroupWriter) absent(p *post, group, account string) error {
	_, there, err := g.get(p, group)
	switch {
	case err != nil:
		return err
	case there:
		return &dirsync.Error{Op: p.op, Kind: dirsync.NotFound, Err: fmt.Errorf("account %s, who is to join group %s, is not there", account, group)}
	}
	return &dirsync.Error{Op: p.op, Kind: dirsync.NotFound, Err: fmt.Errorf("group %s is not there any more", group),
		Hint: "It was deleted in the tenant. Comparing (dirsync compare) makes it owed again."}
}

// notTaken says why the tenant does not take somebody into a group, or out of it.
func (g *GroupWriter) notTaken(p *post, group string, a answer) error {
	base := g.refused(p, a)
	r, there, err := g.get(p, group)
	if err == nil && there && unfit(r) != "" {
		return &dirsync.Error{Op: p.op, Kind: dirsync.Invalid, Err: fmt.Errorf("group %s (%s) %s", clip(r.Attrs.Text(groupTitle)), group, unfit(r)),
			Hint: "Leave this group out of the sync, or let the sync make a security group of its own in place of it."}
	}
	if e, ok := errors.AsType[*dirsync.Error](base); ok {
		e.Err = fmt.Errorf("group %s: %w", group, e.Err)
	}
	return base
}

// theirGroup stands in a preview for the id of a group that is yet to be made.
const theirGroup = "<the group>"

// previewGroups adds how memberships are written, if they are spoken of. One request is for everybody who joins a group in
// the same batch; here it names this person alone.
func (k *work) previewGroups(out []dirsync.Sending, id string) ([]dirsync.Sending, error) {
	g := k.w.groups.Load()
	v, said := k.ch.After.Get(dirsync.GroupsField)
	if g == nil || !said {
		return out, nil
	}
	before, _ := k.ch.Before.Get(dirsync.GroupsField)
	was, wanted := before.List(), v.List()
	for _, one := range []struct {
		groups, not []string
		leave       bool
	}{{wanted, was, false}, {was, wanted, true}} {
		for _, group := range one.groups {
			account, err := g.account(k.ctx, dirsync.ID(group))
			switch {
			case err != nil:
				return nil, k.wrap(err)
			case slices.Contains(one.not, group) || account == "" && one.leave:
				continue
			case account == "":
				account = theirGroup
			}
			l := g.memberParcel(errand{account, []joining{{&work{id: id}, one.leave}}})
			s := dirsync.Sending{Method: l.method, Path: l.path}
			if l.body != nil {
				var doc any
				_ = json.Unmarshal(l.body, &doc) // it was just made
				if s, err = k.sending(l.method, l.path, doc); err != nil {
					return nil, err
				}
			}
			out = append(out, s)
		}
	}
	return out, nil
}
