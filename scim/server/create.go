package server

import (
	"errors"
	"math"
	"net/http"

	"dirsync"
	"dirsync/scim"
)

// create makes a resource of what a client sent, or brings back one that a client has deleted.
func (c *call) create(k *kind, body *scim.Object) (outcome, error) {
	if c.match != "" {
		return outcome{}, refuse(http.StatusPreconditionFailed, "", "what is not there yet has no version")
	}
	o, quirks, err := k.Accept(body)
	c.event.Quirks = append(c.event.Quirks, quirks...)
	if err != nil {
		return outcome{}, err
	}
	c.event.Name, _ = o.Text(k.name)
	c.event.Name = clip(c.event.Name, maxKey)
	members, err := memberIDs(o.List("members"))
	if err != nil {
		return outcome{}, err
	}
	c.event.Changed = changed(nil, o)
	for range maxQuestions {
		// Whoever was to be brought back, or had the name, may have gone for good in between: a deletion was approved.
		if done, err := c.enter(k, o.Clone(), members); !gone(err) {
			return done, err
		}
	}
	return outcome{}, busy()
}

// enter makes a resource, or brings one back. It may take o for its own.
func (c *call) enter(k *kind, o *scim.Object, members []string) (outcome, error) {
	c.event.ID = ""
	if external, _ := o.Text("externalId"); external != "" && len(external) <= maxKey {
		found, err := c.s.config.Store.FindResources(c.ctx, k.of, dirsync.ByExternalID, external, 16)
		if err != nil {
			return outcome{}, err
		}
		for i := range found {
			if invisible(&found[i]) {
				return c.revive(k, found[i].ID, o, members)
			}
		}
	}
	fresh, have := dirsync.Resource{Kind: k.of}, known{}
	for {
		fresh = dirsync.Resource{Kind: k.of}
		err := c.takeNew(k, o, &fresh, &have)
		if ask, ok := err.(*question); ok { //nolint:errorlint // take returns it as it is
			if err = c.lookUp(ask.people, &have); err == nil {
				continue
			}
		}
		if err != nil {
			return outcome{}, err
		}
		break
	}
	r, err := c.s.config.Store.CreateResource(c.ctx, fresh, members)
	if err != nil {
		return c.taken(k, o, members, err)
	}
	c.event.ID = r.ID
	return outcome{status: http.StatusCreated, r: r, fresh: true}, c.arrived(k, &r)
}

// takeNew is take for a resource that is not there yet: nobody is asked whether it may be inactive.
func (c *call) takeNew(k *kind, o *scim.Object, r *dirsync.Resource, have *known) error {
	active, said := o.Bool("active")
	r.Active = active || !said
	return c.take(k, nil, o, r, have)
}

// taken answers a creation whose name somebody has: by bringing them back if a client has deleted them. If nobody has it any
// more, gone is true of the error.
func (c *call) taken(k *kind, o *scim.Object, members []string, conflict error) (outcome, error) {
	if dirsync.KindOf(conflict) != dirsync.Conflict {
		return outcome{}, c.explain(conflict)
	}
	found, err := c.s.config.Store.FindResources(c.ctx, k.of, dirsync.ByName, c.event.Name, 1)
	if err != nil {
		return outcome{}, err
	}
	if e, ok := errors.AsType[*dirsync.Error](conflict); ok && e.Field == k.name && len(found) == 0 {
		return outcome{}, notFound(k)
	}
	if len(found) == 0 || !invisible(&found[0]) {
		return outcome{}, c.explain(conflict)
	}
	return c.revive(k, found[0].ID, o, members)
}

// revive brings back a resource that a client has deleted: under its id, with what the client says now.
func (c *call) revive(k *kind, id string, o *scim.Object, members []string) (outcome, error) {
	c.event.ID = id
	if err := c.leaveGroups(k, id); err != nil {
		return outcome{}, err
	}
	another := false
	r, err := c.edit(k, id, func(r dirsync.Resource, have *known) (dirsync.ResourceEdit, error) {
		external, _ := o.Text("externalId")
		another = external != "" && r.ExternalID != "" && external != r.ExternalID
		switch {
		case !invisible(&r):
			return dirsync.ResourceEdit{}, refuse(http.StatusConflict, scim.Uniqueness, "%s is in use by another resource", k.name)
		case r.Source != "":
			return dirsync.ResourceEdit{}, owned(k)
		}
		r.Pending = 0
		o := o.Clone()
		if _, said := o.Get("active"); !said && k.of == dirsync.KindUser {
			o.Set("active", true) // It is a new user to the client.
		}
		if err := c.take(k, nil, o, &r, have); err != nil {
			return dirsync.ResourceEdit{}, err
		}
		return dirsync.ResourceEdit{Resource: r, Add: members, Only: k.of == dirsync.KindGroup}, nil
	})
	if err != nil {
		return outcome{}, c.explain(err)
	}
	if another {
		c.event.Quirks = append(c.event.Quirks, scim.Quirk{Code: BroughtBack,
			Text: "the " + k.name + " is that of one who was deleted, with another externalId; brought back under the same id"})
	}
	return outcome{status: http.StatusCreated, r: r}, c.arrived(k, &r)
}

// leaveGroups takes somebody who was deleted, and is kept, out of all groups before they are brought back: to the client they
// are new, and are in the groups into which it puts them. Otherwise whoever is given the name of somebody who has left would
// have their rights as well. Whose deletion still waits for approval has never left.
func (c *call) leaveGroups(k *kind, id string) error {
	if k.of != dirsync.KindUser {
		return nil
	}
	r, err := c.s.config.Store.Resource(c.ctx, k.of, id)
	if dirsync.KindOf(err) == dirsync.NotFound {
		return notFound(k)
	}
	if err != nil || r.Pending != 0 || !invisible(&r) {
		return err
	}
	groups, err := c.s.config.Store.ResourceGroups(c.ctx, id, math.MaxInt)
	for i := 0; i < len(groups) && err == nil; i++ {
		_, err = c.s.config.Store.EditResource(c.ctx, dirsync.KindGroup, groups[i].ID, func(g dirsync.Resource) (dirsync.ResourceEdit, error) {
			if g.Source != "" { // It is not the clients' business.
				return dirsync.ResourceEdit{Resource: g}, nil
			}
			return dirsync.ResourceEdit{Resource: g, Remove: []string{id}}, nil
		})
		if dirsync.KindOf(err) == dirsync.NotFound {
			err = nil // The group was deleted in between.
		}
	}
	return err
}
