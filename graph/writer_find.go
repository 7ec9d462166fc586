package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	abs "github.com/microsoft/kiota-abstractions-go"
	khttp "github.com/microsoft/kiota-http-go"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"dirsync"
)

const (
	listAccounts = "list accounts"
	findAccounts = "find accounts"
)

// Users calls fn for every account of the tenant, guests and administrators included, with the properties of this
// Writer; see dirsync.Target. Managers whose accounts have no anchor are left out.
func (w *Writer) Users(ctx context.Context, fn func(dirsync.Account) error) error {
	ctx = context.WithValue(ctx, counterKey{}, &w.sent)
	if err := w.shape(ctx); err != nil {
		return err
	}
	decode, trail, next := w.decoder(), newTrail(), ""
	for {
		if ctx.Err() != nil {
			return w.client.sendError(ctx, listAccounts, context.Cause(ctx))
		}
		info, err := w.listRequest(ctx, next)
		a, err := w.client.send(ctx, listAccounts, info, err)
		if err != nil {
			return err
		}
		if a.status != http.StatusOK {
			return w.client.graphError(listAccounts, a)
		}
		env, err := decode.envelope(a.body)
		if err != nil {
			return w.client.decodeError(listAccounts, a, err)
		}
		for _, r := range env.rows {
			if err := fn(w.account(r)); err != nil {
				return err
			}
		}
		if next = env.next; next == "" {
			return nil
		}
		if err := w.client.checkList(next); err != nil {
			return &dirsync.Error{Op: listAccounts, Kind: dirsync.Unavailable, Err: err, Hint: rewrittenHint}
		}
		if trail.crosses(next) {
			return trail.error(listAccounts)
		}
	}
}

// listRequest builds the request for the first page of everybody, or for where to go on.
func (w *Writer) listRequest(ctx context.Context, next string) (*abs.RequestInformation, error) {
	builder := users.NewUsersRequestBuilderInternal(w.client.pathParameters(), w.client.adapter)
	if next != "" {
		return builder.WithUrl(next).ToGetRequestInformation(ctx, &users.UsersRequestBuilderGetRequestConfiguration{
			Options: []abs.RequestOption{&khttp.ParametersNameDecodingOptions{}}, // a link is opaque, to the letter
		})
	}
	top := int32(listTop)
	params := users.UsersRequestBuilderGetQueryParameters{Top: &top}
	params.Select, params.Expand = w.selected()
	return builder.ToGetRequestInformation(ctx, &users.UsersRequestBuilderGetRequestConfiguration{QueryParameters: &params})
}

func (w *Writer) decoder() *decoder {
	d := newDecoder()
	d.bosses = true
	return d
}

// selected is what to read of an account, and what to expand. A manager is read together with what says whose account
// theirs is.
func (w *Writer) selected() (selected, expand []string) {
	selected = append(alwaysSelected(), "createdDateTime")
	add := func(name string) {
		if outer, _, _ := strings.Cut(name, "/"); outer != "" && !slices.Contains(selected, outer) {
			selected = append(selected, outer)
		}
	}
	add(w.cfg.Anchor)
	for _, f := range w.all() {
		if f.Type != dirsync.Reference {
			add(f.Name)
			continue
		}
		outer, _, _ := strings.Cut(w.cfg.Anchor, "/")
		expand = append(expand, managerName+"($select=id,"+outer+")")
	}
	return selected, expand
}

// Find implements dirsync.Finder for userPrincipalName, mail and employeeId, fifteen values with a request and twenty
// requests in a batch. The tenant keeps the first two unique, of the third it takes any number.
func (w *Writer) Find(ctx context.Context, field string, values []dirsync.Value) ([][]dirsync.Account, error) {
	f := w.field(field)
	if f == nil || !f.Unique && field != employeeID {
		return nil, &dirsync.Error{Op: findAccounts, Kind: dirsync.Invalid, Field: field, Err: fmt.Errorf("accounts cannot be found by %s", field),
			Hint: "Join by userPrincipalName, mail or employeeId, and have it among the properties that are written."}
	}
	ctx = context.WithValue(ctx, counterKey{}, &w.sent)
	if ctx.Err() != nil {
		return nil, w.client.sendError(ctx, findAccounts, context.Cause(ctx))
	}
	if err := w.shape(ctx); err != nil {
		return nil, err
	}
	var texts []string
	for _, v := range values {
		if !v.IsNull() {
			texts = append(texts, dirsync.Fold(v.Text))
		}
	}
	slices.Sort(texts)
	chunks := slices.Collect(slices.Chunk(slices.Compact(texts), mostIn))
	found, errs := make([][]dirsync.Record, len(chunks)), make([]error, len(chunks))
	p := w.client.newPost(findAccounts)
	p.each(ctx, len(chunks), func(i int) {
		found[i], errs[i] = w.look(p, field, chunks[i])
	})
	if err := errors.Join(errs...); err != nil {
		return nil, firstError(errs)
	}
	by := map[string][]dirsync.Account{}
	for _, records := range found {
		for _, r := range records {
			a := w.account(r)
			held, _ := a.Values.Get(field)
			if key := dirsync.Fold(held.Text); len(by[key]) < 3 && !slices.ContainsFunc(by[key], func(b dirsync.Account) bool { return b.ID == a.ID }) {
				by[key] = append(by[key], a)
			}
		}
	}
	out := make([][]dirsync.Account, len(values))
	for i, v := range values {
		if !v.IsNull() {
			out[i] = by[dirsync.Fold(v.Text)]
		}
	}
	return out, nil
}

// look finds the accounts with at most fifteen values. Without an anchor nothing else tells who has an account already, so
// that somebody is believed to have none only when every replica has had the time to hear of what was made before, by a
// process that ended just before this one began, or by a try of which nothing came back.
func (w *Writer) look(p *post, field string, values []string) ([]dirsync.Record, error) {
	at := w.client.cfg.Now()
	records, err := w.list(p, anyOf(field, values))
	if err != nil || !w.Forgets() {
		return records, err
	}
	there := map[string]bool{}
	for _, r := range records {
		held, _ := w.account(r).Values.Get(field)
		there[dirsync.Fold(held.Text)] = true
	}
	absent := slices.ContainsFunc(values, func(v string) bool { return !there[v] })
	heard := w.known.uncertain(w.began).Add(w.client.cfg.ReplicaLag)
	if !absent || !at.Before(heard) {
		return records, nil
	}
	if err := p.pause(heard.Sub(w.client.cfg.Now())); err != nil {
		return nil, err
	}
	return w.list(p, anyOf(field, values))
}

func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// anyOf is a filter for objects that have one of at most fifteen values in a property. Equality is what Graph documents
// for every property that is asked for here; the operator in is not.
func anyOf(property string, values []string) string {
	clauses := make([]string, len(values))
	for i, v := range values {
		clauses[i] = property + " eq '" + strings.ReplaceAll(v, "'", "''") + "'"
	}
	return strings.Join(clauses, " or ")
}

// query is the query of a path: names and values by turns, of which empty values are left out.
func query(options ...string) string {
	var parts []string
	for i := 0; i+1 < len(options); i += 2 {
		if options[i+1] != "" {
			parts = append(parts, options[i]+"="+strings.ReplaceAll(url.QueryEscape(options[i+1]), "+", "%20"))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "?" + strings.Join(parts, "&")
}

// list asks for the accounts of a filter, within a batch. Some tenants answer filters of some properties from their index
// alone; then it is asked from there on, and may lag.
func (w *Writer) list(p *post, filter string) ([]dirsync.Record, error) {
	if !w.eventual.Load() {
		records, err := w.filtered(p, filter, false)
		if !errors.Is(err, errRefused) {
			return records, err
		}
		w.client.cfg.Log.Info().Msg("looking accounts up in the tenant's index, because a filter is not answered otherwise")
		w.eventual.Store(true)
	}
	return w.filtered(p, filter, true)
}

// filtered asks for the accounts of a filter, from the tenant's index or not. It wraps errRefused when only the index can
// answer.
func (w *Writer) filtered(p *post, filter string, index bool) ([]dirsync.Record, error) {
	selected, expand := w.selected()
	options := []string{"$filter", filter, "$select", strings.Join(selected, ","), "$expand", strings.Join(expand, ",")}
	var header map[string]string
	if index {
		options = append(options, "$count", "true")
		header = map[string]string{"ConsistencyLevel": "eventual"} // of every page
	}
	var all []dirsync.Record
	trail, path := newTrail(), "/users"+query(options...)
	for {
		a, err := p.ask(&parcel{method: http.MethodGet, path: path, header: header})
		switch {
		case err != nil:
			return nil, err
		case a.status == http.StatusBadRequest && !index && parseGraphError(a.body).is("Request_UnsupportedQuery"):
			return nil, fmt.Errorf("%w: %w", errRefused, w.client.graphError(p.op, a))
		case a.status != http.StatusOK:
			return nil, w.client.graphError(p.op, a)
		}
		env, err := w.decoder().envelope(a.body)
		if err != nil {
			return nil, w.client.decodeError(p.op, a, err)
		}
		all = append(all, env.rows...)
		if env.next == "" {
			return all, nil
		}
		if err := w.client.checkList(env.next); err != nil {
			return nil, &dirsync.Error{Op: p.op, Kind: dirsync.Unavailable, Err: err, Hint: rewrittenHint}
		}
		if trail.crosses(env.next) {
			return nil, trail.error(p.op)
		}
		path = relative(env.next)
	}
}

// relative is a link that checkList has accepted, as the requests of a batch have it.
func relative(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return "/users"
	}
	return "/users?" + u.RawQuery
}

// get reads one account by its id, or by its user principal name. The second result is false when Graph says that there
// is none, and goes on saying so of one that was just made.
func (w *Writer) get(p *post, key string) (dirsync.Record, bool, error) {
	selected, expand := w.selected()
	path := "/users/" + url.PathEscape(key) + query("$select", strings.Join(selected, ","), "$expand", strings.Join(expand, ","))
	a, err := w.patiently(p, func() *parcel { return &parcel{method: http.MethodGet, path: path} }, key)
	r, there, err := w.taken(p, a, err)
	if there && isGUID(key) && !strings.EqualFold(string(r.ID), key) {
		return dirsync.Record{}, false, &dirsync.Error{Op: p.op, Kind: dirsync.Unavailable, Err: fmt.Errorf("asked for account %s, the service answered with %s", key, r.ID)}
	}
	return r, there, err
}

// taken decodes an account.
func (w *Writer) taken(p *post, a answer, err error) (dirsync.Record, bool, error) {
	switch {
	case err != nil:
		return dirsync.Record{}, false, err
	case isNowhere(a):
		return dirsync.Record{}, false, nil
	case a.status != http.StatusOK:
		return dirsync.Record{}, false, w.client.graphError(p.op, a)
	}
	r, err := w.decoder().one(a.body)
	return r, err == nil, w.client.decodeError(p.op, a, err)
}

// patiently asks about accounts, and asks again as long as one of them may not be known everywhere because it was just
// made.
func (w *Writer) patiently(p *post, ask func() *parcel, accounts ...string) (answer, error) {
	for n := 0; ; n++ {
		a, err := p.ask(ask())
		young := slices.ContainsFunc(accounts, func(id string) bool { return w.known.young(id, w.client.cfg.Now()) })
		if err != nil || !isNowhere(a) || !young {
			return a, err
		}
		if err := p.pause(backOff(n)); err != nil {
			return answer{}, err
		}
	}
}

// owned asks whose accounts have the anchors of at most fifteen people. Who was deleted by this Writer a moment ago is not
// believed to be there.
func (w *Writer) owned(p *post, people []dirsync.ID) (map[dirsync.ID][]dirsync.Record, error) {
	texts := make([]string, len(people))
	for i, person := range people {
		texts[i] = string(person)
	}
	records, err := w.list(p, anyOf(w.cfg.Anchor, texts))
	if err != nil {
		return nil, err
	}
	now, found := w.client.cfg.Now(), map[dirsync.ID][]dirsync.Record{}
	for _, r := range records {
		owner := w.owner(r)
		twice := slices.ContainsFunc(found[owner], func(other dirsync.Record) bool { return other.ID == r.ID })
		if slices.Contains(people, owner) && !twice && !w.known.deleted(string(r.ID), now) {
			found[owner] = append(found[owner], r)
		}
	}
	return found, nil
}
