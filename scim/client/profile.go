package client

import (
	"time"

	"dirsync/scim"
)

// Profile says how one application differs from the standard. The zero Profile is the generic one: what can be found out
// by behaviour is found out.
type Profile struct {
	// Name is how the configuration names the profile.
	Name string
	// NoCreate, NoUpdate, NoDelete and NoGroups switch operations off: a change that needs one is refused as Invalid, with
	// nothing sent. NoUpdate includes activating and deactivating. Policies that never plan such changes are better: see
	// Operations.
	NoCreate, NoUpdate, NoDelete, NoGroups bool
	// Write says how changes are written.
	Write Writing
	// Dialect is how PATCH is written.
	Dialect scim.Dialect
	// Reread reads an account after every write that is answered without it. Otherwise the Account that Apply returns has
	// then only what was written, unless the change needs to know the rest.
	Reread bool
	// Filter says whether accounts can be found with "eq" filters of externalId and userName.
	Filter Filtering
	// NoExternalID says that the target does not keep externalId: whose an account is, its user name says. Account.Source
	// is then always empty in lists.
	NoExternalID bool
	// Cursor asks for pages by cursor (RFC 9865). Without it, a cursor that the target gives is followed all the same.
	Cursor bool
	// PageSize is how many resources to ask for at once; zero means 100.
	PageSize int
	// Miscounts says that the target counts resources that it never shows. Without it, a list that shows fewer than it counts
	// is an error, because somebody who is there may have been left out of it.
	Miscounts bool
	// MaxMembers is the most membership changes in one request; zero means 100.
	MaxMembers int
	// Schemas are URNs that every user's schemas must name, whether or not they have data.
	Schemas []string
	// DisplayName gives users a displayName made of first and last name, unless a field is mapped to it.
	DisplayName bool
	// DeleteDeactivates says that DELETE keeps the user, inactive.
	DeleteDeactivates bool
	// Irreversible says that what is deleted, and its name, never comes back. It is for the configuration to warn.
	Irreversible bool
	// PerSecond is the ceiling of requests a second, 25 if zero; Concurrency that of requests at once, 8 if zero.
	PerSecond   float64
	Concurrency int
	// MaxWait is the longest that a request waits for the target before the run is stopped; two minutes if zero.
	MaxWait time.Duration
}

// Writing is a way to write changes.
type Writing uint8

// The ways to write changes.
const (
	WriteAuto  Writing = iota // PATCH, and PUT once the target has said that it has no PATCH
	WritePatch                // PATCH only
	WritePut                  // read, then PUT
)

// Filtering says whether a target can be asked for accounts by their values.
type Filtering uint8

// Whether a target filters.
const (
	FilterLearn Filtering = iota // try it once with an account that is known to be there
	FilterWorks
	FilterNone
)

// Operations tells which changes make sense: so that a sync of a create-only target writes every field only once and
// keeps the accounts of those who leave. Groups need a target that keeps externalId: nothing else says which group is which.
func (p Profile) Operations() (create, update, remove, groups bool) {
	return !p.NoCreate, !p.NoUpdate, !p.NoDelete, !p.NoGroups && !p.NoExternalID
}

// ProfileNames are the names that ProfileNamed knows, generic first.
func ProfileNames() []string {
	return []string{"generic", "kissflow", "ziflow", "aws", "slack", "github", "atlassian", "databricks", "zoom", "snowflake", "miro", "terraform", "deel", "zscaler"}
}

// ProfileNamed returns the profile of an application. The limits are those that the vendors publish, as of 2026.
func ProfileNamed(name string) (Profile, bool) {
	p := Profile{Name: name}
	switch name {
	case "", "generic":
		p.Name = "generic"
	case "kissflow":
		p.Schemas = []string{scim.UserURN}
	case "ziflow":
		// Four attributes, written once: userName, emails[type eq "work"].value, name.givenName and name.familyName.
		p.NoUpdate, p.NoDelete, p.NoGroups, p.NoExternalID = true, true, true, true
	case "aws":
		// IAM Identity Center: one value an attribute, displayName required, members never shown, 100 members a request.
		p.DisplayName, p.MaxMembers, p.PageSize, p.PerSecond = true, 100, 100, 20
		p.Dialect.RemoveByValue = true
	case "slack":
		// 180 creations, updates and deletions a minute in bursts of 20, and DELETE that deactivates.
		p.DeleteDeactivates, p.PerSecond, p.Concurrency, p.PageSize = true, 3, 4, 1000
	case "github":
		// Enterprise managed users: about 1,000 users an hour, and DELETE cannot be undone.
		p.Irreversible, p.DisplayName, p.PerSecond, p.Concurrency = true, true, 0.5, 2
		p.MaxWait = 10 * time.Minute
	case "atlassian":
		p.Filter, p.PageSize, p.DisplayName, p.PerSecond = FilterWorks, 100, true, 10
	case "databricks":
		p.DisplayName, p.PerSecond = true, 10
	case "zoom":
		p.PerSecond = 20
	case "snowflake":
		p.PerSecond, p.Concurrency = 50, 16
	case "miro":
		// PUT and PATCH 100 in 30 seconds.
		p.PerSecond, p.Concurrency = 3, 4
	case "terraform":
		p.Filter, p.PageSize = FilterWorks, 200
	case "deel":
		p.PerSecond, p.Concurrency = 5, 4
	case "zscaler":
		p.PerSecond, p.Concurrency = 50, 16
	default:
		return Profile{}, false
	}
	return p, true
}

// filled is p with its defaults.
func (p Profile) filled() Profile {
	if p.PageSize <= 0 {
		p.PageSize = 100
	}
	if p.MaxMembers <= 0 {
		p.MaxMembers = 100
	}
	if p.PerSecond <= 0 {
		p.PerSecond = 25
	}
	if p.Concurrency <= 0 {
		p.Concurrency = 8
	}
	if p.MaxWait <= 0 {
		p.MaxWait = 2 * time.Minute
	}
	return p
}
