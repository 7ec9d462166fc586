package main

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"dirsync"
	"dirsync/web"
)

// explained is what the command line says of somebody.
func explained(t *testing.T, config, key string) []web.Pushed {
	t.Helper()
	out, errs, code := run(t, "explain", key, "-o", "json", "-c", config)
	var v struct{ Pushed []web.Pushed }
	if err := json.Unmarshal([]byte(out), &v); code != 0 || err != nil {
		t.Fatalf("explain %s: exit %d, %v: %s%s", key, code, err, out, errs)
	}
	return v.Pushed
}

// TestExplainPushed explains whom clients push: the API and the command say the same, by whatever name somebody is asked for, and
// the command says it without the daemon, too.
func TestExplainPushed(t *testing.T) {
	config := pushConfigIn(t, t.TempDir(), "    when_deleted: delete\n    limits: { deletes: { count: 1 } }\n")
	s := serving(t, config)
	p := pushTo(t, s, 0)
	token := strings.TrimSuffix(p.want(201, "POST", "/Users", `{'userName':'ana@contoso.com','externalId':'x-1','displayName':'Ana Ng','emails':[{'value':'ng@contoso.com','type':'work'}]}`), "\n")
	id := made(t, token)
	gone := made(t, p.want(201, "POST", "/Users", `{'userName':'bo@contoso.com'}`))
	group := made(t, p.want(201, "POST", "/Groups", `{'displayName':'Sales','members':[{'value':'`+id+`'}]}`))
	p.want(204, "DELETE", "/Users/"+gone, "")
	p.want(200, "PATCH", "/Users/"+id, `{'schemas':['urn:ietf:params:scim:api:messages:2.0:PatchOp'],'Operations':[{'op':'Replace','path':'title','value':'Head'}]}`)
	p.want(400, "PATCH", "/Users/"+id, `{'schemas':['urn:ietf:params:scim:api:messages:2.0:PatchOp'],'Operations':[{'op':'replace','path':'active','value':'maybe'}]}`)
	p.want(204, "DELETE", "/Users/"+id, "")

	c := s.client()
	// As JSON, because the command indents the values.
	same := func(a, b []web.Pushed) bool {
		x, err1 := json.Marshal(a)
		y, err2 := json.Marshal(b)
		return err1 == nil && err2 == nil && string(x) == string(y)
	}
	var first []web.Pushed
	for _, key := range []string{id, "ANA@contoso.com", "x-1", "ng@contoso.com", "ana ng"} {
		got, err := c.ExplainPushed(t.Context(), key)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: got %+v, %v", key, got, err)
		}
		if first == nil {
			first = got
		}
		if !same(got, first) || !same(explained(t, config, key), first) {
			t.Errorf("%s: got %+v, want %+v", key, got, first)
		}
	}
	v := first[0]
	name := v.From
	if v.ID != id || v.Kind != "user" || v.Status != "active" || v.Pending != "delete" || !strings.HasPrefix(v.Hold, "1-") || !strings.HasPrefix(name, "client") ||
		!reflect.DeepEqual(v.Groups, []string{"Sales"}) || !strings.Contains(v.Because, "no sync") {
		t.Errorf("got %+v", v)
	}
	if r := v.LastRequest; r == nil || r.Method != "DELETE" || r.Status != 204 || !r.Held || r.Token != name {
		t.Errorf("the last request: got %+v", v.LastRequest)
	}
	var odd bool
	for _, r := range v.Requests {
		odd = odd || r.Method == "PATCH" && r.Status == 200 && len(r.Quirks) == 1 && r.Quirks[0].Code == "opCase" && reflect.DeepEqual(r.Changed, []string{"title"})
	}
	if len(v.Requests) != 4 || !odd {
		t.Errorf("the requests: got %+v", v.Requests)
	}
	hold, err := c.Hold(t.Context(), 1)
	if err != nil || hold.Name != v.Hold {
		t.Errorf("the hold: got %s, %v, want %s", hold.Name, err, v.Hold)
	}
	if got, err := c.ExplainPushed(t.Context(), group); err != nil || got[0].Kind != "group" || got[0].From != name {
		t.Errorf("the group: got %+v, %v", got, err)
	}
	checkGone := func(got web.Pushed) {
		t.Helper()
		if got.ID != gone || got.Status != "gone" || got.LastChange == nil || got.LastChange.Method != "DELETE" || !strings.Contains(got.Because, "has deleted them") {
			t.Errorf("whom a client deleted: got %+v", got)
		}
	}
	checkGone(explained(t, config, "bo@contoso.com")[0])
	if _, err := c.ExplainPushed(t.Context(), "nobody@contoso.com"); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("nobody: %v", err)
	}
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit %d", code)
	}
	if got := explained(t, config, "x-1"); !same(got, first) {
		t.Errorf("without the daemon: got %+v, want %+v", got, first)
	}
	checkGone(explained(t, config, gone)[0])
	out, _, _ := run(t, "explain", "x-1", "-c", config)
	if strings.Contains(out, p.token[4:20]) || !strings.Contains(out, "waits for approval in hold") && !strings.Contains(out, v.Hold) {
		t.Errorf("got %s", out)
	}
}

// TestStatusOfPushing: the status is told from memory while the daemon runs, and from what is written down when it does not.
func TestStatusOfPushing(t *testing.T) {
	config := pushConfigIn(t, t.TempDir(), "    limits: { deactivations: { count: 0 } }\n")
	s := serving(t, config)
	p := pushTo(t, s, 0)
	id := made(t, p.want(201, "POST", "/Users", `{'userName':'ana@contoso.com'}`))
	p.want(404, "GET", "/Users/none", "")
	p.want(200, "PATCH", "/Users/"+id, setInactive)
	c := s.client()
	var status web.Status
	for deadline := time.Now().Add(time.Minute); ; { // what is held is looked at beside the requests
		var err error
		if status, err = c.Status(t.Context()); err != nil || status.SCIM == nil {
			t.Fatalf("got %+v, %v", status, err)
		}
		if status.SCIM.Held == 1 || time.Now().After(deadline) {
			break
		}
	}
	v := status.SCIM
	if v.URL != p.base || !v.Listening || v.FedBy != "scim" || v.Users != 1 || v.Groups != 0 || v.OpenHolds != 1 || v.Held != 1 || !v.CertificateExpires.IsZero() {
		t.Errorf("got %+v", v)
	}
	if a := v.Answered; a == nil || a.Done != 2 || a.Refused != 1 || a.Failed != 0 || !a.Since.Equal(status.Started) {
		t.Errorf("answered: got %+v", v.Answered)
	}
	last := func(v *web.SCIMStatus) {
		t.Helper()
		if len(v.Tokens) != 1 || v.Tokens[0].LastRequest == nil || v.Tokens[0].LastRequest.Method != "PATCH" || v.Tokens[0].LastUsed.IsZero() {
			t.Errorf("tokens: got %+v", v.Tokens)
		}
	}
	last(v)
	shown := func() (v struct{ SCIM feedStatus }) {
		t.Helper()
		out, errs, code := run(t, "status", "-o", "json", "-c", config)
		if err := json.Unmarshal([]byte(out), &v); code != exitPartial || err != nil {
			t.Fatalf("status: exit %d, %v: %s%s", code, err, out, errs)
		}
		return v
	}
	running := shown().SCIM
	if len(running.Holds) != 1 || running.Held != 1 || !running.Listening {
		t.Errorf("the command: got %+v", running)
	}
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit %d", code)
	}
	stopped := shown().SCIM
	if stopped.Listening || stopped.Answered != nil || stopped.Users != 1 || !reflect.DeepEqual(stopped.Holds, running.Holds) {
		t.Errorf("without the daemon: got %+v, want %+v", stopped, running)
	}
	last(&stopped.SCIMStatus)

	// The next daemon knows of the time before.
	s = serving(t, config)
	s.await(0, `"message":"listening for SCIM clients"`)
	again, err := s.client().Status(t.Context())
	if err != nil || again.SCIM.Answered.Done != 0 {
		t.Fatalf("got %+v, %v", again.SCIM, err)
	}
	last(again.SCIM)
}

// TestExplainWhomNoSyncMade: while syncs fill the directory, whoever is nobody's is explained as such, and what clients have sent
// about a sync's account is told of its person.
func TestExplainWhomNoSyncMade(t *testing.T) {
	_, config := newTenant(t, 5)
	manually(t, config)
	appendTo(t, config, "serve:\n  log: json\n  scim: { listen: 127.0.0.1:0 }\n")
	if out, errs, code := run(t, "run", "-c", config); code != exitOK && code != exitPartial {
		t.Fatalf("run: exit %d: %s%s", code, out, errs)
	}
	if out, errs, code := run(t, "users", "add", "first_name=Own", "last_name=Er", "email=owner@contoso.com", "-c", config); code != 0 {
		t.Fatalf("users add: exit %d: %s%s", code, out, errs)
	}
	s := serving(t, config)
	p := pushTo(t, s, 0)
	p.want(403, "DELETE", "/Users/u00000001", "")
	out, errs, code := run(t, "explain", "owner@contoso.com", "-c", config)
	if code != 0 || !strings.Contains(out, "no sync, and none touches them; dirsync users changes them") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	if out, errs, code = run(t, "explain", "u00000001", "-c", config); code != 0 || !strings.Contains(out, "of SCIM clients: DELETE by client") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	syncs, err := s.client().Status(context.Background())
	if err != nil || syncs.SCIM == nil || syncs.SCIM.FedBy != "syncs" {
		t.Fatalf("got %+v, %v", syncs.SCIM, err)
	}
	x, err := s.client().Explain(t.Context(), syncs.Syncs[0].Name, "u00000001")
	if err != nil || x.LastRequest == nil || x.LastRequest.Method != "DELETE" || x.LastRequest.Status != 403 {
		t.Errorf("the API: got %+v, %v", x.LastRequest, err)
	}
}
