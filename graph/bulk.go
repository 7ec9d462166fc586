package graph

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	abs "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/directoryobjects"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"dirsync"
)

const (
	// fewIDs is up to how many people are asked for one by one.
	fewIDs = 20
	// mostByIDs is how many objects one request can name (Graph document "directoryObject: getByIds").
	mostByIDs = 1000
	// mostIn is how many values one filter can name (Graph document "Use the $filter query parameter").
	mostIn = 15
)

// lookUpMany asks for many people at once and calls fn for those of whom everything was said. Whoever else there is, is
// left: that somebody is not in an answer proves nothing, and a look-up by itself says more.
//
// A thousand are asked for by getByIds. Its documents disagree on whether it obeys $select and on which permission it
// takes, and it does not know managers. So wherever it refuses, or says less than was asked for, a list of users with
// fifteen ids in its filter is asked for instead, which differs in nothing from any other list of users.
func (s *Source) lookUpMany(ctx context.Context, ids []dirsync.ID, fn func(dirsync.Record) error) (left []dirsync.ID, err error) {
	var many []dirsync.ID
	for _, id := range ids {
		if isGUID(string(id)) {
			many = append(many, dirsync.ID(strings.ToLower(string(id))))
		} else {
			left = append(left, id)
		}
	}
	if !slices.Contains(s.selected, managerName) && !s.noByIDs.Load() {
		missing, half, err := s.inBulk(ctx, many, mostByIDs, s.byIDs, fn)
		if err != nil {
			return nil, err
		}
		left, many = append(left, missing...), half
	}
	if len(many) > fewIDs {
		missing, half, err := s.inBulk(ctx, many, mostIn, s.withIDs, fn)
		if err != nil {
			return nil, err
		}
		left, many = append(left, missing...), half
	}
	return append(left, many...), nil
}

// bulk is what came of asking for many people at once.
type bulk struct {
	ids     []dirsync.ID
	records map[dirsync.ID]dirsync.Record
	refused bool
}

// errRefused says that Graph does not answer a question in this form, or not in full.
var errRefused = errors.New("refused")

// inBulk asks for people, some requests at a time and so many with each, and calls fn for those who came Whole. missing
// were not in the answers, half were not answered for at all or came in part; both are in the order of the answers.
func (s *Source) inBulk(ctx context.Context, ids []dirsync.ID, size int,
	ask func(context.Context, []dirsync.ID) ([]dirsync.Record, error), fn func(dirsync.Record) error) (missing, half []dirsync.ID, err error) {
	var refused atomic.Bool
	ended := func() error { return s.client.sendError(ctx, lookUpOp, context.Cause(ctx)) }
	err = inParallel(ctx, lookUps, slices.Collect(slices.Chunk(ids, size)), func(ctx context.Context, ids []dirsync.ID, send func(bulk) bool) error {
		b := bulk{ids: ids, refused: refused.Load()}
		if !b.refused {
			records, err := ask(ctx, ids)
			switch {
			case errors.Is(err, errRefused) || errors.Is(err, errLimited):
				b.refused = true
				refused.Store(true)
			case err != nil:
				return err
			}
			b.records = make(map[dirsync.ID]dirsync.Record, len(records))
			for _, r := range records {
				b.records[r.ID] = r
			}
		}
		send(b)
		return nil
	}, func(b bulk) error {
		for _, id := range b.ids {
			r, said := b.records[id]
			switch {
			case b.refused, said && !r.Whole:
				half = append(half, id)
			case !said:
				missing = append(missing, id)
			case ctx.Err() != nil:
				return ended()
			default:
				if err := fn(r); err != nil {
					return err
				}
			}
		}
		return nil
	}, ended)
	return missing, half, err
}

// byIDs asks for people by getByIds. Whether they are whole shows in what it says.
func (s *Source) byIDs(ctx context.Context, ids []dirsync.ID) ([]dirsync.Record, error) {
	builder := directoryobjects.NewGetByIdsRequestBuilderInternal(s.client.pathParameters(), s.client.adapter)
	info := abs.NewRequestInformationWithMethodAndUrlTemplateAndPathParameters(abs.POST, builder.UrlTemplate+"{?%24select}", builder.PathParameters)
	info.QueryParametersAny["%24select"] = s.selected
	info.Headers.TryAdd("Accept", "application/json")
	// Texts always marshal.
	body, _ := json.Marshal(struct {
		IDs   []dirsync.ID `json:"ids"`
		Types []string     `json:"types"`
	}{ids, []string{"user"}})
	info.SetStreamContentAndContentType(body, "application/json")
	records, err := s.bulk(ctx, info, nil)
	half := slices.ContainsFunc(records, func(r dirsync.Record) bool { return !r.Whole })
	if half || errors.Is(err, errRefused) {
		s.client.cfg.Log.Info().Msg("looking people up by lists, because getByIds does not answer in full")
		s.noByIDs.Store(true)
	}
	return records, err
}

// withIDs asks for people by a list of users.
func (s *Source) withIDs(ctx context.Context, ids []dirsync.ID) ([]dirsync.Record, error) {
	quoted := make([]string, len(ids))
	for i, id := range ids {
		quoted[i] = "'" + string(id) + "'"
	}
	top, filter := int32(len(ids)), "id in ("+strings.Join(quoted, ",")+")"
	params := users.UsersRequestBuilderGetQueryParameters{Top: &top, Filter: &filter}
	params.Select, params.Expand = s.plainly()
	builder := users.NewUsersRequestBuilderInternal(s.client.pathParameters(), s.client.adapter)
	info, err := builder.ToGetRequestInformation(ctx, &users.UsersRequestBuilderGetRequestConfiguration{QueryParameters: &params})
	return s.bulk(ctx, info, err)
}

// bulk sends a request for many people. Those of whom everything was said are Whole.
func (s *Source) bulk(ctx context.Context, info *abs.RequestInformation, err error) ([]dirsync.Record, error) {
	a, err := s.client.send(ctx, lookUpOp, info, err)
	switch {
	case err != nil:
		return nil, err
	case a.status == http.StatusOK:
	case a.status == http.StatusBadRequest, notPermitted(a), a.status == http.StatusNotFound,
		a.status == http.StatusMethodNotAllowed, a.status == http.StatusNotImplemented:
		return nil, errRefused
	default:
		return nil, s.client.graphError(lookUpOp, a)
	}
	records, err := newDecoder().rows(a.body)
	if errors.Is(err, errLimited) {
		return nil, err
	}
	for i := range records {
		s.trust(&records[i])
	}
	return records, s.client.decodeError(lookUpOp, a, err)
}

// trust marks a record as Whole if it says every property that was asked for, null included: then the answer obeys
// $select, and what it leaves out of directory extensions, which are left out where they are not set, and of the manager
// is not there, as in the answer to a question for this person alone.
func (s *Source) trust(r *dirsync.Record) {
	for _, name := range s.selected {
		_, said := r.Attrs.Get(name)
		switch {
		case said || name == "id":
		case name == managerName || extensionForm.MatchString(name):
			r.Attrs = r.Attrs.Merge(dirsync.Attributes{{Name: name, Raw: json.RawMessage("null")}})
		default:
			return
		}
	}
	r.Whole = r.Gone == dirsync.Present
}
