package graphtest

import (
	"net/http"
	"time"
)

// Faults are switches, each of which can be set alone or together with any others. All choices that look random follow
// from Seed, so that equal requests meet equal faults.
type Faults struct {
	// Seed varies every choice that looks random.
	Seed uint64

	// PageSize is the number of rows on a page of a delta round at most; zero means the service's 200.
	PageSize int
	// VaryPages makes the pages of a round differ in size, from one row to the page size.
	VaryPages bool
	// EmptyPages makes every nth page of a round empty, with a link to the next.
	EmptyPages int
	// Repeat delivers every nth row of a round again, on the page after.
	Repeat int
	// OlderFirst makes the first of two deliveries show the object as it was before its last change.
	OlderFirst bool
	// Replay makes a round that follows another begin n changes too early.
	Replay int
	// Strangers adds n tombstones of objects that never existed to a first round.
	Strangers int
	// Shuffle delivers the rows of a round in no recognisable order.
	Shuffle bool
	// Extras adds properties and annotations that nobody asked for.
	Extras bool

	// Lag hides each change until the clock has gone on by this much, and LagRounds until so many rounds have begun.
	Lag       time.Duration
	LagRounds int

	// TokenPadding makes delta and page tokens longer by so many bytes.
	TokenPadding int
	// Loop makes the nth page of a round link to itself.
	Loop int
	// ForeignLinks makes links lead to this base ("https://evil.example") instead of the tenant's own host.
	ForeignLinks string

	// DeltaLife is how long a delta token lives; zero means seven days.
	DeltaLife time.Duration
	// Rejection is the shape in which an expired delta token is refused.
	Rejection Rejection
	// RejectDelta refuses every delta token as if it had expired.
	RejectDelta bool
	// PageLife is how long a page token lives; zero means one hour.
	PageLife time.Duration
	// ExpirePage refuses the token of the nth page of a round as expired (the first page has none, so two is the
	// least), ExpirePageTimes times; zero times means always.
	ExpirePage, ExpirePageTimes int

	// Limited sends objects as to someone who may not see them: id and type, everything else null.
	Limited bool
	// Denied answers Graph requests with 403 Authorization_RequestDenied, UnknownIdentity with 403
	// Authorization_IdentityNotFound.
	Denied, UnknownIdentity bool
	// Challenge answers with 401 and a claims challenge until a token is asked for with those claims.
	Challenge bool
	// NoMessage leaves the message out of Graph's error bodies.
	NoMessage bool

	// SignIn makes the token endpoint refuse everybody with this AADSTS error number, such as 7000222.
	SignIn int
	// SecretFrom is the moment before which the right secret is refused as a wrong one (AADSTS7000215), as happens in
	// the seconds after it was made.
	SecretFrom time.Time

	// Rules make some requests fail. The first rule that matches a request decides.
	Rules []Rule
}

// Rejection is a shape in which Graph refuses a delta token.
type Rejection uint8

// The shapes in which delta tokens have been seen to be refused.
const (
	BadRequest       Rejection = iota // 400 syncStateNotFound
	Gone                              // 410 syncStateNotFound with a Location whose $deltatoken is empty
	GoneResync                        // 410 resyncRequired with a Location that is a fresh delta URL
	GoneNoLocation                    // 410 SyncStateNotFound, in that spelling, without a Location
	GoneNested                        // 410 with an unspecific code and the specific one in a nested innererror
	UnsupportedQuery                  // 400 Request_UnsupportedQuery, "DeltaLink older than 30 days is not supported."
)

// Kind is a kind of request.
type Kind string

// The kinds of request.
const (
	Discovery    Kind = "discovery"
	Token        Kind = "token"
	Organization Kind = "organization"
	List         Kind = "list users"
	Get          Kind = "get user"
	Delta        Kind = "delta"
	Deleted      Kind = "deleted items"
	Other        Kind = "other"
)

// Rule makes some requests of one kind fail. Conditions that are zero do not restrict.
type Rule struct {
	// On is the kind of request; empty means every request to Graph, but not to the sign-in service.
	On Kind
	// Skip lets the first n requests pass; after them every nth of Every fails, the first included.
	Skip, Every int
	// Times is how often the rule fires; zero means without end.
	Times int
	// Until is the moment by the tenant's clock from which on the rule no longer fires.
	Until time.Time
	// Fault is what happens.
	Fault Fault
}

// Fault is what goes wrong with one request. The zero Fault is nothing.
type Fault struct {
	// Status is the status of the answer instead of the true one; zero keeps the true answer, subject to the other
	// fields.
	Status int
	// Header is added to the answer.
	Header http.Header
	// Body is the body of the answer when Status is set.
	Body string
	// Apply lets the request take effect before the answer of Status is sent.
	Apply bool
	// Reset breaks the connection in the middle of the true answer's body, or, when Status is set, of Body.
	Reset bool
	// Truncate sends only the first half of the body, as if it were all.
	Truncate bool
	// Delay is how long, in real time, the answer is held back.
	Delay time.Duration
}

// Requests count what the tenant was asked. A request that met a fault counts like any other.
type Requests struct {
	Discovery, Token, Organization, List, Get, Delta, Deleted, Other int
	// Total is the sum of all kinds; Throttled are those of them that were answered with 429.
	Total, Throttled int
}

// Graph counts the requests to Graph, without those to the sign-in service.
func (r Requests) Graph() int { return r.Total - r.Discovery - r.Token }

// Requests returns the counts since the tenant was made, or since ResetRequests.
func (t *Tenant) Requests() Requests {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

// ResetRequests sets all counts to zero.
func (t *Tenant) ResetRequests() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = Requests{}
}

func (r *Requests) add(k Kind) {
	r.Total++
	switch k {
	case Discovery:
		r.Discovery++
	case Token:
		r.Token++
	case Organization:
		r.Organization++
	case List:
		r.List++
	case Get:
		r.Get++
	case Delta:
		r.Delta++
	case Deleted:
		r.Deleted++
	default:
		r.Other++
	}
}
