package graphtest

import (
	"crypto/x509"
	"net/http"
	"sync"
	"time"
)

// The identity of a Tenant whose fields are empty.
const (
	DefaultID       = "6f89cf12-978b-4d23-ac18-9ef0c127cf87"
	DefaultName     = "Contoso"
	DefaultDomain   = "contoso.com"
	DefaultClientID = "00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928"
	DefaultSecret   = "simulated~secret.value"
)

// Tenant is one simulated tenant with one registered application. It is an http.Handler that answers at once for the
// sign-in service and for Microsoft Graph; Start serves it over TLS. The zero value is ready to use and has no people.
//
// Its methods may be called while it is served, from any goroutine. Its fields may be set before it is first served;
// afterwards only within Set.
type Tenant struct {
	// ID is the tenant's id, a GUID in lower case. Empty means DefaultID.
	ID string
	// Name is the organization's display name. Empty means DefaultName.
	Name string
	// Domain is the default verified domain, in which generated people live. Empty means DefaultDomain.
	Domain string
	// ClientID is the id of the one application that can sign in. Empty means DefaultClientID.
	ClientID string
	// Secret is the application's client secret. Empty means DefaultSecret.
	Secret string
	// Certificate is the one with whose key client assertions must be signed (PS256 or RS256). Nil accepts none.
	Certificate *x509.Certificate
	// Roles are the application permissions that were consented to and that tokens issued from now on carry. Nil
	// means User.Read.All and Organization.Read.All. An empty list that is not nil makes tokens without roles.
	Roles []string
	// Redirects are the addresses to which administrators may be sent back after consent.
	Redirects []string
	// Extensions are the directory extensions that are defined in the tenant.
	Extensions []Extension
	// Domains are verified domains besides Domain and the tenant's "onmicrosoft.com". Federated are those of all of them
	// whose people sign in elsewhere: they cannot be created without an onPremisesImmutableId.
	Domains, Federated []string
	// Administrators are the ids of users who hold an administrator's role. What the service calls sensitive actions
	// on them is refused, unless AppAdministrator says that the application itself holds a higher one (Graph reference,
	// "Who can perform sensitive actions").
	Administrators   []string
	AppAdministrator bool
	// Mailboxes are the addresses that have a mailbox in Exchange Online, whoever they belong to. Nil means every address
	// of the domain. Senders are those of them from which the application may send; nil means all.
	Mailboxes, Senders []string
	// Now tells the time. Nil means time.Now. It is called from the serving goroutines, one at a time.
	Now func() time.Time
	// Faults are the switches that make the tenant unkind. The zero Faults is the service on a good day.
	Faults Faults
	// Hook, when set, is asked before each request what is to go wrong with it, and before each request in a batch as
	// well as before the batch. It is called without any lock held, may use the tenant's methods and may read the body.
	// The zero Fault lets the request pass. What resets one request in a batch breaks the batch's answer.
	Hook func(*http.Request) Fault

	mu       sync.Mutex
	people   directory
	requests Requests
	rules    []ruleCount // of Faults.Rules
	groups   directory   // see teams
	others   []other
	spent    []charge // of the budget, see budgeted
	written  []charge // of the writes, see budgeted
	secrets  map[string]secret
	mails    []Mail
	expired  int // page tokens refused because of Faults.ExpirePage
	// buffers are the bodies of pages that were sent, to be filled again: making new ones costs more than filling them.
	buffers sync.Pool
}

// Set runs change with the tenant locked, so that its exported fields can be changed while it is served. Change must
// not call other methods of the tenant.
func (t *Tenant) Set(change func(t *Tenant)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(t)
}

// SetFaults replaces the switches while the tenant is served, and begins the counts of rules and of the budget anew.
func (t *Tenant) SetFaults(f Faults) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Faults, t.rules, t.expired, t.spent, t.written = f, nil, 0, nil, nil
}

// Identity returns the tenant's id, name and domain and the application's id and secret, with defaults applied.
func (t *Tenant) Identity() Identity {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.identity()
}

// Identity is who a tenant is and who may sign in.
type Identity struct{ ID, Name, Domain, ClientID, Secret string }

func (t *Tenant) identity() Identity {
	return Identity{
		ID:       or(t.ID, DefaultID),
		Name:     or(t.Name, DefaultName),
		Domain:   or(t.Domain, DefaultDomain),
		ClientID: or(t.ClientID, DefaultClientID),
		Secret:   or(t.Secret, DefaultSecret),
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// now reads the clock; t.mu is held.
func (t *Tenant) now() time.Time {
	if t.Now == nil {
		return time.Now()
	}
	return t.Now()
}
