package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"dirsync"
)

// MembersOnly makes a Source like Users for a sync that wants the members of groups alone, and reads nobody whom it need
// not: its round from the zero Cursor delivers nobody at all and is Complete after Config.ReplicaLag. Any other round
// delivers whoever changed since. Who is wanted must be asked for by LookUp: whoever is known already, after a round
// from the zero Cursor, and whoever turns up in a group.
//
// Where Graph does not say from which moment on changes are told, Read fails with kind Unavailable; it never reads
// everybody instead. The Cursors are of use to other Sources of this kind only; to one that Users has made they are
// expired, because people are missing. Those of Users can be used here.
func (c *Client) MembersOnly(properties []string) *Source {
	s := c.Users(properties)
	s.membersOnly = true
	return s
}

// readFromNow delivers nobody, and where the next round begins.
func (s *Source) readFromNow(ctx context.Context, at mark, fn func(dirsync.Page) error) error {
	info, err := s.deltaRequest(ctx, mark{Select: at.Select})
	if err == nil {
		// The SDK's builder does not know $deltatoken (Graph document "Use delta query", $deltatoken=latest).
		info.PathParameters["baseurl"] = s.client.cfg.BaseURL
		info.UrlTemplate += "&%24deltatoken=latest"
	}
	a, err := s.client.send(ctx, s.op(), info, err)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusOK:
	case a.status >= 400 && a.status < 500 && startOver(a, mark{Link: "latest"}) != nil, a.status == http.StatusBadRequest:
		return s.noLatest(errors.New("Microsoft Graph answered " + describe(a.status, parseGraphError(a.body).code)))
	default:
		return s.client.graphError(s.op(), a)
	}
	got, err := newDecoder().page(a.body)
	switch {
	case err != nil:
		return s.client.decodeError(s.op(), a, err)
	case !got.complete || len(got.records) > 0:
		return s.noLatest(errors.New("Microsoft Graph began to deliver everybody instead"))
	}
	if err := s.client.checkLink(got.link); err != nil {
		return &dirsync.Error{Op: s.op(), Kind: dirsync.Unavailable, Err: err, Hint: rewrittenHint}
	}
	// A replica of the directory that has not heard yet of what the token stands for must not be asked about anybody.
	if err := s.client.cfg.Sleep(ctx, s.client.cfg.ReplicaLag); err != nil {
		return s.client.sendError(ctx, s.op(), err)
	}
	next := mark{Tenant: s.client.cfg.Tenant, Select: at.Select, Link: got.link, FromNow: true}
	return fn(dirsync.Page{Next: next.cursor(), Complete: true})
}

func (s *Source) noLatest(err error) error {
	return &dirsync.Error{Op: s.op(), Kind: dirsync.Unavailable, Err: fmt.Errorf("%w: %w", errNoLatest, err),
		Hint: "Nothing was read. If it happens every time, have the sync read everybody, and choose the members of groups among them."}
}

// errNoLatest says that Graph has not named the moment from which on changes are told.
var errNoLatest = errors.New("the moment from which on changes are told is not known")
