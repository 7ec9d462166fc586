package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"dirsync/scim"
	"dirsync/scim/scimtest"
)

// scriptApp is the application of a script, served on this machine. Its faults can be changed while it is asked.
type scriptApp struct {
	*scimtest.App
	server *httptest.Server
	mu     sync.Mutex
	fault  func(scimtest.Request) scimtest.Fault
}

func startScriptApp() *scriptApp {
	a := &scriptApp{App: scimtest.New()}
	a.Hook = func(r scimtest.Request) scimtest.Fault {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.fault == nil {
			return scimtest.Fault{}
		}
		return a.fault(r)
	}
	a.server = httptest.NewServer(a)
	return a
}

func (a *scriptApp) url() string { return a.server.URL + "/scim/v2" }

// set says what becomes of each request; nil ends that.
func (a *scriptApp) set(fault func(scimtest.Request) scimtest.Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault
}

// times makes the first n requests of a method meet a fault, of any method if it is empty.
func times(n int, method string, f scimtest.Fault) func(scimtest.Request) scimtest.Fault {
	return func(r scimtest.Request) scimtest.Fault {
		if n <= 0 || method != "" && r.Method != method {
			return scimtest.Fault{}
		}
		n--
		return f
	}
}

// appCommand drives the script's application as its own administrator and its own bad days would:
//
//	app users | app groups        prints who is there
//	app requests                  prints what was asked since the last time
//	app user E-MAIL FIRST LAST    makes an account that is nobody's
//	app patch E-MAIL JSON         changes a user: the operations of a PATCH
//	app remove E-MAIL
//	app quirk NAME                no-external-id, create-only, no-filter, no-patch, no-discovery, small-pages
//	app token TOKEN               accepts this token only
//	app lose METHOD               loses the answer to the next request of a method, which takes effect
//	app throttle N SECONDS        answers N requests with 429 and Retry-After
//	app html | app down | app well
func appCommand(ts *testscript.TestScript, neg bool, args []string) {
	app, ok := ts.Value("app").(*scriptApp)
	if neg || len(args) == 0 || !ok {
		ts.Fatalf("usage: app VERB ...")
	}
	switch args[0] {
	case "users":
		groups := appGroups(app.App)
		for _, u := range appUsers(app.App) {
			active := "active"
			if !u.active {
				active = "inactive"
			}
			fmt.Fprintf(ts.Stdout(), "%s %s %s <%s> %s %s [%s] of %s\n", u.id, active, u.first+" "+u.last, u.name, u.mail, orDash(u.department),
				strings.Join(inAppGroups(groups, u.id), " "), orDash(u.external))
		}
	case "groups":
		for _, g := range appGroups(app.App) {
			fmt.Fprintf(ts.Stdout(), "%s %s: %d of %s\n", g.id, g.name, len(g.members), orDash(g.external))
		}
	case "requests":
		n := app.Requests()
		fmt.Fprintf(ts.Stdout(), "total %d: list %d, get %d, post %d, put %d, patch %d (members %d), delete %d, discovery %d, throttled %d\n",
			n.Total, n.List, n.Get, n.Post, n.Put, n.Patch, n.Members, n.Delete, n.Discovery, n.Throttled)
		app.ResetRequests()
	case "user":
		app.Put("/Users", strings.NewReplacer("stranger@other.example", args[1], `"Stranger"`, `"`+args[2]+" "+args[3]+`"`,
			`"Strange"`, `"`+args[2]+`"`, `"R"`, `"`+args[3]+`"`).Replace(stranger))
	case "patch":
		app.change(ts, http.MethodPatch, args[1], `{"schemas":["`+scim.PatchURN+`"],"Operations":`+args[2]+`}`)
	case "remove":
		app.change(ts, http.MethodDelete, args[1], "")
	case "quirk":
		app.quirk(ts, args[1])
	case "token":
		app.changed(func() { app.Token = args[1] })
	case "lose":
		app.set(times(1, args[1], scimtest.Fault{Drop: true, Apply: true}))
	case "throttle":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		app.set(times(n, "", scimtest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {args[2]}}}))
	case "html":
		app.set(times(1<<30, "", scimtest.Fault{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html><h1>Sign in</h1></html>"}))
	case "down":
		app.set(times(1<<30, "", scimtest.Fault{Refuse: true}))
	case "well":
		app.set(nil)
	default:
		ts.Fatalf("app %s: no such verb", args[0])
	}
}

func orDash(s string) string { return orElse(s, "-") }

// change asks the application for something as its administrator, whatever its faults.
func (a *scriptApp) change(ts *testscript.TestScript, method, name, body string) {
	for _, u := range appUsers(a.App) {
		if u.name != name {
			continue
		}
		r := httptest.NewRequest(method, "/Users/"+u.id, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+a.Token)
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if w.Code/100 != 2 {
			ts.Fatalf("%s %s: %d %s", method, name, w.Code, w.Body)
		}
		return
	}
	ts.Fatalf("there is no user %s", name)
}

func (a *scriptApp) quirk(ts *testscript.TestScript, name string) {
	a.changed(func() { a.odd(ts, name) })
}

// changed calls fn between two requests: behind what those before have read, and ahead of what those to come will.
func (a *scriptApp) changed(fn func()) {
	_ = a.Requests()
	a.mu.Lock()
	defer a.mu.Unlock()
	fn()
}

func (a *scriptApp) odd(ts *testscript.TestScript, name string) {
	switch name {
	case "no-external-id":
		a.Quirks.NoExternalID = true
	case "create-only":
		a.Quirks.CreateOnly, a.Quirks.NoExternalID = true, true
	case "no-filter":
		a.Quirks.FilterRefused = true
	case "no-patch":
		a.Quirks.PatchUnsupported = true
	case "no-discovery":
		a.Quirks.NoDiscovery = true
	case "small-pages":
		a.Quirks.PageSize = 2
	default:
		ts.Fatalf("app quirk %s: no such quirk", name)
	}
}
