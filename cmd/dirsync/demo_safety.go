package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/sync/engine"
)

// demoVanish is the smallest number of people who vanish in the demonstration: more than the floor of the limits.
const demoVanish = 8

// accident shows what becomes of an accident: many people vanish from the tenant at once.
func (d *demo) accident(ctx context.Context) error {
	d.configPath = filepath.Join(d.dir, "config.yaml") // for the commands that are shown
	gone := d.vanish()
	if len(gone) < demoVanish {
		return nil // too small a company for so large an accident
	}
	d.step("9. Somebody's script deletes " + counted(len(gone), "person", "people") + " in the tenant. Nobody loses an account (dirsync run, dirsync holds)")
	if err := d.brief(ctx); err != nil {
		return err
	}
	h, err := openHold(ctx, d.staff.engine)
	if err != nil {
		return err
	}
	left := gone[:2]
	found := foundHold{part{d.staff, d.staff.engine, false}, h, h.Digest[:8]}
	if !d.json() {
		d.printf("\n")
		if err := d.showHold(ctx, found, 4); err != nil {
			return err
		}
	}
	d.step("10. Two of them have really left, and go; the others wait (dirsync approve " + h.Name() + " USER...)")
	v := engine.Verdict{Hold: h.ID, Digest: found.digest, By: "demo"}
	for _, u := range left {
		v.People = append(v.People, dirsync.ID(text(u, "id")))
	}
	if _, err := d.staff.engine.Approve(ctx, v); err != nil {
		return err
	}
	if err := d.brief(ctx); err != nil {
		return err
	}
	d.step("11. Why does " + text(left[0], "displayName") + " have no account any more? (dirsync explain USER)")
	if err := d.explainOne(ctx, dirsync.ID(text(left[0], "id"))); err != nil {
		return err
	}
	d.step("12. That was a mistake, too: it is taken back (dirsync undo RUN USER)")
	return d.takeBack(ctx, text(left[0], "userPrincipalName"))
}

// vanish deletes a tenth of the people whom the directory has, but not those of the groups.
func (d *demo) vanish() []graphtest.User {
	users := candidates(d.tenant.Users())
	inGroups := map[string]bool{}
	for _, u := range d.inGroups() {
		inGroups[text(u, "id")] = true
	}
	others := slices.DeleteFunc(slices.Clone(users), func(u graphtest.User) bool { return inGroups[text(u, "id")] || notLatin(u) })
	n := max(demoVanish, len(users)/10)
	if len(others) < n+demoVanish {
		return nil
	}
	gone := others[len(others)-n:]
	for _, u := range gone {
		d.tenant.Delete(text(u, "id"))
	}
	return gone
}

// brief makes a run and shows it without the people who stand rejected, who were shown before.
func (d *demo) brief(ctx context.Context) error {
	if d.json() {
		return d.sync(ctx, d.staff)
	}
	r, err := d.staff.engine.Run(ctx, engine.Options{AskedBy: "demo", RetryNow: true})
	if err != nil {
		return err
	}
	return d.printRun(r)
}

// openHold is the newest hold that waits for a decision.
func openHold(ctx context.Context, e *engine.Engine) (dirsync.Hold, error) {
	var newest dirsync.Hold
	err := eachHold(ctx, e, func(h dirsync.Hold) error {
		if h.Status != dirsync.HoldOpen {
			return nil
		}
		newest = h
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err == nil && newest.ID == 0 {
		err = &dirsync.Error{Op: "demo", Kind: dirsync.NotFound, Err: errors.New("nothing was held back")}
	}
	return newest, err
}

func (d *demo) explainOne(ctx context.Context, id dirsync.ID) error {
	if d.json() {
		return nil
	}
	p, err := d.staff.sync.Person(ctx, id)
	if err != nil {
		return err
	}
	v, err := d.explain(ctx, d.staff, p)
	if err != nil {
		return err
	}
	d.printFacts(v)
	return d.printChanges(v, d.now(), groupNames(ctx, d.staff.sync))
}

// takeBack undoes the latest run for one person.
func (d *demo) takeBack(ctx context.Context, user string) error {
	runs, err := d.staff.sync.Runs(ctx, 0, 1)
	if err != nil || len(runs) == 0 {
		return err
	}
	u, err := d.findUndo(ctx, []*wired{d.staff}, runs[0].ID, []string{user}, false)
	if err != nil || d.json() {
		return err
	}
	if err := d.previewUndo(ctx, u, []string{user}, 0); err != nil {
		return err
	}
	d.printf("\n")
	if err := d.undo(ctx, u, u.digest()); err != nil && !said(err) {
		return err
	}
	d.printf("\nThe others still wait for somebody to decide.\n")
	return nil
}
