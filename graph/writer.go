package graph

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dirsync"
)

// WriterConfig says what a Writer writes. Properties are required.
type WriterConfig struct {
	// Properties are the properties that are written, and read back to compare, by their names in Graph, as in
	// WriteCatalogue; a directory extension by its full name. displayName and userPrincipalName have to be among them.
	Properties []string
	// Anchor is the property in which the id of the source is kept: a directory extension for texts, such as
	// extension_{application id without dashes}_{name}, one of onPremisesExtensionAttributes/extensionAttribute1 to 15, or
	// employeeId, which is long enough for ids of 16 characters only. Nobody else may write it. With it accounts are known
	// again whatever becomes of their names, and managers can be written. Empty means none: then the tenant cannot say whose
	// an account is (see Writer.Forgets), and an account whose creation was in doubt when the program ended is found again by
	// its user principal name alone, by joining.
	Anchor string
	// Passwords says what becomes of the first passwords.
	Passwords Passwords
	// AllowBlock lets people be blocked from signing in, and AllowDelete lets accounts be deleted. Without them, such
	// changes are refused, and nothing is sent: what this does to a tenant nobody should switch on by accident. Without
	// AllowBlock, an account that is adopted stays blocked if it is, too.
	AllowBlock, AllowDelete bool
}

// Writer writes users into a tenant. It is a dirsync.Target, a dirsync.Batcher, a dirsync.Finder, a dirsync.Restorer,
// a dirsync.Forgetful, a dirsync.Referrer and a dirsync.Previewer, and safe for concurrent use.
//
// Changes travel in batches of twenty, and all writes of a Client together keep to the service's limits. What was
// throttled is sent again when the service says so; a pause that is longer than some minutes ends in an error of kind
// Throttled that says until when. A creation of which no answer came is looked for before it is sent again, and nobody is
// taken to be new before every replica of the directory has had the time to hear of what was made before this Writer
// was: for Config.ReplicaLag, twenty seconds, once.
type Writer struct {
	client *Client
	cfg    WriterConfig
	source *Source // which knows the tenant's directory extensions
	sent   atomic.Int64

	shaping sync.Mutex
	shaped  bool
	// fields are what is written, sorted by name. They are replaced as a whole when more is known of them.
	fields atomic.Pointer[[]writable]

	// began is when this Writer was made.
	began   time.Time
	known   *acquaintances
	held    *awaited
	domains domainList
	// groups is set when groups are written as well.
	groups atomic.Pointer[GroupWriter]
	// eventual says that the tenant finds accounts by what is asked for in its index alone.
	eventual atomic.Bool
}

var (
	_ dirsync.Target         = (*Writer)(nil)
	_ dirsync.Batcher        = (*Writer)(nil)
	_ dirsync.Finder         = (*Writer)(nil)
	_ dirsync.Restorer       = (*Writer)(nil)
	_ dirsync.Forgetful      = (*Writer)(nil)
	_ dirsync.Referrer       = (*Writer)(nil)
	_ dirsync.Previewer      = (*Writer)(nil)
	_ dirsync.RequestCounter = (*Writer)(nil)
)

// Writer makes a Writer. An error, of kind Invalid, names everything that is wrong with cfg; no request is made.
func (c *Client) Writer(cfg WriterConfig) (*Writer, error) {
	w := &Writer{client: c, cfg: cfg, began: c.cfg.Now(), source: c.Users(nil), known: newAcquaintances(), held: newAwaited()}
	var faults []error
	var fields []writable
	catalogue := writables()
	for _, name := range cfg.Properties {
		i := slices.IndexFunc(catalogue, func(f writable) bool { return f.Name == name })
		switch {
		case slices.ContainsFunc(fields, func(f writable) bool { return f.Name == name }):
		case name == cfg.Anchor:
			faults = append(faults, fmt.Errorf("%s is the anchor, so that nothing else can be written into it", name))
		case name == managerName && cfg.Anchor == "":
			faults = append(faults, fmt.Errorf("manager cannot be written: %s", noAnchorForManager))
		case i >= 0 && catalogue[i].Refused != "":
			faults = append(faults, fmt.Errorf("%s cannot be written: %s", name, catalogue[i].Refused))
		case i >= 0:
			fields = append(fields, catalogue[i])
		case extensionForm.MatchString(name):
			fields = append(fields, assumed(name))
		default:
			faults = append(faults, fmt.Errorf("%q is no property of a user that can be written", name))
		}
	}
	for _, f := range catalogue {
		if f.Required && !slices.Contains(cfg.Properties, f.Name) {
			faults = append(faults, fmt.Errorf("%s is missing, and no account can be without", f.Name))
		}
	}
	if err := checkAnchor(cfg.Anchor); err != nil {
		faults = append(faults, err)
	}
	if err := cfg.Passwords.check(); err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, &dirsync.Error{Op: "prepare writing to Microsoft Entra ID", Kind: dirsync.Invalid, Err: errors.Join(faults...)}
	}
	slices.SortFunc(fields, func(a, b writable) int { return strings.Compare(a.Name, b.Name) })
	w.fields.Store(&fields)
	w.shaped = !slices.ContainsFunc(fields, func(f writable) bool { return extensionForm.MatchString(f.Name) })
	return w, nil
}

var attributeForm = regexp.MustCompile(`^` + onPremises + `/extensionAttribute([1-9]|1[0-5])$`)

func checkAnchor(name string) error {
	if name == "" || name == employeeID || extensionForm.MatchString(name) || attributeForm.MatchString(name) {
		return nil
	}
	return fmt.Errorf("%q cannot be the anchor: it takes a directory extension, %s/extensionAttribute1 to 15, or employeeId", name, onPremises)
}

const employeeID = "employeeId"

// longestAnchor is how long an id can be that the anchor keeps.
func (w *Writer) longestAnchor() int {
	switch {
	case w.cfg.Anchor == employeeID:
		return 16
	case extensionForm.MatchString(w.cfg.Anchor):
		return longestExtension
	}
	return 1024
}

// Name says which tenant is written: by its name once Client.Tenant has told it, and otherwise by the configured tenant.
func (w *Writer) Name() string { return w.source.Name() }

// Requests counts the requests that were sent for this Writer, for tokens and retries included. A batch is one request.
func (w *Writer) Requests() int { return int(w.sent.Load()) + w.source.Requests() }

// Restores is how long the tenant keeps a deleted account (Graph document "Restore deleted item").
func (*Writer) Restores() time.Duration { return 30 * 24 * time.Hour }

// Forgets says that there is no anchor, so that nothing in the tenant says whose an account is.
func (w *Writer) Forgets() bool { return w.cfg.Anchor == "" }

// Permissions names the application permissions that it takes, the least that Graph knows for each: a tenant in which
// User.ReadWrite.All is granted needs none of the others that write (Graph documents "Create user", "Update user" and
// "Delete a user").
func (w *Writer) Permissions() []string {
	names := []string{userPermission, tenantPermission, "User.Create", "User.ReadUpdate.All"}
	if w.cfg.AllowBlock {
		names = append(names, "User.EnableDisableAccount.All")
	}
	if w.cfg.AllowDelete {
		names = append(names, "User.DeleteRestore.All")
	}
	for property, permission := range map[string]string{managerName: writePermission, "otherMails": "User-Mail.ReadWrite.All",
		"mobilePhone": "User-Phone.ReadWrite.All", "businessPhones": "User-Phone.ReadWrite.All", lifeCycle: "User-LifeCycleInfo.ReadWrite.All"} {
		if w.field(property) != nil && !slices.Contains(names, permission) {
			names = append(names, permission)
		}
	}
	if w.groups.Load() != nil {
		names = append(names, groupPermissions()...)
	}
	slices.Sort(names[2:])
	return names
}

// writePermission lets an application do almost everything with users.
const writePermission = "User.ReadWrite.All"

// Missing names those of Permissions that the application's token does not have, as far as a token says: what the
// application may really do is what Graph lets it do. It asks for a token, and for nothing else.
func (w *Writer) Missing(ctx context.Context) ([]string, error) {
	token, err := w.client.tokens.get(context.WithValue(ctx, counterKey{}, &w.sent), "", "")
	if err != nil {
		return nil, w.client.sendError(ctx, checkOp, err)
	}
	return lacking(w.Permissions(), token.claims().granted()), nil
}
