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
	"sync"

	abs "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/directory"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"dirsync"
)

// lookUps is how many people are looked up at a time.
const lookUps = 8

// LookUp asks for users by id; see dirsync.Source. fn is called for one record at a time, in any order.
//
// Somebody is gone only if Graph itself says that there is no such user, in its own words. They can be restored if
// they are among the deleted items, or if the application may not look there.
func (s *Source) LookUp(ctx context.Context, ids []dirsync.ID, fn func(dirsync.Record) error) error {
	if s.invalid != nil {
		return s.invalid
	}
	inner, cancel := context.WithCancel(context.WithValue(ctx, counterKey{}, &s.sent))
	type found struct {
		record dirsync.Record
		err    error
	}
	var (
		todo    = make(chan dirsync.ID)
		done    = make(chan found)
		workers sync.WaitGroup
	)
	for range min(lookUps, len(ids)) {
		workers.Go(func() {
			for id := range todo {
				r, err := s.lookUp(inner, id)
				select {
				case done <- found{r, err}:
				case <-inner.Done():
					return
				}
			}
		})
	}
	go func() {
		defer close(done)
		defer workers.Wait()
		defer close(todo)
		for _, id := range ids {
			select {
			case todo <- id:
			case <-inner.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range done { // until the workers have ended
		}
	}()
	for range ids {
		f, ok := <-done
		if !ok {
			return s.client.sendError(ctx, lookUpOp, context.Cause(ctx))
		}
		if f.err != nil {
			return f.err
		}
		if err := fn(f.record); err != nil {
			return err
		}
	}
	return nil
}

const lookUpOp = "look up a user"

var idForm = regexp.MustCompile(`^[0-9A-Za-z-]{1,64}$`)

func (s *Source) lookUp(ctx context.Context, id dirsync.ID) (dirsync.Record, error) {
	// Graph takes a user principal name in the id's place, which would find somebody else's account one day.
	if !idForm.MatchString(string(id)) {
		return dirsync.Record{}, &dirsync.Error{Op: lookUpOp, ID: id, Kind: dirsync.Invalid, Err: fmt.Errorf("this is no object id")}
	}
	id = dirsync.ID(strings.ToLower(string(id)))
	r, there, err := s.user(ctx, id)
	if err != nil || there {
		return r, err
	}
	gone, err := s.deleted(ctx, id)
	if err != nil || gone == dirsync.GoneSoft {
		return dirsync.Record{ID: id, Gone: gone}, err
	}
	// Between the two questions the user may have been restored, and would have been missed by both.
	r, there, err = s.user(ctx, id)
	if err != nil || there {
		return r, err
	}
	return dirsync.Record{ID: id, Gone: dirsync.GoneHard}, nil
}

// user gets one user. The second result is false when Graph says that there is none.
func (s *Source) user(ctx context.Context, id dirsync.ID) (dirsync.Record, bool, error) {
	params := users.UserItemRequestBuilderGetQueryParameters{Select: s.selected}
	reports := slices.Contains(s.selected, managerName)
	if reports {
		params.Select = slices.DeleteFunc(slices.Clone(s.selected), func(p string) bool { return p == managerName })
		params.Expand = []string{managerName + "($select=id)"}
	}
	builder := users.NewUsersRequestBuilderInternal(s.client.pathParameters(), s.client.adapter).ByUserId(string(id))
	info, err := builder.ToGetRequestInformation(ctx, &users.UserItemRequestBuilderGetRequestConfiguration{QueryParameters: &params})
	a, err := s.ask(ctx, id, info, err)
	if err != nil || a.status == http.StatusNotFound {
		return dirsync.Record{}, false, err
	}
	r, err := newDecoder().user(a.body)
	if err != nil {
		return dirsync.Record{}, false, s.about(id, s.client.decodeError(lookUpOp, a, err))
	}
	if r.ID != id || r.Gone != dirsync.Present {
		return dirsync.Record{}, false, s.about(id, s.client.broken(lookUpOp, a, "the user who was asked for"))
	}
	if _, said := r.Attrs.Get(managerName); reports && !said {
		r.Attrs = r.Attrs.Merge(dirsync.Attributes{{Name: managerName, Raw: json.RawMessage("null")}})
	}
	r.Whole = true
	return r, true, nil
}

// deleted says whether somebody who is not among the users can be restored.
func (s *Source) deleted(ctx context.Context, id dirsync.ID) (dirsync.Gone, error) {
	builder := directory.NewDeletedItemsRequestBuilderInternal(s.client.pathParameters(), s.client.adapter).ByDirectoryObjectId(string(id))
	info, err := builder.ToGetRequestInformation(ctx, nil)
	a, err := s.ask(ctx, id, info, err)
	switch {
	case notPermitted(a):
		// The user is gone, that much Graph has said. That it is for good has not been said.
		return dirsync.GoneSoft, nil
	case err != nil:
		return dirsync.Present, err
	case a.status == http.StatusNotFound:
		return dirsync.GoneHard, nil
	}
	var item struct{ ID string }
	if json.Unmarshal(a.body, &item) != nil || !strings.EqualFold(item.ID, string(id)) {
		return dirsync.Present, s.about(id, s.client.broken(lookUpOp, a, "the deleted user who was asked for"))
	}
	return dirsync.GoneSoft, nil
}

// ask sends a request about one person and accepts two answers: 200, and 404 with Graph's code for a missing object.
// A 404 with any other body may come from anything on the way, and proves nothing.
func (s *Source) ask(ctx context.Context, id dirsync.ID, info *abs.RequestInformation, err error) (answer, error) {
	a, err := s.client.send(ctx, lookUpOp, info, err)
	switch {
	case err != nil:
		return a, s.about(id, err)
	case a.status == http.StatusOK:
		return a, nil
	case a.status == http.StatusNotFound && parseGraphError(a.body).is("Request_ResourceNotFound"):
		return a, nil
	}
	return a, s.about(id, s.client.graphError(lookUpOp, a))
}

func (s *Source) about(id dirsync.ID, err error) error {
	if e, ok := errors.AsType[*dirsync.Error](err); ok {
		e.ID = id
	}
	return err
}
