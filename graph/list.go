package graph

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	abs "github.com/microsoft/kiota-abstractions-go"
	khttp "github.com/microsoft/kiota-http-go"
	"github.com/microsoftgraph/msgraph-sdk-go/users"

	"dirsync"
)

// part is one part of the people, those whose user principal names are from From up to To, both included, and where to
// go on with it. An empty From or To is no bound.
type part struct {
	From string `json:"f,omitempty"`
	To   string `json:"u,omitempty"`
	Link string `json:"l,omitempty"`
}

func (p part) same(other part) bool { return p.From == other.From && p.To == other.To }

// filter is empty when everybody is in the part. ge and le are what Graph documents for userPrincipalName without
// advanced query capabilities; lt and gt are not.
func (p part) filter() string {
	var clauses []string
	if p.From != "" {
		clauses = append(clauses, principalName+" ge '"+p.From+"'")
	}
	if p.To != "" {
		clauses = append(clauses, principalName+" le '"+p.To+"'")
	}
	return strings.Join(clauses, " and ")
}

// excludes tells by what a name begins with that it cannot be in the part, in any order that has letters as the alphabet
// has them. It is there to notice early that somebody on the way drops the filter, which would otherwise list everybody
// in every part.
func (p part) excludes(first byte) bool {
	c := letter(first)
	return c > 0 && (p.From != "" && c < letter(p.From[0]) || p.To != "" && letter(p.To[0]) > 0 && c > letter(p.To[0]))
}

// letter puts a letter into lower case; anything else is zero.
func letter(c byte) byte {
	if c |= 0x20; c < 'a' || c > 'z' {
		return 0
	}
	return c
}

const (
	// quantiles is how many equal parts a sample is divided into, besides the letters.
	quantiles = 16
	// boundLength is how much of a name bounds a part.
	boundLength = 6
)

var boundForm = regexp.MustCompile(`^[a-z0-9._-]{0,6}$`)

// parts divides people at every letter, and at the quantiles of a sample of their names: letters, because a sample may
// come from one corner of the tenant; quantiles, because in some tenants all names begin with the same letter. Any
// bounds make parts of everybody. No name is a bound itself, because bounds have no @, so that nobody is in two parts.
func parts(names []string) []part {
	var sample, bounds []string
	for _, name := range names {
		name = strings.ToLower(name)
		end := 0
		for end < min(len(name), boundLength) && boundForm.MatchString(name[end:end+1]) {
			end++
		}
		if end > 0 {
			sample = append(sample, name[:end])
		}
	}
	slices.Sort(sample)
	for i := 1; i < quantiles && len(sample) >= quantiles; i++ {
		bounds = append(bounds, sample[i*len(sample)/quantiles])
	}
	for c := 'a'; c <= 'z'; c++ {
		bounds = append(bounds, string(c))
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	all := make([]part, len(bounds)+1)
	for i, b := range bounds {
		all[i].To, all[i+1].From = b, b
	}
	return all
}

// sample asks for the names of some people.
func (s *Source) sample(ctx context.Context) ([]string, error) {
	records, _, err := (&Source{client: s.client, selected: []string{"id", principalName}}).listPage(ctx, newDecoder(), part{})
	names := make([]string, len(records))
	for i, r := range records {
		names[i] = r.Attrs.Text(principalName)
	}
	return names, err
}

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
		if name, _ := env.rows[i].Attrs.Get(principalName); len(name) > 2 && p.excludes(name[1]) {
			return nil, "", fmt.Errorf("%w: somebody is on a list to which their name does not belong", errNoParts)
		}
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
	top := int32(listTop)
	params := users.UsersRequestBuilderGetQueryParameters{Select: s.selected, Top: &top}
	if filter := p.filter(); filter != "" {
		params.Filter = &filter
	}
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
