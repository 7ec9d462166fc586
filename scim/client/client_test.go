package client_test

import (
	"testing"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/scim"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
)

const base = "https://app.example/scim/v2"

// open makes a client of an application, in process. Each of its requests is held against the rules of good clients.
func open(t testing.TB, app *scimtest.App, change ...func(*client.Config)) *client.Client {
	t.Helper()
	cfg := client.Config{Name: "App", BaseURL: base, Token: "app-token"}
	cfg.Transport = scimtest.Watch(app.Transport(), func(violation string) { t.Error(violation) }, "app-token", "s3cr3t/ä")
	cfg.Profile.PerSecond = 1e6
	for _, fn := range change {
		fn(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// world is an application with the client that suits it.
type world struct {
	name    string
	quirks  scimtest.Quirks
	profile client.Profile
}

// worlds are the oddities with which everything must work that works without them.
func worlds() []world {
	named := func(name string) client.Profile {
		p, ok := client.ProfileNamed(name)
		if !ok {
			panic(name)
		}
		return p
	}
	return []world{
		{name: "by the book"},
		{name: "no patch", quirks: scimtest.Quirks{PatchUnsupported: true}},
		{name: "no put", quirks: scimtest.Quirks{PutUnsupported: true}},
		{name: "put only", quirks: scimtest.Quirks{PatchUnsupported: true}, profile: client.Profile{Write: client.WritePut}},
		{name: "204 after patch", quirks: scimtest.Quirks{NoContent: true}, profile: client.Profile{Reread: true}},
		{name: "204 after put", quirks: scimtest.Quirks{NoContent: true, PatchUnsupported: true}, profile: client.Profile{Reread: true}},
		{name: "one on a page", quirks: scimtest.Quirks{PageSize: 1}},
		{name: "two on a page, filters believed", quirks: scimtest.Quirks{PageSize: 2}, profile: client.Profile{Filter: client.FilterWorks}},
		{name: "cursors forced", quirks: scimtest.Quirks{PageSize: 2, ForceCursor: true}},
		{name: "cursors asked for", quirks: scimtest.Quirks{PageSize: 2}, profile: client.Profile{Cursor: true}},
		{name: "resources in lower case", quirks: scimtest.Quirks{LowerResources: true}},
		{name: "totals of the page", quirks: scimtest.Quirks{WrongTotal: true, PageSize: 2}, profile: client.Profile{PageSize: 2}},
		{name: "totals of at most two", quirks: scimtest.Quirks{MostTotal: 2, PageSize: 2}},
		{name: "counts whom it never shows", quirks: scimtest.Quirks{Uncounted: 3, PageSize: 2}, profile: client.Profile{Miscounts: true}},
		{name: "patch is blind", quirks: scimtest.Quirks{BlindPatch: true}},
		{name: "answers are shy", quirks: scimtest.Quirks{ShyAnswers: true}},
		{name: "filters ignored", quirks: scimtest.Quirks{FilterIgnored: true, PageSize: 1}},
		{name: "filters refused", quirks: scimtest.Quirks{FilterRefused: true, PageSize: 1}},
		{name: "no filter of externalId", quirks: scimtest.Quirks{NoExternalFilter: true, PageSize: 1}},
		{name: "externalId is never found", quirks: scimtest.Quirks{EmptyExternalFilter: true, PageSize: 1}},
		{name: "400 where 404 is meant", quirks: scimtest.Quirks{BadForMissing: true}},
		{name: "400 where 409 is meant", quirks: scimtest.Quirks{BadForDuplicate: true}},
		{name: "value paths must select something", quirks: scimtest.Quirks{StrictTarget: true}},
		{name: "first operation only", quirks: scimtest.Quirks{FirstOperation: true}, profile: client.Profile{Dialect: scim.Dialect{MaxOperations: 1}}},
		{name: "path-less operations", profile: client.Profile{Dialect: scim.Dialect{Together: true, Dotted: true, Capitalized: true, TextBooleans: true}}},
		{name: "status as a number", quirks: scimtest.Quirks{NumberStatus: true}},
		{name: "errors are pages of HTML", quirks: scimtest.Quirks{HTMLErrors: true}},
		{name: "no discovery", quirks: scimtest.Quirks{NoDiscovery: true}},
		{name: "discovery that lies", quirks: scimtest.Quirks{FalseConfig: true}},
		{name: "kissflow", quirks: scimtest.Quirks{RequiredSchemas: []string{scim.UserURN}}, profile: named("kissflow")},
		{name: "aws", quirks: scimtest.Quirks{Required: []string{"displayName"}, OneEmail: true, HideMembers: true, MaxMembers: 100}, profile: named("aws")},
		{name: "github", quirks: scimtest.Quirks{Required: []string{"displayName"}}, profile: named("github")},
		{name: "atlassian", quirks: scimtest.Quirks{PageSize: 2}, profile: named("atlassian")},
		{name: "databricks", profile: named("databricks")},
		{name: "terraform", profile: named("terraform")},
	}
}

func TestConformance(t *testing.T) {
	for _, w := range worlds() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			dirsynctest.TestTarget(t, func(t *testing.T) dirsync.Target {
				app := scimtest.New()
				app.Quirks = w.quirks
				return open(t, app, func(c *client.Config) {
					c.Profile = w.profile
					c.Profile.PerSecond = 1e6
				})
			})
		})
	}
}
