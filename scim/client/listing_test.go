package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dirsync"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
)

// html is what a proxy answers that wants somebody to sign in.
const html = "<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"

// listings are the ways in which an application can be wrong about who is there, as transports over one that is right.
// The result of broken says whether a listing must fail; if it does not, it must show everybody.
func listings() map[string]struct {
	answer func(r *http.Request, next http.RoundTripper) (*http.Response, error)
	broken bool
} {
	type listing = struct {
		answer func(r *http.Request, next http.RoundTripper) (*http.Response, error)
		broken bool
	}
	// list replaces answers to lists, others only on request.
	list := func(body func(r *http.Request, body string) string) func(*http.Request, http.RoundTripper) (*http.Response, error) {
		return func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil || r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "s") {
				return resp, err
			}
			return answer(200, body(r, read(resp))), nil
		}
	}
	query := func(name, value string) func(*http.Request, http.RoundTripper) (*http.Response, error) {
		return func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
			if q := r.URL.Query(); r.Method == http.MethodGet && q.Get("filter") == "" && q.Has(name) {
				r = r.Clone(r.Context())
				q.Set(name, value)
				r.URL.RawQuery = q.Encode()
			}
			return next.RoundTrip(r)
		}
	}
	total := func(n int) func(*http.Request, http.RoundTripper) (*http.Response, error) {
		return list(func(_ *http.Request, body string) string {
			return strings.Replace(body, `"totalResults":30`, fmt.Sprintf(`"totalResults":%d`, n), 1)
		})
	}
	return map[string]listing{
		"right": {answer: func(r *http.Request, next http.RoundTripper) (*http.Response, error) { return next.RoundTrip(r) }},
		"everything is a page of HTML, with 200": {answer: func(*http.Request, http.RoundTripper) (*http.Response, error) {
			return answer(200, html), nil
		}, broken: true},
		"everything is a page of HTML, with 404": {answer: func(*http.Request, http.RoundTripper) (*http.Response, error) {
			return answer(404, html), nil
		}, broken: true},
		"everything is a 404 of a gateway": {answer: func(*http.Request, http.RoundTripper) (*http.Response, error) {
			return answer(404, `{"message":"no Route matched with those values"}`), nil
		}, broken: true},
		"lists are pages of HTML":      {answer: list(func(*http.Request, string) string { return html }), broken: true},
		"lists are something else":     {answer: list(func(*http.Request, string) string { return `{"users":[]}` }), broken: true},
		"it counts more than it shows": {answer: total(60), broken: true},
		"it counts less than it shows": {answer: total(17)},
		"it counts the page":           {answer: total(10)},
		"half is shown, and all counted": {answer: list(func(r *http.Request, body string) string {
			if r.URL.Query().Get("startIndex") == "11" {
				return `{"totalResults":30,"Resources":[]}`
			}
			return body
		}), broken: true},
		"every page is the first": {answer: query("startIndex", "1"), broken: true},
		"a page is left out":      {answer: skip(10), broken: true},
		"pages overlap":           {answer: skip(-3)},
		"pages lead in a circle": {answer: list(func(_ *http.Request, body string) string {
			return strings.Replace(body, `"totalResults"`, `"nextCursor":"c","totalResults"`, 1)
		}), broken: true},
		"pages behind the end fail": {answer: list(func(r *http.Request, body string) string {
			if r.URL.Query().Get("startIndex") == "31" {
				return html
			}
			return body
		}), broken: true},
	}
}

// skip moves the beginning of every page but the first.
func skip(by int) func(*http.Request, http.RoundTripper) (*http.Response, error) {
	return func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
		var start int
		if _, err := fmt.Sscan(r.URL.Query().Get("startIndex"), &start); err == nil && start > 1 && r.Method == http.MethodGet {
			r = r.Clone(r.Context())
			q := r.URL.Query()
			q.Set("startIndex", fmt.Sprint(start+by))
			r.URL.RawQuery = q.Encode()
		}
		return next.RoundTrip(r)
	}
}

// TestListsThatAreWrong meets an application that is wrong about who is there. Nobody is taken for missing, and nobody is
// made a second time, whatever it answers.
func TestListsThatAreWrong(t *testing.T) {
	for name, l := range listings() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app := scimtest.New()
				app.Quirks.PageSize, app.Quirks.FilterRefused = 10, true
				all(t, open(t, app), joiners(0, 30))
				next := app.Transport()
				c := open(t, app, func(cfg *client.Config) {
					cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { return l.answer(r, next) })
				})
				n := 0
				err := c.Users(t.Context(), func(dirsync.Account) error { n++; return nil })
				if l.broken && err == nil || !l.broken && (err != nil || n != 30) {
					t.Errorf("got %d accounts and %v", n, err)
				}
				if err != nil && dirsync.KindOf(err) != dirsync.Unavailable {
					t.Errorf("got %v (%v), want Unavailable", err, dirsync.KindOf(err))
				}
				// Everybody was renamed, and all that was known of the accounts is lost: only the list can tell who is there.
				again := joiners(0, 30)
				for i := range again {
					again[i].After = values("First", fmt.Sprint("Last", i), fmt.Sprintf("renamed%d@a.example", i))
				}
				for i, a := range c.ApplyAll(t.Context(), again) {
					if a.Err != nil && dirsync.KindOf(a.Err) != dirsync.Unavailable {
						t.Errorf("%d: got %v (%v), want Unavailable", i, a.Err, dirsync.KindOf(a.Err))
					}
				}
				if got := len(app.Users()); got != 30 {
					t.Errorf("there are %d users, want 30", got)
				}
			})
		})
	}
}

// TestSourceThatIsWrong reads from the same applications: a round that ends says nothing wrong of anybody, and whom it did
// not mention is there when they are looked up, or that fails.
func TestSourceThatIsWrong(t *testing.T) {
	for name, l := range listings() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app := scimtest.New()
				app.Quirks.PageSize = 10
				var ids []dirsync.ID
				for n := range 30 {
					ids = append(ids, dirsync.ID(app.Put("/Users", fmt.Sprintf(`{"userName":"u%d@a.example"}`, n))))
				}
				next := app.Transport()
				source, err := open(t, app, func(cfg *client.Config) {
					cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { return l.answer(r, next) })
				}).Source()
				if err != nil {
					t.Fatal(err)
				}
				seen := map[dirsync.ID]bool{}
				pages := 0
				err = source.Read(t.Context(), "", func(p dirsync.Page) error {
					for _, r := range p.Records {
						if r.Gone != dirsync.Present || !slices.Contains(ids, r.ID) {
							t.Errorf("got %+v", r)
						}
						seen[r.ID] = true
					}
					if pages++; pages > 50 {
						return errors.New("the round does not end")
					}
					return nil
				})
				if !l.broken && (err != nil || len(seen) != 30) || pages > 50 {
					t.Errorf("got %d people and %v", len(seen), err)
				}
				missing := slices.DeleteFunc(slices.Clone(ids), func(id dirsync.ID) bool { return seen[id] })
				err = source.LookUp(t.Context(), missing, func(r dirsync.Record) error {
					if r.Gone != dirsync.Present {
						t.Errorf("%s is told to be gone", r.ID)
					}
					return nil
				})
				if err != nil && dirsync.KindOf(err) != dirsync.Unavailable {
					t.Errorf("got %v (%v), want Unavailable", err, dirsync.KindOf(err))
				}
			})
		})
	}
}

// TestCountsWhomItNeverShows provisions people to an application whose lists never show all whom they count, and which
// filters: whom the list does not show is asked for. A comparison is refused.
func TestCountsWhomItNeverShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := scimtest.New()
		all(t, open(t, app), joiners(0, 30))
		app.Quirks.Uncounted = 3
		c := open(t, app)
		again := joiners(0, 40)
		for i := range again {
			again[i].After = values("First", fmt.Sprint("Last", i), fmt.Sprintf("renamed%d@a.example", i))
		}
		all(t, c, again)
		if got := len(app.Users()); got != 40 {
			t.Errorf("there are %d users, want 40", got)
		}
		if err := c.Users(t.Context(), func(dirsync.Account) error { return nil }); dirsync.KindOf(err) != dirsync.Unavailable || dirsync.HintOf(err) == "" {
			t.Errorf("got %v, want Unavailable with a hint", err)
		}
	})
}

// TestApplicationThatForgotEverybody lists nobody. Whom it does not list is looked up by id before they are told to be
// gone; and nobody is doubled, because it says that the name is taken.
func TestApplicationThatForgotEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := scimtest.New()
		app.Quirks.Lag = time.Hour // hides everybody from lists and filters
		accounts := all(t, open(t, app), joiners(0, 30))
		c := open(t, app)
		if err := c.Users(t.Context(), func(a dirsync.Account) error { t.Error(a); return nil }); err != nil {
			t.Fatal(err) // an empty list is one: what it means the limits decide
		}
		for i, a := range c.ApplyAll(t.Context(), joiners(0, 30)) {
			if kind := dirsync.KindOf(a.Err); a.Err == nil || kind != dirsync.Conflict && kind != dirsync.Unavailable {
				t.Errorf("%d: got %v", i, a.Err)
			}
		}
		// What a comparison makes of it: they are made again, at the account that they had.
		again := joiners(0, 30)
		for i := range again {
			again[i].Account = accounts[i].ID
		}
		for i, a := range all(t, c, again) {
			if a.ID != accounts[i].ID {
				t.Errorf("%d: got account %s, want %s", i, a.ID, accounts[i].ID)
			}
		}
		if got := len(app.Users()); got != 30 {
			t.Errorf("there are %d users, want 30", got)
		}
	})
}

// TestPageInTheWay is a proxy that answers writes with a page, with and without passing them on. Nothing counts as done
// that was not, and what was done is found out.
func TestPageInTheWay(t *testing.T) {
	for _, passed := range []bool{false, true} {
		t.Run(fmt.Sprintf("passed on: %v", passed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app := scimtest.New()
				accounts := all(t, open(t, app), joiners(0, 3))
				c := open(t, app)
				app.Hook = func(r scimtest.Request) scimtest.Fault {
					if r.Method == http.MethodGet {
						return scimtest.Fault{}
					}
					return scimtest.Fault{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: html, Apply: passed}
				}
				_, made := c.Apply(t.Context(), joiner(7))
				_, changed := c.Apply(t.Context(), dirsync.Change{Kind: dirsync.Update, Person: id(1), Account: accounts[1].ID, After: values("Ada", "King", "king@a.example")})
				_, deleted := c.Apply(t.Context(), dirsync.Change{Kind: dirsync.Delete, Person: id(2), Account: accounts[2].ID})
				if made == nil || changed == nil || (deleted == nil) != passed {
					t.Errorf("got %v, %v and %v", made, changed, deleted)
				}
				if got, want := len(app.Users()), 3; got != want {
					t.Errorf("there are %d users, want %d", got, want)
				}
				for _, err := range []error{made, changed, deleted} {
					if err != nil && dirsync.KindOf(err) != dirsync.Unavailable {
						t.Errorf("got %v (%v), want Unavailable", err, dirsync.KindOf(err))
					}
				}
			})
		})
	}
}
