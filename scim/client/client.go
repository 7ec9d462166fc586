package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"dirsync"
	"dirsync/scim"
)

// Config says which application to talk to, as whom, and what its users look like. BaseURL and either Token or OAuth are
// required. It prints without its secrets.
type Config struct {
	// Name is what people call the application; the host of BaseURL if empty.
	Name string
	// BaseURL is what is in front of /Users: "https://app.example/scim/v2". It must be https unless it is on this machine.
	BaseURL string
	// Token is a bearer token; OAuth signs in with client credentials instead.
	Token string
	OAuth *OAuth
	// Profile says what is special about the application. The zero Profile is the generic one.
	Profile Profile
	// Fields are the target's fields and where they are kept. Nil means DefaultFields. A field of which there are several
	// entries is read from the first and written to all.
	Fields []FieldPath
	// GroupFields are the fields of groups beside name, which is kept in displayName: description and mail, which the
	// standard has no place for. Those without a path are not written, and not missed.
	GroupFields []FieldPath
	// UserAgent is sent with every request; "dirsync" if empty. Some targets refuse requests without one.
	UserAgent string
	// Timeout bounds one attempt of a request, from its beginning to the last byte of the answer; a minute if zero.
	Timeout time.Duration
	// RootCAs are trusted instead of the system's roots; nil means the system's.
	RootCAs *x509.CertPool
	// Transport sends every single attempt. The default keeps connections alive, speaks HTTP/2 where it is offered and
	// uses the proxy of the environment.
	Transport http.RoundTripper
	// Log is told at debug level what is tried again, never with a secret, a value or a URL. The zero Logger logs nothing.
	Log zerolog.Logger
}

// Format hides the secrets whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "Config{%s, %s, profile %s, token ***}", c.Name, c.BaseURL, c.Profile.Name)
}

// Client talks to one application. It is the dirsync.Target of its users; Groups and Source are further views of it. All
// share its pace and what it knows of the application. It may be used from many goroutines.
type Client struct {
	name, base, userAgent string
	profile               Profile
	users, groups         *view
	gate                  *gate
	transport             http.RoundTripper
	timeout               time.Duration
	tokens                *tokens // nil with a fixed token
	bearer                string
	secrets               []string
	sent                  atomic.Int64
	// uncounted says that the target has refused a count once, and decides itself how long pages are.
	uncounted atomic.Bool
	stirring  stirring
	log       zerolog.Logger

	// held are references to people who are not there yet.
	held *pending
	// members is what is known of who is in groups, where these are written as a whole.
	members insight

	mu sync.Mutex
	// puts says that the target has no PATCH, grouping that this sync has groups.
	puts, grouping bool
}

var (
	_ dirsync.Target         = (*Client)(nil)
	_ dirsync.Previewer      = (*Client)(nil)
	_ dirsync.Batcher        = (*Client)(nil)
	_ dirsync.Finder         = (*Client)(nil)
	_ dirsync.RequestCounter = (*Client)(nil)
)

// New checks a configuration and makes a Client of it. It sends nothing. The error is an *dirsync.Error of kind Invalid
// that says everything that is wrong.
func New(cfg Config) (*Client, error) {
	base, err := checkURL("base URL", cfg.BaseURL)
	wrong := []error{err}
	switch {
	case cfg.Token == "" && cfg.OAuth == nil:
		wrong = append(wrong, errors.New("a token or OAuth client credentials are needed"))
	case cfg.Token != "" && cfg.OAuth != nil:
		wrong = append(wrong, errors.New("a token and OAuth client credentials are given; choose one"))
	case strings.ContainsAny(cfg.Token, " \t\r\n"):
		wrong = append(wrong, errors.New("the token has blanks or line ends in it; copy it again"))
	}
	if o := cfg.OAuth; o != nil {
		if _, err := checkURL("token URL", o.TokenURL); err != nil {
			wrong = append(wrong, err)
		}
		if o.ClientID == "" || o.Secret == "" {
			wrong = append(wrong, errors.New("OAuth needs a client id and a secret"))
		}
	}
	fields := cfg.Fields
	if fields == nil {
		fields = DefaultFields()
	}
	users, err := newShape(fields)
	groups, groupErr := newGroupShape(cfg.GroupFields)
	err = errors.Join(err, groupErr)
	if err := errors.Join(append(wrong, err)...); err != nil {
		return nil, &dirsync.Error{Op: "configure the SCIM target", Kind: dirsync.Invalid, Err: err}
	}
	p := cfg.Profile.filled()
	c := &Client{name: cfg.Name, base: base, userAgent: cfg.UserAgent, profile: p, timeout: cfg.Timeout,
		gate: newGate(p.PerSecond, p.Concurrency, p.MaxWait), transport: cfg.Transport, log: cfg.Log, held: newPending(),
		puts: p.Write == WritePut}
	if c.name == "" {
		u, _ := url.Parse(base)
		c.name = u.Host
	}
	if c.userAgent == "" {
		c.userAgent = "dirsync"
	}
	if c.timeout <= 0 {
		c.timeout = time.Minute
	}
	if c.transport == nil {
		c.transport = newTransport(cfg.RootCAs, p.Concurrency)
	}
	if cfg.OAuth != nil {
		c.tokens = &tokens{OAuth: *cfg.OAuth, transport: c.transport, timeout: c.timeout, fetching: make(lock, 1), sent: func() { c.sent.Add(1) }}
		c.secrets = []string{cfg.OAuth.Secret, url.QueryEscape(cfg.OAuth.Secret)}
	} else {
		c.bearer, c.secrets = "Bearer "+cfg.Token, []string{cfg.Token}
	}
	c.users = &view{dir: newDirectory(c, "/Users", "userName", "users"), shape: users, urn: scim.UserURN, one: "user", odd: map[string]bool{}}
	c.groups = &view{dir: newDirectory(c, "/Groups", "displayName", "groups"), shape: groups, urn: scim.GroupURN, one: "group", odd: map[string]bool{},
		ignored: groups.missing("description", "mail")}
	return c, nil
}

// checkURL tidies an address that a secret will be sent to.
func checkURL(what, text string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("the %s must be an address such as https://app.example/scim/v2", what)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("the %s must not hold a password, a query or a fragment", what)
	case u.Scheme == "http" && !local(u.Hostname()):
		return "", fmt.Errorf("the %s must be https, because a secret is sent there", what)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func newTransport(roots *x509.CertPool, connections int) *http.Transport {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 15 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        2 * connections,
		MaxIdleConnsPerHost: 2 * connections,
		IdleConnTimeout:     90 * time.Second,
	}
}

// Name implements dirsync.Target.
func (c *Client) Name() string { return c.name }

// Requests implements dirsync.RequestCounter: all that were sent so far, for groups and for tokens too.
func (c *Client) Requests() int { return int(c.sent.Load()) }

// Estimate is how long so many requests will take at the pace that the target bears at present.
func (c *Client) Estimate(requests int) time.Duration { return c.gate.estimate(requests) }

// Pace is the number of requests a second that are allowed at present.
func (c *Client) Pace() float64 { return float64(c.gate.limiter.Limit()) }

func (c *Client) maxWait() time.Duration { return c.profile.MaxWait }

func (c *Client) authorization(ctx context.Context) (string, error) {
	if c.tokens == nil {
		return c.bearer, nil
	}
	token, err := c.tokens.get(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return "", &refusal{cause: ctx.Err()}
		}
		return "", err
	}
	return "Bearer " + token, nil
}

// usesPut tells whether PATCH is out of the question.
func (c *Client) usesPut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.puts
}

// noPatch notes that the target has no PATCH, and tells whether PUT may be tried.
func (c *Client) noPatch() bool {
	if c.profile.Write != WriteAuto {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.puts = true
	return true
}
