package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	abs "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/directory"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"dirsync"
)

// lookUps is how many objects are looked up at a time.
const lookUps = 8

// LookUp asks for users by id; see dirsync.Source. fn is called for one record at a time, in any order. More than a few
// are asked for many at a time, as far as Graph answers that; see lookUpMany.
//
// Somebody is gone only if Graph itself says that there is no such user, in its own words. They can be restored if
// they are among the deleted items, or if the application may not look there.
func (s *Source) LookUp(ctx context.Context, ids []dirsync.ID, fn func(dirsync.Record) error) error {
	if s.invalid != nil {
		return s.invalid
	}
	ctx = context.WithValue(ctx, counterKey{}, &s.sent)
	if len(ids) > fewIDs {
		left, err := s.lookUpMany(ctx, ids, fn)
		if err != nil {
			return err
		}
		ids = left
	}
	return s.single().each(ctx, ids, fn)
}

const lookUpOp = "look up a user"

// single asks for users one by one.
func (s *Source) single() single {
	return single{client: s.client, op: lookUpOp, kind: dirsync.KindUser, fault: s.client.graphError, get: s.user}
}

// single asks for objects of one kind one by one.
type single struct {
	client *Client
	op     string
	kind   dirsync.Kind
	// fault classifies an answer that is none to the question.
	fault func(op string, a answer) error
	// get gets one object, Whole. The second result is false when Graph says that there is none.
	get func(ctx context.Context, id dirsync.ID) (dirsync.Record, bool, error)
}

var idForm = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

// each calls fn for each object or its tombstone, one at a time and in any order.
func (l single) each(ctx context.Context, ids []dirsync.ID, fn func(dirsync.Record) error) error {
	return inParallel(ctx, lookUps, ids, func(ctx context.Context, id dirsync.ID, send func(dirsync.Record) bool) error {
		r, err := l.record(ctx, id)
		if err == nil {
			send(r)
		}
		return err
	}, fn, func() error { return l.client.sendError(ctx, l.op, context.Cause(ctx)) })
}

// record returns one object, Whole, or its tombstone.
func (l single) record(ctx context.Context, id dirsync.ID) (dirsync.Record, error) {
	// Graph takes a user principal name in the id's place, which would find somebody else's account one day.
	if !idForm.MatchString(string(id)) {
		return dirsync.Record{}, &dirsync.Error{Op: l.op, ID: id, Kind: dirsync.Invalid, Err: fmt.Errorf("this is no object id")}
	}
	id = dirsync.ID(strings.ToLower(string(id)))
	r, there, err := l.get(ctx, id)
	if err != nil || there {
		return r, err
	}
	gone, err := l.deleted(ctx, id)
	if err != nil || gone == dirsync.GoneSoft {
		return dirsync.Record{ID: id, Kind: l.kind, Gone: gone}, err
	}
	// Between the two questions the object may have been restored, and would have been missed by both.
	r, there, err = l.get(ctx, id)
	if err != nil || there {
		return r, err
	}
	return dirsync.Record{ID: id, Kind: l.kind, Gone: dirsync.GoneHard}, nil
}

// user gets one user. The second result is false when Graph says that there is none.
func (s *Source) user(ctx context.Context, id dirsync.ID) (dirsync.Record, bool, error) {
	params := users.UserItemRequestBuilderGetQueryParameters{}
	params.Select, params.Expand = s.plainly()
	builder := users.NewUsersRequestBuilderInternal(s.client.pathParameters(), s.client.adapter).ByUserId(string(id))
	info, err := builder.ToGetRequestInformation(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{QueryParameters: &params})
	r, there, err := s.single().take(ctx, id, newDecoder(), info, err)
	if err != nil || !there {
		return dirsync.Record{}, false, err
	}
	if _, said := r.Attrs.Get(managerName); params.Expand != nil && !said {
		r.Attrs = r.Attrs.Merge(dirsync.Attributes{{Name: managerName, Raw: json.RawMessage("null")}})
	}
	return r, true, nil
}

// plainly is what to select and what to expand where the manager cannot be selected, which is everywhere but in delta
// queries.
func (s *Source) plainly() (selected, expand []string) {
	if !slices.Contains(s.selected, managerName) {
		return s.selected, nil
	}
	return slices.DeleteFunc(slices.Clone(s.selected), func(p string) bool { return p == managerName }), []string{managerName + "($select=id)"}
}

// take asks for one object and decodes it, as Whole. The second result is false when Graph says that there is none.
func (l single) take(ctx context.Context, id dirsync.ID, decode *decoder, info *abs.RequestInformation, err error) (dirsync.Record, bool, error) {
	a, err := l.ask(ctx, id, info, err)
	if err != nil || a.status == http.StatusNotFound {
		return dirsync.Record{}, false, err
	}
	r, err := decode.one(a.body)
	if err != nil {
		return dirsync.Record{}, false, about(id, l.client.decodeError(l.op, a, err))
	}
	if r.ID != id || r.Gone != dirsync.Present {
		return dirsync.Record{}, false, about(id, l.client.broken(l.op, a, "the "+l.kind.String()+" that was asked for"))
	}
	r.Whole = true
	return r, true, nil
}

// deleted says whether an object that is not there can be restored.
func (l single) deleted(ctx context.Context, id dirsync.ID) (dirsync.Gone, error) {
	builder := directory.NewDeletedItemsRequestBuilderInternal(l.client.pathParameters(), l.client.adapter).ByDirectoryObjectId(string(id))
	info, err := builder.ToGetRequestInformation(ctx, nil)
	a, err := l.ask(ctx, id, info, err)
	switch {
	case notPermitted(a):
		// The object is gone, that much Graph has said. That it is for good has not been said.
		return dirsync.GoneSoft, nil
	case err != nil:
		return dirsync.Present, err
	case a.status == http.StatusNotFound:
		return dirsync.GoneHard, nil
	}
	var item struct{ ID string }
	if json.Unmarshal(a.body, &item) != nil || !strings.EqualFold(item.ID, string(id)) {
		return dirsync.Present, about(id, l.client.broken(l.op, a, "the deleted "+l.kind.String()+" that was asked for"))
	}
	return dirsync.GoneSoft, nil
}

// ask sends a request about one object and accepts two answers: 200, and 404 with Graph's code for a missing object.
// A 404 with any other body may come from anything on the way, and proves nothing.
func (l single) ask(ctx context.Context, id dirsync.ID, info *abs.RequestInformation, err error) (answer, error) {
	a, err := l.client.send(ctx, l.op, info, err)
	switch {
	case err != nil:
		return a, about(id, err)
	case a.status == http.StatusOK, isNowhere(a):
		return a, nil
	}
	return a, about(id, l.fault(l.op, a))
}

// isNowhere tells Graph's own answer that there is no such object.
func isNowhere(a answer) bool {
	return a.status == http.StatusNotFound && parseGraphError(a.body).is("Request_ResourceNotFound")
}

func about(id dirsync.ID, err error) error {
	if e, ok := errors.AsType[*dirsync.Error](err); ok {
		e.ID = id
	}
	return err
}
