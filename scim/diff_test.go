package scim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDiff(t *testing.T) {
	users := userType(t)
	before := `{'userName':'a','title':'T','active':true,'name':{'givenName':'A','familyName':'B'},'emails':[{'type':'work','value':'x','primary':true},{'type':'home','value':'h'}],
	 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'department':'D','manager':{'value':'m'}}}`
	after := `{'userName':'a','nickName':'N','active':false,'name':{'givenName':'C','middleName':'M'},'emails':[{'type':'work','value':'y','primary':true},{'type':'other','value':'o'}],
	 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'department':'E','employeeNumber':'1','manager':{'value':'n'}}}`
	rfc := []string{`{'op':'replace','path':'name.givenName','value':'C'}`, `{'op':'add','path':'name.middleName','value':'M'}`, `{'op':'remove','path':'name.familyName'}`,
		`{'op':'add','path':'nickName','value':'N'}`, `{'op':'remove','path':'title'}`, `{'op':'replace','path':'active','value':false}`,
		`{'op':'replace','path':'emails[type eq \'work\'].value','value':'y'}`, `{'op':'remove','path':'emails[type eq \'home\']'}`, `{'op':'add','path':'emails','value':[{'type':'other','value':'o'}]}`,
		`{'op':'add','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber','value':'1'}`,
		`{'op':'replace','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department','value':'E'}`,
		`{'op':'replace','path':'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value','value':'n'}`}
	rest := []string{rfc[2], rfc[4], rfc[6], rfc[7], rfc[8]}
	together := `{'op':'replace','value':{'name':{'givenName':'C','middleName':'M'},'nickName':'N','active':false,'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'employeeNumber':'1','department':'E','manager':{'value':'n'}}}}`
	dotted := `{'op':'replace','value':{'name.givenName':'C','name.middleName':'M','nickName':'N','active':'False','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber':'1','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department':'E','urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value':'n'}}`
	capital := func(ops []string) []string {
		var out []string
		for _, op := range ops {
			for _, word := range []string{"add", "remove", "replace"} {
				op = strings.Replace(op, `'op':'`+word, `'op':'`+strings.ToUpper(word[:1])+word[1:], 1)
			}
			out = append(out, strings.ReplaceAll(op, "false", "'False'"))
		}
		return out
	}
	for _, c := range []struct {
		dialect Dialect
		want    [][]string
	}{
		{Dialect{}, [][]string{rfc}},
		{Dialect{Together: true}, [][]string{append([]string{together}, rest...)}},
		{Dialect{Together: true, Dotted: true, TextBooleans: true}, [][]string{append([]string{dotted}, rest...)}},
		{Dialect{Capitalized: true, TextBooleans: true}, [][]string{capital(rfc)}},
		{Dialect{MaxOperations: 5}, [][]string{rfc[:5], rfc[5:10], rfc[10:]}},
	} {
		patches, err := users.Diff(object(t, before), object(t, after), c.dialect)
		if err != nil {
			t.Fatal(err)
		}
		compareDocuments(t, c.dialect, patches, c.want)
	}
	same, err := users.Diff(object(t, before), object(t, before), Dialect{})
	if err != nil || same != nil {
		t.Errorf("a resource differs from itself: %v, %v", same, err)
	}
	_, err = users.Diff(object(t, `{'`+kissflowURN+`':{'Badge':'a'}}`), object(t, `{'`+kissflowURN+`':{'Badge':'b'}}`), Dialect{})
	if got, want := errorText(t, err), "mutability: "+kissflowURN+":Badge cannot be changed once it is set"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func compareDocuments(t *testing.T, d Dialect, patches []*Patch, want [][]string) {
	t.Helper()
	if len(patches) != len(want) {
		t.Errorf("%+v: got %d patches, want %d", d, len(patches), len(want))
		return
	}
	for i, p := range patches {
		wanted := object(t, escaped(patchHead+strings.Join(want[i], ",")+"]}"))
		if got := p.Document(d); !Equal(got, wanted) {
			t.Errorf("%+v: patch %d is\n%s, want\n%s", d, i, text(t, got), text(t, wanted))
		}
	}
}

func TestDiffMembers(t *testing.T) {
	groups := groupType(t)
	before := object(t, `{'displayName':'G','members':[{'value':'a'},{'value':'b'},{'value':'c'}]}`)
	after := object(t, `{'displayName':'G','members':[{'value':'c'},{'value':'d'},{'value':'e'},{'value':'f'}]}`)
	removeA, removeB := `{'op':'remove','path':'members[value eq \'a\']'}`, `{'op':'remove','path':'members[value eq \'b\']'}`
	for _, c := range []struct {
		dialect Dialect
		want    [][]string
	}{
		{Dialect{}, [][]string{{removeA, removeB, `{'op':'add','path':'members','value':[{'value':'d'},{'value':'e'},{'value':'f'}]}`}}},
		{Dialect{MaxValues: 2}, [][]string{{removeA, removeB}, {`{'op':'add','path':'members','value':[{'value':'d'},{'value':'e'}]}`}, {`{'op':'add','path':'members','value':[{'value':'f'}]}`}}},
		{Dialect{MaxValues: 3, MaxOperations: 1, RemoveByValue: true}, [][]string{{`{'op':'remove','path':'members','value':[{'value':'a'},{'value':'b'}]}`},
			{`{'op':'add','path':'members','value':[{'value':'d'},{'value':'e'},{'value':'f'}]}`}}},
		{Dialect{MaxValues: 1, RemoveByValue: true}, [][]string{{`{'op':'remove','path':'members','value':[{'value':'a'}]}`}, {`{'op':'remove','path':'members','value':[{'value':'b'}]}`},
			{`{'op':'add','path':'members','value':[{'value':'d'}]}`}, {`{'op':'add','path':'members','value':[{'value':'e'}]}`}, {`{'op':'add','path':'members','value':[{'value':'f'}]}`}}},
	} {
		patches, err := groups.Diff(before, after, c.dialect)
		if err != nil {
			t.Fatal(err)
		}
		compareDocuments(t, c.dialect, patches, c.want)
	}
	// Emptying a group names the members: some targets refuse to remove them all, and a mistake does less harm.
	patches, err := groups.Diff(before, object(t, `{'displayName':'G'}`), Dialect{})
	if err != nil || len(patches) != 1 || len(patches[0].Operations) != 3 {
		t.Errorf("got %v, %v, want 3 operations", patches, err)
	}
}

// anyUser generates resources in the form of Accept.
func anyUser(kind *ResourceType) *rapid.Generator[*Object] {
	word := rapid.SampledFrom([]string{"a", "b", "C", "é\"x\\", "work", "1"})
	return rapid.Custom(func(t *rapid.T) *Object {
		o := NewObject(Member{"userName", word.Draw(t, "userName")})
		maybe := func(name string) bool { return rapid.Bool().Draw(t, name) }
		for _, name := range []string{"title", "nickName", "externalId", "profileUrl"} {
			if maybe(name) {
				o.Set(name, word.Draw(t, name))
			}
		}
		if maybe("active") {
			o.Set("active", rapid.Bool().Draw(t, "active"))
		}
		if maybe("name") {
			o.Set("name", parts(t, word, "givenName", "familyName", "middleName"))
		}
		for _, name := range []string{"emails", "addresses", "roles", "groups"} {
			var list []any
			for range rapid.IntRange(0, 4).Draw(t, name) {
				e := parts(t, word, "type", "value", "display", "locality", "$ref")
				if maybe("primary") {
					e.Set("primary", rapid.Bool().Draw(t, "primary"))
				}
				list = append(list, e)
			}
			o.Set(name, list)
		}
		if maybe("enterprise") {
			x := parts(t, word, "employeeNumber", "department")
			x.Set("manager", parts(t, word, "value", "$ref"))
			o.Set(EnterpriseURN, x)
		}
		if maybe("custom") {
			x := &Object{}
			x.Set("Level_1", json.Number(fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "level"))))
			x.Set("tags", slices.Collect(maps.Keys(map[any]bool{word.Draw(t, "tag"): true, word.Draw(t, "tag"): true})))
			o.Set(kissflowURN, x)
		}
		out, _, err := kind.Accept(o)
		if err != nil {
			t.Fatalf("%v: %s", err, canonicalText(o))
		}
		return out
	})
}

func parts(t *rapid.T, word *rapid.Generator[string], names ...string) *Object {
	o := &Object{}
	for _, name := range names {
		if rapid.Bool().Draw(t, name) {
			o.Set(name, word.Draw(t, name))
		}
	}
	return o
}

func anyDialect() *rapid.Generator[Dialect] {
	return rapid.Custom(func(t *rapid.T) Dialect {
		b := func(name string) bool { return rapid.Bool().Draw(t, name) }
		n := rapid.IntRange(0, 3)
		return Dialect{b("together"), b("dotted"), b("byValue"), b("capitalized"), b("text"), n.Draw(t, "values"), n.Draw(t, "operations")}
	})
}

// TestDiffThenApply sends every patch of a diff through JSON and the parser, as a client and a server do.
func TestDiffThenApply(t *testing.T) {
	kind := userType(t)
	rapid.Check(t, func(t *rapid.T) {
		before, after := anyUser(kind).Draw(t, "before"), anyUser(kind).Draw(t, "after")
		d := anyDialect().Draw(t, "dialect")
		patches, err := kind.Diff(before, after, d)
		if err != nil {
			t.Fatal(err)
		}
		now := before
		var sent []string
		for _, p := range patches {
			body, err := p.Document(d).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, string(body))
			o, err := ReadObject(body, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			read, _, err := kind.ParsePatch(o)
			if err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			if now, _, err = kind.Apply(now, read); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
		}
		kind.each(func(urn string, a *Attribute) {
			got, _ := holder(now, urn).Get(a.Name)
			want, _ := holder(after, urn).Get(a.Name)
			if !sameSet(got, want) {
				t.Fatalf("%s: got %s, want %s, sent %s", a.Name, canonicalText(got), canonicalText(want), sent)
			}
		})
		if d.MaxOperations > 0 && !d.Together {
			for _, p := range patches {
				if len(p.Operations) > d.MaxOperations {
					t.Fatalf("%d operations in one request", len(p.Operations))
				}
			}
		}
	})
}

// TestApplyIsAtomic puts an operation that must fail behind any others.
func TestApplyIsAtomic(t *testing.T) {
	kind := userType(t)
	rapid.Check(t, func(t *rapid.T) {
		before, after := anyUser(kind).Draw(t, "before"), anyUser(kind).Draw(t, "after")
		patches, err := kind.Diff(before, after, Dialect{})
		if err != nil {
			t.Fatal(err)
		}
		copied := before.Clone()
		p := &Patch{}
		for _, more := range patches {
			p.Operations = append(p.Operations, more.Operations...)
		}
		p.Operations = append(p.Operations, Operation{Op: Remove, Path: Path{Name: "userName"}})
		got, changes, err := kind.Apply(before, p)
		if err == nil || got != nil || changes != nil {
			t.Fatalf("got %v, %v, %v", got, changes, err)
		}
		if !Equal(before, copied) {
			t.Fatalf("the resource changed: %s", canonicalText(before))
		}
		p.Operations = p.Operations[:len(p.Operations)-1]
		if _, _, err := kind.Apply(before, p); err != nil || !Equal(before, copied) {
			t.Fatalf("the resource changed or %v", err)
		}
	})
}

// TestAcceptIsStable: what was accepted once is accepted again as it is, and without any quirk.
func TestAcceptIsStable(t *testing.T) {
	kind := userType(t)
	rapid.Check(t, func(t *rapid.T) {
		o := anyUser(kind).Draw(t, "user")
		again, quirks, err := kind.Accept(o)
		if err != nil || !Equal(again, o) || len(quirks) > 0 {
			t.Fatalf("got %s, %v, %v, want %s", canonicalText(again), quirks, err, canonicalText(o))
		}
	})
}

func FuzzPatch(f *testing.F) {
	for _, c := range patchCases() {
		f.Add([]byte(strings.ReplaceAll(c.before, "'", `"`)), []byte(strings.ReplaceAll(escaped(patchHead+c.ops+"]}"), "'", `"`)))
	}
	kind := userType(f)
	f.Fuzz(func(t *testing.T, resource, body []byte) {
		in, err := ReadObject(resource, Limits{})
		if err != nil {
			return
		}
		o, _, err := kind.Accept(in)
		if err != nil {
			errorText(t, err)
			return
		}
		again, _, err := kind.Accept(o)
		if err != nil || !Equal(again, o) {
			t.Fatalf("accepted again: %v, %s, want %s", err, canonicalText(again), canonicalText(o))
		}
		doc, err := ReadObject(body, Limits{})
		if err != nil {
			return
		}
		p, _, err := kind.ParsePatch(doc)
		if err != nil {
			errorText(t, err)
			return
		}
		copied := o.Clone()
		after, changes, err := kind.Apply(o, p)
		if !Equal(o, copied) {
			t.Fatal("the resource changed")
		}
		if err != nil {
			errorText(t, err)
			return
		}
		if len(changes) == 0 && after != o {
			t.Fatal("no changes and another resource")
		}
		if len(p.Operations) == 0 || len(p.Operations) > MaxOperations {
			return
		}
		written, _, err := kind.ParsePatch(p.Document(Dialect{}))
		if err != nil {
			t.Fatalf("the normal form is refused: %v", err)
		}
		same, _, err := kind.Apply(o, written)
		if err != nil || !Equal(same, after) {
			t.Fatalf("the normal form does something else: %v, %s, want %s", err, canonicalText(same), canonicalText(after))
		}
		if _, err := kind.Diff(o, after, Dialect{}); err != nil {
			errorText(t, err)
		}
	})
}

func BenchmarkDiff(b *testing.B) {
	kind, before := userType(b), object(b, babs)
	after := before.Clone()
	after.Set("title", "X")
	for b.Loop() {
		if _, err := kind.Diff(before, after, Dialect{}); err != nil {
			b.Fatal(err)
		}
	}
}
