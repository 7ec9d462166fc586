package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/scim"
)

// Config is what a Server is made of. Store and Authenticate are needed; the zero value of everything else is a sensible
// default.
type Config struct {
	Store dirsync.ResourceStore
	// Authenticate says whose a bearer token is. It should look up the token's hash (see HashToken), in constant time. An
	// error of kind Unavailable, Throttled, Locked, Storage or Corrupt is answered with 503, any other with 401.
	Authenticate func(ctx context.Context, token string) (Principal, error)
	// Fields say where users have the directory's fields; nil means DefaultFields. A path in a schema that is not the
	// standard's makes that schema.
	Fields []FieldPath
	// Convert, if not nil, makes the values of Fields instead of what is built in: of a text, a number or a boolean, in
	// the way in which the client wrote it, for every type but Reference and TextList. The second result is why it cannot,
	// a phrase that follows a name: "is not a phone number". It must not repeat the text. It runs while a resource is being
	// edited, so it must be quick and must not call the Store.
	Convert func(f dirsync.Field, text string) (dirsync.Value, string)
	// Guard is asked before a user or a group is deleted (dirsync.Delete) and before a user becomes inactive
	// (dirsync.Deactivate). It sees the resource as it is before, and may ask the Store. Nil allows everything, an error
	// refuses the request. What it allows may still fail, for another reason.
	Guard func(ctx context.Context, who Principal, r dirsync.Resource, kind dirsync.ChangeKind) (Verdict, error)
	// Observe gets an Event for each request, when it is answered. It is called from many goroutines.
	Observe func(Event)
	// URL is the address that clients use, such as "https://people.example/scim/v2". Without it the addresses of resources
	// are made of what a request was sent to, which is wrong behind a proxy.
	URL string
	// Documentation is the address of a page for people, published if it is not empty.
	Documentation string
	// Users and Groups switch kinds of request off.
	Users, Groups Actions
	Limits        Limits
	// CursorKey signs cursors. Without it there is a new key for each Server, so that cursors do not outlive it.
	CursorKey []byte
	// Log gets what went wrong on this side, without values.
	Log zerolog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Actions say what clients may not do with one kind of resource. What is switched off is answered with 405.
type Actions struct{ NoCreate, NoUpdate, NoDelete bool }

// Principal is who sends a request.
type Principal struct {
	// Name names the token in events.
	Name   string
	Scopes []Scope
}

// Scope is something that a token may do.
type Scope string

// The scopes. Who may write may also read, because answers to writing show the resource.
const (
	UsersRead   Scope = "users:read"
	UsersWrite  Scope = "users:write"
	GroupsRead  Scope = "groups:read"
	GroupsWrite Scope = "groups:write"
)

// Scopes are all of them.
func Scopes() []Scope { return []Scope{UsersRead, UsersWrite, GroupsRead, GroupsWrite} }

// Verdict is what a Guard decides.
type Verdict uint8

// The verdicts. The zero Verdict is none, and refuses the request.
const (
	// Allow does what the client asks for.
	Allow Verdict = iota + 1
	// Hold answers as if it was done and leaves the account as it is, with Resource.Pending set. See Server.Approve.
	Hold
	// Deactivate, for the deletion of a user, keeps the account inactive, under its id and invisible to clients, until a
	// POST with its userName or externalId brings it back. For a group, and for what is no deletion, it is Allow.
	Deactivate
)

// Limits bound what clients may ask for. A zero field means its default.
type Limits struct {
	// Body is the most bytes of a request; 8 MiB.
	Body int
	// Operations is the most operations of a bulk request; 1,000.
	Operations int
	// Page is the size of a page that is not asked for, 100, and MaxPage the largest, 1,000.
	Page, MaxPage int
	// PageBytes ends a page early whose resources are large, members not counted; 16 MiB.
	PageBytes int
	// Sorted is the most resources that are sorted; 50,000.
	Sorted int
	// Scan is how long a filter may read everybody; 10 seconds. Scans is how many may do so at the same time; 4.
	Scan  time.Duration
	Scans int
	// Timeout is how long a request may take; one minute. Streaming the members of a group may take longer, as long as
	// the client takes what it is sent.
	Timeout time.Duration
	// Cursor is how long a cursor lives; one hour.
	Cursor time.Duration
	// Rate is how many requests a second each token has, and Burst how many it may save up: 250 and 500. Each operation of
	// a bulk request counts. A negative Rate means no limit.
	Rate  float64
	Burst int
}

func (l Limits) withDefaults() Limits {
	count := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	span := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	count(&l.Body, 8<<20)
	count(&l.Operations, 1000)
	count(&l.MaxPage, 1000)
	count(&l.Page, 100)
	count(&l.PageBytes, 16<<20)
	l.Page = min(l.Page, l.MaxPage)
	count(&l.Sorted, 50_000)
	count(&l.Scans, 4)
	span(&l.Scan, 10*time.Second)
	span(&l.Timeout, time.Minute)
	span(&l.Cursor, time.Hour)
	if l.Rate == 0 {
		l.Rate = 250
	}
	count(&l.Burst, max(1, int(2*l.Rate)))
	return l
}

// Server is the http.Handler. Make it with New; it may be used from many goroutines.
type Server struct {
	config  Config
	limits  Limits
	kinds   [2]*kind
	fields  []field
	path    string // of Config.URL
	rates   rates
	scans   chan struct{}
	key     []byte
	waiting waiting
	now     func() time.Time
}

// kind is one of the two kinds of resource.
type kind struct {
	of dirsync.Kind
	*scim.ResourceType
	// name is the attribute that Resource.Name holds.
	name        string
	read, write Scope
	actions     Actions
	unseen      unseen
}

// New checks a configuration and makes a Server of it. The error says everything that is wrong.
func New(c Config) (*Server, error) {
	var wrong []error
	if c.Store == nil || c.Authenticate == nil {
		wrong = append(wrong, errors.New("a server needs a Store and Authenticate"))
	}
	if c.Fields == nil {
		c.Fields = DefaultFields()
	}
	s := &Server{config: c, limits: c.Limits.withDefaults(), key: c.CursorKey, now: c.Now}
	if s.now == nil {
		s.now = time.Now
	}
	s.config.URL = strings.TrimRight(c.URL, "/")
	if u, err := url.Parse(s.config.URL); c.URL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.User != nil) {
		wrong = append(wrong, errors.New("URL must be an address such as https://people.example/scim/v2"))
	} else if err == nil {
		s.path = u.EscapedPath()
	}
	users, fields, err := userType(c.Fields)
	if err != nil {
		wrong = append(wrong, err)
	}
	groups, err := groupType()
	if err != nil {
		wrong = append(wrong, err)
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("set up the SCIM server: %w", err)
	}
	s.fields = fields
	s.kinds = [2]*kind{
		{of: dirsync.KindUser, ResourceType: users, name: "userName", read: UsersRead, write: UsersWrite, actions: c.Users},
		{of: dirsync.KindGroup, ResourceType: groups, name: "displayName", read: GroupsRead, write: GroupsWrite, actions: c.Groups},
	}
	if len(s.key) == 0 {
		s.key = make([]byte, 32)
		_, _ = rand.Read(s.key) // It never fails, it ends the program instead.
	}
	s.scans = make(chan struct{}, s.limits.Scans)
	return s, nil
}

func (s *Server) users() *kind  { return s.kinds[0] }
func (s *Server) groups() *kind { return s.kinds[1] }

// Fields returns the fields that users have here, each once.
func (s *Server) Fields() []dirsync.Field {
	out := make([]dirsync.Field, len(s.fields))
	for i, f := range s.fields {
		out[i] = f.Field
	}
	return out
}
