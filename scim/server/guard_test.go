package server_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/server"
)

// guarded is a rig whose guard gives one verdict and remembers what it was asked.
func guarded(t *testing.T, verdict *server.Verdict, asked *[]string) *rig {
	return newRig(t, func(c *server.Config) {
		c.Guard = func(_ context.Context, who server.Principal, r dirsync.Resource, kind dirsync.ChangeKind) (server.Verdict, error) {
			*asked = append(*asked, who.Name+" "+kind.String()+" "+r.Name)
			// A guard may ask the store.
			if _, err := c.Store.Resource(context.Background(), r.Kind, r.ID); err != nil {
				return 0, err
			}
			return *verdict, nil
		}
	})
}

func TestHoldDelete(t *testing.T) {
	verdict, asked := server.Hold, []string{}
	r := guarded(t, &verdict, &asked)
	id := r.do("POST", "/Users", `{'userName':'anna','externalId':'x1','title':'T','emails':[{'type':'work','value':'anna@example.com'}]}`).want(201).id()
	r.do("DELETE", "/Users/"+id, "").want(204)
	if e := r.last(); !e.Held || e.Name != "anna" || e.Status != 204 {
		t.Errorf("event %+v", e)
	}
	kept, _ := r.store.get(dirsync.KindUser, id)
	if kept.Pending != dirsync.Delete || !kept.Active {
		t.Errorf("kept %+v", kept)
	}
	// To the client the user is gone.
	for _, method := range []string{"GET", "DELETE"} {
		r.do(method, "/Users/"+id, "").want(404)
	}
	r.do("PATCH", "/Users/"+id, patch(`{'op':'replace','path':'active','value':true}`)).want(404)
	r.do("PUT", "/Users/"+id, `{'userName':'anna'}`).want(404)
	for _, filter := range []string{`userName eq "anna"`, `externalId eq "x1"`, `id eq "` + id + `"`, `emails.value eq "anna@example.com"`, `title pr`} {
		r.do("GET", "/Users?filter="+url.QueryEscape(filter), "").want(200).has("totalResults", "0")
	}
	r.do("GET", "/Users", "").want(200).has("totalResults", "0").has("Resources", "[]")
	if got := strings.Join(asked, ","); got != "entra delete anna" {
		t.Errorf("asked %s", got)
	}
	// The same name in another letter case brings them back, under their id.
	back := r.do("POST", "/Users", `{'userName':'ANNA','title':'U'}`).want(201).has("id", "'"+id+"'").has("title", "'U'").has("userName", "'ANNA'").has("externalId", "")
	if got := back.header.Get("Location"); got != base+"/Users/"+id {
		t.Errorf("Location %s", got)
	}
	r.do("GET", "/Users/"+id, "").want(200)
	r.do("PATCH", "/Users/"+id, patch(`{'op':'add','path':'externalId','value':'x2'}`)).want(200)
	r.do("DELETE", "/Users/"+id, "").want(204)
	// So does the same externalId under another name.
	r.do("POST", "/Users", `{'userName':'anna.new','externalId':'x2'}`).want(201).has("id", "'"+id+"'")
	// Somebody else has the name meanwhile: the one who waits cannot be brought back under it.
	r.do("DELETE", "/Users/"+id, "").want(204)
	other := r.user("other")
	r.do("POST", "/Users", `{'userName':'other','externalId':'x2'}`).want(409, "uniqueness")
	r.do("PATCH", "/Users/"+other, patch(`{'op':'replace','path':'userName','value':'anna.new'}`)).want(409, "uniqueness")
	// Nobody is in the way of a name that is free.
	if err := r.server.Approve(t.Context(), dirsync.KindUser, id, dirsync.Delete, server.Allow); err != nil {
		t.Fatal(err)
	}
	if _, ok := r.store.get(dirsync.KindUser, id); ok {
		t.Error("an approved deletion was not carried out")
	}
	if again := r.do("POST", "/Users", `{'userName':'anna.new'}`).want(201).id(); again == id {
		t.Error("the id was given again")
	}
}

func TestHoldDeactivate(t *testing.T) {
	verdict, asked := server.Hold, []string{}
	r := guarded(t, &verdict, &asked)
	id := r.user("anna")
	// Nobody is asked about what is refused anyway.
	r.do("PATCH", "/Users/"+id, patch(`{'op':'Replace','path':'active','value':false},{'op':'Add','path':'`+acmeURN+`:Office','value':'Rome'}`)).want(400)
	off, on := patch(`{'op':'Replace','path':'active','value':'False'},{'op':'Add','path':'title','value':'T'}`), patch(`{'op':'Replace','path':'active','value':'True'}`)
	r.do("PATCH", "/Users/"+id, off).want(200).has("active", "false").has("title", "'T'")
	kept := func() dirsync.Resource { k, _ := r.store.get(dirsync.KindUser, id); return k }
	if k := kept(); !k.Active || k.Pending != dirsync.Deactivate {
		t.Errorf("kept %+v", k)
	}
	if e := r.last(); !e.Held {
		t.Errorf("event %+v", e)
	}
	r.do("GET", "/Users/"+id, "").want(200).has("active", "false")
	r.do("GET", "/Users?filter=active+eq+false", "").want(200).has("totalResults", "1")
	// Asked for again, and with other changes, it stays as it is.
	r.do("PATCH", "/Users/"+id, off).want(200)
	r.do("PATCH", "/Users/"+id, patch(`{'op':'Replace','path':'title','value':'U'}`)).want(200).has("active", "false")
	r.do("PUT", "/Users/"+id, `{'userName':'anna','title':'V'}`).want(200).has("active", "false")
	if k := kept(); !k.Active || k.Pending != dirsync.Deactivate || len(asked) != 1 {
		t.Errorf("kept %+v, asked %v", k, asked)
	}
	r.do("PATCH", "/Users/"+id, on).want(200).has("active", "true")
	if k := kept(); !k.Active || k.Pending != 0 {
		t.Errorf("kept %+v", k)
	}
	// Approved, and rejected.
	r.do("PATCH", "/Users/"+id, off).want(200)
	if err := r.server.Approve(t.Context(), dirsync.KindUser, id, dirsync.Deactivate, server.Allow); err != nil {
		t.Fatal(err)
	}
	if k := kept(); k.Active || k.Pending != 0 {
		t.Errorf("kept %+v", k)
	}
	r.do("GET", "/Users/"+id, "").want(200).has("active", "false")
	r.do("PATCH", "/Users/"+id, on).want(200)
	r.do("PATCH", "/Users/"+id, off).want(200)
	if err := r.server.Withdraw(t.Context(), dirsync.KindUser, id, dirsync.Deactivate); err != nil {
		t.Fatal(err)
	}
	r.do("GET", "/Users/"+id, "").want(200).has("active", "true").has("title", "'T'")
	// A deactivation that waits can become a deletion that waits.
	r.do("PATCH", "/Users/"+id, off).want(200)
	r.do("DELETE", "/Users/"+id, "").want(204)
	r.do("GET", "/Users/"+id, "").want(404)
	if err := r.server.Withdraw(t.Context(), dirsync.KindUser, id, dirsync.Delete); err != nil {
		t.Fatal(err)
	}
	r.do("GET", "/Users/"+id, "").want(200).has("active", "true")
	if err := r.server.Approve(t.Context(), dirsync.KindUser, "u99", dirsync.Delete, server.Allow); dirsync.KindOf(err) != dirsync.NotFound {
		t.Errorf("error %v", err)
	}
}

func TestDeleteDeactivates(t *testing.T) {
	verdict, asked := server.Deactivate, []string{}
	r := guarded(t, &verdict, &asked)
	id := r.do("POST", "/Users", `{'userName':'anna','externalId':'x','title':'T'}`).want(201).id()
	r.do("DELETE", "/Users/"+id, "").want(204)
	kept, _ := r.store.get(dirsync.KindUser, id)
	if kept.Active || kept.Pending != 0 || kept.Name != "anna" {
		t.Errorf("kept %+v", kept)
	}
	r.do("GET", "/Users/"+id, "").want(404)
	r.do("DELETE", "/Users/"+id, "").want(404)
	r.do("GET", "/Users?filter=userName+eq+%22anna%22", "").want(200).has("totalResults", "0")
	r.do("POST", "/Users", `{'userName':'anna'}`).want(201).has("id", "'"+id+"'").has("active", "true").has("title", "")
	r.do("DELETE", "/Users/"+id, "").want(204)
	r.do("POST", "/Users", `{'userName':'anna','active':false}`).want(201).has("active", "false")
	r.do("GET", "/Users/"+id, "").want(200).has("active", "false")
	r.do("DELETE", "/Users/"+id, "").want(204)
	// Whoever makes them active again elsewhere makes them visible.
	r.store.change(dirsync.KindUser, id, func(k *dirsync.Resource) { k.Active = true })
	r.do("GET", "/Users/"+id, "").want(200).has("active", "true")
	// A group is just deleted; and what is inactive already needs no guard.
	g := r.group("g")
	r.do("DELETE", "/Groups/"+g, "").want(204)
	if _, ok := r.store.get(dirsync.KindGroup, g); ok {
		t.Error("the group is still there")
	}
	verdict = server.Hold
	r.do("DELETE", "/Users/"+id, "").want(204)
	if err := r.server.Approve(t.Context(), dirsync.KindUser, id, dirsync.Delete, server.Deactivate); err != nil {
		t.Fatal(err)
	}
	if kept, _ := r.store.get(dirsync.KindUser, id); kept.Active || kept.Pending != 0 {
		t.Errorf("kept %+v", kept)
	}
	r.do("GET", "/Users/"+id, "").want(404)
}

func TestGuardRefuses(t *testing.T) {
	r := newRig(t, func(c *server.Config) {
		c.Guard = func(_ context.Context, _ server.Principal, r dirsync.Resource, _ dirsync.ChangeKind) (server.Verdict, error) {
			if r.Name == "none" {
				return 0, nil
			}
			return 0, errors.New("the limits cannot be read")
		}
	})
	for name, status := range map[string]int{"none": 403, "anna": 500} {
		id := r.user(name)
		r.do("DELETE", "/Users/"+id, "").want(status)
		r.do("PATCH", "/Users/"+id, patch(`{'op':'replace','path':'active','value':false},{'op':'add','path':'title','value':'T'}`)).want(status)
		r.do("PUT", "/Users/"+id, `{'userName':'`+name+`','active':false}`).want(status)
		r.do("GET", "/Users/"+id, "").want(200).has("active", "true").has("title", "")
		// Whoever is made inactive has never been active.
		r.do("POST", "/Users", `{'userName':'off `+name+`','active':false}`).want(201).has("active", "false")
	}
}

func TestHoldGroup(t *testing.T) {
	verdict, asked := server.Hold, []string{}
	r := guarded(t, &verdict, &asked)
	a := r.user("a")
	g := r.group("g", a)
	r.do("DELETE", "/Groups/"+g, "").want(204)
	r.do("GET", "/Groups/"+g, "").want(404)
	r.do("GET", "/Groups?filter=displayName+eq+%22g%22", "").want(200).has("totalResults", "0")
	r.do("PATCH", "/Groups/"+g, patch(`{'op':'add','path':'members','value':[{'value':'`+a+`'}]}`)).want(404)
	// A new group of that name has nobody in it, as far as the client knows.
	r.do("POST", "/Groups", `{'displayName':'G'}`).want(201).has("id", "'"+g+"'").has("members", "[]")
}

// TestOwned: accounts of a sync can be read and not written.
func TestOwned(t *testing.T) {
	r := newRig(t)
	id := r.store.add(dirsync.Resource{Kind: dirsync.KindUser, Name: "anna@example.com", Display: "Anna", Active: true, Source: "5f0c", Values: dirsync.Values{
		{Field: "email", Value: dirsync.Value{Type: dirsync.Email, Text: "anna@example.com"}}, {Field: "first_name", Value: dirsync.Value{Type: dirsync.Text, Text: "Anna"}},
		{Field: "joining_date", Value: dirsync.Value{Type: dirsync.Date, Text: "2019-06-07"}}, {Field: "level", Value: dirsync.Value{Type: dirsync.Number, Text: "5"}},
		{Field: "manager", Value: dirsync.Value{Type: dirsync.Reference, Text: "u7"}}, {Field: "remote", Value: dirsync.Value{Type: dirsync.Boolean, Text: "true"}},
		{Field: "tags", Value: dirsync.NewList([]string{"x"})}}}).ID
	want := `{'id':'` + id + `','schemas':['` + scim.UserURN + `','` + scim.EnterpriseURN + `','` + acmeURN + `'],'userName':'anna@example.com','displayName':'Anna','active':true,'emails':[{'value':'anna@example.com','type':'work'}],` +
		`'name':{'givenName':'Anna'},'` + acmeURN + `':{'Joined':'07/06/2019','Level':5,'Remote':true,'Tags':['x']},'` + scim.EnterpriseURN + `':{'manager':{'value':'u7'}}}`
	a := r.do("GET", "/Users/"+id+"?excludedAttributes=meta", "").want(200)
	if got, _ := scim.ReadObject([]byte(strings.ReplaceAll(want, "'", `"`)), scim.Limits{}); !scim.Equal(a.body, got) {
		t.Errorf("got  %s\nwant %s", a.text, want)
	}
	r.do("GET", "/Users?filter=userName+eq+%22ANNA@example.com%22", "").want(200).has("totalResults", "1")
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		body := map[string]string{"PUT": `{'userName':'x'}`, "PATCH": patch(`{'op':'add','path':'title','value':'x'}`)}[method]
		b := r.do(method, "/Users/"+id, body).want(403)
		if detail, _ := b.body.Text("detail"); !strings.Contains(detail, "sync") {
			t.Errorf("detail %q", detail)
		}
	}
	r.do("POST", "/Users", `{'userName':'Anna@example.com'}`).want(409, "uniqueness")
	// A group of a client may have them as a member.
	g := r.group("g", id)
	r.do("GET", "/Groups/"+g, "").want(200).has("members.0.display", "'Anna'")
	owned := r.store.add(dirsync.Resource{Kind: dirsync.KindGroup, Name: "Sales", Active: true, Source: "g1"}).ID
	r.do("PATCH", "/Groups/"+owned, patch(`{'op':'add','path':'members','value':[{'value':'`+id+`'}]}`)).want(403)
	r.do("DELETE", "/Groups/"+owned, "").want(403)
	r.do("GET", "/Groups/"+owned, "").want(200).has("displayName", "'Sales'").has("members", "[]")
}

// TestOtherView: what somebody else writes to the columns is what a client sees, and what the client has sent besides stays.
func TestOtherView(t *testing.T) {
	r := newRig(t)
	id := r.do("POST", "/Users", `{'userName':'anna','displayName':'Anna','externalId':'x','nickName':'A','name':{'givenName':'Anna','middleName':'M'},
		'emails':[{'value':'home@example.com','type':'home'},{'value':'Anna@Example.com','type':'work','display':'Office'}],'`+acmeURN+`':{'Joined':'2019-06-06','Level':'5.0'}}`).want(201).id()
	r.do("GET", "/Users/"+id, "").want(200).has("emails.1.value", "'Anna@Example.com'").has("<"+acmeURN+">", "{'Joined':'2019-06-06','Level':5.0}")
	set := func(field string, v dirsync.Value) {
		r.store.change(dirsync.KindUser, id, func(k *dirsync.Resource) { k.Values = k.Values.Set(field, v) })
	}
	set("email", dirsync.Value{Type: dirsync.Email, Text: "new@example.com"})
	set("first_name", dirsync.Value{Type: dirsync.Text, Text: "Änne"})
	set("level", dirsync.Value{})
	r.store.change(dirsync.KindUser, id, func(k *dirsync.Resource) { k.Display, k.ExternalID, k.Name = "Änne", "", "aenne" })
	r.do("GET", "/Users/"+id, "").want(200).has("emails", "[{'value':'home@example.com','type':'home'},{'value':'new@example.com','type':'work','display':'Office'}]").
		has("name", "{'givenName':'Änne','middleName':'M'}").has("<"+acmeURN+">", "{'Joined':'2019-06-06'}").has("displayName", "'Änne'").has("externalId", "").
		has("nickName", "'A'").has("userName", "'aenne'")
	r.do("GET", "/Users?filter="+url.QueryEscape(`name.givenName eq "änne" and emails.value sw "new"`), "").want(200).has("totalResults", "1")
	// A PATCH begins with what the client sees.
	r.do("PATCH", "/Users/"+id, patch(`{'op':'replace','path':'nickName','value':'B'}`)).want(200).has("emails.1.value", "'new@example.com'").has("name.givenName", "'Änne'")
	kept, _ := r.store.get(dirsync.KindUser, id)
	if v, _ := kept.Values.Get("email"); v.Text != "new@example.com" {
		t.Errorf("values %v", kept.Values)
	}
	r.do("PUT", "/Users/"+id, `{'userName':'aenne'}`).want(200).has("emails", "").has("<"+acmeURN+">", "")
	if kept, _ = r.store.get(dirsync.KindUser, id); len(kept.Values) != 0 {
		t.Errorf("values %v", kept.Values)
	}
	// Fields of the directory that no path names are not the client's to lose.
	set("badge", dirsync.Value{Type: dirsync.Text, Text: "7"})
	r.do("PUT", "/Users/"+id, `{'userName':'aenne','title':'x'}`).want(200)
	if kept, _ = r.store.get(dirsync.KindUser, id); len(kept.Values) != 1 {
		t.Errorf("values %v", kept.Values)
	}
	// A document that is damaged is an error, and no panic.
	r.store.change(dirsync.KindUser, id, func(k *dirsync.Resource) { k.Document = []byte{1, 0, 200, 200, 200} })
	r.do("GET", "/Users/"+id, "").want(500)
	r.do("PATCH", "/Users/"+id, patch(`{'op':'replace','path':'nickName','value':'B'}`)).want(500)
}

// TestDecidedAboutSomethingElse: a decision is about what was shown to whoever decides, and not about what a client has asked
// for since.
func TestDecidedAboutSomethingElse(t *testing.T) {
	verdict, asked := server.Hold, []string{}
	r := guarded(t, &verdict, &asked)
	id := r.user("anna")
	waits := func(want dirsync.ChangeKind) {
		t.Helper()
		if kept, ok := r.store.get(dirsync.KindUser, id); !ok || kept.Pending != want || !kept.Active {
			t.Errorf("there: %t, kept %+v; want it to wait for %s", ok, kept, want)
		}
	}
	decide := func(what dirsync.ChangeKind) {
		t.Helper()
		for _, v := range []server.Verdict{server.Allow, server.Deactivate} {
			if err := r.server.Approve(t.Context(), dirsync.KindUser, id, what, v); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.server.Withdraw(t.Context(), dirsync.KindUser, id, what); err != nil {
			t.Fatal(err)
		}
	}
	r.do("PATCH", "/Users/"+id, patch(`{'op':'replace','path':'active','value':false}`)).want(200)
	decide(dirsync.Delete)
	waits(dirsync.Deactivate)
	r.do("DELETE", "/Users/"+id, "").want(204)
	decide(dirsync.Deactivate)
	waits(dirsync.Delete)
	r.do("POST", "/Users", `{'userName':'anna'}`).want(201)
	decide(dirsync.Delete)
	waits(0)
}
