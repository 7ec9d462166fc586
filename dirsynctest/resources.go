package dirsynctest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dirsync"
)

// Resources checks that a store keeps the promises of dirsync.ResourceStore. open makes a new one without resources each
// time, whose users have the fields first_name, last_name and email, the last of which is unique.
func Resources(t *testing.T, open func(t *testing.T) dirsync.ResourceStore) {
	for _, test := range []struct {
		name string
		run  func(*resourceTest)
	}{
		{"what is created comes back", (*resourceTest).creates},
		{"what is not there", (*resourceTest).missing},
		{"names are unique", (*resourceTest).names},
		{"unique fields are unique", (*resourceTest).uniqueFields},
		{"resources are found by their keys", (*resourceTest).finds},
		{"finding is bounded and in order", (*resourceTest).bounds},
		{"edits replace what there was", (*resourceTest).edits},
		{"versions never repeat", (*resourceTest).versions},
		{"edits that fail change nothing", (*resourceTest).fails},
		{"deleted resources are gone", (*resourceTest).deletes},
		{"listing", (*resourceTest).lists},
		{"what is pending is shown", (*resourceTest).pending},
		{"members", (*resourceTest).members},
		{"members that cannot be", (*resourceTest).badMembers},
		{"members leave with who is deleted", (*resourceTest).membersLeave},
		{"many members", (*resourceTest).manyMembers},
		{"what is returned belongs to the caller", (*resourceTest).owns},
		{"a cancelled call fails", (*resourceTest).cancels},
		{"many callers lose nothing", (*resourceTest).concurrent},
		{"many callers and one name", (*resourceTest).oneName},
		{"like a model, whatever happens", (*resourceTest).walks},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(&resourceTest{T: t, s: open(t)})
		})
	}
}

type resourceTest struct {
	*testing.T
	s dirsync.ResourceStore
}

// tidy is a resource in which an empty list is no list, and a null value no value.
func tidy(r dirsync.Resource) dirsync.Resource {
	r.Values = slices.DeleteFunc(slices.Clone(r.Values), func(v dirsync.FieldValue) bool { return v.Value.IsNull() })
	if len(r.Values) == 0 {
		r.Values = nil
	}
	if len(r.Emails) == 0 {
		r.Emails = nil
	}
	if len(r.Document) == 0 {
		r.Document = nil
	}
	return r
}

// content is tidy without what the store sets.
func content(r dirsync.Resource) dirsync.Resource {
	r.ID, r.Version, r.Source, r.Created, r.Updated = "", 0, "", time.Time{}, time.Time{}
	return tidy(r)
}

// employee is a user with everything that one can have.
func employee(name string) dirsync.Resource {
	return dirsync.Resource{Kind: dirsync.KindUser, Name: name, Display: "The " + name, ExternalID: "ext-" + name, Active: true,
		Emails: []string{name + "@work.example", name + "@home.example"}, Document: []byte(`{"of":"` + name + `"}`),
		Values: dirsync.Values{
			{Field: dirsync.EmailAddress, Value: dirsync.Value{Type: dirsync.Email, Text: name + "@work.example"}},
			{Field: dirsync.FirstName, Value: dirsync.Value{Type: dirsync.Text, Text: "First " + name}},
		}}
}

func team(name string) dirsync.Resource {
	return dirsync.Resource{Kind: dirsync.KindGroup, Name: name, ExternalID: "ext-" + name, Active: true, Document: []byte(name)}
}

func (t *resourceTest) create(r dirsync.Resource, members ...string) dirsync.Resource {
	t.Helper()
	out, err := t.s.CreateResource(t.Context(), r, members)
	if err != nil {
		t.Fatalf("create %s: %v", r.Name, err)
	}
	return out
}

// edit changes a resource as fn says, and checks that what is returned is what is kept.
func (t *resourceTest) edit(r dirsync.Resource, fn func(*dirsync.ResourceEdit)) dirsync.Resource {
	t.Helper()
	out, err := t.try(r, fn)
	if err != nil {
		t.Fatalf("change %s: %v", r.Name, err)
	}
	t.is(out)
	return out
}

func (t *resourceTest) try(r dirsync.Resource, fn func(*dirsync.ResourceEdit)) (dirsync.Resource, error) {
	return t.s.EditResource(t.Context(), r.Kind, r.ID, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		e := dirsync.ResourceEdit{Resource: r}
		fn(&e)
		return e, nil
	})
}

func (t *resourceTest) get(r dirsync.Resource) dirsync.Resource {
	t.Helper()
	out, err := t.s.Resource(t.Context(), r.Kind, r.ID)
	if err != nil {
		t.Fatalf("read %s: %v", r.Name, err)
	}
	return out
}

// is checks that a resource is kept as it is given.
func (t *resourceTest) is(want dirsync.Resource) {
	t.Helper()
	if diff := cmp.Diff(tidy(want), tidy(t.get(want))); diff != "" {
		t.Errorf("%s is kept otherwise than it was returned: -returned +kept\n%s", want.Name, diff)
	}
}

// kind checks the kind of an error.
func (t *resourceTest) kind(what string, err error, want dirsync.ErrorKind) {
	t.Helper()
	_ = t.refusal(what, err, want)
}

// refusal checks the kind of an error, and returns it.
func (t *resourceTest) refusal(what string, err error, want dirsync.ErrorKind) *dirsync.Error {
	t.Helper()
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok || e.Kind != want {
		t.Errorf("%s: got %v, want an *Error of kind %v", what, err, want)
		return &dirsync.Error{}
	}
	return e
}

// find lists the names of who is found.
func (t *resourceTest) find(kind dirsync.Kind, key dirsync.ResourceKey, value string) string {
	t.Helper()
	found, err := t.s.FindResources(t.Context(), kind, key, value, 100)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range found {
		names = append(names, r.Name)
		t.is(r)
	}
	return strings.Join(names, " ")
}

func (t *resourceTest) creates() {
	for _, want := range []dirsync.Resource{employee("ann"), team("sales"), {Kind: dirsync.KindUser, Name: "only a name"}} {
		given := want
		given.ID, given.Version, given.Source = "u4711", 4711, "not for clients"
		got := t.create(given)
		if diff := cmp.Diff(content(want), content(got)); diff != "" && want.Kind == dirsync.KindUser {
			t.Errorf("%s: -want +got\n%s", want.Name, diff)
		}
		if got.ID == "" || got.ID == given.ID || got.Version == 0 || got.Created.IsZero() || got.Updated.IsZero() || got.Source != "" {
			t.Errorf("%s: got %+v, want an id, a version and times of the store's, and no source", want.Name, got)
		}
		if got.Name != want.Name || got.ExternalID != want.ExternalID || string(got.Document) != string(want.Document) || got.Kind != want.Kind {
			t.Errorf("%s: got %+v, want what was given", want.Name, got)
		}
		t.is(got)
	}
}

func (t *resourceTest) missing() {
	ann, sales := t.create(employee("ann")), t.create(team("sales"))
	fn := func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		t.Error("an edit ran for a resource that is not there")
		return dirsync.ResourceEdit{Resource: r}, nil
	}
	for _, id := range []string{"", "x", "u99999999", ann.ID + "0", "U" + ann.ID[1:]} {
		_, err := t.s.Resource(t.Context(), dirsync.KindUser, id)
		t.kind("Resource "+id, err, dirsync.NotFound)
		_, err = t.s.EditResource(t.Context(), dirsync.KindUser, id, fn)
		t.kind("EditResource "+id, err, dirsync.NotFound)
		_, err = t.s.ResourceGroups(t.Context(), id, 10)
		t.kind("ResourceGroups "+id, err, dirsync.NotFound)
	}
	// A resource of the other kind is not there either.
	for _, of := range []struct {
		kind dirsync.Kind
		id   string
	}{{dirsync.KindGroup, ann.ID}, {dirsync.KindUser, sales.ID}} {
		_, err := t.s.Resource(t.Context(), of.kind, of.id)
		t.kind("Resource of another kind", err, dirsync.NotFound)
		_, err = t.s.EditResource(t.Context(), of.kind, of.id, fn)
		t.kind("EditResource of another kind", err, dirsync.NotFound)
	}
	_, err := t.s.ResourceMembers(t.Context(), ann.ID, "", 10)
	t.kind("ResourceMembers", err, dirsync.NotFound)
	_, err = t.s.IsMember(t.Context(), ann.ID, []string{ann.ID})
	t.kind("IsMember", err, dirsync.NotFound)
	_, err = t.s.ResourceGroups(t.Context(), sales.ID, 10)
	t.kind("ResourceGroups", err, dirsync.NotFound)
}

func (t *resourceTest) names() {
	for _, make := range []func(string) dirsync.Resource{employee, team} {
		first, other := t.create(make("straße")), t.create(make("other"))
		field := "userName"
		if first.Kind == dirsync.KindGroup {
			field = "displayName"
		}
		taken := func(what string, err error, value string) {
			t.Helper()
			if e := t.refusal(what, err, dirsync.Conflict); e.Field != field || e.Value != value || e.Other != first.ID {
				t.Errorf("%s: got field %q, value %q, other %q; want %q, %q, %q", what, e.Field, e.Value, e.Other, field, value, first.ID)
			}
		}
		for _, same := range []string{"straße", "STRASSE", "Straße"} {
			_, err := t.s.CreateResource(t.Context(), dirsync.Resource{Kind: first.Kind, Name: same}, nil)
			taken("create "+same, err, same)
			_, err = t.try(other, func(e *dirsync.ResourceEdit) { e.Resource.Name = same })
			taken("rename to "+same, err, same)
		}
		t.is(other)
		for _, r := range []dirsync.Resource{{Kind: first.Kind}} {
			_, err := t.s.CreateResource(t.Context(), r, nil)
			t.kind("create without a name", err, dirsync.Invalid)
			_, err = t.try(other, func(e *dirsync.ResourceEdit) { e.Resource.Name = "" })
			t.kind("rename to nothing", err, dirsync.Invalid)
		}
		// A name in other letters is one's own; a name that was left is free.
		first = t.edit(first, func(e *dirsync.ResourceEdit) { e.Resource.Name = "STRASSE" })
		first = t.edit(first, func(e *dirsync.ResourceEdit) { e.Resource.Name = "renamed" })
		t.edit(other, func(e *dirsync.ResourceEdit) { e.Resource.Name = "straße" })
		if got := t.find(first.Kind, dirsync.ByName, "Strasse"); got != "straße" {
			t.Errorf("got %q, want who has the name now", got)
		}
		t.edit(first, func(e *dirsync.ResourceEdit) { e.Resource.Name = "other" })
	}
	if _, err := t.s.CreateResource(t.Context(), dirsync.Resource{Name: "other"}, nil); dirsync.KindOf(err) != dirsync.Conflict {
		t.Errorf("got %v, want Conflict", err)
	}
}

func (t *resourceTest) uniqueFields() {
	ann, bob := t.create(employee("ann")), t.create(employee("bob"))
	address := func(text string) dirsync.Value { return dirsync.Value{Type: dirsync.Email, Text: text} }
	_, err := t.try(bob, func(e *dirsync.ResourceEdit) {
		e.Resource.Values = e.Resource.Values.With(dirsync.Values{{Field: dirsync.EmailAddress, Value: address("Ann@work.example")}})
	})
	if e := t.refusal("take an address", err, dirsync.Conflict); e.Field != dirsync.EmailAddress || e.Other != ann.ID {
		t.Errorf("got field %q, other %q; want email and %s", e.Field, e.Other, ann.ID)
	}
	t.is(bob)
	again := employee("carl")
	again.Values = again.Values.With(dirsync.Values{{Field: dirsync.EmailAddress, Value: address("ann@work.example")}})
	_, err = t.s.CreateResource(t.Context(), again, nil)
	t.kind("create with an address that is taken", err, dirsync.Conflict)
	if n, err := t.s.CountResources(t.Context(), dirsync.KindUser); n != 2 || err != nil {
		t.Errorf("got %d users and %v, want 2", n, err)
	}
	// Somebody without the address leaves it to others.
	t.edit(ann, func(e *dirsync.ResourceEdit) { e.Resource.Values = nil })
	t.create(again)
}

func (t *resourceTest) finds() {
	ann, bob := employee("Ann"), employee("bob")
	ann.Display, bob.Display = "Same É", "same e\u0301"
	ann.ExternalID, bob.ExternalID = "ID", "id"
	ann.Emails, bob.Emails = []string{"Shared@x.example", "ann@x.example"}, []string{"bob@x.example", "shared@X.example"}
	ann, bob = t.create(ann), t.create(bob)
	t.create(team("Ann"))
	check := func(key dirsync.ResourceKey, value, want string) {
		t.Helper()
		if got := t.find(dirsync.KindUser, key, value); got != want {
			t.Errorf("key %d, %q: found %q, want %q", key, value, got, want)
		}
	}
	check(dirsync.ByName, "aNN", "Ann")
	check(dirsync.ByName, "an", "")
	check(dirsync.ByName, "", "")
	check(dirsync.ByDisplay, "SAME É", "Ann bob")
	check(dirsync.ByExternalID, "ID", "Ann")
	check(dirsync.ByExternalID, "id", "bob")
	check(dirsync.ByExternalID, "Id", "")
	check(dirsync.ByEmail, "SHARED@x.example", "Ann bob")
	check(dirsync.ByEmail, "bob@x.example", "bob")
	t.edit(ann, func(e *dirsync.ResourceEdit) {
		r := &e.Resource
		r.Name, r.Display, r.ExternalID, r.Emails = "Anna", "Other", "new", []string{"ann@x.example"}
	})
	check(dirsync.ByName, "ann", "")
	check(dirsync.ByName, "anna", "Anna")
	check(dirsync.ByDisplay, "same é", "bob")
	check(dirsync.ByDisplay, "other", "Anna")
	check(dirsync.ByExternalID, "ID", "")
	check(dirsync.ByExternalID, "new", "Anna")
	check(dirsync.ByEmail, "shared@x.example", "bob")
	check(dirsync.ByEmail, "Ann@x.example", "Anna")
	t.edit(bob, func(e *dirsync.ResourceEdit) {
		e.Resource.Display, e.Resource.ExternalID, e.Resource.Emails = "", "", nil
	})
	check(dirsync.ByDisplay, "same é", "")
	check(dirsync.ByEmail, "shared@x.example", "")
	if got := t.find(dirsync.KindGroup, dirsync.ByName, "ANN"); got != "Ann" {
		t.Errorf("got %q, want the group", got)
	}
	if got := t.find(dirsync.KindGroup, dirsync.ByExternalID, "ext-Ann"); got != "Ann" {
		t.Errorf("got %q, want the group", got)
	}
}

func (t *resourceTest) bounds() {
	var ids []string
	for i := range 12 {
		r := employee(fmt.Sprint("p", 11-i))
		r.Display, r.Emails = "Same", []string{"same@x.example"}
		ids = append(ids, t.create(r).ID)
	}
	for _, key := range []dirsync.ResourceKey{dirsync.ByDisplay, dirsync.ByEmail} {
		for _, limit := range []int{0, 1, 5, 12, 13} {
			value := map[dirsync.ResourceKey]string{dirsync.ByDisplay: "same", dirsync.ByEmail: "Same@x.example"}[key]
			found, err := t.s.FindResources(t.Context(), dirsync.KindUser, key, value, limit)
			var got []string
			for _, r := range found {
				got = append(got, r.ID)
			}
			if want := ids[:min(limit, 12)]; err != nil || !slices.Equal(got, want) {
				t.Errorf("limit %d: got %v and %v, want %v", limit, got, err, want)
			}
		}
	}
}

func (t *resourceTest) edits() {
	ann := t.create(employee("ann"))
	want := dirsync.Resource{Kind: dirsync.KindUser, Name: "Ann B", Active: false, Emails: []string{"b@x.example"}, Document: []byte("new"),
		Values: dirsync.Values{{Field: dirsync.LastName, Value: dirsync.Value{Type: dirsync.Text, Text: "B"}}}}
	got := t.edit(ann, func(e *dirsync.ResourceEdit) {
		if diff := cmp.Diff(tidy(ann), tidy(e.Resource)); diff != "" {
			t.Errorf("the edit saw something else: -kept +seen\n%s", diff)
		}
		e.Resource = want
		// What is the store's own is not looked at.
		e.Resource.ID, e.Resource.Kind, e.Resource.Version, e.Resource.Source = "u1", dirsync.KindGroup, 99, "s"
	})
	if diff := cmp.Diff(content(want), content(got)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got.ID != ann.ID || !got.Created.Equal(ann.Created) || got.Updated.Before(ann.Updated) {
		t.Errorf("got id %s, created %v, updated %v; want %s, %v, no earlier than %v", got.ID, got.Created, got.Updated, ann.ID, ann.Created, ann.Updated)
	}
}

func (t *resourceTest) versions() {
	ann, sales := t.create(employee("ann")), t.create(team("sales"))
	seen := map[uint64]bool{sales.Version: true}
	step := func(fn func(*dirsync.ResourceEdit)) {
		t.Helper()
		sales = t.edit(sales, fn)
		if seen[sales.Version] {
			t.Errorf("version %d comes twice", sales.Version)
		}
		seen[sales.Version] = true
	}
	step(func(e *dirsync.ResourceEdit) { e.Resource.Document = []byte("a") })
	step(func(e *dirsync.ResourceEdit) { e.Resource.Document = []byte("sales") })
	step(func(e *dirsync.ResourceEdit) { e.Add = []string{ann.ID} })
	step(func(e *dirsync.ResourceEdit) { e.Remove = []string{ann.ID} })
	step(func(e *dirsync.ResourceEdit) { e.Add = []string{ann.ID} })
	step(func(e *dirsync.ResourceEdit) { e.Only = true })
	step(func(e *dirsync.ResourceEdit) { e.Resource.Name = "support"; e.Add = []string{ann.ID} })
	// What changes nothing is no change.
	for _, fn := range []func(*dirsync.ResourceEdit){
		func(*dirsync.ResourceEdit) {},
		func(e *dirsync.ResourceEdit) { e.Add = []string{ann.ID, ann.ID} },
		func(e *dirsync.ResourceEdit) { e.Add, e.Only = []string{ann.ID}, true },
		func(e *dirsync.ResourceEdit) { e.Resource.Document = []byte("sales") },
	} {
		was := sales
		if sales = t.edit(sales, fn); sales.Version != was.Version || !sales.Updated.Equal(was.Updated) {
			t.Errorf("an edit that changes nothing made version %d of %d, updated %v, was %v", sales.Version, was.Version, sales.Updated, was.Updated)
		}
	}
	was := ann
	if ann = t.edit(t.get(ann), func(*dirsync.ResourceEdit) {}); ann.Name != was.Name {
		t.Error("an edit that changes nothing changed the name")
	}
}

func (t *resourceTest) fails() {
	ann := t.create(employee("ann"))
	fault := errors.New("the caller's own")
	_, err := t.s.EditResource(t.Context(), ann.Kind, ann.ID, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		r.Name = "changed"
		return dirsync.ResourceEdit{Resource: r}, fault
	})
	if err != fault {
		t.Errorf("got %v, want the caller's own error as it is", err)
	}
	t.is(ann)
	for what, change := range map[string]func(*dirsync.ResourceEdit){
		"no such field": func(e *dirsync.ResourceEdit) {
			e.Resource.Values = dirsync.Values{{Field: "no such field", Value: dirsync.Value{Type: dirsync.Text, Text: "x"}}}
		},
		"another type": func(e *dirsync.ResourceEdit) {
			e.Resource.Values = dirsync.Values{{Field: dirsync.FirstName, Value: dirsync.Value{Type: dirsync.Number, Text: "1"}}}
		},
	} {
		// A store in memory need not know its fields.
		got, err := t.try(ann, func(e *dirsync.ResourceEdit) { e.Resource.Name = "changed"; change(e) })
		if err != nil {
			t.kind(what, err, dirsync.Invalid)
			got = ann
		}
		t.is(got)
		ann = got
	}
	func() {
		defer func() {
			if got := recover(); got != "the caller's own" {
				t.Errorf("got %v, want the panic of the edit", got)
			}
		}()
		_, _ = t.try(ann, func(*dirsync.ResourceEdit) { panic("the caller's own") })
	}()
	t.is(ann)
	t.edit(ann, func(e *dirsync.ResourceEdit) { e.Resource.Name = "changed" })
}

func (t *resourceTest) deletes() {
	ann, sales := t.create(employee("ann")), t.create(team("sales"))
	for _, r := range []dirsync.Resource{ann, sales} {
		got, err := t.try(r, func(e *dirsync.ResourceEdit) { e.Delete = true; e.Resource = dirsync.Resource{} })
		if diff := cmp.Diff(tidy(r), tidy(got)); diff != "" || err != nil {
			t.Errorf("deleted %s, and got %v: -kept +returned\n%s", r.Name, err, diff)
		}
		_, err = t.s.Resource(t.Context(), r.Kind, r.ID)
		t.kind("a deleted resource", err, dirsync.NotFound)
		_, err = t.try(r, func(e *dirsync.ResourceEdit) { e.Delete = true })
		t.kind("delete again", err, dirsync.NotFound)
		if got := t.find(r.Kind, dirsync.ByName, r.Name) + t.find(r.Kind, dirsync.ByExternalID, r.ExternalID) + t.find(r.Kind, dirsync.ByEmail, "ann@work.example"); got != "" {
			t.Errorf("found %q, who is gone", got)
		}
		if n, err := t.s.CountResources(t.Context(), r.Kind); n != 0 || err != nil {
			t.Errorf("got %d and %v, want none", n, err)
		}
		again := r
		again.ID = ""
		if made := t.create(again); made.ID == r.ID {
			t.Errorf("the id %s was given a second time", made.ID)
		}
	}
}
