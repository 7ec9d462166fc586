package client_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
)

// once makes the first request that fits fail in a way, and lets all others through.
func once(method string, f scimtest.Fault) func(scimtest.Request) scimtest.Fault {
	done := false
	return func(r scimtest.Request) scimtest.Fault {
		if done || r.Method != method {
			return scimtest.Fault{}
		}
		done = true
		return f
	}
}

// TestLostAnswers loses the answer to each kind of write, with and without its effect. There is one account in the end.
func TestLostAnswers(t *testing.T) {
	faults := map[string]scimtest.Fault{
		"dropped":                 {Drop: true},
		"dropped, applied":        {Drop: true, Apply: true},
		"refused":                 {Refuse: true},
		"500":                     {Status: 500},
		"502, applied":            {Status: 502, Body: "<html>Bad gateway</html>", Apply: true},
		"503 with a wait":         {Status: 503, Header: http.Header{"Retry-After": {"2"}}},
		"504, applied":            {Status: 504, Apply: true},
		"429":                     {Status: 429, Header: http.Header{"Retry-After": {"1"}}},
		"cut off":                 {Cut: true},
		"201 with a page of HTML": {Status: 201, Body: "<html>", Apply: true},
		"201 without a body":      {Status: 201, Apply: true},
		"too slow, applied":       {Delay: 2 * time.Minute, Apply: true},
	}
	for name, fault := range faults {
		for _, w := range []world{{name: "filters"}, {name: "no filters", quirks: scimtest.Quirks{FilterRefused: true}},
			{name: "no externalId filter", quirks: scimtest.Quirks{NoExternalFilter: true}}} {
			t.Run(name+"/"+w.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					app := scimtest.New()
					app.Quirks = w.quirks
					c := open(t, app)
					all(t, c, joiners(5, 7))
					for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodDelete} {
						if method != http.MethodPost && fault.Status/100 == 2 {
							continue
						}
						app.Hook = once(method, fault)
						change := joiner(1)
						switch method {
						case http.MethodPatch:
							change = dirsync.Change{Kind: dirsync.Update, Person: id(1), After: values("Ada", "King", "king@a.example")}
						case http.MethodDelete:
							change = dirsync.Change{Kind: dirsync.Delete, Person: id(1)}
						}
						a, err := c.Apply(t.Context(), change)
						if err != nil || method != http.MethodDelete && a.Source != id(1) {
							t.Fatalf("%s: got %v and %v", method, a, err)
						}
						want := 3
						if method == http.MethodDelete {
							want = 2
						}
						if got := len(app.Users()); got != want {
							t.Fatalf("%s: got %d users, want %d", method, got, want)
						}
					}
				})
			})
		}
	}
}

// TestLostAnswerOfLaggingTarget is not sure, and says so, rather than that somebody else has the name.
func TestLostAnswerOfLaggingTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		app := scimtest.New()
		app.Quirks.Lag = 10 * time.Minute
		app.Hook = once(http.MethodPost, scimtest.Fault{Status: 504, Apply: true})
		c := open(t, app)
		_, err := c.Apply(t.Context(), joiner(1))
		if got, want := dirsync.KindOf(err), dirsync.Unavailable; got != want {
			t.Errorf("got %v (%v), want %v", got, err, want)
		}
		time.Sleep(20 * time.Minute)
		a, err := c.Apply(t.Context(), joiner(1))
		if err != nil || a.Source != id(1) || len(app.Users()) != 1 {
			t.Errorf("got %v and %v, %d users", a, err, len(app.Users()))
		}
	})
}

// seeds is how many worlds TestConverges goes through.
var seeds = flag.Int("seeds", 120, "how many random worlds the property test goes through")

// TestConverges makes random changes to an application of random oddities that fails at random, and tries again as an
// engine would. In the end it holds what was wanted, each person has one account, and nobody else was touched.
//
//	go test -run TestConverges ./scim/client -seeds 5000
func TestConverges(t *testing.T) {
	ws := worlds()
	for seed := range uint64(*seeds) {
		w := ws[int(seed)%len(ws)]
		t.Run(fmt.Sprintf("%d %s", seed, w.name), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { converge(t, w, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

func converge(t *testing.T, w world, rnd *rand.Rand) {
	app := scimtest.New()
	app.Quirks = w.quirks
	stranger := app.Put("/Users", `{"schemas":["`+scim.UserURN+`"],"userName":"stranger@a.example","displayName":"Stranger","name":{"givenName":"S","familyName":"S"}}`)
	quiet := false
	app.Hook = func(r scimtest.Request) scimtest.Fault {
		if quiet || rnd.IntN(5) > 0 {
			return scimtest.Fault{}
		}
		return []scimtest.Fault{{Drop: true}, {Drop: true, Apply: true}, {Status: 500}, {Status: 503, Apply: true}, {Refuse: true}, {Cut: true},
			{Status: 429}, {Status: 429, Header: http.Header{"Retry-After": {"3"}}}, {Delay: 3 * time.Minute, Apply: true}, {Status: 502, Apply: true}}[rnd.IntN(10)]
	}
	fresh := func() *client.Client {
		return open(t, app, func(c *client.Config) { c.Profile = w.profile; c.Profile.PerSecond = 1000 })
	}
	c := fresh()
	model := map[dirsync.ID]dirsync.Values{}
	doubt := map[dirsync.ID]bool{}
	for round := range 13 {
		if rnd.IntN(3) == 0 {
			c = fresh() // the process died
		}
		quiet = round >= 11
		var changes []dirsync.Change
		for n := range 12 {
			wanted, there := model[id(n)]
			switch {
			case doubt[id(n)] && there:
				changes = append(changes, dirsync.Change{Kind: dirsync.Create, Person: id(n), After: wanted})
			case doubt[id(n)], there && !quiet && rnd.IntN(6) == 0:
				delete(model, id(n))
				changes = append(changes, dirsync.Change{Kind: dirsync.Delete, Person: id(n)})
			case quiet:
			case there && rnd.IntN(2) == 0:
				model[id(n)] = values("First", fmt.Sprint("Last", rnd.IntN(9)), fmt.Sprintf("user%d.%d@a.example", n, rnd.IntN(3)))
				changes = append(changes, dirsync.Change{Kind: dirsync.Update, Person: id(n), After: model[id(n)]})
			case !there && rnd.IntN(2) == 0:
				model[id(n)] = joiner(n).After
				changes = append(changes, joiner(n))
			}
		}
		for i, a := range c.ApplyAll(context.Background(), changes) {
			delete(doubt, changes[i].Person)
			if a.Err == nil {
				continue
			}
			doubt[changes[i].Person] = true
			if kind := dirsync.KindOf(a.Err); round == 12 || kind != dirsync.Unavailable && kind != dirsync.Throttled {
				t.Fatalf("round %d: %v", round, a.Err)
			}
		}
	}
	got := map[dirsync.ID]string{}
	err := fresh().Users(t.Context(), func(a dirsync.Account) error {
		if a.Source == "" && a.ID == stranger {
			return nil
		}
		if got[a.Source] != "" || a.Source == "" || !a.Active {
			t.Errorf("account %v is somebody's second one, nobody's, or inactive", a)
		}
		got[a.Source] = fmt.Sprint(a.Values)
		return nil
	})
	if err != nil || len(got) != len(model) {
		t.Fatalf("got %d accounts and %v, want %d", len(got), err, len(model))
	}
	for person, want := range model {
		if got[person] != fmt.Sprint(want) {
			t.Errorf("%s: got %s, want %s", person, got[person], want)
		}
	}
}

func TestAnswersAndKinds(t *testing.T) {
	for name, test := range map[string]struct {
		fault scimtest.Fault
		want  dirsync.ErrorKind
	}{
		"401":                      {scimtest.Fault{Status: 401}, dirsync.Unauthorized},
		"403":                      {scimtest.Fault{Status: 403}, dirsync.Permission},
		"400":                      {scimtest.Fault{Status: 400, Body: `{"detail":"title is too long","status":400}`}, dirsync.Invalid},
		"413":                      {scimtest.Fault{Status: 413}, dirsync.Invalid},
		"409 without a reason":     {scimtest.Fault{Status: 409}, dirsync.Conflict},
		"400 that means duplicate": {scimtest.Fault{Status: 400, Body: `{"detail":"User already exists"}`}, dirsync.Conflict},
		"a redirect elsewhere":     {scimtest.Fault{Status: 307, Header: http.Header{"Location": {"https://evil.example/"}}}, dirsync.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				app := scimtest.New()
				c := open(t, app)
				app.Hook = func(r scimtest.Request) scimtest.Fault {
					if r.Method == http.MethodPost {
						return test.fault
					}
					return scimtest.Fault{}
				}
				_, err := c.Apply(t.Context(), joiner(1))
				e, ok := err.(*dirsync.Error)
				if !ok || e.Kind != test.want || e.ID != id(1) || e.Op != "create user" {
					t.Errorf("got %#v, want an *Error of kind %v", err, test.want)
				}
			})
		})
	}
}

// TestSecretsStaySecret meets every way in which a target could make us repeat a secret.
func TestSecretsStaySecret(t *testing.T) {
	const secret = "s3cr3t-t0ken"
	for name, quirks := range map[string]scimtest.Quirks{"errors repeat the token": {EchoToken: true}, "and refuse": {EchoToken: true, CreateOnly: true}} {
		t.Run(name, func(t *testing.T) {
			app := scimtest.New()
			app.Token, app.Quirks = secret, quirks
			var log strings.Builder
			var urls []string
			cfg := client.Config{BaseURL: base, Token: secret, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				urls = append(urls, r.URL.String())
				return app.Transport().RoundTrip(r)
			})}
			cfg.Log = logTo(&log)
			c, err := client.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			app.Put("/Users", `{"userName":"user1@a.example"}`)
			var said []string
			for _, change := range []dirsync.Change{joiner(1), {Kind: dirsync.Update, Account: "nobody", After: values("a", "b", "c@a.example")}, {Kind: dirsync.Delete, Account: "x"}} {
				_, err := c.Apply(t.Context(), change)
				said = append(said, fmt.Sprintf("%v %+v %s", err, err, dirsync.HintOf(err)))
			}
			app.Token = "another"
			_, err = c.Check(t.Context())
			if dirsync.KindOf(err) != dirsync.Unauthorized {
				t.Errorf("got %v, want Unauthorized", err)
			}
			said = append(said, fmt.Sprint(err), fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg), log.String(), strings.Join(urls, "\n"))
			for _, text := range said {
				if strings.Contains(text, secret) {
					t.Errorf("the secret is in %s", text)
				}
			}
		})
	}
	_, err := client.New(client.Config{BaseURL: "https://user:" + secret + "@app.example", Token: secret + " " + secret})
	if err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("got %v, want an error without the secret", err)
	}
}

func TestOAuth(t *testing.T) {
	for _, inBody := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			app := scimtest.New()
			app.ClientID, app.ClientSecret, app.TokenLife = "client", "s3cr3t/ä", 10*time.Minute
			oauth := &client.OAuth{TokenURL: "https://app.example/token", ClientID: "client", Secret: "s3cr3t/ä", InBody: inBody}
			c := open(t, app, func(cfg *client.Config) { cfg.Token, cfg.OAuth = "", oauth })
			all(t, c, joiners(0, 50))
			if got, want := app.Requests().Token, 1; got != want {
				t.Errorf("got %d requests for a token, want %d", got, want)
			}
			time.Sleep(9*time.Minute + 30*time.Second)
			all(t, c, joiners(50, 51))
			app.RevokeTokens()
			all(t, c, joiners(51, 60))
			if got := app.Requests().Token; got < 3 || got > 11 {
				t.Errorf("got %d requests for a token", got)
			}
			app.ClientSecret = "another"
			app.RevokeTokens()
			_, err := c.Apply(t.Context(), joiner(70))
			if dirsync.KindOf(err) != dirsync.Unauthorized || strings.Contains(err.Error(), "s3cr3t") || dirsync.HintOf(err) == "" {
				t.Errorf("got %v, want Unauthorized without the secret, with a hint", err)
			}
			if text := fmt.Sprintf("%v %+v %#v", *oauth, oauth, oauth); strings.Contains(text, "s3cr3t") {
				t.Errorf("the secret is in %s", text)
			}
		})
	}
}
