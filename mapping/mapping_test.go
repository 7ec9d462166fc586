package mapping

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"dirsync"
)

// attrs makes a record of names and JSON values.
func attrs(kv ...string) dirsync.Attributes {
	var as []dirsync.Attribute
	for i := 0; i < len(kv); i += 2 {
		as = append(as, dirsync.Attribute{Name: kv[i], Raw: json.RawMessage(kv[i+1])})
	}
	return dirsync.NewAttributes(as)
}

func pointer[T any](v T) *T { return &v }

// threeFields is the mapping that every sync begins with.
func threeFields() []Spec {
	return []Spec{{Field: "first_name", From: "givenName"}, {Field: "last_name", From: "surname"}, {Field: "email", From: "mail"}}
}

// compile compiles a mapping that must be right.
func compile(t testing.TB, specs []Spec, where string, target ...dirsync.Field) *Mapping {
	t.Helper()
	m, problems := Compile(specs, Expression{Text: where}, exprSource, with(target...))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m
}

func render(r Result) string {
	b, err := r.Values.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	s := string(b)
	if !r.InScope {
		s = "out of scope"
	}
	for _, f := range r.Faults {
		s += fmt.Sprintf(" | %s=%q %s", f.Field, f.Value, f.Reason)
	}
	return s
}

func TestMandatoryFields(t *testing.T) {
	m := compile(t, threeFields(), "")
	for _, tc := range []struct {
		record dirsync.Attributes
		want   string
	}{
		{attrs("givenName", `" Ada "`, "surname", `"Lovelace"`, "mail", `"Ada@Example.COM"`), `{"email":"Ada@example.com","first_name":"Ada","last_name":"Lovelace"}`},
		{attrs("givenName", `null`, "surname", `"Lovelace"`, "mail", `"a@example.com"`), `{"email":"a@example.com","last_name":"Lovelace"} | first_name="" is required, but givenName is empty`},
		{attrs("givenName", `"  "`, "surname", `"Lovelace"`, "mail", `"a@example.com"`), `{"email":"a@example.com","last_name":"Lovelace"} | first_name="" is required, but givenName is empty`},
		{attrs("mail", `"room"`), `{} | email="room" is not an e-mail address | first_name="" is required, but givenName is empty | last_name="" is required, but surname is empty`},
		{attrs("givenName", `{"a":1}`, "surname", `"L"`, "mail", `"a@example.com"`), `{"email":"a@example.com","last_name":"L"} | first_name="{\"a\":1}" is an object, not text`},
		{nil, `{} | email="" is required, but mail is empty | first_name="" is required, but givenName is empty | last_name="" is required, but surname is empty`},
	} {
		if got := render(m.Map("1", tc.record)); got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

func TestEmptyValues(t *testing.T) {
	empty, full := attrs("department", `null`), attrs("department", `"Sales"`)
	for _, tc := range []struct {
		spec        Spec
		empty, full string
	}{
		{Spec{From: "department"}, `null`, `"Sales"`},
		{Spec{From: "department", WhenNull: "clear"}, `null`, `"Sales"`},
		{Spec{From: "department", WhenNull: "keep"}, `left`, `"Sales"`},
		{Spec{From: "department", Default: pointer(" None ")}, `"None"`, `"Sales"`},
		{Spec{From: "department", Default: pointer("None"), WhenNull: "default"}, `"None"`, `"Sales"`},
		{Spec{Expr: "lower(user.department)", Default: pointer("None")}, `"None"`, `"sales"`},
		{Spec{Expr: "lower(user.department)", WhenNull: "keep"}, `left`, `"sales"`},
		{Spec{Entra: "IgnoreFlowIfNullOrEmpty([department])"}, `left`, `"Sales"`},
		{Spec{Entra: "IgnoreFlowIfNullOrEmpty([department])", Default: pointer("None")}, `"None"`, `"Sales"`},
		{Spec{Value: pointer("all")}, `"all"`, `"all"`},
		{Spec{Value: pointer("")}, `null`, `null`},
	} {
		f := dirsync.Field{Name: "x", Type: dirsync.Text}
		if got := outcome(t, f, tc.spec, empty); got != tc.empty {
			t.Errorf("%+v, empty: got %s, want %s", tc.spec, got, tc.empty)
		}
		if got := outcome(t, f, tc.spec, full); got != tc.full {
			t.Errorf("%+v, full: got %s, want %s", tc.spec, got, tc.full)
		}
		if got, want := outcome(t, f, tc.spec, nil), tc.empty; got != want {
			t.Errorf("%+v, absent: got %s, want %s", tc.spec, got, want)
		}
	}
	list := dirsync.Field{Name: "x", Type: dirsync.TextList}
	if got := outcome(t, list, Spec{Value: pointer("a;b")}, nil) + outcome(t, list, Spec{From: "department", Format: ";", Default: pointer("a;b")}, nil); got != `["a;b"]["a","b"]` {
		t.Errorf("got %s", got)
	}
	number := dirsync.Field{Name: "x", Type: dirsync.Number}
	if got := outcome(t, number, Spec{From: "department", Format: "1.234,56", Default: pointer("12.5")}, nil); got != `12.5` {
		t.Errorf("got %s", got)
	}
	text := dirsync.Field{Name: "x", Type: dirsync.Text}
	if got := outcome(t, text, Spec{Expr: "user.employeeHireDate", Format: "DD.MM.YYYY"}, attrs("employeeHireDate", `"2019-06-06T00:00:00Z"`)); got != `"06.06.2019"` {
		t.Errorf("got %s", got)
	}
	// What is required is never left, and a default saves the person.
	specs := append(threeFields()[1:], Spec{Field: "first_name", Entra: "IgnoreFlowIfNullOrEmpty([givenName])"})
	record := attrs("surname", `"L"`, "mail", `"a@example.com"`)
	want := `{"email":"a@example.com","last_name":"L"} | first_name="" is required, but the result of the expression is empty`
	if got := render(compile(t, specs, "").Map("1", record)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	specs[2].Default = pointer("?")
	if got, want := render(compile(t, specs, "").Map("1", record)), `{"email":"a@example.com","first_name":"?","last_name":"L"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	specs = append(threeFields()[1:], Spec{Field: "first_name", Value: pointer(" "), Pos: Position{1, 1}})
	if _, problems := Compile(specs, Expression{}, exprSource, Mandatory()); len(problems) != 1 ||
		problems[0].String() != "1:1: first_name: first_name is required, but the constant is empty" {
		t.Errorf("got %v", problems)
	}
	specs = append(threeFields()[1:], Spec{Field: "first_name", From: "givenName", WhenNull: "keep", Pos: Position{1, 1}})
	if _, problems := Compile(specs, Expression{}, exprSource, Mandatory()); len(problems) != 1 ||
		problems[0].String() != "1:1: first_name: first_name is required, so a new user without it has nothing to keep (use a default, or leave when_null out)" {
		t.Errorf("got %v", problems)
	}
}

// TestWhere shows that nobody leaves the scope by mistake.
func TestWhere(t *testing.T) {
	for _, tc := range []struct {
		where  string
		record dirsync.Attributes
		in     bool
		fault  string
	}{
		{``, nil, true, ``},
		{`user.department == "Sales"`, attrs("department", `"Sales"`), true, ``},
		{`user.department == "Sales"`, attrs("department", `"sales"`), false, ``},
		{`user.department == "Sales"`, attrs("department", `null`), false, ``},
		{`user.department != "Sales"`, nil, true, ``},
		{`user.department startsWith "S"`, nil, false, ``},
		{`user.department in ["Sales", "Support"]`, attrs("department", `"Support"`), true, ``},
		{`user.accountEnabled`, attrs("accountEnabled", `true`), true, ``},
		{`user.accountEnabled`, attrs("accountEnabled", `false`), false, ``},
		{`user.accountEnabled`, nil, true, `is neither true nor false, because something that it asks for is empty`},
		{`not user.accountEnabled`, nil, true, `cannot be worked out, because accountEnabled is empty`},
		{`user.accountEnabled and user.level > 3`, attrs("accountEnabled", `false`), false, ``},
		{`user.accountEnabled and user.level > 3`, attrs("accountEnabled", `true`), true, `cannot be worked out, because level is empty`},
		{`user.level > 3`, attrs("level", `"x"`), true, `cannot be worked out: level is not a number`},
		{`user.level > 3`, attrs("level", `9007199254740993`), true, `cannot be worked out: level has more digits than an expression can hold; map it directly`},
		{`user.department == "Sales"`, attrs("department", `{"a":1}`), true, `cannot be worked out: department is an object, not text`},
		{`user.employeeHireDate >= date("2019-01-01")`, attrs("employeeHireDate", `"2019-06-06T00:00:00Z"`), true, ``},
		{`user.employeeHireDate >= date("2019-01-01")`, attrs("employeeHireDate", `"June"`), true, `cannot be worked out: employeeHireDate is not a date and time in the form 2019-06-06T09:30:00Z`},
		{`any(user.proxyAddresses, # endsWith "@contoso.com")`, attrs("proxyAddresses", `["a@x.de","b@contoso.com"]`), true, ``},
		{`any(user.proxyAddresses ?? [], # endsWith "@contoso.com")`, nil, false, ``},
		{`any(user.proxyAddresses, # endsWith "@contoso.com")`, nil, true, `cannot be worked out, because proxyAddresses is empty`},
		{`user.userPrincipalName matches "(?i)^[a-z]+@contoso[.]com$"`, attrs("userPrincipalName", `"Ada@contoso.com"`), true, ``},
		{`user.employeeOrgData.division == "Engines"`, attrs("employeeOrgData", `{"division":"Engines"}`), true, ``},
		{`user.employeeOrgData.division == "Engines"`, attrs("employeeOrgData", `"Engines"`), true, `cannot be worked out: employeeOrgData/division cannot be read, because what it is part of is not an object`},
	} {
		m := compile(t, constants(), tc.where)
		r := m.Map("1", tc.record)
		fault := ""
		if len(r.Faults) > 0 {
			fault = r.Faults[0].Reason
			if r.Faults[0].Field != WhereField {
				t.Errorf("%s: the fault is of %s", tc.where, r.Faults[0].Field)
			}
		}
		if r.InScope != tc.in || fault != tc.fault || (r.Values != nil) != (tc.in && tc.fault == "") {
			t.Errorf("%s of %s: got %t %q %v, want %t %q", tc.where, tc.record, r.InScope, fault, r.Values, tc.in, tc.fault)
		}
	}
}

func TestProperties(t *testing.T) {
	m := compile(t, append(threeFields(),
		Spec{Field: "x", Expr: `user.employeeOrgData.division ?? user.department ?? user.id`},
		Spec{Field: "y", Entra: `Append([objectId], [officeLocation])`, SyncUpdates: pointer(false)},
		Spec{Field: "a", From: "id", SyncUpdates: pointer(false)},
	), `user.accountEnabled and user.department != "x"`, dirsync.Field{Name: "x", Type: dirsync.Text}, dirsync.Field{Name: "y", Type: dirsync.Text}, dirsync.Field{Name: "a", Type: dirsync.Text})
	if got, want := m.Properties(), []string{"accountEnabled", "department", "employeeOrgData", "givenName", "mail", "officeLocation", "surname"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := m.CreateOnly(), []string{"a", "y"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	record := attrs("accountEnabled", `true`, "givenName", `"A"`, "surname", `"L"`, "mail", `"a@b.co"`, "officeLocation", `"!"`)
	want := `{"a":"i1","email":"a@b.co","first_name":"A","last_name":"L","x":"i1","y":"i1!"}`
	if got := render(m.Map("i1", record)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestFingerprint shows what changes the meaning of a mapping and what does not.
func TestFingerprint(t *testing.T) {
	target := func() []dirsync.Field {
		return []dirsync.Field{{Name: "x", Type: dirsync.Choice, Options: []string{"A", "B"}, MaxLength: 5}, {Name: "unmapped", Type: dirsync.Text}}
	}
	base := func() []Spec {
		return append(threeFields(), Spec{Field: "x", Expr: `user.department ?? "A"`})
	}
	print := func(specs []Spec, where string, source, target []dirsync.Field) string {
		m, problems := Compile(specs, Expression{Text: where}, source, with(target...))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return m.Fingerprint()
	}
	was := print(base(), `user.accountEnabled`, exprSource, target())
	same := map[string]func() string{
		"again": func() string { return print(base(), `user.accountEnabled`, exprSource, target()) },
		"other order": func() string {
			s := base()
			slices.Reverse(s)
			return print(s, `user.accountEnabled`, exprSource, target())
		},
		"other places": func() string {
			s := base()
			s[0].Pos = Position{9, 9}
			return print(s, `user.accountEnabled`, exprSource, target())
		},
		"other layout": func() string {
			s := base()
			s[3].Expr = "  user.department\n ??   \"A\""
			return print(s, ` user.accountEnabled `, exprSource, target())
		},
		"defaults spelled out": func() string {
			s := base()
			s[0].SyncUpdates, s[0].WhenNull = pointer(true), "clear"
			return print(s, `user.accountEnabled`, exprSource, target())
		},
		"labels": func() string {
			f := target()
			f[0].Label = "Office"
			return print(base(), `user.accountEnabled`, exprSource, f)
		},
		"order of options": func() string {
			f := target()
			slices.Reverse(f[0].Options)
			return print(base(), `user.accountEnabled`, exprSource, f)
		},
		"fields that are not mapped": func() string {
			return print(base(), `user.accountEnabled`, append([]dirsync.Field{{Name: "new", Type: dirsync.Text}}, exprSource...), target()[:1])
		},
	}
	for name, f := range same {
		if f() != was {
			t.Errorf("%s: the fingerprint changed", name)
		}
	}
	changed := map[string]func() string{
		"scope":    func() string { return print(base(), `not user.accountEnabled`, exprSource, target()) },
		"no scope": func() string { return print(base(), ``, exprSource, target()) },
		"expression": func() string {
			s := base()
			s[3].Expr = `user.department ?? "B"`
			return print(s, `user.accountEnabled`, exprSource, target())
		},
		"property": func() string {
			s := base()
			s[0].From = "surname"
			return print(s, `user.accountEnabled`, exprSource, target())
		},
		"form": func() string {
			s := base()
			s[0] = Spec{Field: "first_name", Entra: "[givenName]"}
			return print(s, `user.accountEnabled`, exprSource, target())
		},
		"sync updates": func() string {
			s := base()
			s[0].SyncUpdates = pointer(false)
			return print(s, `user.accountEnabled`, exprSource, target())
		},
		"default": func() string {
			s := base()
			s[0].Default = pointer("?")
			return print(s, `user.accountEnabled`, exprSource, target())
		},
		"keep": func() string {
			s := base()
			s[3].WhenNull = "keep"
			return print(s, `user.accountEnabled`, exprSource, target())
		},
		"options": func() string {
			f := target()
			f[0].Options = append(f[0].Options, "C")
			return print(base(), `user.accountEnabled`, exprSource, f)
		},
		"length": func() string {
			f := target()
			f[0].MaxLength = 6
			return print(base(), `user.accountEnabled`, exprSource, f)
		},
		"required": func() string {
			f := target()
			f[0].Required = true
			return print(base(), `user.accountEnabled`, exprSource, f)
		},
		"type at the source": func() string {
			s := slices.Clone(exprSource)
			for i := range s {
				if s[i].Name == "department" {
					s[i].Type = dirsync.Email
				}
			}
			return print(base(), `user.accountEnabled`, s, target())
		},
		"fewer fields": func() string { return print(base()[:3], `user.accountEnabled`, exprSource, target()) },
	}
	seen := map[string]string{was: "base"}
	for name, f := range changed {
		got := f()
		if other, ok := seen[got]; ok {
			t.Errorf("%s has the fingerprint of %s", name, other)
		}
		seen[got] = name
	}
}

// TestNoSpuriousUpdates maps the same person written in many ways, and then the values themselves, and must always get
// the same.
func TestNoSpuriousUpdates(t *testing.T) {
	target := []dirsync.Field{{Name: "office", Type: dirsync.Choice, Options: []string{"Zürich"}}, {Name: "boss", Type: dirsync.Reference},
		{Name: "joined", Type: dirsync.DateTime}, {Name: "level", Type: dirsync.Number}, {Name: "on", Type: dirsync.Boolean}, {Name: "tags", Type: dirsync.TextList}}
	specs := append(threeFields(), Spec{Field: "office", From: "officeLocation"}, Spec{Field: "boss", From: "manager"}, Spec{Field: "joined", From: "employeeHireDate"},
		Spec{Field: "level", From: "level"}, Spec{Field: "on", From: "accountEnabled"}, Spec{Field: "tags", From: "proxyAddresses"})
	m := compile(t, specs, "", target...)
	want := `{"boss":"a0000000-0000-0000-0000-00000000000f","email":"zoe@example.com","first_name":"Zoë","joined":"2019-06-06T07:30:00Z","last_name":"Åse","level":12.5,"office":"Zürich","on":true,"tags":["é"]}`
	for _, record := range []dirsync.Attributes{
		attrs("givenName", `"Zoë"`, "surname", `"Åse"`, "mail", `"zoe@example.com"`, "officeLocation", `"Zürich"`, "manager", `"a0000000-0000-0000-0000-00000000000f"`,
			"employeeHireDate", `"2019-06-06T07:30:00Z"`, "level", `12.5`, "accountEnabled", `true`, "proxyAddresses", `["é"]`),
		attrs("givenName", `" Zoe\u0308\u200b"`, "surname", `"\u212bse "`, "mail", `"zoe@EXAMPLE.com "`, "officeLocation", `"zu\u0308RICH"`, "manager", `"A0000000-0000-0000-0000-00000000000F"`,
			"employeeHireDate", `"2019-06-06T09:30:00.000+02:00"`, "level", `"1.250e1"`, "accountEnabled", `"True"`, "proxyAddresses", `[" e\u0301 ",null]`),
	} {
		if got := render(m.Map("1", record)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	m := compile(t, append(threeFields(), Spec{Field: "x", Expr: `user.givenName + " " + user.surname`}, Spec{Field: "y", Entra: `Join(" ", [givenName], [surname])`}),
		`user.surname matches "^L"`, dirsync.Field{Name: "x", Type: dirsync.Text}, dirsync.Field{Name: "y", Type: dirsync.Text})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				name := fmt.Sprintf("N%d-%d", g, i)
				r := m.Map("1", attrs("givenName", `"`+name+`"`, "surname", `"L"`, "mail", `"a@b.co"`))
				want := `{"email":"a@b.co","first_name":"` + name + `","last_name":"L","x":"` + name + ` L","y":"` + name + ` L"}`
				if got := render(r); got != want {
					t.Errorf("got %s, want %s", got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestTrace(t *testing.T) {
	m := compile(t, append(threeFields(), Spec{Field: "x", Expr: `user.department ?? user.officeLocation`, SyncUpdates: pointer(false)},
		Spec{Field: "y", Entra: `Redact([managerName])`}, Spec{Field: "z", From: "managerName", WhenNull: "keep"}), `user.accountEnabled`,
		dirsync.Field{Name: "x", Label: "Department", Type: dirsync.Text}, dirsync.Field{Name: "y", Type: dirsync.Text}, dirsync.Field{Name: "z", Type: dirsync.Text})
	got, err := json.MarshalIndent(m.Trace("1", attrs("givenName", `"Ada"`, "surname", `null`, "mail", `"a@b.co"`, "accountEnabled", `true`, "officeLocation", `"B1"`)), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `[
 {"field":"where","form":"expr","expression":"user.accountEnabled","input":[{"property":"accountEnabled","raw":true}],"output":true},
 {"field":"email","label":"Email","form":"from","expression":"mail","input":[{"property":"mail","raw":"a@b.co"}],"output":"a@b.co"},
 {"field":"first_name","label":"First name","form":"from","expression":"givenName","input":[{"property":"givenName","raw":"Ada"}],"output":"Ada"},
 {"field":"last_name","label":"Last name","form":"from","expression":"surname","input":[{"property":"surname","raw":null}],"output":null,"fault":{"Field":"last_name","Value":"","Reason":"is required, but surname is empty"}},
 {"field":"x","label":"Department","form":"expr","expression":"user.department ?? user.officeLocation","input":[{"property":"department","raw":null},{"property":"officeLocation","raw":"B1"}],"output":"B1","create_only":true},
 {"field":"y","form":"entra","expression":"Redact([managerName])","input":[{"property":"managerName","raw":"[Redact]"}],"output":null},
 {"field":"z","form":"from","expression":"managerName","input":[{"property":"managerName","raw":null}],"output":null,"kept":true}
]`
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("got %s", got)
	}
}

// TestRedact shows that a value that an expression hides comes out nowhere but in the values themselves.
func TestRedact(t *testing.T) {
	const secret = "s3cret-value"
	for _, e := range []string{`Redact([managerName])`, `Append(Redact([managerName]), "!")`, `FormatDateTime(Redact([managerName]), , "yyyy-MM-dd", "yyyy")`, `Item(Redact([managerName]), 0)`} {
		for _, typ := range []dirsync.Type{dirsync.Text, dirsync.Email, dirsync.Date, dirsync.Number} {
			m := compile(t, append(constants(), Spec{Field: "x", Entra: e}), "", dirsync.Field{Name: "x", Type: typ})
			record := attrs("managerName", `"`+secret+`"`)
			r := m.Map("1", record)
			pv := m.NewPreview()
			pv.Add("1", record)
			out, err := json.Marshal([]any{r.Faults, m.Trace("1", record), pv})
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(out), "s3cret") {
				t.Errorf("%s as %s shows the value: %s", e, typ, out)
			}
		}
	}
}

// recorded are the people of a public demonstration tenant.
func recorded(t *testing.T) []dirsync.Record {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "shared", "data", "graph-explorer-users.json"))
	if err != nil {
		t.Skip("the recorded people are not here:", err)
	}
	var page struct{ Value []map[string]json.RawMessage }
	if err := json.Unmarshal(raw, &page); err != nil {
		t.Fatal(err)
	}
	var out []dirsync.Record
	for _, u := range page.Value {
		var r dirsync.Record
		for name, v := range u {
			var compact strings.Builder
			enc := json.NewEncoder(&compact)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(v); err != nil {
				t.Fatal(err)
			}
			r.Attrs = append(r.Attrs, dirsync.Attribute{Name: name, Raw: json.RawMessage(strings.TrimSpace(compact.String()))})
		}
		r.Attrs = dirsync.NewAttributes(r.Attrs)
		r.ID = dirsync.ID(r.Attrs.Text("id"))
		out = append(out, r)
	}
	return out
}

// TestRecordedPeople maps the people of a real tenant: conference rooms have no names, everybody else is fine.
func TestRecordedPeople(t *testing.T) {
	people := recorded(t)
	m := compile(t, append(threeFields(), Spec{Field: "phone", Entra: `Item([businessPhones], 1)`, Format: "US"}), "", dirsync.Field{Name: "phone", Type: dirsync.Phone})
	pv := m.NewPreview()
	for _, p := range people {
		pv.Add(p.ID, p.Attrs)
	}
	if pv.People != 32 || pv.Wrong != 7 || pv.OutOfScope != 0 {
		t.Errorf("got %d people, %d wrong, %d out of scope", pv.People, pv.Wrong, pv.OutOfScope)
	}
	for _, f := range pv.Fields {
		if f.Set+f.Empty+f.Wrong != pv.People || len(f.SetSamples) > 3 || len(f.WrongSamples) > 3 || len(f.ConvertedSamples) > 3 {
			t.Errorf("%s: %d set, %d empty, %d wrong of %d", f.Field, f.Set, f.Empty, f.Wrong, pv.People)
		}
		if f.Field == "first_name" && f.Wrong != 7 {
			t.Errorf("first_name: got %d wrong", f.Wrong)
		}
		t.Logf("%s: %d set (%d converted), %d empty, %d wrong %v", f.Field, f.Set, f.Converted, f.Empty, f.Wrong, f.WrongSamples)
	}
}

func TestPreview(t *testing.T) {
	m := compile(t, append(threeFields(), Spec{Field: "joined", From: "managerName", Format: "DD/MM/YYYY", Default: pointer("01/01/2000")},
		Spec{Field: "note", From: "department", WhenNull: "keep"}), `user.accountEnabled`,
		dirsync.Field{Name: "joined", Type: dirsync.Date}, dirsync.Field{Name: "note", Type: dirsync.Text})
	pv := m.NewPreview()
	for i, joined := range []string{`"06/06/2019"`, `"June sixth"`, `null`, `"31/02/2019"`, `"1/1/20"`, `"June"`} {
		pv.Add(dirsync.ID(fmt.Sprint(i)), attrs("givenName", `"A"`, "surname", `"L"`, "mail", `"a@B.co"`, "accountEnabled", `true`, "managerName", joined))
	}
	pv.Add("out", attrs("accountEnabled", `false`))
	pv.Add("odd", attrs())
	if pv.People != 8 || pv.OutOfScope != 1 || pv.Wrong != 5 || pv.Where.Wrong != 1 || pv.Where.Set != 6 {
		t.Errorf("got %+v, where %+v", pv, pv.Where)
	}
	joined := pv.Fields[slices.IndexFunc(pv.Fields, func(f FieldPreview) bool { return f.Field == "joined" })]
	if joined.Set != 2 || joined.Converted != 1 || joined.Defaulted != 1 || joined.Wrong != 4 || joined.Empty != 0 {
		t.Errorf("got %+v", joined)
	}
	if got, want := fmt.Sprint(joined.WrongSamples), `[{1 June sixth  is not a date in the form DD/MM/YYYY} {3 31/02/2019  is not a date in the form DD/MM/YYYY} {4 1/1/20  is not a date in the form DD/MM/YYYY}]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := fmt.Sprint(joined.ConvertedSamples), `[{0 06/06/2019 2019-06-06 }]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	note := pv.Fields[slices.IndexFunc(pv.Fields, func(f FieldPreview) bool { return f.Field == "note" })]
	if note.Empty != 6 || note.Kept != 6 || len(note.EmptySamples) != 3 {
		t.Errorf("got %+v", note)
	}
	// However many people there are, it stays small.
	for i := range 5000 {
		pv.Add(dirsync.ID(fmt.Sprint(i)), attrs("accountEnabled", `true`, "givenName", `"`+strings.Repeat("x", 1000)+`"`))
	}
	out, err := json.Marshal(pv)
	if err != nil || len(out) > 10_000 {
		t.Errorf("the preview has grown to %d bytes, %v", len(out), err)
	}
}

// with is a target that has these fields beside those that every application has.
func with(fields ...dirsync.Field) []dirsync.Field {
	own := func(f dirsync.Field) bool {
		return slices.ContainsFunc(fields, func(g dirsync.Field) bool { return g.Name == f.Name })
	}
	return append(slices.DeleteFunc(Mandatory(), own), fields...)
}
