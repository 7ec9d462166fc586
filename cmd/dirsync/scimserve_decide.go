package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"dirsync"
	"dirsync/scim/server"
)

// pendingChange is a pending resource as a line of a hold's list.
func pendingChange(policy WhenDeleted, r dirsync.Resource) dirsync.Change {
	c := dirsync.Change{Kind: dirsync.Deactivate, Person: dirsync.ID(r.ID), Account: r.ID, User: r.Name, Name: r.Display, Why: "was deactivated by a SCIM client"}
	if r.Pending == dirsync.Delete {
		c.Why = "was deleted by a SCIM client"
		if policy == DeleteDeleted || r.Kind == dirsync.KindGroup {
			c.Kind, c.Before = dirsync.Delete, r.Values
		}
	}
	if n, err := strconv.ParseUint(strings.TrimLeft(r.ID, "ug"), 10, 64); err == nil {
		c.Seq = dirsync.Seq(n)
	}
	return c
}

// pushVerdict is what somebody decides about a hold; see engine.Verdict.
type pushVerdict struct {
	hold    dirsync.Hold
	digest  string
	people  []string // ids; nil: everybody on the list
	by, why string
	approve bool
}

// decide carries a decision out, and returns about how many it was.
func (g *pushGuard) decide(ctx context.Context, s *server.Server, v pushVerdict) (int, error) {
	g.deciding.Lock()
	defer g.deciding.Unlock()
	verb, status := "reject", dirsync.HoldRejected
	if v.approve {
		verb, status = "approve", dirsync.HoldApproved
	}
	fail := func(hint, format string, args ...any) error {
		return &dirsync.Error{Op: verb + " hold " + v.hold.Name(), Kind: dirsync.Conflict, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	h, list, err := g.current(ctx, v.hold)
	switch {
	case err != nil:
		return 0, err
	case h.Status != dirsync.HoldOpen:
		return 0, fail("", "it is not open any more: it is %s", h.Status)
	case v.people == nil && (len(v.digest) < 8 || !strings.HasPrefix(h.Digest, v.digest)):
		// Who is named was seen, however many have come onto the list since; a client that goes on must not keep everybody from
		// deciding.
		return 0, fail("Look at it with dirsync holds "+strconv.FormatUint(uint64(h.ID), 10)+"; it is named "+h.Name()+".", "it has another list by now")
	}
	meant := list
	if v.people != nil {
		meant = slices.DeleteFunc(slices.Clone(list), func(r dirsync.Resource) bool { return !slices.Contains(v.people, r.ID) })
		if len(meant) < len(v.people) {
			return 0, fail("", "somebody who was named is not on it")
		}
	}
	if err := g.carryOut(ctx, s, meant, v.approve); err != nil {
		return 0, fmt.Errorf("%s hold %s: %w", verb, v.hold.Name(), err)
	}
	// Who is pending stays noted: a client may have asked again meanwhile. The others are forgotten when the list is read.
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(meant) < len(list) {
		return len(meant), nil
	}
	h.Status, h.By, h.Why, h.At = status, v.by, v.why, g.now().UTC()
	delete(g.open, heldKind{h.Kind, h.Groups})
	g.wake()
	return len(meant), g.holds.SaveHold(ctx, h)
}

// decideAtOnce is how many are decided at the same time: the store commits them together.
const decideAtOnce = 64

// carryOut does, or drops, what waits. It goes on after an error, so that nobody waits for somebody else's.
func (g *pushGuard) carryOut(ctx context.Context, s *server.Server, list []dirsync.Resource, approve bool) error {
	g.mu.Lock()
	verdict := server.Allow
	if g.policy == DeactivateDeleted {
		verdict = server.Deactivate
	}
	g.mu.Unlock()
	var all sync.WaitGroup
	places := make(chan struct{}, decideAtOnce)
	errs := make([]error, len(list))
	for i, r := range list {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			if approve {
				errs[i] = s.Approve(ctx, r.Kind, r.ID, r.Pending, verdict)
			} else {
				errs[i] = s.Withdraw(ctx, r.Kind, r.ID, r.Pending)
			}
			if dirsync.KindOf(errs[i]) == dirsync.NotFound {
				errs[i] = nil
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
