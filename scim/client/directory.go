package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"dirsync"
	"dirsync/scim"
)

const (
	// fresh is how long a listing answers who is there. It is longer than a run takes to plan, and shorter than the time
	// between runs; who came meanwhile shows as a conflict.
	fresh = time.Hour
	// settling is how long a list may take to show what was written.
	settling = 5 * time.Minute
)

// directory is what is known of who is there: users by whose they are and by their names, or groups.
type directory struct {
	c *Client
	// endpoint is "/Users" or "/Groups"; key is the attribute by which the target tells resources apart.
	endpoint, key, what string

	building lock // one listing at a time
	mu       sync.Mutex
	table    *index // nil: not known
	// partial says that somebody may be there who is not in the table: only that somebody is there can be learned from it.
	partial bool
	// built is when the listing that made the table began.
	built time.Time
	// pages is how many requests the last listing took; 0 if there was none.
	pages int
	// own are the writes of the last minutes, newest last, which a list may not show yet.
	own []ownWrite
	// doubtful are people of whom a creation may have taken effect: they are looked for, whatever the table says.
	doubtful map[dirsync.ID]bool
	// filters says what was learned about filters, by attribute; sample is the name of a resource that a list has shown.
	filters map[string]bool
	sample  string
}

// ownWrite is an account as this client left it; gone without a person and name if it was deleted. Whose it is may be
// unsaid.
type ownWrite struct {
	at     time.Time
	id     string
	person dirsync.ID
	name   string
	gone   bool
	unsaid bool
}

func newDirectory(c *Client, endpoint, key, what string) *directory {
	return &directory{c: c, endpoint: endpoint, key: key, what: what, building: make(lock, 1), doubtful: map[dirsync.ID]bool{}, filters: map[string]bool{}}
}

// noted remembers what a write left.
func (d *directory) noted(id string, person dirsync.ID, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(ownWrite{at: time.Now(), id: id, person: person, name: name})
	delete(d.doubtful, person)
}

// changed remembers what a write left of which it is not known whose the account is: what was known of that stays.
func (d *directory) changed(id, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(ownWrite{at: time.Now(), id: id, name: name, unsaid: true})
}

// forgot remembers that an account is not there.
func (d *directory) forgot(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keep(ownWrite{at: time.Now(), id: id, gone: true})
}

// keep adds a write. What it does not say, the write before it does.
func (d *directory) keep(w ownWrite) {
	if !w.gone && (w.unsaid || w.name == "") {
		for _, before := range slices.Backward(d.own) {
			if before.id != w.id {
				continue
			}
			if w.name == "" {
				w.name = before.name
			}
			if w.unsaid && !before.gone {
				w.person, w.unsaid = before.person, before.unsaid
			}
			break
		}
	}
	n := 0
	for n < len(d.own) && w.at.Sub(d.own[n].at) > settling {
		n++
	}
	d.own = append(d.own[n:], w)
	if d.table != nil {
		w.onto(d.table)
	}
}

func (w ownWrite) onto(x *index) {
	switch {
	case w.gone:
		x.remove(w.id)
	case w.unsaid:
		person, _ := x.account(w.id)
		x.set(w.id, person, w.name)
	default:
		x.set(w.id, w.person, w.name)
	}
}

// unsure forgets what this client has written to an account, because a later write failed and may have taken effect: from
// here on lists are believed.
func (d *directory) unsure(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own = slices.DeleteFunc(d.own, func(w ownWrite) bool { return w.id == id })
}

// doubt says that a creation may have taken effect.
func (d *directory) doubt(person dirsync.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.doubtful[person] = true
}

// known answers from the table; the last result is false if it cannot.
func (d *directory) known(person dirsync.ID) (id string, sure bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.table == nil || time.Since(d.built) > fresh || d.doubtful[person] {
		return "", false
	}
	id, _ = d.table.person(person)
	return id, id != "" || !d.partial
}

// owner says whose an account is, from the table.
func (d *directory) owner(id string) (person dirsync.ID, sure bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.table == nil || time.Since(d.built) > fresh {
		return "", false
	}
	return d.table.account(id)
}

// whose is owner from a listing of any age, for reading what an answer refers to: ids are never another one's. The last
// result is false if there was no listing at all.
func (d *directory) whose(id string) (person dirsync.ID, listed bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.table == nil {
		return "", false
	}
	person, _ = d.table.account(id)
	return person, true
}

func (d *directory) named(name string) (id string, sure bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.table == nil || time.Since(d.built) > fresh {
		return "", false
	}
	id, _ = d.table.named(name)
	return id, id != "" || !d.partial
}

// errEnough stops a listing that costs more than asking for each.
var errEnough = errors.New("enough")

// prepare makes ready to answer n questions about who is there, at the cost of the fewest requests: by a listing, or by
// nothing at all where asking for each costs less and works.
func (d *directory) prepare(ctx context.Context, n int) error {
	d.mu.Lock()
	ready := d.table != nil && time.Since(d.built) <= fresh
	cheap := d.pages > 0 && n < d.pages && d.filters["externalId"] || d.c.profile.Filter == FilterWorks && n == 1
	d.mu.Unlock()
	if n == 0 || ready || cheap {
		return nil
	}
	return d.refresh(ctx, n, nil)
}

// refresh lists everybody and calls fn, if it is not nil, for each. If only n questions are to be answered and that turns
// out to be cheaper with filters, it stops after the first page that shows it; zero means that the whole list is wanted.
func (d *directory) refresh(ctx context.Context, n int, fn func(*scim.Object) error) error {
	asked := time.Now()
	if err := d.building.acquire(ctx); err != nil {
		return d.c.fault(call{op: "list " + d.what}, dirsync.Unavailable, err)
	}
	defer d.building.release()
	if fn == nil && d.listedSince(asked) {
		return nil // somebody else has just done it
	}
	table := newIndex()
	k := call{op: "list " + d.what, path: d.endpoint, query: url.Values{}}
	if d.endpoint == "/Groups" {
		k.query.Set("excludedAttributes", "members")
	}
	w := &walk{c: d.c, call: k}
	var sample []*scim.Object
	w.page = func(resources []*scim.Object, more int) error {
		if sample == nil {
			sample = resources
		}
		if n > 0 && n < more && d.filtering(ctx, resources) {
			d.mu.Lock()
			d.pages = w.requests + more
			d.mu.Unlock()
			return errEnough
		}
		return nil
	}
	began := time.Now()
	err := w.each(ctx, func(o *scim.Object) error {
		name, _ := o.Text(d.key)
		table.set(identifier(o), source(o), name)
		if fn == nil {
			return nil
		}
		return fn(o)
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	// Whom a list never shows can still be asked for, where that is possible.
	partial := errors.Is(err, errShort) && fn == nil && d.filtering(ctx, sample)
	if err != nil && !partial {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.partial = partial
	latest := make(map[string]int, len(d.own))
	for i, own := range d.own {
		latest[own.id] = i
	}
	for i, own := range d.own {
		// Only what was written last counts: an account that is gone must not even for a moment take the place, in the table, of
		// a newer one with the same name.
		if latest[own.id] == i && began.Sub(own.at) <= settling {
			own.onto(table)
		}
	}
	d.table, d.built, d.pages = table, began, max(1, w.requests)
	// Whoever is in the list is found; who is not, and was doubtful, may still be on the way.
	for person := range d.doubtful {
		if _, ok := table.person(person); ok {
			delete(d.doubtful, person)
		}
	}
	return nil
}

func (d *directory) listedSince(moment time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.table != nil && d.built.After(moment)
}

// lock is held by one at a time, also while something is waited for; whoever waits for it can give up.
type lock chan struct{}

func (l lock) acquire(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l lock) release() { <-l }

// source is whose a resource is.
func source(o *scim.Object) dirsync.ID {
	v, _ := o.Get("externalId")
	return dirsync.ID(plain(v))
}

// find returns the id of a person's account, "" if there is none.
func (d *directory) find(ctx context.Context, person dirsync.ID) (string, error) {
	if person == "" {
		return "", nil
	}
	if id, sure := d.known(person); sure {
		return id, nil
	}
	if d.mayAsk("externalId") {
		found, err := d.ask(ctx, "externalId", string(person))
		if err == nil {
			if len(found) == 0 {
				return "", nil
			}
			return identifier(found[0]), nil
		}
		if !errors.Is(err, errNoFilter) {
			return "", err
		}
	}
	if err := d.refresh(ctx, 0, nil); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	id, _ := d.table.person(person)
	if id == "" && d.partial {
		return "", d.unproven()
	}
	return id, nil
}

// unproven says that somebody may be there who is not shown.
func (d *directory) unproven() error {
	return d.c.fault(call{op: "find " + d.what}, dirsync.Unavailable, errors.New("the list shows fewer than it counts, so that it cannot tell who is not there"))
}

// holder returns the resource with a name, nil if there is none.
func (d *directory) holder(ctx context.Context, name string) (*scim.Object, error) {
	if name == "" {
		return nil, nil //nolint:nilnil // nobody has no name
	}
	if d.mayAsk(d.key) {
		found, err := d.ask(ctx, d.key, name)
		if err == nil && len(found) > 0 {
			return found[0], nil
		}
		d.mu.Lock()
		trusted := d.filters[d.key] || d.c.profile.Filter == FilterWorks
		d.mu.Unlock()
		if err == nil && (trusted || d.control(ctx)) {
			return nil, nil //nolint:nilnil // there is none
		}
		if err != nil && !errors.Is(err, errNoFilter) {
			return nil, err
		}
	}
	if err := d.refresh(ctx, 0, nil); err != nil {
		return nil, err
	}
	id, sure := d.named(name)
	if id == "" && !sure {
		return nil, d.unproven()
	}
	if id == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	o, err := d.get(ctx, id)
	if dirsync.KindOf(err) == dirsync.NotFound {
		return nil, nil //nolint:nilnil // it went meanwhile
	}
	return o, err
}

// get reads one resource, a group without its members.
func (d *directory) get(ctx context.Context, id string) (*scim.Object, error) {
	if d.endpoint == "/Groups" {
		return d.read(ctx, id, url.Values{"excludedAttributes": {"members"}})
	}
	return d.read(ctx, id, nil)
}

// read is get with a query of its own.
func (d *directory) read(ctx context.Context, id string, query url.Values) (*scim.Object, error) {
	k := call{op: "read one of the " + d.what, method: http.MethodGet, path: d.path(id), query: query}
	answer, err := d.c.do(ctx, k)
	if err != nil {
		if said(err) != http.StatusBadRequest {
			return nil, err
		}
		switch there, lookErr := d.there(ctx, id); {
		case lookErr != nil:
			return nil, d.c.fault(k, dirsync.Unavailable, errors.Join(err, lookErr))
		case !there:
			return nil, d.c.fault(k, dirsync.NotFound, err) // 400 where 404 is meant
		}
		return nil, err
	}
	if answer.object == nil || identifier(answer.object) != id {
		return nil, d.c.fault(k, dirsync.Unavailable, errors.New("the target answered with another resource"))
	}
	return answer.object, nil
}

// there asks a new list whether an id is still there.
func (d *directory) there(ctx context.Context, id string) (bool, error) {
	if err := d.refresh(ctx, 0, nil); err != nil {
		return false, err
	}
	_, ok := d.owner(id)
	d.mu.Lock()
	defer d.mu.Unlock()
	if !ok && d.partial {
		return false, d.unproven()
	}
	return ok, nil
}

// exists tells whether a resource is there. An error says that this cannot be found out.
func (d *directory) exists(ctx context.Context, id string) (bool, error) {
	_, err := d.get(ctx, id)
	switch dirsync.KindOf(err) {
	case dirsync.NotFound:
		return false, nil
	case dirsync.Invalid:
		return true, nil // it does not read single resources, but lists this one
	}
	return true, err
}

func (d *directory) path(id string) string { return d.endpoint + "/" + url.PathEscape(id) }
