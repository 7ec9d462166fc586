package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dirsync/graph/graphtest"
	"dirsync/store"
)

var update = flag.Bool("update-scripts", false, "rewrite the expected outputs in testdata/script")

// TestScripts shows every command as text. Each script has a tenant of its own, called contoso, with the recorded-like
// people of testdata/script/people.json, a configuration that $DIRSYNC_CONFIG names, and an application that speaks SCIM.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			tenant := &graphtest.Tenant{}
			f, err := os.Open(filepath.Join("testdata", "script", "people.json"))
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			if _, err := tenant.Load(f); err != nil {
				return err
			}
			server, err := graphtest.Start(tenant)
			if err != nil {
				return err
			}
			env.Defer(func() { server.Close() })
			app := startScriptApp()
			env.Defer(app.server.Close)
			if err := fillIn(env.WorkDir, map[string]string{"TENANT": server.URL, "APPLICATION": app.url()}); err != nil {
				return err
			}
			config := setUp(t, env.WorkDir, server.URL, server.CA, tenant.Identity())
			env.Setenv("DIRSYNC_CONFIG", config)
			env.Setenv("TENANT", server.URL)
			env.Values["tenant"] = tenant
			env.Values["app"] = app
			env.Values["second"] = secondTenant()
			env.Values["opened"] = make(chan error, 1)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tenant":    tenantCommand,
			"entra":     entraCommand,
			"team":      teamCommand,
			"app":       appCommand,
			"lock":      lockCommand,
			"elsewhere": elsewhereCommand,
			"cut":       cutCommand,
			"age":       ageCommand,
			"browse":    browseCommand,
			"opener":    openerCommand,
			"terminal":  terminalCommand,
			"await":     awaitCommand,
			"scim":      scimCommand,
			"hold":      holdCommand,
		},
	})
}

// fillIn writes the addresses of the tenant and of the application into the script's own configurations, where they say
// TENANT and APPLICATION.
func fillIn(dir string, addresses map[string]string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for word, url := range addresses {
			text = bytes.ReplaceAll(text, []byte(word), []byte(url))
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// tenantCommand changes the script's tenant:
//
//	tenant update ID NAME=JSON...
//	tenant delete ID | tenant restore ID | tenant purge ID
//	tenant manager ID ID
//	tenant hire NAME=JSON...
//	tenant sign-in NUMBER       refuses every sign-in with this AADSTS error
//	tenant denied               answers 403 to every request
//	tenant limited              sends objects without their values
//	tenant html | tenant garbage | tenant down
//	tenant well                 ends all of these
//	tenant group ID NAME [JSON] makes a group, with further properties
//	tenant rename ID NAME | tenant drop ID | tenant undrop ID   a group
//	tenant join GROUP ID... | tenant leave GROUP ID...
//	tenant certificate DAYS     makes a certificate that is valid for so long, certificate.pem, and lets it sign in
//	tenant roles ROLE...        grants these application permissions only
func tenantCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: tenant VERB ...")
	}
	tenant, ok := ts.Value("tenant").(*graphtest.Tenant)
	if !ok {
		ts.Fatalf("no tenant")
	}
	props := func(args []string) map[string]any {
		out := map[string]any{}
		for _, a := range args {
			name, value, _ := strings.Cut(a, "=")
			var v any
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				ts.Fatalf("%s: %s is no JSON", name, value)
			}
			out[name] = v
		}
		return out
	}
	hook := func(f graphtest.Fault) {
		tenant.Set(func(t *graphtest.Tenant) {
			t.Hook = func(r *http.Request) graphtest.Fault {
				if strings.Contains(r.URL.Path, "/users/delta") {
					return f
				}
				return graphtest.Fault{}
			}
		})
	}
	switch args[0] {
	case "update":
		tenant.Update(args[1], props(args[2:]))
	case "delete":
		tenant.Delete(args[1])
	case "restore":
		tenant.Restore(args[1])
	case "purge":
		tenant.Purge(args[1])
	case "manager":
		tenant.SetManager(args[1], args[2])
	case "hire":
		tenant.Add(graphtest.User(props(args[1:])))
	case "group":
		g := graphtest.Group{}
		if len(args) > 3 {
			ts.Check(json.Unmarshal([]byte(args[3]), &g))
		}
		g["id"], g["displayName"] = args[1], args[2]
		tenant.AddGroup(g)
	case "rename":
		tenant.UpdateGroup(args[1], map[string]any{"displayName": args[2]})
	case "drop":
		tenant.DeleteGroup(args[1])
	case "undrop":
		tenant.RestoreGroup(args[1])
	case "join":
		tenant.AddMembers(args[1], args[2:]...)
	case "leave":
		tenant.RemoveMembers(args[1], args[2:]...)
	case "sign-in":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		tenant.SetFaults(graphtest.Faults{SignIn: n})
	case "denied":
		tenant.SetFaults(graphtest.Faults{Denied: true})
	case "limited":
		tenant.SetFaults(graphtest.Faults{Limited: true})
	case "html":
		hook(graphtest.HTMLPage(http.StatusOK))
	case "garbage":
		hook(graphtest.BadJSON())
	case "expired":
		tenant.SetFaults(graphtest.Faults{RejectDelta: true, Rejection: graphtest.GoneNoLocation})
	case "certificate":
		certify(ts, tenant, args[1])
	case "roles":
		tenant.Set(func(t *graphtest.Tenant) { t.Roles = args[1:] })
	case "well":
		tenant.SetFaults(graphtest.Faults{})
		tenant.Set(func(t *graphtest.Tenant) { t.Hook = nil })
	default:
		ts.Fatalf("tenant %s: no such verb", args[0])
	}
}

// lockCommand holds a store's file until the end of the script, as another dirsync would.
func lockCommand(ts *testscript.TestScript, _ bool, args []string) {
	st, err := store.Open(ts.MkAbs(args[0]), store.Options{})
	ts.Check(err)
	ts.Defer(func() { _ = st.Close() })
}

// cutCommand truncates a file: cut FILE BYTES.
func cutCommand(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
}

// ageCommand makes the last complete readings of a sync look older: age FILE SYNC DURATION.
func ageCommand(ts *testscript.TestScript, _ bool, args []string) {
	d, err := time.ParseDuration(args[2])
	ts.Check(err)
	st, err := store.Open(ts.MkAbs(args[0]), store.Options{})
	ts.Check(err)
	for _, part := range []*store.Sync{st.Sync(args[1]), st.Sync(args[1]).Groups()} {
		state, err := part.ReadState(context.Background())
		ts.Check(err)
		if state.Completed.IsZero() {
			continue
		}
		state.Completed = state.Completed.Add(-d)
		ts.Check(part.SetReadState(context.Background(), state))
	}
	ts.Check(st.Close())
}
