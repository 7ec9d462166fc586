package server_test

import (
	"context"
	"strings"
	"testing"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/server"
)

// meanwhile is a store in which something else happens in front of the next edit or creation.
type meanwhile struct {
	*memory
	next func()
}

func (m *meanwhile) happens() {
	next := m.next
	if m.next = nil; next != nil {
		next()
	}
}

func (m *meanwhile) EditResource(ctx context.Context, kind dirsync.Kind, id string, fn func(dirsync.Resource) (dirsync.ResourceEdit, error)) (dirsync.Resource, error) {
	m.happens()
	return m.memory.EditResource(ctx, kind, id, fn)
}

// FindResources looks before something happens, so that it finds who is gone right afterwards.
func (m *meanwhile) FindResources(ctx context.Context, kind dirsync.Kind, key dirsync.ResourceKey, value string, limit int) ([]dirsync.Resource, error) {
	if key == dirsync.ByName {
		m.happens()
	}
	return m.memory.FindResources(ctx, kind, key, value, limit)
}

// TestCreatedWhileApproved: a deletion is approved just when the client brings the user back. Then it is a new user, and the
// client is not told that somebody has the name whom nobody can find, or that what it creates is not there.
func TestCreatedWhileApproved(t *testing.T) {
	for name, body := range map[string]string{
		"found by externalId": `{'userName':'other','externalId':'x'}`,
		"found by name":       `{'userName':'anna'}`,
	} {
		t.Run(name, func(t *testing.T) {
			store := &meanwhile{memory: newMemory()}
			r := newRig(t, func(c *server.Config) {
				c.Store = store
				c.Guard = func(context.Context, server.Principal, dirsync.Resource, dirsync.ChangeKind) (server.Verdict, error) {
					return server.Hold, nil
				}
			})
			id := r.do("POST", "/Users", `{'userName':'anna','externalId':'x'}`).want(201).id()
			r.do("DELETE", "/Users/"+id, "").want(204)
			store.next = func() {
				if err := r.server.Approve(t.Context(), dirsync.KindUser, id, dirsync.Delete, server.Allow); err != nil {
					t.Error(err)
				}
			}
			fresh := r.do("POST", "/Users", body).want(201).id()
			if fresh == id {
				t.Error("the id was given again")
			}
			if e := r.last(); e.ID != fresh {
				t.Errorf("the event is about %s, want %s", e.ID, fresh)
			}
			r.do("GET", "/Users/"+fresh, "").want(200)
		})
	}
}

// TestBroughtBackInNoGroup: whoever was deleted and is created again is in the groups into which the client puts them then,
// and not in those of before. A deletion that waits has not happened, and takes nobody out of anything.
func TestBroughtBackInNoGroup(t *testing.T) {
	verdict, asked := server.Deactivate, []string{}
	r := guarded(t, &verdict, &asked)
	id, other := r.user("anna"), r.user("other")
	for _, name := range []string{"admins", "sales"} {
		g := r.group(name)
		r.do("PATCH", "/Groups/"+g, patch(`{'op':'add','path':'members','value':[{'value':'`+id+`'},{'value':'`+other+`'}]}`)).want(200)
	}
	back := func() response {
		r.do("DELETE", "/Users/"+id, "").want(204)
		return r.do("POST", "/Users", `{'userName':'anna'}`).want(201).has("id", "'"+id+"'")
	}
	verdict = server.Hold
	back().has("groups.1.display", "'sales'")
	verdict = server.Deactivate
	back().has("groups", "")
	r.do("GET", "/Users/"+id, "").want(200).has("groups", "")
	r.do("GET", "/Users/"+other, "").want(200).has("groups.1.display", "'sales'")
	r.do("PATCH", "/Groups/g00000001", patch(`{'op':'add','path':'members','value':[{'value':'`+id+`'}]}`)).want(200)
	r.do("GET", "/Users/"+id, "").want(200).has("groups.0.display", "'admins'").has("groups.1", "")
}

// TestNoMember: the client is told who it is that cannot be a member, and why.
func TestNoMember(t *testing.T) {
	r := newRig(t)
	user, group, inner := r.user("anna"), r.group("outer"), r.group("inner")
	for _, c := range []struct{ member, want string }{
		{inner, `"` + inner + `", which is a group`},
		{"u99", `"u99", who is not a user here`},
	} {
		members := `[{'value':'` + user + `'},{'value':'` + c.member + `','type':'Group'}]`
		for _, a := range []response{
			r.do("POST", "/Groups", `{'displayName':'new','members':`+members+`}`),
			r.do("PUT", "/Groups/"+group, `{'displayName':'outer','members':`+members+`}`),
			r.do("PATCH", "/Groups/"+group, patch(`{'op':'Add','path':'members','value':`+members+`}`)),
		} {
			detail, _ := a.want(400, "invalidValue").body.Text("detail")
			if !strings.Contains(detail, c.want) {
				t.Errorf("got %s, want %s", detail, c.want)
			}
		}
	}
	r.do("GET", "/Groups/"+group, "").want(200).has("members", "[]")
	// What is published says so, too.
	schema := r.do("GET", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Group", "").want(200).text
	if strings.Contains(schema, `"Group"]`) {
		t.Errorf("the schema promises groups within groups: %s", schema)
	}
}

// TestInTheWay: whoever is in the way, and cannot be found by the client, is named.
func TestInTheWay(t *testing.T) {
	for _, verdict := range []server.Verdict{server.Hold, server.Deactivate} {
		asked := []string{}
		r := guarded(t, &verdict, &asked)
		r.store.unique = "level"
		leveled := func(name string) string { return `{'userName':'` + name + `','` + acmeURN + `':{'Level':7}}` }
		id := r.do("POST", "/Users", leveled("anna")).want(201).id()
		detail := func() string {
			t.Helper()
			d, _ := r.do("POST", "/Users", leveled("ben")).want(409, "uniqueness").body.Text("detail")
			return d
		}
		if got := detail(); strings.Contains(got, id) {
			t.Errorf("got %s", got)
		}
		r.do("DELETE", "/Users/"+id, "").want(204)
		if got, want := detail(), acmeURN+":Level is in use by another resource, "+id+", which was deleted and is kept, or whose deletion waits for approval"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		ben := r.user("ben")
		r.do("PATCH", "/Users/"+ben, patch(`{'op':'Add','path':'userName','value':'anna'}`)).want(409, "uniqueness").has("detail", "'userName is in use by another resource, "+id+", which was deleted and is kept, or whose deletion waits for approval'")
	}
}

// TestBroughtBackAsAnother: that a name was given to somebody else is not known here, but whoever looks can see it.
func TestBroughtBackAsAnother(t *testing.T) {
	verdict, asked := server.Deactivate, []string{}
	r := guarded(t, &verdict, &asked)
	id := r.do("POST", "/Users", `{'schemas':['`+scim.UserURN+`'],'userName':'john','externalId':'1'}`).want(201).id()
	for _, c := range []struct{ external, quirks string }{{"1", ""}, {"2", "broughtBack"}, {"2", ""}} {
		r.do("DELETE", "/Users/"+id, "").want(204)
		r.do("POST", "/Users", `{'schemas':['`+scim.UserURN+`'],'userName':'john','externalId':'`+c.external+`'}`).want(201).has("id", "'"+id+"'").has("externalId", "'"+c.external+"'")
		var codes []string
		for _, q := range r.last().Quirks {
			codes = append(codes, string(q.Code))
		}
		if got := strings.Join(codes, " "); got != c.quirks {
			t.Errorf("externalId %s: quirks %q, want %q", c.external, got, c.quirks)
		}
	}
}
