package scim

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestParseFilter has the examples of RFC 7644 section 3.4.2.2 first, then what clients really send.
func TestParseFilter(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`userName eq "bjensen"`, ``},
		{`name.familyName co "O'Malley"`, ``},
		{`userName sw "J"`, ``},
		{`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"`, ``},
		{`title pr`, ``},
		{`meta.lastModified gt "2011-05-13T04:42:34Z"`, ``},
		{`meta.lastModified ge "2011-05-13T04:42:34Z"`, ``},
		{`meta.lastModified lt "2011-05-13T04:42:34Z"`, ``},
		{`meta.lastModified le "2011-05-13T04:42:34Z"`, ``},
		{`title pr and userType eq "Employee"`, ``},
		{`title pr or userType eq "Intern"`, ``},
		{`schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`, ``},
		{`userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")`, ``},
		{`userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`, ``},
		{`userType eq "Employee" and (emails.type eq "work")`, `userType eq "Employee" and emails.type eq "work"`},
		{`userType eq "Employee" and emails[type eq "work" and value co "@example.com"]`, ``},
		{`emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]`, ``},
		{`value eq"2819c223"`, `value eq "2819c223"`},

		{`emails[type eq "work"].value eq "a@example.com"`, ``},
		{`userName eq "x" and emails[type eq "work"].value eq "x"`, ``},
		{`externalId eq jyoung`, `externalId eq "jyoung"`},
		{`id eq 54D382A4-2050-4C03-94D1-E769F1D15682`, `id eq "54D382A4-2050-4C03-94D1-E769F1D15682"`},
		{`roles[primary eq "True"].value eq "admin"`, ``},
		{`USERNAME EQ "x" AND Title PR`, `USERNAME eq "x" and Title pr`},
		{`active eq True`, `active eq true`},
		{`manager.$ref pr`, ``},
		{`a eq null or a eq -1.5e3 or a ne FALSE`, `a eq null or a eq -1.5e3 or a ne false`},
		{`not(a pr)`, `not (a pr)`},
		{`  ( ( a pr ) )  `, `a pr`},
		{`a pr and (b pr and c pr) or (d pr or e pr)`, `a pr and b pr and c pr or d pr or e pr`},
		{`a eq "\u00e9\ud83d\ude00\"\\\/\n"`, `a eq "é😀\"\\/\n"`},
		{`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName eq "x"`, ``},
		{kissflowURN + `:Level_1 ge 5`, ``},
		{kissflowURN + `.Level_1 ge 5`, kissflowURN + `:Level_1 ge 5`},
		{strings.ToLower(kissflowURN) + `:level_1 ge 5`, kissflowURN + `:level_1 ge 5`},
		{EnterpriseURN + ` pr`, ``},
		{`not pr`, ``},
		{`and pr`, ``},
	} {
		want := c.want
		if want == "" {
			want = c.in
		}
		urns := []string{UserURN, EnterpriseURN, kissflowURN}
		f, err := ParseFilter(c.in, urns...)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got := f.String(); got != want {
			t.Errorf("%s: got %s, want %s", c.in, got, want)
		}
		again, err := ParseFilter(f.String(), urns...)
		if err != nil || !reflect.DeepEqual(again, f) {
			t.Errorf("%s: printed and read again it is %v, %v", c.in, again, err)
		}
	}
}

func TestParseFilterErrors(t *testing.T) {
	deep := strings.Repeat("(", 60) + "a pr" + strings.Repeat(")", 60)
	for _, c := range []struct{ in, want string }{
		{``, `expected the name of an attribute at position 1 of the filter`},
		{`userName`, `expected an operator such as eq at position 9 of the filter`},
		{`userName xx "a"`, `unknown operator "xx"; there are eq, ne, co, sw, ew, gt, ge, lt, le and pr; at position 10 of the filter`},
		{`userName eq`, `expected a value at position 12 of the filter`},
		{`userName eq and x pr`, `expected a value at position 13 of the filter`},
		{`userName eq "a`, `a string without its closing quote at position 15 of the filter`},
		{`userName eq "a\x"`, `a malformed escape in a string at position 15 of the filter`},
		{`userName eq "\ud800"`, `a malformed escape in a string at position 14 of the filter`},
		{`userName eq "a" title pr`, `expected "and", "or" or the end at position 17 of the filter`},
		{`(a pr`, `expected "and", "or" or the parenthesis that closes the one at 1 at position 6 of the filter`},
		{`a pr)`, `expected "and", "or" or the end at position 5 of the filter`},
		{`emails[type eq "work"`, `expected "and", "or" or ] at position 22 of the filter`},
		{`emails[a[b pr] pr]`, `brackets within brackets at position 9 of the filter`},
		{`emails[a pr].`, `expected the name of a sub-attribute at position 14 of the filter`},
		{`a.b[c pr]`, `brackets behind "a.b", which is not a multi-valued attribute, at position 4 of the filter`},
		{`a.b.c pr`, `"a.b.c", which is not the name of an attribute, at position 1 of the filter`},
		{`http:x pr`, `a name with a colon that is not the URN of a schema at position 1 of the filter`},
		{"a\xff pr", `a byte that is not UTF-8 at position 2 of the filter`},
		{deep, `the filter is nested deeper than 50 levels at position 52`},
		{strings.Repeat("a", MaxFilterBytes+1), `the filter has 10001 bytes; at most 10000 are taken`},
	} {
		_, err := ParseFilter(c.in)
		if got, want := errorText(t, err), "invalidFilter: "+c.want; got != want {
			t.Errorf("%.40s: got  %s\nwant %s", c.in, got, want)
		}
	}
	_, err := ParseFilter(`password eq "hunter2" hunter3`)
	if strings.Contains(err.Error(), "hunter") {
		t.Errorf("the error repeats a value: %v", err)
	}
}

const babs = `{'schemas':['urn:ietf:params:scim:schemas:core:2.0:User'],'id':'2819c223','externalId':'bJensen','userName':'bjensen@example.com',
 'name':{'familyName':'Jensen','givenName':'Barbara'},'title':'Tour Guide','userType':'Employee','active':true,'password':'t1meMa$heen',
 'emails':[{'value':'bjensen@example.com','type':'work','primary':true},{'value':'babs@jensen.org','type':'home'}],
 'roles':[{'value':'admin','primary':true}],
 'x509Certificates':[{'value':'MIIDQzCC'}],
 'groups':[{'value':'e9e30dba','display':'Tour Guides'}],
 'meta':{'resourceType':'User','created':'2010-01-23T04:56:22Z','lastModified':'2011-05-13T04:42:34Z'},
 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'employeeNumber':'701984','manager':{'value':'26118915'}},
 'urn:kissflow:scim:schemas:extension:Ac 12.x:2:User':{'Level_1':5,'Salary':10.50,'Hired':'2020-02-29T00:00:00+02:00','Remote':false,'tags':['Red','blue']}}`

func TestMatch(t *testing.T) {
	kind := userType(t)
	o := object(t, babs)
	for _, c := range []struct {
		filter string
		want   bool
	}{
		{`userName eq "BJENSEN@example.com"`, true},
		{`externalId eq "bjensen"`, false},
		{`externalId eq "bJensen"`, true},
		{`userName ne "x"`, true},
		{`nickName ne "x"`, true},
		{`nickName eq null`, true},
		{`title eq null`, false},
		{`title ne null`, true},
		{`nickName pr`, false},
		{`name pr and emails pr`, true},
		{`title co "guide" and title sw "tour" and title ew "GUIDE"`, true},
		{`title gt "Tour" and title le "tour guide"`, true},
		{`emails co "jensen.org"`, true},
		{`emails.type eq "work"`, true},
		{`emails[type eq "work" and value co "jensen.org"]`, false},
		{`emails[type eq "home" and value co "jensen.org"]`, true},
		{`emails[type eq "home"].value eq "babs@jensen.org"`, true},
		{`emails[type eq "work"].value eq "babs@jensen.org"`, false},
		{`emails[type eq "home"].value pr`, true},
		{`emails[type eq "other"].value pr`, false},
		{`emails[not (type eq "work")]`, true},
		{`roles[primary eq "True"].value eq "admin"`, true},
		{`active eq "True"`, true},
		{`active ne true`, false},
		{`meta.lastModified gt "2011-05-13T04:42:33Z"`, true},
		{`meta.lastModified eq "2011-05-13T06:42:34+02:00"`, true},
		{`meta.lastModified sw "2011-05"`, true},
		{`meta.lastModified lt "2011-05-13"`, false},
		{`manager eq "26118915"`, true},
		{`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "26118915"`, true},
		{`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber eq 701984`, true},
		{`urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr`, true},
		{`urn:other:2.0:User pr`, false},
		{kissflowURN + `:Level_1 ge 5`, true},
		{kissflowURN + `:Level_1 gt 5.0`, false},
		{kissflowURN + `:Salary eq 10.5`, true},
		{kissflowURN + `:Hired lt "2020-02-29T00:00:00Z"`, true},
		{kissflowURN + `:Remote eq false`, true},
		{kissflowURN + `:tags eq "RED"`, true},
		{kissflowURN + `:tags[value eq "blue"]`, true},
		{`tags eq "green"`, false},
		{`schemas eq "urn:ietf:params:scim:schemas:core:2.0:User"`, true},
		{`groups.display eq "tour guides"`, true},
		{`x509Certificates eq "MIIDQzCC"`, true},
		{`shoeSize eq 5`, false},
		{`shoeSize ne 5`, false},
		{`not (shoeSize eq 5)`, true},
		{`shoeSize eq 5 or title pr`, true},
		{`emails.shoe eq "x"`, false},
		{`emails[shoe eq "x"]`, false},
	} {
		f, err := ParseFilter(c.filter, kind.URNs()...)
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
			continue
		}
		p, err := kind.Compile(f)
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
			continue
		}
		if got := p.Match(o); got != c.want {
			t.Errorf("%s: got %v, want %v", c.filter, got, c.want)
		}
		p.Match(&Object{})
		p.Match(nil)
	}
	p, err := kind.Compile(nil)
	if err != nil || !p.Match(o) {
		t.Errorf("no filter must match everything: %v", err)
	}
}

// TestMatchTogether uses one predicate and one resource from many goroutines, for the race detector.
func TestMatchTogether(t *testing.T) {
	kind, o := userType(t), object(t, babs)
	f, err := ParseFilter(`emails[type eq "home"].value co "babs" and manager eq "26118915" and not (title eq "x")`)
	if err != nil {
		t.Fatal(err)
	}
	p, err := kind.Compile(f)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if !p.Match(o) {
					t.Error("no match")
				}
				kind.Project(o, Projection{Except: []Path{{Name: "emails"}}})
			}
		})
	}
	all.Wait()
}

func TestCompileErrors(t *testing.T) {
	kind := userType(t)
	for _, c := range []struct{ filter, want string }{
		{`active gt true`, `active is of the type boolean, which cannot be compared with gt`},
		{`active co "t"`, `active is of the type boolean, which cannot be compared with co`},
		{`active eq "maybe"`, `active is of the type boolean; the filter compares it with a string that is none`},
		{`x509Certificates.value gt "MII"`, `x509Certificates.value is of the type binary, which cannot be compared with gt`},
		{`meta.created gt "yesterday"`, `meta.created is of the type dateTime; the filter compares it with a string that is none`},
		{kissflowURN + `:Level_1 eq "five"`, kissflowURN + `:Level_1 is of the type integer; the filter compares it with a string that is none`},
		{kissflowURN + `:Level_1 sw 5`, kissflowURN + `:Level_1 is of the type integer, which cannot be compared with sw`},
		{`userName eq true`, `userName is of the type string; the filter compares it with a boolean`},
		{`userName gt null`, `userName is compared with null by gt; only eq and ne can do that`},
		{`name eq "x"`, `name has no value of its own; compare one of its parts, such as name.formatted`},
		{`password sw "a"`, `password is never shown, so it cannot be filtered or sorted by`},
		{`password pr`, `password is never shown, so it cannot be filtered or sorted by`},
		{`name[familyName eq "x"]`, `name has one value at most, so [...] cannot select among them`},
	} {
		f, err := ParseFilter(c.filter, kind.URNs()...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = kind.Compile(f)
		if got, want := errorText(t, err), "invalidFilter: "+c.want; got != want {
			t.Errorf("%s: got  %s\nwant %s", c.filter, got, want)
		}
	}
}

func TestRequired(t *testing.T) {
	f, err := ParseFilter(`userName eq "a" and (title pr and id eq "b") and (x eq 1 or y eq 2) and emails[type eq "c"]`)
	if err != nil {
		t.Fatal(err)
	}
	var got And
	for _, c := range Required(f) {
		got = append(got, c)
	}
	if want := `userName eq "a" and id eq "b"`; got.String() != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestOrder(t *testing.T) {
	kind := userType(t)
	a := object(t, `{'userName':'b','emails':[{'value':'z','primary':false},{'value':'a','primary':true}],'meta':{'created':'2020-01-01T00:00:00Z'},'active':false}`)
	b := object(t, `{'userName':'A','emails':[{'value':'B'}],'meta':{'created':'2020-01-01T00:00:01+01:00'},'active':true}`)
	none := &Object{}
	for _, c := range []struct {
		by         string
		descending bool
		x, y       *Object
		want       int
	}{
		{"userName", false, a, b, 1}, {"userName", true, a, b, -1}, {"emails", false, a, b, -1}, {"emails.value", false, a, b, -1},
		{"meta.created", false, a, b, 1}, {"active", false, a, b, -1}, {"userName", false, none, a, 1}, {"userName", true, none, a, -1},
		{"shoe", false, a, b, 0}, {"title", false, a, b, 0},
	} {
		p, err := ParsePath(c.by)
		if err != nil {
			t.Fatal(err)
		}
		order, err := kind.Order(p, c.descending)
		if err != nil {
			t.Fatal(err)
		}
		if got := order(c.x, c.y); got != c.want {
			t.Errorf("%s descending %v: got %d, want %d", c.by, c.descending, got, c.want)
		}
	}
	for _, by := range []string{"password", "name"} {
		if _, err := kind.Order(Path{Name: by}, false); err == nil {
			t.Errorf("sorting by %s must be refused", by)
		}
	}
}

func TestParsePath(t *testing.T) {
	urns := []string{UserURN, EnterpriseURN, kissflowURN}
	work := Compare{Path{Name: "type"}, Eq, "work"}
	for _, c := range []struct {
		in   string
		want Path
	}{
		{"members", Path{Name: "members"}},
		{"name.familyName", Path{Name: "name", Sub: "familyName"}},
		{`addresses[type eq "work"]`, Path{Name: "addresses", Filter: work}},
		{`addresses[type eq "work"].streetAddress`, Path{Name: "addresses", Filter: work, Sub: "streetAddress"}},
		{`emails[type eq work].value`, Path{Name: "emails", Filter: work, Sub: "value"}},
		{EnterpriseURN + ":employeeNumber", Path{URN: EnterpriseURN, Name: "employeeNumber"}},
		{EnterpriseURN + ".department", Path{URN: EnterpriseURN, Name: "department"}},
		{EnterpriseURN + ":manager.value", Path{URN: EnterpriseURN, Name: "manager", Sub: "value"}},
		{EnterpriseURN, Path{URN: EnterpriseURN}},
		{kissflowURN + ":Level_1", Path{URN: kissflowURN, Name: "Level_1"}},
		{kissflowURN + ".Level_1", Path{URN: kissflowURN, Name: "Level_1"}},
		{"urn:kissflow:scim:schemas:extension:AcOther.9:2:User:Größe", Path{URN: "urn:kissflow:scim:schemas:extension:AcOther.9:2:User", Name: "Größe"}},
		{" userName ", Path{Name: "userName"}},
	} {
		got, err := ParsePath(c.in, urns...)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, %v, want %+v", c.in, got, err, c.want)
		}
		if again, err := ParsePath(got.String(), urns...); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s: printed and read again it is %+v, %v", c.in, again, err)
		}
	}
	for _, bad := range []string{"", "a b", "a[", "a[]", "a]", "a..b", "a.", ".a", "a[b pr]c", "a[b pr].c.d", "urn:", ":a", "a eq 1", `a"`, "-a"} {
		_, err := ParsePath(bad, urns...)
		if err == nil || AsError(err).SCIMType != InvalidPath || AsError(err).Status != 400 {
			t.Errorf("%q: got %v, want invalidPath", bad, err)
		}
	}
}

// filters generates every kind of filter.
func filters() *rapid.Generator[Filter] {
	name := rapid.StringMatching(`[a-zA-Z][a-zA-Z0-9_-]{0,5}|\$ref`)
	path := rapid.Custom(func(t *rapid.T) Path {
		p := Path{Name: name.Draw(t, "name")}
		if rapid.Bool().Draw(t, "sub") {
			p.Sub = name.Draw(t, "sub")
		}
		if rapid.IntRange(0, 4).Draw(t, "urn") == 0 {
			p.URN = rapid.StringMatching(`urn:[a-z]{1,3}:[a-z.0-9]{1,5}:User`).Draw(t, "urn")
		}
		return p
	})
	value := rapid.OneOf(rapid.Just[any](nil), rapid.Just[any](true), rapid.Just[any](false), rapid.Map(rapid.String(), func(s string) any { return strings.ToValidUTF8(s, "") }),
		rapid.Map(rapid.Int(), func(n int) any { return json.Number(mustText(n)) }))
	var any func(depth int, in bool) *rapid.Generator[Filter]
	any = func(depth int, in bool) *rapid.Generator[Filter] {
		return rapid.Custom(func(t *rapid.T) Filter {
			kind := rapid.IntRange(0, 6).Draw(t, "kind")
			if depth <= 0 || in && kind > 4 {
				kind %= 2
			}
			list := func() []Filter { return rapid.SliceOfN(any(depth-1, in), 2, 4).Draw(t, "terms") }
			switch kind {
			case 0:
				return Present{path.Draw(t, "path")}
			case 2:
				return And(list())
			case 3:
				return Or(list())
			case 4:
				return Not{any(depth-1, in).Draw(t, "not")}
			case 5, 6:
				p := path.Draw(t, "path")
				p.Sub, p.Filter = "", any(depth-1, true).Draw(t, "filter")
				if kind == 5 {
					return ValuePath{p}
				}
				p.Sub = name.Draw(t, "sub")
				return Compare{p, Eq, value.Draw(t, "value")}
			}
			return Compare{path.Draw(t, "path"), rapid.SampledFrom([]Op{Eq, Ne, Co, Sw, Ew, Gt, Ge, Lt, Le}).Draw(t, "op"), value.Draw(t, "value")}
		})
	}
	return any(4, false)
}

func mustText(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// flat joins And within And and Or within Or, which the parser does.
func flat(f Filter) Filter {
	join := func(terms []Filter, parts func(Filter) []Filter) (out []Filter) {
		for _, term := range terms {
			if inner := flat(term); parts(inner) != nil {
				out = append(out, parts(inner)...)
			} else {
				out = append(out, inner)
			}
		}
		return out
	}
	inPath := func(p Path) Path {
		if p.Filter != nil {
			p.Filter = flat(p.Filter)
		}
		return p
	}
	switch f := f.(type) {
	case And:
		return And(join(f, func(f Filter) []Filter { a, _ := f.(And); return a }))
	case Or:
		return Or(join(f, func(f Filter) []Filter { a, _ := f.(Or); return a }))
	case Not:
		return Not{flat(f.Filter)}
	case Compare:
		return Compare{inPath(f.Path), f.Op, f.Value}
	case ValuePath:
		return ValuePath{inPath(f.Path)}
	}
	return f
}

func TestFilterPrintsWhatItReads(t *testing.T) {
	kind := userType(t)
	rapid.Check(t, func(t *rapid.T) {
		f := flat(filters().Draw(t, "filter"))
		s := f.String()
		if len(s) > MaxFilterBytes {
			return
		}
		got, err := ParseFilter(s)
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Fatalf("%s: got %v, %v", s, got, err)
		}
		if p, err := kind.Compile(f); err == nil {
			p.Match(&Object{})
		}
	})
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{`userName eq "a" and not (emails[type eq "work"].value co "x" or title pr)`, `a eq"x"`, `a.$ref pr`, kissflowURN + `:x gt 1e3`, `a eq "\ud83d\ude00"`, `((a pr))`} {
		f.Add(s)
	}
	kind := userType(f)
	o := object(f, babs)
	f.Fuzz(func(t *testing.T, s string) {
		filter, err := ParseFilter(s, kind.URNs()...)
		if err != nil {
			if e := AsError(err); e.Status != 400 || e.SCIMType != InvalidFilter {
				t.Fatalf("got %#v", err)
			}
			return
		}
		printed := filter.String()
		again, err := ParseFilter(printed, kind.URNs()...)
		if err != nil && len(printed) <= MaxFilterBytes {
			t.Fatalf("%q printed is %q: %v", s, printed, err)
		}
		if err == nil && !reflect.DeepEqual(again, filter) {
			t.Fatalf("%q printed is %q, read again %v", s, printed, again)
		}
		if p, err := kind.Compile(filter); err == nil {
			p.Match(o)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{`members`, `emails[type eq "work"].value`, EnterpriseURN + ":manager.value", EnterpriseURN + ".department", kissflowURN, "urn:a:b:c"} {
		f.Add(s)
	}
	urns := []string{UserURN, EnterpriseURN, kissflowURN}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s, urns...)
		if err != nil {
			if e := AsError(err); e.Status != 400 || e.SCIMType != InvalidPath {
				t.Fatalf("got %#v", err)
			}
			return
		}
		again, err := ParsePath(p.String(), urns...)
		if err != nil && len(p.String()) <= MaxFilterBytes || err == nil && !reflect.DeepEqual(again, p) {
			t.Fatalf("%q printed is %q, read again %+v, %v", s, p, again, err)
		}
	})
}

func BenchmarkParseFilter(b *testing.B) {
	for b.Loop() {
		if _, err := ParseFilter(`userName eq "bjensen@example.com"`); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseFilterLong(b *testing.B) {
	s := strings.TrimSuffix(strings.Repeat(`emails[type eq "work" and value co "@example.com"] or `, 180), " or ")
	for b.Loop() {
		if _, err := ParseFilter(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	kind, o := userType(b), object(b, babs)
	f, err := ParseFilter(`title pr and emails[type eq "home" and value co "jensen.org"]`)
	if err != nil {
		b.Fatal(err)
	}
	p, err := kind.Compile(f)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if !p.Match(o) {
			b.Fatal("no match")
		}
	}
}
