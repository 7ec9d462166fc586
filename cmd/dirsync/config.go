package main

import (
	"slices"
	"time"

	"dirsync"
)

// Config is everything that the configuration file says, with the defaults filled in and every fault already
// reported: whoever holds a *Config from LoadConfig need not check it again.
//
// The yaml tags are the file's keys. There is no key without effect: what this version cannot do is not a key.
type Config struct {
	// Tenants are the Microsoft Entra ID tenants by the name that syncs use for them.
	Tenants map[string]*Tenant `yaml:"tenants"`
	// Applications are what speaks SCIM 2.0, by the name that syncs use for them.
	Applications map[string]*Application `yaml:"applications"`
	// Store says where the program keeps what it remembers.
	Store StoreConfig `yaml:"store"`
	// Directory describes the embedded directory.
	Directory DirectoryConfig `yaml:"directory"`
	// Syncs are the flows by name. At least one.
	Syncs map[string]*Sync `yaml:"syncs"`
	// Notify says who is told what happens. Only the daemon tells anybody.
	Notify NotifyConfig `yaml:"notify"`
	// Serve is about the daemon itself.
	Serve ServeConfig `yaml:"serve"`

	// Path is the file that all this was read from, as it was named by whoever asked.
	Path string `yaml:"-"`
}

// Tenant is one Microsoft Entra ID tenant and the application that reads it.
type Tenant struct {
	// ID is the tenant's GUID, in lower case. A run against another tenant is refused.
	ID string `yaml:"id"`
	// ClientID is the application's GUID (its "Application (client) ID"), in lower case. It is empty for credentials that
	// come with an identity of their own; see Credential.
	ClientID string `yaml:"client_id"`
	// Credential proves that we are that application.
	Credential Credential `yaml:"credential"`
	// Cloud is the Microsoft cloud that the tenant lives in: one of graph.Clouds, by default "global".
	Cloud string `yaml:"cloud"`
	// Authority and Graph replace the addresses of the cloud's sign-in service and of Microsoft Graph, without a
	// trailing slash: "https://login.example.com", "https://graph.example.com/v1.0". Empty: the cloud's own.
	Authority string `yaml:"authority"`
	Graph     string `yaml:"graph"`
	// CA is a file of PEM certificates that are trusted instead of the system's, for private endpoints and for proxies
	// that open TLS. It may be unset.
	CA FilePath `yaml:"ca"`
}

// Credential is how an application signs in: exactly one of Secret, Certificate, WorkloadIdentity, ManagedIdentity and
// AzureCLI is set. The last two need no ClientID, and a Tenant that has one of them has none.
type Credential struct {
	// Secret is a client secret's value.
	Secret Secret `yaml:"secret"`
	// Certificate holds a certificate with its private key, PEM or PKCS #12. Use its Bytes.
	Certificate Secret `yaml:"certificate"`
	// Password opens the private key in Certificate; set only with one. Unset: the file has no password.
	Password Secret `yaml:"password"`
	// WorkloadIdentity is a file with a federated token, which somebody else keeps fresh, as Kubernetes does.
	WorkloadIdentity FilePath `yaml:"workload_identity"`
	// ManagedIdentity is graph.SystemAssigned, or the client id of a user-assigned managed identity, in lower case.
	ManagedIdentity string `yaml:"managed_identity"`
	// AzureCLI signs in as whoever is signed in to the Azure CLI on this machine. Where the file has the key, it is true.
	AzureCLI bool `yaml:"azure_cli"`
}

// ownsClient tells the kinds of credential that come with an identity of their own, so that there is no client id.
func (c Credential) ownsClient() bool { return c.ManagedIdentity != "" || c.AzureCLI }

// StoreConfig says where the program keeps what it remembers.
type StoreConfig struct {
	// Path is the store's file; the default is DefaultStorePath. A relative path in the file is taken from the
	// directory of the configuration file; here it is already joined.
	Path string `yaml:"path"`
	// History says how much is remembered of runs.
	History HistoryConfig `yaml:"history"`
}

// HistoryConfig says how much is remembered of runs.
type HistoryConfig struct {
	// Runs is for how many of its latest runs a sync keeps every change, so that they can be shown and taken back: at
	// least 1, and DefaultHistoryRuns when the file does not say.
	Runs int `yaml:"runs"`
	// Keep is for how long the runs themselves are kept: at least MinHistoryKeep, and DefaultHistoryKeep when the file does
	// not say.
	Keep Duration `yaml:"keep"`
}

// The defaults of HistoryConfig, and its bound: the limits count what was taken away in the last seven days, and a hold
// can be decided for thirty.
const (
	DefaultHistoryRuns = 200
	DefaultHistoryKeep = Duration(400 * 24 * time.Hour)
	MinHistoryKeep     = Duration(30 * 24 * time.Hour)
)

// DirectoryConfig describes the embedded directory.
type DirectoryConfig struct {
	// FedBy says who fills the directory; the default is syncs.
	FedBy FedBy `yaml:"fed_by"`
	// Fields are the fields beyond first_name, last_name and email, in the order of the file.
	Fields []DirectoryField `yaml:"fields"`
}

// DirectoryField is one field of the embedded directory.
type DirectoryField struct {
	Name string `yaml:"name"`
	// Label is what people call the field; the default is Name with blanks for underscores and a capital.
	Label string `yaml:"label"`
	// Type is one of the types of the root package; the default is text.
	Type dirsync.Type `yaml:"type"`
	// Required and Unique are false by default.
	Required bool `yaml:"required"`
	Unique   bool `yaml:"unique"`
	// Options are what a choice may hold; set for that type only, and then not empty.
	Options []string `yaml:"options"`
	// Format is how values are written outside, for dates and numbers: "DD/MM/YYYY". Empty: the canonical form.
	Format string `yaml:"format"`
	// Length is the longest value in characters; zero means no limit.
	Length int `yaml:"length"`
}

// Field returns f in the words of the root package.
func (f DirectoryField) Field() dirsync.Field {
	return dirsync.Field{Name: f.Name, Label: f.Label, Type: f.Type, Required: f.Required, Unique: f.Unique,
		Options: f.Options, Format: f.Format, MaxLength: f.Length}
}

// FieldList returns the configured fields in the words of the root package, in the order of the file, without the
// three that every directory has.
func (d DirectoryConfig) FieldList() []dirsync.Field {
	out := make([]dirsync.Field, len(d.Fields))
	for i, f := range d.Fields {
		out[i] = f.Field()
	}
	return out
}

// Sync is one flow of people from a source to a target.
type Sync struct {
	// Description says for people what it is for.
	Description string `yaml:"description"`
	// Enabled is false for a sync that is switched off: nothing runs it, and everything about it is kept. The default is true.
	Enabled bool `yaml:"enabled"`
	// From is where people and groups come from.
	From From `yaml:"from"`
	// Where says which of them this sync is about, as an expression over their properties. Unset: all.
	Where WhereExpression `yaml:"where"`
	// To is where they go.
	To To `yaml:"to"`
	// Fields say how each of the target's fields is made, in the order of the file. The three mandatory fields and
	// every required one are among them, and no field occurs twice.
	Fields FieldMappings `yaml:"fields"`
	// WhenDeleted is what happens to the account of somebody who is gone from the source. The default is Deactivate.
	WhenDeleted WhenDeleted `yaml:"when_deleted"`
	// WhenOutOfScope is what happens to the account of somebody who left the scope. The default is what WhenDeleted says.
	WhenOutOfScope WhenOutOfScope `yaml:"when_out_of_scope"`
	// WhenBlocked is what happens to the account of somebody whom the source does not let sign in: deactivate, the default, or
	// keep.
	WhenBlocked WhenBlocked `yaml:"when_blocked"`
	// Grace is how long an account is kept, deactivated, before it is deleted. The default is zero: with WhenDeleted
	// or WhenOutOfScope Delete the account is deleted at once.
	Grace Duration `yaml:"grace"`
	// Limits say how much may be taken away unasked: by one run, in a day, and in a week.
	Limits Limits `yaml:"limits"`
	// Protect says whose account is never deactivated or deleted. The default is nobody's.
	Protect Protect `yaml:"protect"`
	// Join are the fields by which accounts that are in the target already are found to be somebody's, the surest first.
	// Each is a unique field, and mapped. The default is the e-mail address; empty: by the object id only.
	Join []string `yaml:"join"`
	// Drift says what `dirsync run --full` does about accounts that are not as this sync left them. The default is Repair.
	Drift Drift `yaml:"drift"`
	// Retry are the delays after the first, second, … failure of a person's change; the last one repeats. It is never
	// empty; the default is engine.DefaultRetry.
	Retry []Duration `yaml:"retry"`
	// ReadEvery is how old the last complete reading may become before `dirsync read` reads again: between MinReadEvery
	// and MaxReadEvery, and DefaultReadEvery when the file does not say.
	ReadEvery Duration `yaml:"read_every"`
	// Schedule is when the daemon runs it; the default is DefaultSchedule.
	Schedule ScheduleConfig `yaml:"schedule"`
	// Notify are those who are told of this sync, in addition to NotifyConfig.Recipients.
	Notify Recipients `yaml:"notify"`
}

// WhereExpression is an expression that is true or false of a person, and where its text begins in the file.
type WhereExpression struct {
	Text string
	Pos  Position
}

// From is where a sync's people and groups come from: exactly one of Entra, SCIM and Directory is set. In the file it is
// "directory", or the key of one of the three.
type From struct {
	// Entra is the name of a tenant, and one of Config.Tenants.
	Entra string `yaml:"entra"`
	// SCIM is the name of an application, and one of Config.Applications.
	SCIM string `yaml:"scim"`
	// Directory is the embedded directory. The short form of { directory: true } is directory.
	Directory bool `yaml:"directory"`
	// Users says who of the source's users are the people of this sync, before Sync.Where is asked. The default is all.
	Users UserScope `yaml:"users"`
	// Groups says which groups the target gets. The default is all chosen groups where Users chooses some, and else none.
	Groups GroupSelection `yaml:"groups"`
}

// HasGroups tells a sync that has to read groups.
func (f From) HasGroups() bool { return len(f.Users.Groups) > 0 || f.Groups.Which != NoGroups }

// chosen are all groups that the file names, each once.
func (f From) chosen() []string {
	all := slices.Clone(f.Users.Groups)
	for _, name := range f.Groups.Names {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// UserScope says whose members the people of a sync are. In the file it is "all", or the groups with their keys.
type UserScope struct {
	// Groups are the names or object ids of the groups whose members are the people of this sync. Object ids are in lower
	// case, and no two entries are the same by dirsync.Fold. Empty: everybody in the tenant.
	Groups []string `yaml:"groups"`
	// Nested counts the members of groups in these groups as members. The default is true: a group that nobody looked into
	// is a group whose people lose their accounts.
	Nested bool `yaml:"nested"`
}

// GroupSelection says which groups a target gets. In the file it is "none", "chosen", "all" or a list of groups.
type GroupSelection struct {
	Which WhichGroups
	// Names are the listed groups, for ListedGroups only, as in UserScope.Groups. One that is among those too is spelled
	// as it is there.
	Names []string
}

// WhichGroups are the ways to select groups.
type WhichGroups string

// The ways to select groups.
const (
	NoGroups     WhichGroups = "none"
	ChosenGroups WhichGroups = "chosen" // those of UserScope
	AllGroups    WhichGroups = "all"
	ListedGroups WhichGroups = "listed"
)

// The bounds of Sync.ReadEvery and its default. Microsoft Graph keeps the place where a reading stopped for seven days;
// a day less leaves time to notice that a reading fails.
const (
	MinReadEvery     = Duration(time.Hour)
	DefaultReadEvery = Duration(24 * time.Hour)
	MaxReadEvery     = Duration(6 * 24 * time.Hour)
)

// WhenDeleted is what happens to the account of somebody who is gone from the source.
type WhenDeleted string

// The policies for people who are gone.
const (
	DeactivateDeleted WhenDeleted = "deactivate"
	DeleteDeleted     WhenDeleted = "delete"
	KeepDeleted       WhenDeleted = "keep"
)

// WhenBlocked is what happens to the account of somebody whom the source does not let sign in.
type WhenBlocked string

// The policies for people who may not sign in.
const (
	DeactivateBlocked WhenBlocked = "deactivate"
	KeepBlocked       WhenBlocked = "keep"
)

// Share is a part of a whole between 0 and 1, written as a percentage: "5%".
type Share float64

// FieldMappings are the mappings of one sync in the order of the file.
type FieldMappings []FieldMapping

// FieldMapping says how one field of the target is made. Exactly one of From, Expr, Entra and Value is set; the short
// form "email: mail" sets From.
type FieldMapping struct {
	// Field is the target's field.
	Field string `yaml:"-"`
	// From is a property of the source that is taken over directly.
	From string `yaml:"from"`
	// Expr is an expression over the source's properties, Entra one in Microsoft's own mapping language.
	Expr  string `yaml:"expr"`
	Entra string `yaml:"entra"`
	// Value is the same for everybody. nil: not set.
	Value *string `yaml:"value"`
	// Default stands in when the source has no value. nil: not set.
	Default *string `yaml:"default"`
	// WhenNull says what becomes of the field of people for whom the source has no value: "keep", "clear" or "default".
	// Empty: not said, which means default if there is a Default, and clear otherwise.
	WhenNull string `yaml:"when_null"`
	// SyncUpdates false writes the field when the user is first added and never again. nil: not set, which means true.
	SyncUpdates *bool `yaml:"sync_updates"`
	// Format is how the source writes a date, time, number or boolean: "DD/MM/YYYY".
	Format string `yaml:"format"`

	// Pos is where the file names the field, and the others are where the text of that part begins, after an opening
	// quote. The zero Position: not in the file.
	Pos, FromPos, ExprPos, EntraPos, ValuePos, DefaultPos, WhenNullPos, FormatPos Position `yaml:"-"`
}

// Position is a place in the configuration file, both counted from 1.
type Position struct{ Line, Column int }

// DefaultStorePath is where the store is kept when the file does not say.
const DefaultStorePath = "/var/lib/dirsync/dirsync.db"

// Duration is a length of time, written in days, hours, minutes and seconds: "30d", "1d12h", "90m". A day is 24 hours.
type Duration time.Duration

// LoadConfig reads the configuration from a file. Its error is a *ConfigError that names every fault in the file, or
// says why the file cannot be read. Secrets are not resolved: see Secret.
func LoadConfig(path string) (*Config, error) {
	data, err := readConfigFile(path)
	if err != nil {
		return nil, err
	}
	return parseConfig(path, data)
}
