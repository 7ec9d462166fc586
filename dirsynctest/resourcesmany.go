package dirsynctest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"dirsync"
)

func (t *resourceTest) owns() {
	r := employee("ann")
	ann := t.create(r)
	r.Emails[0], r.Document[0], r.Values[0].Value.Text = "changed", 'x', "changed"
	kept := t.get(ann)
	seen := t.get(ann)
	seen.Emails[0], seen.Document[0], seen.Values[0].Value.Text = "changed", 'x', "changed"
	var mine dirsync.Resource
	t.edit(ann, func(e *dirsync.ResourceEdit) { mine = e.Resource })
	mine.Emails[0], mine.Document[0], mine.Values[0].Value.Text = "changed", 'x', "changed"
	t.is(kept)
	if kept.Emails[0] != "ann@work.example" {
		t.Errorf("got %q: the store keeps what the caller has changed since", kept.Emails[0])
	}
}

func (t *resourceTest) cancels() {
	ann := t.create(employee("ann"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := t.s.CreateResource(ctx, employee("bob"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("CreateResource: got %v, want context.Canceled", err)
	}
	_, err := t.s.EditResource(ctx, ann.Kind, ann.ID, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		r.Name = "changed"
		return dirsync.ResourceEdit{Resource: r}, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("EditResource: got %v, want context.Canceled", err)
	}
	t.is(ann)
	if got := t.find(dirsync.KindUser, dirsync.ByName, "bob"); got != "" {
		t.Errorf("found %s", got)
	}
}

// concurrent has many callers add to the same text, make resources, and join the same group.
func (t *resourceTest) concurrent() {
	const callers, times = 8, 6
	shared, sales := t.create(employee("shared")), t.create(team("sales"))
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range times {
				own, err := t.s.CreateResource(t.Context(), employee(fmt.Sprintf("p%d.%d", c, i)), nil)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = t.try(sales, func(e *dirsync.ResourceEdit) { e.Add = []string{own.ID} })
				_, err2 := t.try(shared, func(e *dirsync.ResourceEdit) { e.Resource.Document = append(e.Resource.Document, byte('a'+c)) })
				if err := errors.Join(err, err2); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	added := t.get(shared).Document[len(shared.Document):]
	for c := range callers {
		if got := strings.Count(string(added), string(rune('a'+c))); got != times {
			t.Errorf("caller %d has made %d of %d changes", c, got, times)
		}
	}
	members, err := t.s.ResourceMembers(t.Context(), sales.ID, "", 1000)
	if n, err2 := t.s.CountResources(t.Context(), dirsync.KindUser); len(members) != callers*times || n != 1+callers*times || err != nil || err2 != nil {
		t.Errorf("got %d members of %d users, %v and %v; want %d", len(members), n, err, err2, callers*times)
	}
}

// oneName has many callers make a resource of the same name: one of them does, and the others are told who.
func (t *resourceTest) oneName() {
	const callers = 8
	made, errs := make([]dirsync.Resource, callers), make([]error, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() { made[c], errs[c] = t.s.CreateResource(t.Context(), dirsync.Resource{Name: "one"}, nil) })
	}
	wg.Wait()
	var id string
	for c := range callers {
		if errs[c] == nil {
			if id != "" {
				t.Errorf("both %s and %s were made", id, made[c].ID)
			}
			id = made[c].ID
		}
	}
	for _, err := range errs {
		if err == nil {
			continue
		}
		if e := t.refusal("the same name", err, dirsync.Conflict); e.Other != id {
			t.Errorf("got %q, want %q", e.Other, id)
		}
	}
}
