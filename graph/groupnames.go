package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	abs "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"
	"github.com/microsoftgraph/msgraph-sdk-go/groupswithuniquename"

	"dirsync"
)

// choose finds the groups of the names that are new in the configuration, and forgets those that are no longer in it.
func (r *groupRound) choose(ctx context.Context) error {
	ids := make([]dirsync.ID, len(r.cfg.Chosen))
	var open []int
	for i, name := range r.cfg.Chosen {
		var ok bool
		if ids[i], ok = r.mark.pin(name); !ok {
			open = append(open, i)
		}
	}
	type found struct {
		i  int
		id dirsync.ID
	}
	err := inParallel(ctx, lookUps, open, func(ctx context.Context, i int, send func(found) bool) error {
		id, err := r.resolve(ctx, r.cfg.Chosen[i])
		if err == nil {
			send(found{i, id})
		}
		return err
	}, func(f found) error { ids[f.i] = f.id; return nil },
		func() error { return r.client.sendError(ctx, chooseOp, context.Cause(ctx)) })
	if err != nil {
		return err
	}
	r.mark.Chosen = make([]pinned, len(ids))
	for i, name := range r.cfg.Chosen {
		r.mark.Chosen[i] = pinned{name, ids[i]}
		r.find(ids[i])
	}
	return nil
}

// resolve finds the group that a name means: one with this id, else one with this uniqueName, else the only one with
// this display name.
func (g *GroupSource) resolve(ctx context.Context, name string) (dirsync.ID, error) {
	if isGUID(name) {
		r, there, err := g.single(chooseOp).get(ctx, dirsync.ID(strings.ToLower(name)))
		switch {
		case err != nil:
			return "", nowhereElse(err)
		case !there:
			return "", notChosen(name, fmt.Sprintf("there is no group with the id %s", name),
				"Check the object id: it is on the group's overview page in Entra ID.")
		}
		return r.ID, nil
	}
	id, err := g.byUniqueName(ctx, name)
	if err != nil || id != "" {
		return id, err
	}
	rows, err := g.listed(ctx, groupTitle+" eq "+quote(name))
	if err != nil {
		return "", err
	}
	// Whatever Graph compares by, the name is to be the one that was chosen.
	rows = slices.DeleteFunc(rows, func(r dirsync.Record) bool { return !strings.EqualFold(r.Attrs.Text(groupTitle), name) })
	switch len(rows) {
	case 1:
		return rows[0].ID, nil
	case 0:
		return "", notChosen(name, fmt.Sprintf("there is no group named %q", clip(name)), g.near(ctx, name))
	}
	return "", notChosen(name, fmt.Sprintf("%d groups are named %q: %s", len(rows), clip(name), listedIDs(rows)),
		"Names of groups are not unique. Use the object id of the one that is meant.")
}

func notChosen(name, text, hint string) error {
	return &dirsync.Error{Op: chooseOp, Kind: dirsync.Invalid, Field: "groups", Value: clip(name), Err: errors.New(text), Hint: hint}
}

func listedIDs(rows []dirsync.Record) string {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = string(r.ID)
	}
	return strings.Join(ids, ", ")
}

// quote makes a literal of a filter.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// byUniqueName returns the id of the group that has this uniqueName, or "" when there is none. Few groups have one, and
// a service that does not know such a key, or not with such characters, knows no such group.
func (g *GroupSource) byUniqueName(ctx context.Context, name string) (dirsync.ID, error) {
	key := strings.ReplaceAll(name, "'", "''")
	params := groupswithuniquename.GroupsWithUniqueNameRequestBuilderGetQueryParameters{Select: []string{"id", groupTitle, "uniqueName"}}
	builder := groupswithuniquename.NewGroupsWithUniqueNameRequestBuilderInternal(g.client.pathParameters(), g.client.adapter, &key)
	info, err := builder.ToGetRequestInformation(ctx, &groupswithuniquename.GroupsWithUniqueNameRequestBuilderGetRequestConfiguration{QueryParameters: &params})
	a, err := g.client.send(ctx, chooseOp, info, err)
	switch {
	case err != nil:
		return "", err
	case isNowhere(a), a.status == http.StatusBadRequest:
		return "", nil
	case a.status != http.StatusOK:
		return "", nowhereElse(g.fault(chooseOp, a))
	}
	r, err := newGroupDecoder().one(a.body)
	if err != nil {
		return "", g.limited(g.client.decodeError(chooseOp, a, err))
	}
	if r.Gone != dirsync.Present || !isGUID(string(r.ID)) || !strings.EqualFold(r.Attrs.Text("uniqueName"), name) {
		return "", g.client.broken(chooseOp, a, "the group that was asked for")
	}
	return r.ID, nil
}

const (
	// mostNamed is how many groups of one name are looked at.
	mostNamed = 20
	// mostPages is on how many pages they may be. Pages can be empty, and go on all the same.
	mostPages = 20
)

// listed returns groups that a filter lets through.
func (g *GroupSource) listed(ctx context.Context, filter string) ([]dirsync.Record, error) {
	var (
		rows []dirsync.Record
		link string
	)
	for range mostPages {
		info, err := g.listRequest(ctx, filter, link)
		a, err := g.client.send(ctx, chooseOp, info, err)
		if err == nil && a.status != http.StatusOK {
			err = nowhereElse(g.fault(chooseOp, a))
		}
		if err != nil {
			return nil, err
		}
		env, err := newGroupDecoder().envelope(a.body)
		if err != nil {
			return nil, g.limited(g.client.decodeError(chooseOp, a, err))
		}
		if rows = append(rows, env.rows...); env.next == "" || len(rows) >= mostNamed {
			return rows, nil
		}
		if err := g.client.checkPath(env.next, "groups"); err != nil {
			return nil, &dirsync.Error{Op: chooseOp, Kind: dirsync.Unavailable, Err: err, Hint: rewrittenHint}
		}
		link = env.next
	}
	return nil, &dirsync.Error{Op: chooseOp, Kind: dirsync.Unavailable, Err: errors.New("the list of groups does not end"),
		Hint: "This is a fault of the service that passes. Naming groups by their object ids avoids it."}
}

func (g *GroupSource) listRequest(ctx context.Context, filter, link string) (*abs.RequestInformation, error) {
	if link != "" {
		return g.all().WithUrl(link).ToGetRequestInformation(ctx, &groups.GroupsRequestBuilderGetRequestConfiguration{Options: toTheLetter()})
	}
	top := int32(mostNamed)
	params := groups.GroupsRequestBuilderGetQueryParameters{Select: []string{"id", groupTitle}, Filter: &filter, Top: &top}
	return g.all().ToGetRequestInformation(ctx, &groups.GroupsRequestBuilderGetRequestConfiguration{QueryParameters: &params})
}

// near is advice for a name that no group has: which groups have names that begin alike. When they cannot be found, it
// does without.
func (g *GroupSource) near(ctx context.Context, name string) string {
	const advice = "Check the spelling, or use the object id."
	letters := []rune(strings.TrimSpace(name))
	rows, err := g.listed(ctx, "startswith("+groupTitle+","+quote(string(letters[:min(len(letters), max(3, len(letters)/2))]))+")")
	if err != nil || len(rows) == 0 {
		return advice
	}
	var names []string
	for _, r := range rows[:min(len(rows), 5)] {
		names = append(names, fmt.Sprintf("%q (%s)", clip(r.Attrs.Text(groupTitle)), r.ID))
	}
	return advice + " There is " + strings.Join(names, ", ") + "."
}
