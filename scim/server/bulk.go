package server

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"dirsync"
	"dirsync/scim"
)

// bulk answers POST to /Bulk (RFC 7644 section 3.7): the operations one after the other, in their order, but for those that
// refer to a resource which a later one makes.
func (c *call) bulk(out *reply, r *http.Request) error {
	if !c.may(UsersWrite, GroupsWrite) {
		return refuse(http.StatusForbidden, "", "the token lacks the scopes %s and %s", UsersWrite, GroupsWrite)
	}
	body, err := c.body(out, r)
	if err != nil {
		return err
	}
	request, err := scim.ReadBulk(body, c.s.limits.Operations)
	if err != nil {
		return err
	}
	// The request itself has been counted.
	if wait := c.s.rates.take(c.who.Name, c.s.now(), c.s.limits, max(0, len(request.Operations)-1)); wait > 0 {
		return tooMany(wait)
	}
	b := batch{call: c, ops: request.Operations, results: make([]*scim.BulkResult, len(request.Operations)), ids: map[string]string{},
		promised: map[string]bool{}, fresh: map[string]bool{}, most: request.FailOnErrors}
	for _, op := range b.ops {
		if op.Method == http.MethodPost {
			if b.promised[op.BulkID] {
				return refuse(http.StatusBadRequest, scim.InvalidValue, "two operations have the same bulkId")
			}
			b.promised[op.BulkID] = true
		}
	}
	b.run()
	var results []scim.BulkResult
	for _, r := range b.results {
		if r != nil {
			results = append(results, *r)
		}
	}
	return c.sendObject(out, scim.BulkDocument(results))
}

// batch is a bulk request that is being carried out.
type batch struct {
	*call
	ops     []scim.BulkOperation
	results []*scim.BulkResult
	// ids are what bulkIds turned out to be, promised those that are still to come.
	ids      map[string]string
	promised map[string]bool
	// fresh are the bulkIds of resources that nobody had before.
	fresh map[string]bool
	// later is what was left out of resources that refer to each other in a circle.
	later  []scim.BulkOperation
	errors int
	most   int
}

func (b *batch) run() {
	b.pass()
	// What was left out of a resource belongs to an operation that was carried out, whatever became of the others.
	for _, op := range b.later {
		i := slices.IndexFunc(b.ops, func(o scim.BulkOperation) bool { return o.Method == http.MethodPost && o.BulkID == op.BulkID })
		if b.results[i] == nil || b.results[i].Status >= 400 {
			continue
		}
		op.Path = b.ops[i].Path + "/" + url.PathEscape(b.ids[op.BulkID])
		made := b.results[i]
		if b.one(i, op); b.results[i].Status < 400 {
			made.Version = b.results[i].Version
			b.results[i] = made
			continue
		}
		b.results[i].Method = made.Method
		if b.fresh[op.BulkID] && b.undo(b.ops[i], made.Version) {
			b.results[i].Location, b.results[i].Version = "", ""
		}
	}
}

// pass carries out the operations as they are, until there are none, or too many errors.
func (b *batch) pass() {
	for {
		progress, waiting := false, -1
		for i := range b.ops {
			if b.results[i] != nil {
				continue
			}
			if b.most > 0 && b.errors >= b.most {
				return
			}
			if b.waits(b.ops[i]) {
				if waiting < 0 {
					waiting = i
				}
				continue
			}
			b.one(i, b.ops[i])
			progress = true
		}
		if waiting < 0 {
			return
		}
		if !progress {
			b.cut(waiting)
		}
	}
}

// undo takes a new resource away that could not be completed: whoever is told that it was not made must not find it. Nobody
// is asked, because nothing is taken from anybody. It says whether that was done; a resource that somebody else has changed
// meanwhile stays.
func (b *batch) undo(op scim.BulkOperation, version string) bool {
	k, _, err := b.address(op)
	if err != nil {
		return false
	}
	changed := errors.New("somebody has changed it")
	_, err = b.s.config.Store.EditResource(b.ctx, k.of, b.ids[op.BulkID], func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		if tag(&r) != version {
			return dirsync.ResourceEdit{}, changed
		}
		return dirsync.ResourceEdit{Resource: r, Delete: true}, nil
	})
	if err == nil {
		delete(b.ids, op.BulkID)
	}
	return err == nil
}

// waits says whether an operation refers to a resource that is still to be made.
func (b *batch) waits(op scim.BulkOperation) bool {
	for _, id := range references(op) {
		if b.promised[id] {
			return true
		}
	}
	return false
}

func references(op scim.BulkOperation) []string {
	return append(scim.BulkReferences(op.Data), scim.BulkReferences(op.Path[strings.LastIndexByte(op.Path, '/')+1:])...)
}

// cut breaks a circle: the attributes of a resource that refer to others are added when those are there.
func (b *batch) cut(i int) {
	op := &b.ops[i]
	if op.Method != http.MethodPost {
		// It refers to what an operation makes that itself waits for this one, by way of the path.
		b.one(i, *op)
		return
	}
	kept, added := &scim.Object{}, &scim.Object{}
	for name, v := range op.Data.All() {
		if slices.ContainsFunc(scim.BulkReferences(v), func(id string) bool { return b.promised[id] }) {
			added.Set(name, v)
		} else {
			kept.Set(name, v)
		}
	}
	op.Data = kept
	b.later = append(b.later, scim.BulkOperation{Method: http.MethodPatch, BulkID: op.BulkID, Data: scim.NewObject(
		scim.Member{Name: "schemas", Value: []any{scim.PatchURN}},
		scim.Member{Name: "Operations", Value: []any{scim.NewObject(scim.Member{Name: "op", Value: "add"}, scim.Member{Name: "value", Value: added})}})})
}

// one carries out one operation and writes down what came of it.
func (b *batch) one(i int, op scim.BulkOperation) {
	c := &call{s: b.s, ctx: b.ctx, who: b.who, base: b.base,
		event: Event{Time: b.s.now(), Token: b.event.Token, Method: op.Method, Operation: i + 1}}
	if op.Method != http.MethodPost {
		c.match = op.Version
	}
	result := scim.BulkResult{Method: op.Method, BulkID: op.BulkID}
	k, id, err := b.address(op)
	if err == nil {
		c.event.Resource, c.event.ID = k.Name, clip(id, 256)
		var done outcome
		if done, err = b.do(c, k, id, op); err == nil {
			result.Status = done.status
			if done.r.ID != "" {
				id, result.Version = done.r.ID, tag(&done.r)
			}
			if op.Method == http.MethodPost {
				b.ids[op.BulkID], b.fresh[op.BulkID] = id, done.fresh
			}
		}
		if id != "" {
			result.Location = c.location(k, id)
		}
	}
	delete(b.promised, op.BulkID)
	if err != nil {
		f := asFailure(err)
		c.logFailure(f)
		c.event.SCIMType, c.event.Detail = f.wire.SCIMType, f.wire.Detail
		result.Status, b.errors = f.wire.Status, b.errors+1
		converted, _ := scim.Convert(&f.wire) // An error can always be converted.
		result.Response, _ = converted.(*scim.Object)
	}
	c.event.Status = result.Status
	c.report()
	b.results[i] = &result
}

// address finds out what an operation's path means.
func (b *batch) address(op scim.BulkOperation) (*kind, string, error) {
	_, parts, ok := split(op.Path)
	if ok && (op.Method == http.MethodPost) == (len(parts) == 1) && len(parts) <= 2 {
		for _, k := range b.s.kinds {
			if "/"+parts[0] != k.Endpoint {
				continue
			}
			if len(parts) == 1 {
				return k, "", nil
			}
			id, err := url.PathUnescape(parts[1])
			if err != nil {
				break
			}
			resolved, err := scim.ResolveBulk(id, b.known)
			id, _ = resolved.(string)
			return k, id, err
		}
	}
	return nil, "", refuse(http.StatusNotFound, "", "the path must be /Users or /Groups, with an id behind it unless the method is POST")
}

func (b *batch) known(bulkID string) (string, bool) {
	id, ok := b.ids[bulkID]
	return id, ok
}

// do is what ServeHTTP does for a request of its own, without an answer.
func (b *batch) do(c *call, k *kind, id string, op scim.BulkOperation) (outcome, error) {
	if err := c.ctx.Err(); err != nil {
		return outcome{}, err
	}
	if err := c.mayWrite(k); err != nil {
		return outcome{}, err
	}
	if !slices.Contains(append(k.methods(), map[bool]string{false: http.MethodPost}[k.actions.NoCreate]), op.Method) {
		return outcome{}, refuse(http.StatusMethodNotAllowed, "", "this server does not take %s of a %s", op.Method, k.Name)
	}
	var data *scim.Object
	if op.Data != nil {
		resolved, err := scim.ResolveBulk(op.Data, b.known)
		if err != nil {
			return outcome{}, err
		}
		data, _ = resolved.(*scim.Object)
	}
	switch op.Method {
	case http.MethodPost:
		return c.create(k, data)
	case http.MethodPut:
		return c.replace(k, id, data)
	case http.MethodPatch:
		return c.patch(k, id, data)
	}
	return outcome{status: http.StatusNoContent, r: dirsync.Resource{}}, c.remove(k, id)
}
