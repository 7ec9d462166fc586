package scimtest

import (
	"net/http"
	"time"
)

// Quirks are the ways in which applications differ from the standard, each of which can be set alone or together with
// others. The zero value is an application that keeps to RFC 7643, RFC 7644 and RFC 9865. Set them before the first
// request.
type Quirks struct {
	// PageSize is the most resources on a page, whatever count says; zero means 100. DefaultPage is the page of a request
	// without a count; zero means PageSize.
	PageSize, DefaultPage int
	// ForceCursor pages by cursor whatever is asked for: the first answer has a nextCursor, and startIndex is ignored.
	ForceCursor bool
	// WrongTotal claims that the resources on the page are all there are, MostTotal that there are at most so many (zero
	// means no limit), and Uncounted adds so many that are never shown. LowerResources writes "resources". RefuseZero
	// answers 400 to count=0. IgnoreStart always answers the first page.
	WrongTotal, LowerResources, RefuseZero, IgnoreStart bool
	MostTotal, Uncounted                                int
	// FilterIgnored answers every filter with everybody, FilterRefused with 400 invalidFilter, NoExternalFilter so for
	// externalId only, and EmptyExternalFilter finds nobody by externalId.
	FilterIgnored, FilterRefused, NoExternalFilter, EmptyExternalFilter bool

	// PatchUnsupported and PutUnsupported answer 501 and 405. NoContent answers PATCH and PUT with 204 and no body.
	PatchUnsupported, PutUnsupported, NoContent bool
	// FirstOperation carries out the first operation of a PATCH only. StrictTarget answers 400 noTarget to a replace whose
	// value path selects nothing.
	FirstOperation, StrictTarget bool
	// BlindPatch answers 200 to operations whose path has dots or brackets, and keeps what was there. ShyAnswers leaves
	// externalId out of every answer that is not a list.
	BlindPatch, ShyAnswers bool
	// BadForMissing answers 400 where 404 is meant, BadForDuplicate 400 where 409 is meant.
	BadForMissing, BadForDuplicate bool
	// NoExternalID forgets externalId. ExactNames tells user names apart by letter case.
	NoExternalID, ExactNames bool
	// DeleteDeactivates keeps users who are deleted, inactive. NoDelete answers 405.
	DeleteDeactivates, NoDelete bool
	// CreateOnly answers 405 to everything but POST and GET of users, and 404 to groups.
	CreateOnly bool
	// Required are attributes without which no user is created, and RequiredSchemas URNs that "schemas" must name.
	Required, RequiredSchemas []string
	// OneEmail refuses users with more than one e-mail address.
	OneEmail bool

	// NoGroups answers 404 to everything about groups. MaxMembers is the most membership changes in one PATCH; zero means
	// no limit. HideMembers never returns members, HideGroups never returns the groups of a user. StrictMembers answers 409
	// when a member is there already, and 404 when one who is removed is not.
	NoGroups, HideMembers, HideGroups, StrictMembers bool
	MaxMembers                                       int

	// NumberStatus writes the status of an error as a number, HTMLErrors answers errors with a page of HTML, and EchoToken
	// repeats the Authorization header in the error's detail.
	NumberStatus, HTMLErrors, EchoToken bool
	// NoDiscovery answers 404 to the discovery endpoints. FalseConfig claims that nothing is supported.
	NoDiscovery, FalseConfig bool
	// Lag hides new resources from lists for so long; they can be read by id.
	Lag time.Duration

	// PerSecond is how many requests a second are let through, with a burst of a second's worth; zero means no limit. What
	// is above is answered with 429, and with RetryAfter: "seconds", "date", "fraction", "none", "absurd", or "" for
	// seconds.
	PerSecond  float64
	RetryAfter string
}

// Fault says what happens to one request. The zero Fault is none.
type Fault struct {
	// Status, if not zero, is answered instead of what the application would say, with Header and Body.
	Status int
	Header http.Header
	Body   string
	// Apply carries the request out before it is answered with Status or dropped: it failed, having taken effect.
	Apply bool
	// Drop breaks the connection instead of answering, Refuse refuses the connection (in process only; over a network it
	// is a broken one too), so that nothing can have taken effect.
	Drop, Refuse bool
	// Delay passes before the answer, and Cut breaks the answer's body off in the middle.
	Delay time.Duration
	Cut   bool
}
