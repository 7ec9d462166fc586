package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"dirsync"
	"dirsync/scim"
)

// filtering tells whether accounts can be found by externalId, which it tries out with one that is known to be there.
func (d *directory) filtering(ctx context.Context, resources []*scim.Object) bool {
	switch d.c.profile.Filter {
	case FilterWorks:
		return true
	case FilterNone:
		return false
	}
	d.mu.Lock()
	works, tried := d.filters["externalId"]
	d.mu.Unlock()
	if tried {
		return works
	}
	for _, o := range resources {
		if person := source(o); person != "" {
			name, _ := o.Text(d.key)
			d.mu.Lock()
			d.sample = name
			d.mu.Unlock()
			found, err := d.ask(ctx, "externalId", string(person))
			if err != nil {
				return false // what it means is learned or not; the listing will meet it again if it is a failure
			}
			d.learn("externalId", len(found) > 0)
			return len(found) > 0
		}
	}
	return false
}

func (d *directory) learn(attr string, works bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.filters[attr] = works
}

// mayAsk tells whether asking with a filter is worth a try.
func (d *directory) mayAsk(attr string) bool {
	if d.c.profile.Filter == FilterNone {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	works, tried := d.filters[attr]
	return works || !tried && (d.c.profile.Filter == FilterWorks || attr != "externalId")
}

// listing tells whether names are found in listings, not with filters.
func (d *directory) listing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.filters[d.key] && d.c.profile.Filter != FilterWorks
}

// errNoFilter says that the target does not filter by an attribute.
var errNoFilter = errors.New("the target does not filter")

// ask finds resources by the value of an attribute. Answers that do not fit the filter show that it was ignored.
func (d *directory) ask(ctx context.Context, attr, value string) ([]*scim.Object, error) {
	filter := scim.Compare{Path: scim.Path{Name: attr}, Op: scim.Eq, Value: value}
	k := call{op: "find " + d.what, method: http.MethodGet, path: d.endpoint, query: url.Values{"filter": {filter.String()}}}
	page, err := d.c.list(ctx, k)
	switch status := said(err); {
	case status == http.StatusBadRequest || status == http.StatusNotImplemented || status == http.StatusForbidden:
		d.learn(attr, false)
		return nil, errNoFilter
	case status == http.StatusNotFound:
		return nil, nil // some answer so when nobody is found
	case err != nil:
		return nil, err
	}
	for _, o := range page.Resources {
		v, _ := o.Get(attr)
		if got := plain(v); got != value && (attr == "externalId" || dirsync.Fold(got) != dirsync.Fold(value)) || identifier(o) == "" {
			d.learn(attr, false)
			return nil, errNoFilter
		}
	}
	if len(page.Resources) > 0 {
		d.learn(attr, true)
	}
	return page.Resources, nil
}

// control tries out whether resources are found by their name, with one that a list has shown.
func (d *directory) control(ctx context.Context) bool {
	d.mu.Lock()
	sample := d.sample
	_, tried := d.filters[d.key]
	d.mu.Unlock()
	if sample == "" || tried {
		return false
	}
	found, err := d.ask(ctx, d.key, sample)
	if err == nil && len(found) == 0 {
		d.learn(d.key, false)
	}
	return err == nil && len(found) > 0
}
