package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"dirsync"
	"dirsync/web"
)

// The holds of what SCIM clients push stand beside those of syncs in every list, and are decided by the same commands. What
// differs is that a decision is carried out at once: there is no next run.

// withPushing calls fn with the SCIM server of the configuration, if it has one: the daemon's own, or one that answers nobody.
func (a *app) withPushing(ctx context.Context, readOnly bool, fn func(*pushing) error) error {
	cfg, err := a.readConfig()
	if err != nil || cfg.Serve.SCIM == nil {
		return err
	}
	if a.host != nil {
		if a.host.pushing == nil {
			return nil // It is in the configuration since a reload.
		}
		return fn(a.host.pushing)
	}
	st, err := a.openStore(cfg, readOnly)
	if err != nil {
		return err
	}
	p, err := newPushing(a, cfg, st, &tokenBook{})
	if err == nil {
		err = fn(p)
	}
	return errors.Join(err, a.closeStore(st))
}

// pushedHolds lists the holds of what clients push.
func (a *app) pushedHolds(ctx context.Context, decided bool) (holds []dirsync.Hold, err error) {
	err = a.withPushing(ctx, true, func(p *pushing) error {
		holds, err = p.guard.all(ctx, decided)
		return err
	})
	return holds, err
}

// withPushedHold calls fn with a hold of what clients push; done is false if the name is not that of one. exact refuses a bare
// number, as findHold does.
func (a *app) withPushedHold(ctx context.Context, name string, exact bool, fn func(p *pushing, h dirsync.Hold, digest string) error) (done bool, err error) {
	m := holdName.FindStringSubmatch(strings.ToLower(name))
	if m == nil {
		return false, nil
	}
	id, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil || exact && m[2] == "" {
		return false, nil //nolint:nilerr // findHold says what is wrong with it
	}
	err = a.withPushing(ctx, !exact, func(p *pushing) error {
		h, found, err := p.guard.find(ctx, dirsync.HoldID(id))
		if err != nil || !found {
			return err
		}
		done = true
		if !exact && !strings.HasPrefix(h.Digest, m[2]) {
			return &dirsync.Error{Op: "show hold " + name, Kind: dirsync.Conflict, Err: errors.New("hold " + m[1] + " has another list than this name says"),
				Hint: "It is named " + h.Name() + "."}
		}
		return fn(p, h, m[2])
	})
	return done, err
}

// showPushedHold shows who is on the list of a hold.
func (a *app) showPushedHold(ctx context.Context, p *pushing, h dirsync.Hold, limit int) error {
	h, list, err := p.guard.current(ctx, h)
	if err != nil {
		return err
	}
	policy := p.guard.whenDeleted()
	nobody := func(id string) string { return id }
	if a.json() {
		doc := newJSONList(a.stdout)
		doc.field("hold", viewHeld(h, a.now()))
		doc.list("changes")
		for _, r := range list {
			c := pendingChange(policy, r)
			err = errors.Join(err, doc.item(heldChangeView{viewChange(c), takes(c, h.Kind, nobody), ""}))
		}
		return errors.Join(err, doc.end())
	}
	a.printHold(h)
	if h.Status != dirsync.HoldOpen {
		return nil
	}
	a.printf("\n")
	t := NewTable(a.style, "USER", "NAME", "WOULD LOSE", "WHY")
	for i, r := range list {
		if limit > 0 && i == limit {
			break
		}
		c := pendingChange(policy, r)
		t.Row(c.User, c.Name, takes(c, h.Kind, nobody), c.Why)
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if t.Len() < len(list) {
		a.printf("… and %s more; --limit 0 shows all.\n", number(len(list)-t.Len()))
	}
	a.printf("\nDecide about all of them, or name some behind the hold:\n  dirsync approve %[1]s\n  dirsync reject %[1]s --reason TEXT\n", h.Name())
	return nil
}

// decidePushed decides a hold of what clients push, if args[0] is one.
func (a *app) decidePushed(ctx context.Context, args []string, d decision) (done bool, err error) {
	return a.withPushedHold(ctx, args[0], true, func(p *pushing, h dirsync.Hold, digest string) error {
		v := pushVerdict{hold: h, digest: digest, by: a.decider(), why: d.why, approve: d.approve}
		_, list, err := p.guard.current(ctx, h)
		if err != nil {
			return err
		}
		for _, key := range args[1:] {
			id, err := onList(list, key)
			if err != nil {
				return err
			}
			v.people = append(v.people, id)
		}
		n, err := p.decide(ctx, v)
		if err != nil {
			return err
		}
		view := decisionView{Hold: h.Name(), Sync: h.Sync, Decision: d.word(), By: v.by, People: n}
		if a.json() {
			return writeJSON(a.stdout, view)
		}
		who := "everybody on it"
		if n < h.People {
			who = number(n) + " of the " + number(h.People) + " on it"
		}
		a.printf("hold %s: %s for %s, by %s.\n", view.Hold, view.Decision, who, clean(view.By))
		if d.approve {
			a.printf("It was done at once.\n")
		} else {
			a.printf("They are as they were before the client's request, and the client sees them so.\n")
		}
		return nil
	})
}

// onList finds somebody on a list by id, name, external id or e-mail address.
func onList(list []dirsync.Resource, key string) (string, error) {
	var found []string
	for _, r := range list {
		if r.ID == key || r.ExternalID == key || dirsync.Fold(r.Name) == dirsync.Fold(key) ||
			slices.ContainsFunc(r.Emails, func(e string) bool { return dirsync.Fold(e) == dirsync.Fold(key) }) {
			found = append(found, r.ID)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", &dirsync.Error{Op: "find " + key, Kind: dirsync.NotFound, Err: errors.New("nobody on the list goes by that name")}
	}
	return "", &dirsync.Error{Op: "find " + key, Kind: dirsync.Conflict, Err: errors.New(strconv.Itoa(len(found)) + " on the list go by that name"),
		Hint: "Give an id: " + strings.Join(found, ", ")}
}

// decide carries a decision out, and says so in the log.
func (p *pushing) decide(ctx context.Context, v pushVerdict) (int, error) {
	n, err := p.guard.decide(ctx, p.handler.Load(), v)
	if err == nil {
		p.log.Info().Str("sync", pushed).Str("hold", v.hold.Name()).Bool("approved", v.approve).Int("people", n).Str("by", v.by).
			Msg("a hold was decided")
	}
	return n, err
}

// pushedHold finds a hold of what clients push.
func (d *daemon) pushedHold(ctx context.Context, id dirsync.HoldID) (dirsync.Hold, bool, error) {
	if d.pushing == nil {
		return dirsync.Hold{}, false, nil
	}
	return d.pushing.guard.find(ctx, id)
}

// pushedHeld lists the holds of what clients push for the API, those before a number.
func (d *daemon) pushedHeld(ctx context.Context, status dirsync.HoldStatus, before dirsync.HoldID) ([]dirsync.Hold, error) {
	if d.pushing == nil {
		return nil, nil
	}
	all, err := d.pushing.guard.all(ctx, true)
	return slices.DeleteFunc(all, func(h dirsync.Hold) bool {
		return before != 0 && h.ID >= before || status != "" && holdStatus(h, d.now()) != status
	}), err
}

// pushedChanges is a page of a hold's list for the API.
func (d *daemon) pushedChanges(ctx context.Context, h dirsync.Hold, after dirsync.PlanKey, limit int) ([]web.HeldChange, error) {
	_, list, err := d.pushing.guard.current(ctx, h)
	if err != nil {
		return nil, err
	}
	changes := make([]dirsync.Change, len(list))
	for i, r := range list {
		changes[i] = pendingChange(d.pushing.guard.whenDeleted(), r)
	}
	slices.SortFunc(changes, func(a, b dirsync.Change) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return int(a.Seq) - int(b.Seq)
	})
	var out []web.HeldChange
	for _, c := range changes {
		if c.Kind < after.Kind || c.Kind == after.Kind && c.Seq <= after.Seq {
			continue
		}
		if len(out) == limit {
			break
		}
		out = append(out, web.HeldChange{Change: web.ChangeView(dirsync.Outcome{Change: c})})
	}
	return out, nil
}

// decidePushed decides a hold of what clients push for the API.
func (d *daemon) decidePushed(ctx context.Context, h dirsync.Hold, v web.Verdict, approve bool) (int, error) {
	verdict := pushVerdict{hold: h, digest: v.Digest, by: v.By, why: v.Why, approve: approve}
	for _, id := range v.People {
		verdict.people = append(verdict.people, string(id))
	}
	return d.pushing.decide(ctx, verdict)
}
