package graph

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Config says which tenant to talk to and as whom. Tenant, ClientID and Credential are required; every other field has
// a default.
type Config struct {
	// Tenant is the directory (tenant) id, a GUID; letter case does not matter. A verified domain of the tenant is
	// accepted too, but a GUID is what makes a mistaken tenant impossible.
	Tenant string
	// ClientID is the application (client) id of the app registration, a GUID. Managed identities and the Azure CLI need
	// none.
	ClientID   string
	Credential Credential
	// Cloud says to which of Microsoft's clouds the tenant belongs. The default is Global.
	Cloud Cloud
	// Authority is where tokens come from. It must be https. The default is the cloud's.
	Authority string
	// BaseURL is the root of Microsoft Graph, version included. It must be https; without a path, /v1.0 is meant. The
	// default is the cloud's. Tokens are requested for its host and are sent to no other.
	BaseURL string
	// FirstRead says how a round from the beginning is read. The default is FirstAuto.
	FirstRead FirstRead
	// ReplicaLag is the longest time by which one replica of the directory may be behind another. A first round that is
	// read in parallel waits for so long, once, so that nobody who changed just before is seen as they were. Zero means
	// twenty seconds.
	ReplicaLag time.Duration
	// RootCAs are trusted instead of the system's roots, for private endpoints. Nil means the system's.
	RootCAs *x509.CertPool
	// Transport sends every single attempt. The default is an own http.Transport with RootCAs, which keeps connections
	// alive, speaks HTTP/2 where it is offered and uses the proxy of the environment. With a Transport, RootCAs is not
	// used. Managed identities are asked for by a transport of their own, without a proxy, unless there is a Transport.
	Transport http.RoundTripper
	// Now and Sleep are the clock. Sleep waits for d or until ctx ends, and returns ctx's error then. The defaults are
	// time.Now and a timer.
	Now   func() time.Time
	Sleep func(ctx context.Context, d time.Duration) error
	// Log receives requests at debug level and retries at info level, never with a secret, a token or a link. The zero
	// Logger logs nothing.
	Log zerolog.Logger

	// local sends single attempts to what is not on the network: the endpoint of a managed identity.
	local http.RoundTripper
}

// replicaLag is a guess on the safe side: Microsoft promises no bound, and what is reported are seconds.
const replicaLag = 20 * time.Second

var (
	guidForm   = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	domainForm = regexp.MustCompile(`^[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?)+$`)
)

func isGUID(s string) bool { return guidForm.MatchString(s) }

// complete checks cfg, all faults at once, and fills in the defaults.
func (cfg Config) complete() (Config, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	cfg.Tenant, cfg.ClientID = strings.ToLower(strings.TrimSpace(cfg.Tenant)), strings.ToLower(strings.TrimSpace(cfg.ClientID))
	switch {
	case cfg.Tenant == "":
		fault("the tenant id is missing: it is on the overview page of Entra ID, as Tenant ID")
	case !isGUID(cfg.Tenant) && !domainForm.MatchString(cfg.Tenant):
		fault("the tenant id %q is neither a GUID nor a domain", cfg.Tenant)
	}
	switch {
	case cfg.Credential.ownsClient():
	case cfg.ClientID == "":
		fault("the client id is missing: it is on the overview page of the app registration, as Application (client) ID")
	case !isGUID(cfg.ClientID):
		fault("the client id %q is no GUID", cfg.ClientID)
	}
	faults = append(faults, cfg.Credential.check()...)
	cfg.Credential.ManagedIdentity = strings.ToLower(cfg.Credential.ManagedIdentity)
	authority, base := cfg.Cloud.Addresses()
	var err error
	if cfg.Authority, err = completeURL("authority", cfg.Authority, authority, ""); err != nil {
		faults = append(faults, err)
	}
	if cfg.BaseURL, err = completeURL("Graph address", cfg.BaseURL, base, "/v1.0"); err != nil {
		faults = append(faults, err)
	}
	switch cfg.FirstRead {
	case "":
		cfg.FirstRead = FirstAuto
	case FirstAuto, FirstPlain, FirstParallel:
	default:
		fault("there is no first read %q: it is auto, plain or parallel", string(cfg.FirstRead))
	}
	switch {
	case cfg.ReplicaLag == 0:
		cfg.ReplicaLag = replicaLag
	case cfg.ReplicaLag < 0:
		fault("the lag of replicas cannot be negative")
	}
	faults = append(faults, cfg.Cloud.check(cfg.Authority, cfg.BaseURL)...)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	cfg.local = cfg.Transport
	if cfg.local == nil && cfg.Credential.ManagedIdentity != "" {
		cfg.local = newLocalTransport()
	}
	if cfg.Transport == nil {
		cfg.Transport = newTransport(cfg.RootCAs)
	}
	return cfg, errors.Join(faults...)
}

func completeURL(what, given, standard, path string) (string, error) {
	if given == "" {
		return standard, nil
	}
	u, err := url.Parse(given)
	switch {
	case err != nil:
		return "", fmt.Errorf("the %s is no URL", what)
	case u.Scheme != "https":
		return "", fmt.Errorf("the %s %q must begin with https://, because credentials are sent there", what, u.Redacted())
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("the %s %q must be a plain address: https://host or https://host/path", what, u.Redacted())
	}
	u.Host = strings.TrimSuffix(strings.ToLower(u.Host), ":443")
	if u.Path = strings.TrimRight(u.Path, "/"); u.Path == "" {
		u.Path = path
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath(), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
