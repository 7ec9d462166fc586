package graph

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	abs "github.com/microsoft/kiota-abstractions-go"
	khttp "github.com/microsoft/kiota-http-go"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"dirsync"
)

// FirstRead says how a round from the zero Cursor is read. What is delivered is the same in the end.
type FirstRead string

// The ways of reading everybody. FirstPlain walks the delta query, at most 200 people an answer, one answer after the
// other. FirstParallel lists people by the first characters of their names, up to 999 an answer and several answers at
// a time, and then catches up by the delta query; where that cannot be proved to be complete, it goes on as FirstPlain.
// FirstAuto does so in tenants of more than 5,000 people.
const (
	FirstAuto     FirstRead = "auto"
	FirstPlain    FirstRead = "plain"
	FirstParallel FirstRead = "parallel"
)

const (
	worthParallel = 5000
	listers       = 8
	listTop       = 999
)

// How a first round is read in parallel:
//
//	latest ──► list the parts ──► catch up from latest ──► is everybody there? ──► complete
//	                │ refused                                 │ not proved
//	                └──────► walk the delta query ◄───────────┘
//	                                  └──► catch up from where it was left ──► complete
//
// The token is taken first, so whatever changes from then on is told when catching up: somebody who is renamed from one
// part into another while both are read, and somebody who is deleted after they were listed. The parts are asked for
// without ConsistencyLevel, that is of the directory itself and not of the index, which lags.
//
// That nobody is missing is proved by number: those who were listed, with those whom catching up has added and without
// those whom it has removed, must be as many as Graph counts. The count comes from the index, so it is asked for again
// some times while it differs.
type firstRound struct {
	Phase string `json:"p"`
	// Then is where to catch up from, once the parts are listed or the delta query is walked.
	Then string `json:"t,omitempty"`
	// Open are the parts that are not listed to their end.
	Open []part `json:"o,omitempty"`
	// Rows is how many people were listed, and Changed that catching up has told of somebody since.
	Rows    int  `json:"r,omitempty"`
	Changed bool `json:"c,omitempty"`
	// Proved says that nobody can be missing any more.
	Proved bool `json:"y,omitempty"`
}

// The phases. In phasePlain the mark's Link is a page of the walk, or empty at its beginning; in phaseCatch it is a
// page of the catching up, or the token where it begins; in phaseList it is empty.
const (
	phaseList  = "list"
	phaseCatch = "catch up"
	phasePlain = "plain"
)

// part is one part of the people, and where to go on with it.
type part struct {
	Of   string `json:"n"`
	Link string `json:"l,omitempty"`
}

// parts are one for each character that a user principal name can begin with, letter case disregarded, and one for all
// that are rare (Graph document "user resource type", userPrincipalName). The most frequent come first, so that the
// longest do not begin last.
func parts() []part {
	var all []part
	for c := range strings.SplitSeq("s a m j c d k r t b l p e g h n f i v w o u y z q x 0 1 2 3 4 5 6 7 8 9 '.-_!#^~", " ") {
		all = append(all, part{Of: c})
	}
	return all
}

func (p part) filter() string {
	var clauses []string
	for _, c := range p.Of {
		clauses = append(clauses, "startswith(userPrincipalName,'"+strings.ReplaceAll(string(c), "'", "''")+"')")
	}
	return strings.Join(clauses, " or ")
}

// errNoParts says that Graph does not list people in this way.
var errNoParts = errors.New("people cannot be listed in parts")

// first is one reading of a first round.
type first struct {
	*Source
	fn   func(dirsync.Page) error
	mark mark
	// before is how many people were listed by an earlier process, and known whom this one knows of.
	before int
	known  map[uint64]struct{}
	seed   maphash.Seed
	asked  int
}

// readFirst reads a first round in parallel, from its beginning or from where it was left.
func (s *Source) readFirst(ctx context.Context, m mark, fn func(dirsync.Page) error) error {
	f := &first{Source: s, fn: fn, mark: m, known: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
	if m.First == nil {
		link, err := s.latest(ctx, m)
		if err != nil {
			return err
		}
		if link == "" {
			return s.walk(ctx, m, nil, func(p dirsync.Page, _ mark) error { return fn(p) })
		}
		f.enter(firstRound{Phase: phaseList, Then: link, Open: parts()}, "", true)
	}
	f.before = f.mark.First.Rows
	for {
		var done bool
		var err error
		switch f.mark.First.Phase {
		case phaseList:
			err = f.list(ctx)
		case phasePlain:
			err = f.plain(ctx)
		default:
			done, err = f.catchUp(ctx)
		}
		if err != nil || done {
			return err
		}
	}
}

// enter goes on to another phase, or on in one.
func (f *first) enter(r firstRound, link string, inside bool) {
	f.mark.First, f.mark.Link, f.mark.Inside = &r, link, inside
}

// deliver hands over people, if there are any, together with where the reading now stands.
func (f *first) deliver(records []dirsync.Record) error {
	if len(records) == 0 {
		return nil
	}
	return f.fn(dirsync.Page{Records: records, Next: f.mark.cursor()})
}

// list lists the open parts, several at a time.
func (f *first) list(ctx context.Context) error {
	r := *f.mark.First
	if len(r.Open) > 0 {
		err := f.eachPage(ctx, r.Open, func(l listed) error {
			i := slices.IndexFunc(r.Open, func(p part) bool { return p.Of == l.part.Of })
			r.Open = slices.Clone(r.Open)
			if r.Open[i].Link = l.part.Link; l.part.Link == "" {
				r.Open = slices.Delete(r.Open, i, i+1)
			}
			f.note(l.records)
			r.Rows = f.before + len(f.known)
			f.enter(r, "", true)
			return f.deliver(l.records)
		})
		if errors.Is(err, errNoParts) {
			f.client.cfg.Log.Info().AnErr("reason", err).Msg("reading everybody by the delta query")
			f.enter(firstRound{Phase: phasePlain, Then: r.Then}, "", true)
			return nil
		}
		if err != nil {
			return err
		}
	}
	f.enter(firstRound{Phase: phaseCatch, Rows: r.Rows}, r.Then, false)
	return nil
}

// note keeps who is there by what was said last.
func (f *first) note(records []dirsync.Record) {
	for _, r := range records {
		key := maphash.String(f.seed, string(r.ID))
		if r.Gone == dirsync.Present {
			f.known[key] = struct{}{}
		} else {
			delete(f.known, key)
		}
	}
}

// plain walks the delta query from its beginning. Whoever was deleted in the meantime is told when catching up.
func (f *first) plain(ctx context.Context) error {
	then := f.mark.First.Then
	at := f.mark
	at.First = nil
	return f.walk(ctx, at, nil, func(p dirsync.Page, next mark) error {
		if p.Complete {
			f.enter(firstRound{Phase: phaseCatch, Proved: true}, then, false)
		} else {
			f.enter(firstRound{Phase: phasePlain, Then: then}, next.Link, true)
		}
		return f.deliver(p.Records)
	})
}

// catchUp reads what has changed since the link in the mark, and ends the round if everybody is there. Otherwise the
// mark says how to go on.
func (f *first) catchUp(ctx context.Context) (done bool, err error) {
	at, r := f.mark, *f.mark.First
	at.First = nil
	err = f.walk(ctx, at, nil, func(p dirsync.Page, next mark) error {
		f.note(p.Records)
		r.Changed = r.Changed || len(p.Records) > 0
		if f.before == 0 {
			r.Rows = len(f.known)
		}
		if !p.Complete {
			f.enter(r, next.Link, true)
			return f.deliver(p.Records)
		}
		proved, again := r.Proved, false
		if !proved {
			if proved, again, err = f.prove(ctx, r); err != nil {
				return err
			}
		}
		switch {
		case proved:
			done = true
			return f.fn(p)
		case again:
			f.enter(r, next.Link, false)
		default:
			f.client.cfg.Log.Info().Msg("reading everybody again by the delta query, because the lists cannot be proved to be complete")
			f.enter(firstRound{Phase: phasePlain, Then: next.Link}, "", true)
		}
		return f.deliver(p.Records)
	})
	return done, err
}

// prove tells whether nobody is missing, or else whether it makes sense to ask again after catching up once more.
func (f *first) prove(ctx context.Context, r firstRound) (proved, again bool, err error) {
	// An earlier process has not left behind whom it listed, so that those who changed cannot be told from new ones.
	if f.before > 0 && r.Changed {
		return false, false, nil
	}
	n, err := f.count(ctx)
	if err != nil || n < 0 {
		return false, false, err
	}
	if n == f.before+len(f.known) {
		return true, false, nil
	}
	// The index may lag behind. It is waited for, but not long: 1, 2, 4 and 8 seconds.
	if f.asked++; f.asked > 4 {
		return false, false, nil
	}
	if err := f.client.cfg.Sleep(ctx, time.Second<<(f.asked-1)); err != nil {
		return false, false, f.client.sendError(ctx, f.op(), err)
	}
	return false, true, nil
}

// latest asks for the token from which on changes are told, with the properties of m. It is empty when Graph gives none.
func (s *Source) latest(ctx context.Context, m mark) (string, error) {
	info, err := s.deltaRequest(ctx, mark{Select: m.Select})
	if err != nil {
		return "", s.client.sendError(ctx, s.op(), err)
	}
	info.PathParameters["baseurl"] = s.client.cfg.BaseURL
	uri, err := info.GetUri()
	if err != nil {
		return "", &dirsync.Error{Op: s.op(), Kind: dirsync.Invalid, Err: errors.New("the request could not be built")}
	}
	page, next, err := s.page(ctx, newDecoder(), mark{Select: m.Select, Link: uri.String() + "&$deltatoken=latest", Inside: true})
	switch {
	case errors.Is(err, dirsync.ErrCursorExpired) || errors.Is(err, dirsync.ErrPageExpired) || dirsync.KindOf(err) == dirsync.Invalid:
		return "", nil
	case err != nil:
		return "", err
	case !page.Complete || len(page.Records) > 0: // it has begun a whole round instead
		return "", nil
	}
	return next.Link, nil
}

// count asks how many people there are. It is negative when Graph does not say.
func (s *Source) count(ctx context.Context) (int, error) {
	builder := users.NewUsersRequestBuilderInternal(s.client.pathParameters(), s.client.adapter).Count()
	headers := abs.NewRequestHeaders()
	headers.Add("ConsistencyLevel", "eventual")
	info, err := builder.ToGetRequestInformation(ctx, &users.CountRequestBuilderGetRequestConfiguration{Headers: headers})
	a, err := s.client.send(ctx, s.op(), info, err)
	if err != nil {
		return 0, err
	}
	if text := strings.TrimSpace(strings.TrimPrefix(string(a.body), "\ufeff")); a.status == http.StatusOK && countForm.MatchString(text) {
		return number(text), nil
	}
	return -1, nil
}

var countForm = regexp.MustCompile(`^[0-9]{1,9}$`)

// listed is one page of a part: part.Link is where to go on, empty at its end.
type listed struct {
	part    part
	records []dirsync.Record
	err     error
}

// eachPage fetches the pages of parts, several at a time, and calls fn for one at a time.
func (s *Source) eachPage(ctx context.Context, open []part, fn func(listed) error) error {
	inner, cancel := context.WithCancel(ctx)
	todo, pages := make(chan part, len(open)), make(chan listed)
	for _, p := range open {
		todo <- p
	}
	close(todo)
	var workers sync.WaitGroup
	for range min(listers, len(open)) {
		workers.Go(func() {
			decode := newDecoder()
			for p := range todo {
				if !s.listPart(inner, decode, p, pages) {
					return
				}
			}
		})
	}
	go func() {
		workers.Wait()
		close(pages)
	}()
	defer func() {
		cancel()
		for range pages { // until the workers have ended
		}
	}()
	for l := range pages {
		if l.err != nil {
			return l.err
		}
		if ctx.Err() != nil {
			break
		}
		if err := fn(l); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return s.client.sendError(ctx, s.op(), context.Cause(ctx))
	}
	return nil
}

// listPart sends the pages of one part. It is false when nothing more is wanted.
func (s *Source) listPart(ctx context.Context, decode *decoder, p part, pages chan<- listed) bool {
	trail := newTrail()
	for {
		records, link, err := s.listPage(ctx, decode, p)
		if p.Link = link; err == nil && link != "" && trail.crosses(link) {
			err = trail.error(s.op())
		}
		select {
		case pages <- listed{p, records, err}:
		case <-ctx.Done():
			return false
		}
		if err != nil || link == "" {
			return err == nil
		}
	}
}

// listPage reads one page of a part.
func (s *Source) listPage(ctx context.Context, decode *decoder, p part) ([]dirsync.Record, string, error) {
	info, err := s.listRequest(ctx, p)
	a, err := s.client.send(ctx, s.op(), info, err)
	if err != nil {
		return nil, "", err
	}
	switch {
	case a.status == http.StatusOK:
	case p.Link != "" && a.status == http.StatusBadRequest && parseGraphError(a.body).is("Directory_ExpiredPageToken"):
		return nil, "", fmt.Errorf("%s: %w (%s)", s.op(), dirsync.ErrPageExpired, describe(a.status, "Directory_ExpiredPageToken"))
	case a.status == http.StatusBadRequest || a.status == http.StatusNotFound || a.status == http.StatusNotImplemented:
		return nil, "", fmt.Errorf("%w: %w", errNoParts, s.client.graphError(s.op(), a))
	default:
		return nil, "", s.client.graphError(s.op(), a)
	}
	env, err := decode.envelope(a.body)
	switch {
	case errors.Is(err, errLimited): // the delta query will say so, too, if it is true of everybody
		return nil, "", fmt.Errorf("%w: %w", errNoParts, err)
	case err != nil:
		return nil, "", s.client.decodeError(s.op(), a, err)
	}
	if env.next != "" {
		if err := s.client.checkList(env.next); err != nil {
			return nil, "", &dirsync.Error{Op: s.op(), Kind: dirsync.Unavailable, Err: err, Hint: rewrittenHint}
		}
	}
	for i := range env.rows {
		s.complete(&env.rows[i])
	}
	return env.rows, env.next, nil
}

// listRequest builds the request for a part's first page, or for where to go on.
func (s *Source) listRequest(ctx context.Context, p part) (*abs.RequestInformation, error) {
	builder := users.NewUsersRequestBuilderInternal(s.client.pathParameters(), s.client.adapter)
	if p.Link != "" {
		return builder.WithUrl(p.Link).ToGetRequestInformation(ctx, &users.UsersRequestBuilderGetRequestConfiguration{
			Options: []abs.RequestOption{&khttp.ParametersNameDecodingOptions{}}, // a link is opaque, to the letter
		})
	}
	top, filter := int32(listTop), p.filter()
	params := users.UsersRequestBuilderGetQueryParameters{Select: s.selected, Top: &top, Filter: &filter}
	if slices.Contains(s.selected, managerName) {
		params.Select = slices.DeleteFunc(slices.Clone(s.selected), func(p string) bool { return p == managerName })
		params.Expand = []string{managerName + "($select=id)"}
	}
	return builder.ToGetRequestInformation(ctx, &users.UsersRequestBuilderGetRequestConfiguration{QueryParameters: &params})
}

// complete marks a listed record as whole if every property is in it, as a list has them: null where nothing is set. A
// manager who is asked for and not there is nobody.
func (s *Source) complete(r *dirsync.Record) {
	for _, name := range s.selected {
		_, said := r.Attrs.Get(name)
		switch {
		case said || name == "id":
		case name == managerName:
			r.Attrs = r.Attrs.Merge(dirsync.Attributes{{Name: managerName, Raw: []byte("null")}})
		default:
			return
		}
	}
	r.Whole = r.Gone == dirsync.Present
}

// checkFirst says why a mark from within a first round cannot be gone on from.
func (c *Client) checkFirst(m mark) error {
	r := m.First
	switch r.Phase {
	case phaseCatch:
		return c.checkLink(m.Link)
	case phasePlain:
		if m.Link != "" {
			if err := c.checkLink(m.Link); err != nil {
				return err
			}
		}
	case phaseList:
		if m.Link != "" {
			return errors.New("a link is where none can be")
		}
		for _, p := range r.Open {
			if !slices.ContainsFunc(parts(), func(known part) bool { return known.Of == p.Of }) {
				return errors.New("the parts are others today")
			}
			if p.Link != "" {
				if err := c.checkList(p.Link); err != nil {
					return err
				}
			}
		}
	default:
		return errors.New("the phase is not known")
	}
	return c.checkLink(r.Then)
}
