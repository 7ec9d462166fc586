package server_test

import (
	"testing"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/server"
)

// manager is the value of a user's field manager.
func (r *rig) manager(id string) string {
	kept, ok := r.store.get(dirsync.KindUser, id)
	if !ok {
		r.t.Fatalf("no user %s", id)
	}
	v, _ := kept.Values.Get("manager")
	return v.Text
}

func withManager(name, manager string) string {
	return `{'userName':'` + name + `','` + scim.EnterpriseURN + `':{'manager':{'value':'` + manager + `'}}}`
}

func TestManagerArrivesLater(t *testing.T) {
	const path = "<" + scim.EnterpriseURN + ">.manager.value"
	r := newRig(t)
	first := r.do("POST", "/Users", withManager("first", "boss-1")).want(201).has(path, "'boss-1'").id()
	second := r.user("second")
	r.do("PATCH", "/Users/"+second, patch(`{'op':'Add','path':'manager','value':'boss-1'}`)).want(200).has(path, "'boss-1'")
	third := r.do("POST", "/Users", withManager("third", "boss-2")).want(201).id()
	for _, id := range []string{first, second, third} {
		if got := r.manager(id); got != "" {
			t.Errorf("%s has the manager %q", id, got)
		}
	}
	boss := r.do("POST", "/Users", `{'userName':'boss','externalId':'boss-1'}`).want(201).id()
	for id, want := range map[string]string{first: boss, second: boss, third: ""} {
		if got := r.manager(id); got != want {
			t.Errorf("%s has the manager %q, want %q", id, got, want)
		}
		r.do("GET", "/Users/"+id, "").want(200)
	}
	// To the client nothing has changed: the reference is as it was sent.
	r.do("GET", "/Users/"+first, "").want(200).has(path, "'boss-1'")
	// Somebody who is here already gets the externalId.
	other := r.user("other")
	r.do("PATCH", "/Users/"+other, patch(`{'op':'Replace','path':'externalId','value':'boss-2'}`)).want(200)
	if got := r.manager(third); got != other {
		t.Errorf("third has the manager %q, want %q", got, other)
	}
	// An id, or an externalId, of somebody who is here counts at once; another change does not ask again.
	fourth := r.do("POST", "/Users", withManager("fourth", boss)).want(201).id()
	fifth := r.do("POST", "/Users", withManager("fifth", "boss-1")).want(201).has(path, "'boss-1'").id()
	if r.manager(fourth) != boss || r.manager(fifth) != boss {
		t.Errorf("managers %q %q, want %q", r.manager(fourth), r.manager(fifth), boss)
	}
	r.do("PATCH", "/Users/"+fifth, patch(`{'op':'Add','path':'title','value':'x'}`)).want(200)
	if r.manager(fifth) != boss {
		t.Errorf("manager %q, want %q", r.manager(fifth), boss)
	}
	r.do("PATCH", "/Users/"+fifth, patch(`{'op':'Remove','path':'manager'}`)).want(200).has(path, "")
	if r.manager(fifth) != "" {
		t.Errorf("manager %q", r.manager(fifth))
	}
	r.do("PATCH", "/Users/"+fifth, patch(`{'op':'Add','path':'manager','value':{'x':1}}`)).want(200)
	// Two have the same externalId: nobody knows who is meant.
	r.do("POST", "/Users", `{'userName':'twin','externalId':'boss-2'}`).want(201)
	if id := r.do("POST", "/Users", withManager("sixth", "boss-2")).want(201).id(); r.manager(id) != "" {
		t.Errorf("manager %q", r.manager(id))
	}
}

// TestResume: references that wait survive the end of the program.
func TestResume(t *testing.T) {
	r := newRig(t)
	a := r.do("POST", "/Users", withManager("a", "m1")).want(201).id()
	b := r.do("POST", "/Users", withManager("b", "m2")).want(201).id()
	for n := range 1100 {
		r.store.add(resourceOf(n))
	}
	c := r.do("POST", "/Users", withManager("c", "m2")).want(201).id()
	again := newRig(t, func(s *server.Config) { s.Store = r.store })
	again.store = r.store
	// One arrives before everybody was read.
	m1 := again.do("POST", "/Users", `{'userName':'m1','externalId':'m1'}`).want(201).id()
	if err := again.server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	m2 := again.do("POST", "/Users", `{'userName':'m2','externalId':'m2'}`).want(201).id()
	for id, want := range map[string]string{a: m1, b: m2, c: m2} {
		if got := again.manager(id); got != want {
			t.Errorf("%s has the manager %q, want %q", id, got, want)
		}
	}
}

// TestManagerIsBack: whoever refers to somebody whose deletion waits, and is rejected, need not wait for the next start.
func TestManagerIsBack(t *testing.T) {
	verdict, asked := server.Hold, []string{}
	r := guarded(t, &verdict, &asked)
	boss := r.do("POST", "/Users", `{'userName':'boss','externalId':'boss-1'}`).want(201).id()
	r.do("DELETE", "/Users/"+boss, "").want(204)
	byID := r.do("POST", "/Users", withManager("first", boss)).want(201).id()
	byName := r.do("POST", "/Users", withManager("second", "boss-1")).want(201).id()
	if got := r.manager(byID) + r.manager(byName); got != "" {
		t.Errorf("somebody who is gone is the manager %s", got)
	}
	if err := r.server.Withdraw(t.Context(), dirsync.KindUser, boss, dirsync.Delete); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{byID, byName} {
		if got := r.manager(id); got != boss {
			t.Errorf("%s has the manager %q, want %q", id, got, boss)
		}
	}
}
