package server

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"dirsync"
)

// A reference to somebody who is not here yet is kept as it was sent, in the document, and waits. When a user comes who has
// that id or externalId, it becomes the value of its field.

// waiting knows who waits for whom.
type waiting struct {
	mu sync.Mutex
	// by holds, for what a reference says, the ids of those who have it.
	by map[string][]string
}

func (w *waiting) add(text, user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[string][]string{}
	}
	if !slices.Contains(w.by[text], user) {
		w.by[text] = append(w.by[text], user)
	}
}

// take returns who waits for somebody, and forgets them.
func (w *waiting) take(text string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	users := w.by[text]
	delete(w.by, text)
	return users
}

// person finds out whom a reference means: by id, or by an externalId that one user alone has. "" is nobody.
func (s *Server) person(ctx context.Context, text string) (string, error) {
	if len(text) <= 256 {
		r, err := s.config.Store.Resource(ctx, dirsync.KindUser, text)
		switch {
		case err == nil && !invisible(&r):
			return r.ID, nil
		case err != nil && dirsync.KindOf(err) != dirsync.NotFound:
			return "", err
		}
	}
	found, err := s.config.Store.FindResources(ctx, dirsync.KindUser, dirsync.ByExternalID, text, 3)
	if err != nil {
		return "", err
	}
	found = slices.DeleteFunc(found, func(r dirsync.Resource) bool { return invisible(&r) })
	if len(found) != 1 {
		return "", nil
	}
	return found[0].ID, nil
}

// arrived is called after a resource was written: for whom it waits, and who has waited for it.
func (c *call) arrived(k *kind, r *dirsync.Resource) error {
	c.event.ID, c.event.Name = r.ID, r.Name
	if k.of != dirsync.KindUser {
		return nil
	}
	// The client is answered whatever becomes of this: its own request is done.
	if err := c.s.settleWaiting(context.WithoutCancel(c.ctx), r); err != nil {
		c.s.config.Log.Error().Err(err).Str("id", r.ID).Msg("settle references that wait")
	}
	return nil
}

func (s *Server) settleWaiting(ctx context.Context, r *dirsync.Resource) error {
	if flagged(r, waits) {
		if err := s.wait(ctx, r); err != nil {
			return err
		}
	}
	for _, text := range []string{r.ID, r.ExternalID} {
		if text == "" {
			continue
		}
		users := s.waiting.take(text)
		for i, user := range users {
			if err := s.resolve(ctx, user, text); err != nil {
				for _, again := range users[i:] {
					s.waiting.add(text, again)
				}
				return err
			}
		}
	}
	return nil
}

// wait remembers for whom a user waits. Whoever has come in between is found at once.
func (s *Server) wait(ctx context.Context, r *dirsync.Resource) error {
	o, err := s.object(s.users(), r)
	if err != nil {
		return err
	}
	for i := range s.fields {
		f := &s.fields[i]
		if f.Type != dirsync.Reference {
			continue
		}
		v, _ := f.of(o)
		text, ok := plain(v)
		if value, _ := r.Values.Get(f.Name); !ok || text == "" || !value.IsNull() {
			continue
		}
		s.waiting.add(text, r.ID)
		if id, err := s.person(ctx, text); err != nil || id == "" {
			if err != nil {
				return err
			}
			continue
		}
		if err := s.resolve(ctx, r.ID, text); err != nil {
			return err
		}
	}
	return nil
}

// resolve gives a user's waiting references that say text the value of whom they mean.
func (s *Server) resolve(ctx context.Context, user, text string) error {
	id, err := s.person(ctx, text)
	if err != nil {
		return err
	}
	if id == "" {
		s.waiting.add(text, user) // There are two by now, or nobody again.
		return nil
	}
	_, err = s.config.Store.EditResource(ctx, dirsync.KindUser, user, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		edit := dirsync.ResourceEdit{Resource: r}
		o, err := s.object(s.users(), &r)
		if err != nil || r.Source != "" {
			return edit, err
		}
		values, left := slices.Clone(r.Values), byte(0)
		for i := range s.fields {
			f := &s.fields[i]
			if f.Type != dirsync.Reference {
				continue
			}
			v, _ := f.of(o)
			said, _ := plain(v)
			switch value, _ := r.Values.Get(f.Name); {
			case said == "" || !value.IsNull():
			case said == text:
				values = values.Set(f.Name, dirsync.Value{Type: dirsync.Reference, Text: id})
			default:
				left = waits
			}
		}
		e, err := open(r.Document)
		if err != nil {
			return edit, err
		}
		edit.Resource.Values = values
		return edit, s.write(s.users(), &edit.Resource, o, e.flags&^waits|left)
	})
	if dirsync.KindOf(err) == dirsync.NotFound {
		return nil
	}
	return err
}

// Resume reads everybody once and takes up the references that waited when the program ended last. Call it after New, in
// a goroutine of its own; requests are answered meanwhile.
func (s *Server) Resume(ctx context.Context) error {
	for _, k := range s.kinds {
		if err := k.unseen.look(ctx, s, k); err != nil {
			return fmt.Errorf("count whom clients see: %w", err)
		}
	}
	for after := ""; ; {
		page, err := s.config.Store.Resources(ctx, dirsync.KindUser, after, 0, scanAtOnce)
		if err != nil {
			return fmt.Errorf("take up references that wait: %w", err)
		}
		for i := range page {
			if !flagged(&page[i], waits) {
				continue
			}
			if err := s.wait(ctx, &page[i]); err != nil {
				return fmt.Errorf("take up references that wait: %w", err)
			}
		}
		if len(page) < scanAtOnce {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

// Approve carries out what waits for approval, and does nothing if it is not what, Delete or Deactivate, that waits: a client
// may have asked for something else since it was shown to whoever approves. Verdict is Allow, or Deactivate to keep a deleted
// user inactive.
func (s *Server) Approve(ctx context.Context, k dirsync.Kind, id string, what dirsync.ChangeKind, verdict Verdict) error {
	return s.settle(ctx, k, id, what, func(kind *kind, edit *dirsync.ResourceEdit) error {
		r := &edit.Resource
		switch {
		case r.Pending == dirsync.Delete && verdict == Deactivate && k == dirsync.KindUser:
			return hide(kind, r)
		case r.Pending == dirsync.Delete:
			edit.Delete = true
		case r.Pending == dirsync.Deactivate:
			r.Active, r.Pending = false, 0
		}
		return nil
	})
}

// Withdraw drops what waits for approval, if it is what that waits: the resource is again what it was before the client's
// request, and the client sees it so.
func (s *Server) Withdraw(ctx context.Context, k dirsync.Kind, id string, what dirsync.ChangeKind) error {
	return s.settle(ctx, k, id, what, func(_ *kind, edit *dirsync.ResourceEdit) error {
		edit.Resource.Pending = 0
		return nil
	})
}

func (s *Server) settle(ctx context.Context, k dirsync.Kind, id string, what dirsync.ChangeKind, fn func(*kind, *dirsync.ResourceEdit) error) error {
	kind := s.users()
	if k == dirsync.KindGroup {
		kind = s.groups()
	}
	r, err := s.config.Store.EditResource(ctx, k, id, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		edit := dirsync.ResourceEdit{Resource: r}
		if r.Pending == 0 || r.Pending != what {
			return edit, nil
		}
		err := fn(kind, &edit)
		return edit, err
	})
	if err == nil {
		kind.unseen.note(&r)
	}
	if err == nil && k == dirsync.KindUser && !invisible(&r) {
		err = s.settleWaiting(ctx, &r) // A reference to somebody who seemed to be gone has waited for them.
	}
	if err != nil {
		return fmt.Errorf("decide what waits for approval: %w", err)
	}
	return nil
}
