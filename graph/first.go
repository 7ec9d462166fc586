package graph

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	abs "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"dirsync"
)

// FirstRead says how a round from the zero Cursor is read. What is delivered is the same in the end.
type FirstRead string

// The ways of reading everybody. FirstPlain walks the delta query, at most 200 people an answer, one answer after the
// other. FirstParallel lists people in ranges of their user principal names, up to 999 an answer and several answers at a
// time, and then catches up by the delta query; where Graph does not list people so, it goes on as FirstPlain. FirstAuto
// does so in tenants of more than 50,000 people, in which the wait for Config.ReplicaLag is worth it.
const (
	FirstAuto     FirstRead = "auto"
	FirstPlain    FirstRead = "plain"
	FirstParallel FirstRead = "parallel"
)

const (
	worthParallel = 50_000
	listers       = 8
	listTop       = 999
)

// How a first round is read in parallel:
//
//	latest ──► sample ──► wait ──► list the parts ──► catch up from latest ──► complete
//	   │          │                    │ refused          │ fewer than Graph counts
//	   └──────────┴────────────────────┴──────────────────┴──► walk the delta query ──► catch up ──► complete
//
// Why nobody is missing, and nobody wrong or still there who is gone. Call T the moment of the token, and L the longest
// time by which one replica of the directory may be behind another (Config.ReplicaLag).
//
//   - The parts are everybody. They are made of texts t1…tn: names up to t1, from each to the next, and from tn on, ends
//     included. Whatever total order the service compares by: take somebody's name x, and the last t that is not above it.
//     If there is none, x is in the first part; if it is tn, in the last; and otherwise the next t is above x, so that x
//     is between the two. Nothing is assumed of the letters that names begin with, nor of what the order is, nor that the
//     texts are sorted by it. Every user has a user principal name (Graph document "user resource type").
//   - Who did not change lately is listed. No list begins before T+L. Whatever was known to any replica at T is then known
//     to all. So whoever has not changed since T, as the replica that gave the token sees it, is in the same part, and the
//     same, on every page of every list: they are listed, once and as they are; or, if they were gone by then, not.
//   - Whoever changed since is told of when catching up, or later: a token stands for what its replica had seen, and
//     whatever that had not seen is told as soon as it is seen (Graph document "delta query overview", replication
//     delays). That is all who came, went or were renamed from one part into another while the lists were read, and also
//     who had changed before T and was not yet seen by the token's replica. What a list said of them is replaced by what
//     is told, because catching up comes after the lists.
//
// Nobody has to be counted for that, and nothing to be remembered. The index, from which advanced queries and counts are
// answered, has no part in it; its lag can hide nobody. Graph is asked how many people there are all the same, to notice a
// service that does not keep to what is assumed here: when there are more than were listed and told of, the delta query
// is walked. The index may know too many, because it has not heard of deletions, so it is asked again some times; a number
// that is too small, or none, is no proof of anything and changes nothing.
//
// The walk after lists has two ends to hold together. Somebody who was listed and then deleted it does not mention; they
// are told of from the token before the walk, by every replica once L has gone by after it. And what its own pages have
// seen stands by its own link. So it waits, catches up from both, and the round's Cursor is that of the second.
type firstRound struct {
	Phase string `json:"p"`
	// Then is where to catch up from, once the parts are listed or the delta query is walked, and Last where to catch up
	// from after that; it is empty where there is no need.
	Then string `json:"t,omitempty"`
	Last string `json:"e,omitempty"`
	// Open are the parts that are not listed to their end.
	Open []part `json:"o,omitempty"`
	// Rows is how many people were listed, and Told how many present ones catching up has told of.
	Rows int `json:"r,omitempty"`
	Told int `json:"c,omitempty"`
	// Taken is when the token of a primed round was taken.
	Taken time.Time `json:"n,omitzero"`
	// Walked says that the delta query was walked, so that numbers do not matter any more.
	Walked bool `json:"y,omitempty"`
}

// The phases. In phasePlain the mark's Link is a page of the walk, or empty at its beginning; in phaseCatch it is a
// page of the catching up, or the token where it begins; in phaseList it is empty.
const (
	phaseList  = "parts"
	phaseCatch = "catch up"
	phasePlain = "plain"
)

// errNoParts says that Graph does not list people in this way.
var errNoParts = errors.New("people cannot be listed in parts")

// first is one reading of a first round.
type first struct {
	*Source
	fn    func(dirsync.Page) error
	mark  mark
	asked int
}

// readFirst reads a first round in parallel, from its beginning or from where it was left.
func (s *Source) readFirst(ctx context.Context, m mark, fn func(dirsync.Page) error) error {
	f := &first{Source: s, fn: fn, mark: m}
	if m.First == nil || m.First.Phase == phasePrimed {
		if begun, err := f.begin(ctx); err != nil {
			return err
		} else if !begun {
			m.First, m.Inside = nil, false
			return s.walk(ctx, m, nil, func(p dirsync.Page, _ mark) error { return fn(p) })
		}
	}
	for {
		var done bool
		var err error
		switch f.mark.First.Phase {
		case phaseList:
			err = f.list(ctx)
		case phasePlain:
			done, err = f.plain(ctx)
		default:
			done, err = f.catchUp(ctx)
		}
		if err != nil || done {
			return err
		}
	}
}

// begin takes the token, decides on the parts, and waits until every replica knows what the token stands for. It is
// false when Graph has no such token or no such lists. No Cursor is handed out before the wait is over, so that none
// leads around it.
func (f *first) begin(ctx context.Context) (bool, error) {
	link, wait, err := f.token(ctx)
	if err != nil || link == "" {
		return false, err
	}
	names, err := f.sample(ctx)
	if errors.Is(err, errNoParts) {
		f.client.cfg.Log.Info().AnErr("reason", err).Msg("reading everybody by the delta query")
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := f.settle(ctx, wait); err != nil {
		return false, err
	}
	f.enter(firstRound{Phase: phaseList, Then: link, Open: parts(names)}, "", true)
	return true, nil
}

// token is the token from which on changes are told, and how long must still be waited until every replica knows what it
// stands for: that of a primed round, or a new one. It is empty when Graph gives none.
func (f *first) token(ctx context.Context) (link string, wait time.Duration, err error) {
	if r := f.mark.First; r != nil {
		return r.Then, f.left(), nil
	}
	link, err = f.latest(ctx, f.mark)
	return link, f.client.cfg.ReplicaLag, err
}

// settle waits until every replica knows what any of them knows now, or knew when less than ReplicaLag is left.
func (f *first) settle(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	if err := f.client.cfg.Sleep(ctx, wait); err != nil {
		return f.client.sendError(ctx, f.op(), err)
	}
	return nil
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
			i := slices.IndexFunc(r.Open, l.part.same)
			r.Open = slices.Clone(r.Open)
			if r.Open[i].Link = l.part.Link; l.part.Link == "" {
				r.Open = slices.Delete(r.Open, i, i+1)
			}
			r.Rows += len(l.records)
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

// plain walks the delta query from its beginning.
func (f *first) plain(ctx context.Context) (done bool, err error) {
	then := f.mark.First.Then
	at := f.mark
	at.First = nil
	err = f.walk(ctx, at, nil, func(p dirsync.Page, next mark) error {
		if p.Complete {
			f.enter(firstRound{Phase: phaseCatch, Walked: true, Last: next.Link}, then, false)
		} else {
			f.enter(firstRound{Phase: phasePlain, Then: then}, next.Link, true)
		}
		return f.deliver(p.Records)
	})
	return false, err
}

// catchUp reads what has changed since the link in the mark, and ends the round if that is all there is to do. Otherwise
// the mark says how to go on.
func (f *first) catchUp(ctx context.Context) (done bool, err error) {
	at, r := f.mark, *f.mark.First
	at.First = nil
	if r.Last != "" {
		if err := f.settle(ctx, f.client.cfg.ReplicaLag); err != nil {
			return false, err
		}
	}
	err = f.walk(ctx, at, nil, func(p dirsync.Page, next mark) error {
		for _, record := range p.Records {
			if record.Gone == dirsync.Present {
				r.Told++
			}
		}
		if !p.Complete {
			f.enter(r, next.Link, true)
			return f.deliver(p.Records)
		}
		enough, again := r.Walked, false
		if !enough {
			if enough, again, err = f.enough(ctx, r); err != nil {
				return err
			}
		}
		switch {
		case enough && r.Last == "":
			done = true
			return f.fn(p)
		case enough:
			f.enter(firstRound{Phase: phaseCatch, Walked: true}, r.Last, false)
		case again:
			f.enter(r, next.Link, false)
		default:
			f.client.cfg.Log.Warn().Int("listed", r.Rows).Msg("reading everybody again by the delta query, because Microsoft Graph counts more people than it has listed")
			f.enter(firstRound{Phase: phasePlain, Then: next.Link}, "", true)
		}
		return f.deliver(p.Records)
	})
	return done, err
}

// enough tells whether Graph counts no more people than were listed and told of, or else whether it makes sense to ask
// again after catching up once more.
func (f *first) enough(ctx context.Context, r firstRound) (enough, again bool, err error) {
	n, err := f.count(ctx)
	if err != nil || n <= r.Rows+r.Told {
		return err == nil, false, err
	}
	// The index may not have heard of deletions. It is waited for, but not long: 1, 2, 4 and 8 seconds.
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

// checkFirst says why a mark from within a first round cannot be gone on from.
func (c *Client) checkFirst(m mark) error {
	r := m.First
	if r.Last != "" {
		if err := c.checkLink(r.Last); err != nil {
			return err
		}
	}
	switch r.Phase {
	case phasePrimed:
		if m.Link != "" {
			return errors.New("a link is where none can be")
		}
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
			if !boundForm.MatchString(p.From) || !boundForm.MatchString(p.To) {
				return errors.New("a part is none")
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
