package graph

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	abs "github.com/microsoft/kiota-abstractions-go"
	khttp "github.com/microsoft/kiota-http-go"
	"github.com/microsoftgraph/msgraph-sdk-go/groups"

	"dirsync"
)

// streamsAtATime is how many delta queries are walked side by side. Each has one answer at most waiting to be taken.
const streamsAtATime = 4

// groupRound is one reading of a round of groups:
//
//	find the chosen ──► follow the new ──► read the streams ──► look up the unseen ──► complete
//	                         ▲                                          │
//	                         └───────── groups found in groups ─────────┘
//
// Its mark moves on with every page, so that the round can be gone on with from any of them.
type groupRound struct {
	*GroupSource
	fn       func(dirsync.Page) error
	mark     groupMark
	known    map[dirsync.ID]bool
	complete bool
}

// Read walks one round; see dirsync.GroupSource. Records are rows of the delta query: a large group comes as several, on
// one page or on many, each with other members. Members who come and go are told in the order in which Graph tells it.
//
// A round that Graph refuses to go on with is reported, never restarted here: ErrCursorExpired when the token of one
// stream is no longer known, ErrPageExpired when a page link is not. A chosen name that means no group, or several, is an
// error of kind Invalid; a group that cannot be seen in full is one of kind Permission.
func (g *GroupSource) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	if g.invalid != nil {
		return g.invalid
	}
	m, err := g.parseCursor(since)
	if err != nil {
		return err
	}
	ctx = g.counted(ctx)
	r := &groupRound{GroupSource: g, fn: fn, mark: m, known: m.followed()}
	if err := r.choose(ctx); err != nil {
		return err
	}
	for {
		r.follow()
		if err := r.readStreams(ctx); err != nil || r.complete {
			return err
		}
		if err := r.settleUnseen(ctx); err != nil || r.complete {
			return err
		}
		if r.mark.finished() {
			return r.deliver(nil)
		}
	}
}

// find notes a group that is to be followed from now on.
func (r *groupRound) find(id dirsync.ID) {
	if !r.mark.All && !r.known[id] {
		r.known[id] = true
		r.mark.Found = append(r.mark.Found, id)
	}
}

// follow makes streams for the groups that were found.
func (r *groupRound) follow() {
	for ids := range slices.Chunk(r.mark.Found, streamIDs) {
		r.mark.Streams = append(r.mark.Streams, stream{IDs: slices.Clone(ids), First: true, Unseen: slices.Clone(ids)})
	}
	r.mark.Found = nil
}

// numbered is a stream and its place in the mark.
type numbered struct {
	n int
	stream
}

// groupPage is one page of a stream.
type groupPage struct {
	n int
	deltaPage
}

// readStreams reads all streams that are not done to their ends.
func (r *groupRound) readStreams(ctx context.Context) error {
	var open []numbered
	for n, s := range r.mark.Streams {
		if !s.Done {
			open = append(open, numbered{n, s})
		}
	}
	return inParallel(ctx, streamsAtATime, open, r.readStream,
		func(p groupPage) error { return r.take(ctx, p) },
		func() error { return r.client.sendError(ctx, groupsOp, context.Cause(ctx)) })
}

// readStream sends the pages of one stream.
func (g *GroupSource) readStream(ctx context.Context, s numbered, send func(groupPage) bool) error {
	decode, trail := newGroupDecoder(), newTrail()
	if s.Link != "" {
		trail.crosses(s.Link)
	}
	for {
		page, err := g.page(ctx, decode, s.stream)
		if err != nil {
			return err
		}
		if !page.complete && trail.crosses(page.link) {
			return trail.error(groupsOp)
		}
		if !send(groupPage{s.n, page}) || page.complete {
			return nil
		}
		s.Link, s.Inside = page.link, true
	}
}

// page reads one page of a stream.
func (g *GroupSource) page(ctx context.Context, decode *decoder, s stream) (deltaPage, error) {
	info, err := g.deltaRequest(ctx, s)
	a, err := g.client.send(ctx, groupsOp, info, err)
	if err != nil {
		return deltaPage{}, err
	}
	if a.status != http.StatusOK {
		if expired := startOver(a, mark{Link: s.Link, Inside: s.Inside}); expired != nil {
			return deltaPage{}, fmt.Errorf("%s: %w", groupsOp, expired)
		}
		return deltaPage{}, g.fault(groupsOp, a)
	}
	page, err := decode.page(a.body)
	if err != nil {
		return deltaPage{}, g.limited(g.client.decodeError(groupsOp, a, err))
	}
	if err := g.client.checkDelta(page.link, "groups"); err != nil {
		return deltaPage{}, &dirsync.Error{Op: groupsOp, Kind: dirsync.Unavailable, Err: err, Hint: rewrittenHint}
	}
	return page, nil
}

// deltaRequest builds the request for a stream's link as it is, or its first request.
func (g *GroupSource) deltaRequest(ctx context.Context, s stream) (*abs.RequestInformation, error) {
	builder := g.all().Delta()
	if s.Link != "" {
		return builder.WithUrl(s.Link).ToGetRequestInformation(ctx, &groups.DeltaRequestBuilderGetRequestConfiguration{Options: toTheLetter()})
	}
	params := groups.DeltaRequestBuilderGetQueryParameters{Select: append(groupProperties(), membersName)}
	if len(s.IDs) > 0 {
		clauses := make([]string, len(s.IDs))
		for i, id := range s.IDs {
			clauses[i] = "id eq '" + string(id) + "'"
		}
		filter := strings.Join(clauses, " or ")
		params.Filter = &filter
	}
	return builder.ToGetRequestInformation(ctx, &groups.DeltaRequestBuilderGetRequestConfiguration{QueryParameters: &params})
}

// toTheLetter has a link sent as it is: links are opaque, and their options are not to be spelled in another way.
func toTheLetter() []abs.RequestOption {
	return []abs.RequestOption{&khttp.ParametersNameDecodingOptions{}}
}

// take moves the mark on behind a page and delivers what is on it of the groups that are followed.
func (r *groupRound) take(ctx context.Context, p groupPage) error {
	s := &r.mark.Streams[p.n]
	s.Link, s.Inside, s.Done = p.link, !p.complete, p.complete
	records := p.records[:0]
	for _, rec := range p.records {
		if len(s.IDs) > 0 && !slices.Contains(s.IDs, rec.ID) {
			continue // tombstones of strangers, which a first round may have
		}
		if err := r.checkHidden(ctx, groupsOp, rec); err != nil {
			return err
		}
		if i := slices.Index(s.Unseen, rec.ID); i >= 0 {
			s.Unseen = slices.Delete(s.Unseen, i, i+1)
		}
		r.nested(rec.Members)
		rec.Fresh = s.First && rec.Gone == dirsync.Present
		records = append(records, rec)
	}
	return r.deliver(records)
}

// nested notes groups that are members of a followed group.
func (r *groupRound) nested(members []dirsync.MemberChange) {
	if !r.mark.Nested {
		return
	}
	for _, m := range members {
		if m.Kind == dirsync.KindGroup && !m.Removed && isGUID(string(m.ID)) {
			r.find(m.ID)
		}
	}
}

// deliver hands over records, if there are any, together with where the reading now stands. The last page of a round is
// delivered in any case.
func (r *groupRound) deliver(records []dirsync.Record) error {
	if r.complete = r.mark.finished(); r.complete {
		return r.fn(dirsync.Page{Records: records, Next: r.mark.next().cursor(), Complete: true})
	}
	if len(records) == 0 {
		return nil
	}
	return r.fn(dirsync.Page{Records: records, Next: r.mark.cursor()})
}

// settleUnseen looks up the groups of which the first round of their stream has said nothing: they were deleted before
// it, or made just now. Either way something is said of each.
func (r *groupRound) settleUnseen(ctx context.Context) error {
	if slices.ContainsFunc(r.mark.Streams, func(s stream) bool { return len(s.Unseen) > 0 }) {
		// A replica of the directory that has not heard yet of what the tokens stand for must not be asked: of a group
		// that it takes for present nobody would ever say that it was deleted.
		if err := r.client.cfg.Sleep(ctx, r.client.cfg.ReplicaLag); err != nil {
			return r.client.sendError(ctx, groupsOp, err)
		}
	}
	for n := range r.mark.Streams {
		s := &r.mark.Streams[n]
		for len(s.Unseen) > 0 {
			id := s.Unseen[0]
			rec, err := r.single(groupsOp).record(ctx, id)
			if err != nil {
				return err
			}
			if rec.Gone == dirsync.Present {
				rec, err = r.membersOf(ctx, rec)
			}
			if err != nil {
				return err
			}
			s.Unseen = s.Unseen[1:]
			if err := r.deliver([]dirsync.Record{rec}); err != nil {
				return err
			}
		}
	}
	return nil
}

// membersOf lists the members of a group that was looked up, and delivers all but the last of them. What it returns is
// left to be delivered: the rest, or a tombstone if the group was deleted in the meantime.
func (r *groupRound) membersOf(ctx context.Context, rec dirsync.Record) (dirsync.Record, error) {
	if err := r.checkHidden(ctx, groupsOp, rec); err != nil {
		return rec, err
	}
	rec.Fresh = true
	err := r.list(ctx, rec.ID, func(members []dirsync.Membership) error {
		if rec.Members != nil {
			if err := r.deliver([]dirsync.Record{rec}); err != nil {
				return err
			}
		}
		rec.Members = make([]dirsync.MemberChange, len(members))
		for i, m := range members {
			rec.Members[i] = dirsync.MemberChange{ID: m.Member, Kind: m.Kind}
		}
		r.nested(rec.Members)
		return nil
	})
	if dirsync.KindOf(err) == dirsync.NotFound {
		gone, err := r.single(groupsOp).record(ctx, rec.ID)
		if err == nil && gone.Gone == dirsync.Present {
			err = &dirsync.Error{Op: groupsOp, ID: rec.ID, Kind: dirsync.Unavailable,
				Err:  fmt.Errorf("Microsoft Graph says of one group that it is there and that it is not"),
				Hint: "The group was made or restored just now. The next run goes on from here."}
		}
		return gone, err
	}
	return rec, err
}
