package scimtest

import (
	"crypto/subtle"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dirsync/scim"
)

// App is a simulated application. Make one with New; it may be used from many goroutines.
type App struct {
	// Quirks may be changed until the first request.
	Quirks Quirks
	// Token is the bearer token that is accepted; New sets "app-token". ClientID and ClientSecret are what the token
	// endpoint, POST /token, takes (RFC 6749 section 4.4); with them set, only the tokens that it gave in the last TokenLife
	// (an hour, if zero) are accepted.
	Token, ClientID, ClientSecret string
	TokenLife                     time.Duration
	// Extensions are schemas of users beside the enterprise one.
	Extensions []*scim.Schema
	// Hook, if not nil, is asked for each request, before it is counted. It is called from many goroutines, one at a time.
	Hook func(Request) Fault
	// Now is the clock; New sets time.Now.
	Now func() time.Time

	mu       sync.Mutex
	hooks    sync.Mutex
	users    *table
	groups   *table
	nextID   int
	tokens   map[string]time.Time
	requests Requests
	passed   float64
	passedAt time.Time
	problem  error
}

// Request is one request as a Hook sees it.
type Request struct {
	Method string
	// Path is below the base URL: "/Users/7".
	Path  string
	Query url.Values
	Body  []byte
	// N counts the requests before it.
	N int
}

// Requests count what was asked of the application. A request that met a fault counts like any other.
type Requests struct {
	Total, List, Get, Post, Put, Patch, Delete, Discovery, Token int
	// Members are the PATCHes of groups; they are in Patch too. Throttled were answered with 429.
	Members, Throttled int
}

// New returns an application without users and groups.
func New() *App { return &App{Token: "app-token", Now: time.Now} }

// Requests returns the counts since New or ResetRequests.
func (a *App) Requests() Requests {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.requests
}

// ResetRequests sets the counts to zero.
func (a *App) ResetRequests() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = Requests{}
}

// Users returns copies of all users in the order in which they were made, those included that lists do not show yet.
func (a *App) Users() []*scim.Object { return a.all(true) }

// Groups returns copies of all groups with their members.
func (a *App) Groups() []*scim.Object { return a.all(false) }

func (a *App) all(users bool) []*scim.Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.start(); err != nil {
		return nil
	}
	t := a.groups
	if users {
		t = a.users
	}
	var out []*scim.Object
	for _, e := range t.entries {
		if !e.gone {
			out = append(out, (&call{App: a}).whole(t, e).Clone())
		}
	}
	return out
}

// Put makes a user or group as somebody else would, from JSON with or without an id, and returns the id. It panics on what
// is not a resource, because that is a mistake of the test.
func (a *App) Put(endpoint, body string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	o, err := scim.ReadObject([]byte(body), scim.Limits{})
	if err == nil {
		err = a.start()
	}
	if err != nil {
		panic(err)
	}
	t := a.table(endpoint)
	r := a.create(t, &call{App: a, body: o})
	if r.status != http.StatusCreated {
		panic("scimtest: " + string(r.body))
	}
	return t.entries[len(t.entries)-1].id
}

// Remove deletes a resource as somebody else would.
func (a *App) Remove(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range []*table{a.users, a.groups} {
		if e := t.find(id); e != nil {
			a.drop(t, e)
		}
	}
}

// start makes the tables, once.
func (a *App) start() error {
	if a.users != nil || a.problem != nil {
		return a.problem
	}
	extensions := []scim.Extension{{Schema: scim.EnterpriseUser()}}
	for _, s := range a.Extensions {
		extensions = append(extensions, scim.Extension{Schema: s})
	}
	users, err := scim.NewResourceType("User", "/Users", scim.User(), extensions...)
	if err != nil {
		a.problem = err
		return err
	}
	groups, err := scim.NewResourceType("Group", "/Groups", scim.Group())
	if err != nil {
		a.problem = err
		return err
	}
	a.users, a.groups, a.tokens = newTable(users, "userName", a.Quirks.ExactNames), newTable(groups, "displayName", false), map[string]time.Time{}
	return nil
}

func (a *App) table(endpoint string) *table {
	if endpoint == "/Groups" {
		return a.groups
	}
	return a.users
}

// answer is what is sent back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// call is one request that is being answered.
type call struct {
	*App
	request Request
	header  http.Header
	base    string
	body    *scim.Object
}

// ServeHTTP answers one request. The base URL is whatever is in front of /Users, /Groups and the other endpoints, without
// limits: "/scim/v2/Users" is /Users.
func (a *App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 16<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	base, path := split(r.URL.EscapedPath())
	req := Request{Method: r.Method, Path: path, Query: r.URL.Query(), Body: body}
	fault := a.begin(&req)
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	scheme := "https"
	if r.TLS == nil {
		scheme = "http"
	}
	c := &call{App: a, request: req, header: r.Header, base: scheme + "://" + r.Host + base}
	failing := fault.Status != 0 || fault.Drop || fault.Refuse
	var ans answer
	if !failing || fault.Apply {
		ans = c.locked()
	}
	switch {
	case fault.Refuse:
		panic(errRefused)
	case fault.Drop:
		panic(http.ErrAbortHandler)
	case fault.Status != 0:
		ans = answer{fault.Status, fault.Header, []byte(fault.Body)}
		if fault.Status == http.StatusTooManyRequests {
			a.count(func(n *Requests) { n.Throttled++ })
		}
	}
	maps.Copy(w.Header(), ans.header)
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", scim.MediaType)
	}
	w.Header().Set("Date", a.Now().UTC().Format(http.TimeFormat))
	if fault.Cut {
		w.Header().Set("Content-Length", strconv.Itoa(len(ans.body)))
		w.WriteHeader(ans.status)
		_, _ = w.Write(ans.body[:len(ans.body)/2])
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(ans.status)
	_, _ = w.Write(ans.body)
}

// split takes an escaped path apart into what is in front of the endpoint and the rest.
func split(path string) (base, rest string) {
	for _, endpoint := range []string{"/Users", "/Groups", "/ServiceProviderConfig", "/Schemas", "/ResourceTypes", "/token"} {
		if i := strings.LastIndex(path, endpoint); i >= 0 {
			return path[:i], path[i:]
		}
	}
	return "", path
}

func (a *App) count(fn func(*Requests)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	fn(&a.requests)
}

// begin counts a request and asks the hook about it.
func (a *App) begin(r *Request) Fault {
	a.count(func(n *Requests) {
		r.N = n.Total
		n.Total++
		one, rest := r.Method, r.Path
		switch {
		case rest == "/token":
			n.Token++
		case !strings.HasPrefix(rest, "/Users") && !strings.HasPrefix(rest, "/Groups"):
			n.Discovery++
		case one == http.MethodGet && strings.Count(rest, "/") == 1:
			n.List++
		case one == http.MethodGet:
			n.Get++
		case one == http.MethodPost:
			n.Post++
		case one == http.MethodPut:
			n.Put++
		case one == http.MethodDelete:
			n.Delete++
		case one == http.MethodPatch:
			n.Patch++
			if strings.HasPrefix(rest, "/Groups") {
				n.Members++
			}
		}
	})
	if a.Hook == nil {
		return Fault{}
	}
	a.hooks.Lock()
	defer a.hooks.Unlock()
	return a.Hook(*r)
}

// locked answers a request while nobody else is answered.
func (c *call) locked() answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.start(); err != nil {
		return c.fail(&scim.Error{Status: 500, Detail: err.Error()})
	}
	if c.request.Path == "/token" {
		return c.token()
	}
	if !c.authorized() {
		ans := c.fail(&scim.Error{Status: http.StatusUnauthorized, Detail: "Authentication failed."})
		ans.header.Set("WWW-Authenticate", "Bearer")
		return ans
	}
	if ans, ok := c.throttle(); ok {
		return ans
	}
	return c.route()
}

func (c *call) authorized() bool {
	token, ok := strings.CutPrefix(c.header.Get("Authorization"), "Bearer ")
	if c.ClientID != "" {
		until, known := c.tokens[token]
		return ok && known && c.Now().Before(until)
	}
	return ok && subtle.ConstantTimeCompare([]byte(token), []byte(c.Token)) == 1
}

// token is the client credentials grant. The client may send its secret in the form or as HTTP basic authentication.
func (c *call) token() answer {
	form, err := url.ParseQuery(string(c.request.Body))
	if err != nil {
		return answer{status: http.StatusBadRequest, body: []byte(`{"error":"invalid_request"}`)}
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	r := http.Request{Header: c.header}
	if user, password, ok := r.BasicAuth(); ok {
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	switch {
	case form.Get("grant_type") != "client_credentials":
		return answer{status: http.StatusBadRequest, body: []byte(`{"error":"unsupported_grant_type"}`)}
	case id != c.ClientID || secret != c.ClientSecret:
		return answer{status: http.StatusUnauthorized, body: []byte(`{"error":"invalid_client","error_description":"The secret is wrong."}`)}
	}
	life := c.TokenLife
	if life == 0 {
		life = time.Hour
	}
	c.nextID++
	token := "token-" + strconv.Itoa(c.nextID)
	c.tokens[token] = c.Now().Add(life)
	body, _ := json.Marshal(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": int(life.Seconds())})
	return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

// throttle refuses what is above the rate.
func (c *call) throttle() (answer, bool) {
	rate := c.Quirks.PerSecond
	if rate <= 0 {
		return answer{}, false
	}
	now := c.Now()
	c.passed = max(0, c.passed-now.Sub(c.passedAt).Seconds()*rate)
	c.passedAt = now
	if c.passed++; c.passed <= max(1, rate) {
		return answer{}, false
	}
	c.passed--
	c.requests.Throttled++
	ans := c.fail(&scim.Error{Status: http.StatusTooManyRequests, Detail: "Too many requests."})
	switch c.Quirks.RetryAfter {
	case "date":
		ans.header.Set("Retry-After", now.Add(2*time.Second).UTC().Format(http.TimeFormat))
	case "fraction":
		ans.header.Set("Retry-After", "0.25")
	case "none":
	case "absurd":
		ans.header.Set("Retry-After", "99999999999999999999")
	default:
		ans.header.Set("Retry-After", "1")
	}
	return ans, true
}

// route finds out what is asked for.
func (c *call) route() answer {
	parts := strings.Split(strings.TrimPrefix(c.request.Path, "/"), "/")
	endpoint := "/" + parts[0]
	q := c.Quirks
	switch {
	case endpoint != "/Users" && endpoint != "/Groups":
		return c.discovery(parts)
	case endpoint == "/Groups" && (q.NoGroups || q.CreateOnly), len(parts) > 2:
		return c.fail(&scim.Error{Status: http.StatusNotFound, Detail: "Resource not found."})
	case q.CreateOnly && !slices.Contains([]string{http.MethodGet, http.MethodPost}, c.request.Method):
		return c.fail(&scim.Error{Status: http.StatusMethodNotAllowed, Detail: "Not supported."})
	}
	if len(c.request.Body) > 0 {
		o, err := scim.ReadObject(c.request.Body, scim.Limits{})
		if err != nil {
			return c.fail(scim.AsError(err))
		}
		c.body = o
	}
	t := c.table(endpoint)
	if len(parts) == 1 {
		switch c.request.Method {
		case http.MethodGet:
			return c.list(t)
		case http.MethodPost:
			return c.create(t, c)
		}
		return c.fail(&scim.Error{Status: http.StatusMethodNotAllowed})
	}
	id, err := url.PathUnescape(parts[1])
	e := t.find(id)
	if err != nil || e == nil {
		status := http.StatusNotFound
		if q.BadForMissing {
			status = http.StatusBadRequest
		}
		return c.fail(&scim.Error{Status: status, Detail: "Resource " + id + " not found."})
	}
	return c.single(t, e)
}

// fail answers with an error, in the application's way.
func (c *call) fail(e *scim.Error) answer {
	q := c.Quirks
	if q.EchoToken {
		e = &scim.Error{Status: e.Status, SCIMType: e.SCIMType, Detail: e.Detail + " You sent: " + c.header.Get("Authorization")}
	}
	if q.HTMLErrors {
		return answer{e.Status, http.Header{"Content-Type": {"text/html"}}, []byte("<html><body><h1>" + strconv.Itoa(e.Status) + "</h1></body></html>")}
	}
	body, err := json.Marshal(e)
	if err != nil {
		body = []byte(`{}`)
	}
	if q.NumberStatus {
		body = []byte(strings.Replace(string(body), `"status":"`+strconv.Itoa(e.Status)+`"`, `"status":`+strconv.Itoa(e.Status), 1))
	}
	return answer{e.Status, http.Header{"Content-Type": {scim.MediaType}}, body}
}

// Members counts the members of the group with a name; -1 if there is none.
func (a *App) Members(group string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.groups != nil {
		if e := a.groups.byKey[scim.FoldCase(group)]; e != nil {
			return len(e.members)
		}
	}
	return -1
}

// RevokeTokens makes every token invalid that the token endpoint gave.
func (a *App) RevokeTokens() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.tokens)
}
