package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"dirsync/graph/graphtest"
)

// anchorNumber is the extension attribute in which the scripts keep whose an account is.
const anchorNumber = "extensionAttribute15"

// entraCommand looks at the script's tenant as the target of a sync, and makes it unkind to writers:
//
//	entra users [second]            prints who is there, with whose they are
//	entra requests                  prints what was asked since the last time
//	entra lose KIND                 loses the answer to the next request of a kind, which takes effect
//	entra throttle KIND N SECONDS   answers N requests of a kind with 429 and Retry-After
//	entra refuse KIND MESSAGE       answers every request of a kind with 400 and these words
//	entra shape NAME                in which shape conflicts are told: detail, named, vague
//	entra administrator NAME        gives somebody an administrator's role
//	entra mastered NAME             has somebody synchronised from on premises
//	entra extension NAME TYPE       defines a directory extension of the tenant's own application
//	entra update NAME PROPERTY=JSON...
//	entra password FILE NAME        asserts that FILE has the password with which somebody signs in, and must change it
//	entra approve CONFIG            approves the open hold and runs
//	entra undo CONFIG RUN           takes a run back
//	entra well                      ends all faults
//	entra second                    starts another tenant, whose address takes the place of SECOND in *.yaml
func entraCommand(ts *testscript.TestScript, neg bool, args []string) {
	tenant, ok := ts.Value("tenant").(*graphtest.Tenant)
	if neg || len(args) == 0 || !ok {
		ts.Fatalf("usage: entra VERB ...")
	}
	faulty := func(r graphtest.Rule) { tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{r}}) }
	switch args[0] {
	case "users":
		if len(args) > 1 {
			tenant, _ = ts.Value("second").(*graphtest.Tenant)
		}
		for _, line := range entraUsers(tenant) {
			fmt.Fprintln(ts.Stdout(), line)
		}
	case "requests":
		n := tenant.Requests()
		fmt.Fprintf(ts.Stdout(), "graph %d: organization %d, batches %d with %d; create %d, update %d, delete %d, manager %d, restore %d; throttled %d\n",
			n.Graph(), n.Organization, n.Batch, n.Inner, n.CreateUser, n.UpdateUser, n.DeleteUser, n.ChangeManager, n.RestoreDeleted, n.Throttled)
		tenant.ResetRequests()
	case "lose":
		faulty(graphtest.Rule{On: graphtest.Kind(args[1]), Times: 1, Fault: graphtest.Fault{Status: http.StatusGatewayTimeout, Apply: true}})
	case "throttle":
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		faulty(graphtest.Rule{On: graphtest.Kind(args[1]), Times: n, Fault: graphtest.Throttled(args[3])})
	case "refuse":
		body, err := json.Marshal(map[string]any{"error": map[string]string{"code": "Request_BadRequest", "message": args[2]}})
		ts.Check(err)
		faulty(graphtest.Rule{On: graphtest.Kind(args[1]), Fault: graphtest.Fault{Status: http.StatusBadRequest, Body: string(body)}})
	case "shape":
		tenant.SetFaults(graphtest.Faults{Conflict: map[string]graphtest.Conflict{"named": graphtest.ConflictNamed, "vague": graphtest.ConflictVague}[args[1]]})
	case "administrator":
		id := entraID(ts, tenant, args[1])
		tenant.Set(func(t *graphtest.Tenant) { t.Administrators = append(t.Administrators, id) })
	case "mastered":
		tenant.Update(entraID(ts, tenant, args[1]), map[string]any{"onPremisesSyncEnabled": true})
	case "extension":
		tenant.AddExtension(graphtest.Extension{Name: args[1], DataType: args[2]})
	case "update":
		props := map[string]any{}
		for _, a := range args[2:] {
			name, value, _ := strings.Cut(a, "=")
			props[name] = json.RawMessage(value)
		}
		tenant.Update(entraID(ts, tenant, args[1]), props)
	case "password":
		entraPassword(ts, tenant, args[1], args[2])
	case "approve":
		out := flowRun(ts, "holds", "-c", args[1])
		flowRun(ts, "approve", regexp.MustCompile(`\d+-[0-9a-f]{8}`).FindString(out), "--run", "-c", args[1])
	case "undo":
		out := flowRun(ts, "undo", args[2], "-c", args[1])
		flowRun(ts, "undo", args[2], "-c", args[1], "--confirm", regexp.MustCompile(`--confirm ([0-9a-f]+)`).FindStringSubmatch(out)[1])
	case "well":
		tenant.SetFaults(graphtest.Faults{})
	case "second":
		startSecond(ts)
	default:
		ts.Fatalf("entra %s: no such verb", args[0])
	}
}

// flowRun is the output of a command of which only the command itself knows some arguments.
func flowRun(ts *testscript.TestScript, args ...string) string {
	var out, stderr bytes.Buffer
	a := newApp(&out, &stderr)
	a.replicaLag, a.dir = time.Nanosecond, ts.MkAbs(".")
	for i, arg := range args {
		if strings.HasSuffix(arg, ".yaml") {
			args[i] = ts.MkAbs(arg)
		}
	}
	code := a.run(context.Background(), args)
	ts.Logf("%s: exit %d\n%s%s", strings.Join(args, " "), code, out.String(), stderr.String())
	if code != exitOK && code != exitPartial {
		ts.Fatalf("it failed")
	}
	return out.String()
}

// entraUsers are the people of a tenant, a line each.
func entraUsers(tenant *graphtest.Tenant) []string {
	var lines []string
	names := map[string]string{}
	for _, u := range tenant.Users() {
		names[text(u, "id")] = text(u, "displayName")
	}
	for _, u := range tenant.Users() {
		var attributes map[string]string
		if raw, ok := u["onPremisesExtensionAttributes"].(json.RawMessage); ok {
			_ = json.Unmarshal(raw, &attributes)
		}
		status := "enabled"
		if !enabled(u) {
			status = "blocked"
		}
		line := fmt.Sprintf("%s %s <%s> mail %s, department %s, of %s", status, text(u, "displayName"), text(u, "userPrincipalName"),
			orDash(text(u, "mail")), orDash(text(u, "department")), orDash(attributes[anchorNumber]))
		if boss := text(u, "manager"); boss != "" {
			line += ", reports to " + names[boss]
		}
		lines = append(lines, line)
	}
	slices.Sort(lines) // several are made at a time
	return lines
}

func entraID(ts *testscript.TestScript, tenant *graphtest.Tenant, name string) string {
	for _, u := range tenant.Users() {
		if text(u, "userPrincipalName") == name {
			return text(u, "id")
		}
	}
	ts.Fatalf("there is no user %s", name)
	return ""
}

// entraPassword finds the password of somebody's account in a file that no one else may read.
func entraPassword(ts *testscript.TestScript, tenant *graphtest.Tenant, file, name string) {
	info, err := os.Stat(ts.MkAbs(file))
	ts.Check(err)
	if mode := info.Mode().Perm(); mode != 0o600 {
		ts.Fatalf("%s has mode %o", file, mode)
	}
	data, err := os.ReadFile(ts.MkAbs(file))
	ts.Check(err)
	for line := range strings.Lines(string(data)) {
		if part := strings.Split(strings.TrimSpace(line), ","); part[1] == name {
			if ok, must := tenant.SignsIn(part[2], part[3]); !ok || !must {
				ts.Fatalf("%s signs in: %v, and must change the password: %v", name, ok, must)
			}
			return
		}
	}
	ts.Fatalf("%s has no line for %s:\n%s", file, name, data)
}

// startSecond serves another tenant beside the script's own.
func startSecond(ts *testscript.TestScript) {
	tenant, ok := ts.Value("second").(*graphtest.Tenant)
	if !ok {
		ts.Fatalf("no second tenant")
	}
	server, err := graphtest.Start(tenant)
	ts.Check(err)
	ts.Defer(func() { _ = server.Close() })
	work := ts.MkAbs(".")
	ts.Check(fillIn(work, map[string]string{"SECOND": server.URL}))
	ts.Check(os.WriteFile(filepath.Join(work, "ca2.pem"), server.CA, 0o600))
}

// secondTenant is a tenant of another company.
func secondTenant() *graphtest.Tenant {
	return &graphtest.Tenant{ID: "0c3c5d0e-3a53-4a0e-8d8a-6f2b7f0f7a11", Name: "Fabrikam", Domain: "fabrikam.com", Roles: entraRoles()}
}

// entraRoles are the permissions with which an application may do everything that a sync to a tenant does.
func entraRoles() []string { return []string{"User.ReadWrite.All", "Organization.Read.All"} }
