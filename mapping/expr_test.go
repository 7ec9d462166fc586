package mapping

import (
	"strings"
	"testing"

	"dirsync"
)

// exprSource is what the expressions of the tests may read.
var exprSource = []dirsync.Field{
	{Name: "givenName", Type: dirsync.Text},
	{Name: "surname", Type: dirsync.Text},
	{Name: "mail", Type: dirsync.Email},
	{Name: "userPrincipalName", Type: dirsync.Text},
	{Name: "department", Label: "Department", Type: dirsync.Text},
	{Name: "managerName", Label: "Manager name", Type: dirsync.Text},
	{Name: "manager", Label: "Manager", Type: dirsync.Reference},
	{Name: "sponsor", Type: dirsync.Reference},
	{Name: "accountEnabled", Type: dirsync.Boolean},
	{Name: "level", Type: dirsync.Number},
	{Name: "employeeHireDate", Label: "Hire date", Type: dirsync.DateTime},
	{Name: "birthDay", Type: dirsync.Date},
	{Name: "proxyAddresses", Type: dirsync.TextList},
	{Name: "businessPhones", Type: dirsync.TextList},
	{Name: "employeeOrgData/division", Type: dirsync.Text},
	{Name: "officeLocation", Type: dirsync.Text},
	{Name: "hireDate", Type: dirsync.DateTime, Refused: "it is kept outside the directory, and its changes cannot be followed; use employeeHireDate"},
}

// constants fill the three fields that must be mapped.
func constants() []Spec {
	text := func(s string) *string { return &s }
	return []Spec{{Field: "first_name", Value: text("Ada")}, {Field: "last_name", Value: text("Lovelace")}, {Field: "email", Value: text("ada@example.com")}}
}

// one writes what came of one field.
func one(r Result, field string) string {
	if len(r.Faults) > 0 {
		return "fault: " + r.Faults[0].Reason
	}
	v, ok := r.Values.Get(field)
	if !ok {
		return "left"
	}
	b, err := v.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// outcome maps one field of one record, beside the three that must be mapped, and writes what came of it.
func outcome(t testing.TB, f dirsync.Field, s Spec, record dirsync.Attributes) string {
	t.Helper()
	s.Field = f.Name
	m, problems := Compile(append([]Spec{s}, constants()...), Expression{}, exprSource, with(f))
	if len(problems) > 0 {
		return "problem: " + problems[0].String()
	}
	return one(m.Map("a0000000-0000-0000-0000-000000000001", record), f.Name)
}

func TestExpressions(t *testing.T) {
	ada := attrs("givenName", `"Ada"`, "surname", `"Lovelace"`, "userPrincipalName", `"ada@contoso.com"`, "department", `null`,
		"accountEnabled", `true`, "level", `7`, "employeeHireDate", `"2019-06-06T00:00:00Z"`,
		"proxyAddresses", `["SMTP:ada@contoso.com","smtp:a.l@contoso.com"]`, "employeeOrgData", `{"division":"Engines"}`)
	text, number := dirsync.Field{Name: "x", Type: dirsync.Text}, dirsync.Field{Name: "x", Type: dirsync.Number}
	boolean, date := dirsync.Field{Name: "x", Type: dirsync.Boolean}, dirsync.Field{Name: "x", Type: dirsync.Date}
	list := dirsync.Field{Name: "x", Type: dirsync.TextList}
	for _, tc := range []struct {
		field dirsync.Field
		expr  string
		want  string
	}{
		{text, `user.mail ?? user.userPrincipalName`, `"ada@contoso.com"`},
		{text, `user.department ?? "None"`, `"None"`},
		{text, `(user.department ?? user.mail) ?? "None"`, `"None"`},
		{text, `user.department`, `null`},
		{text, `user.givenName + " " + user.surname`, `"Ada Lovelace"`},
		{text, `user.givenName + user.department`, `fault: cannot be worked out, because department is empty`},
		{text, `user.employeeOrgData.division`, `"Engines"`},
		{text, `user["employeeOrgData"].division`, `"Engines"`},
		{text, `user?.givenName`, `"Ada"`},
		{text, `user.accountEnabled ? "yes" : "no"`, `"yes"`},
		{text, `user.accountEnabled ? user.mail : "no"`, `null`},
		{text, `if user.level > 5 { "senior" } else { "junior" }`, `"senior"`},
		{text, `let n = user.givenName; lower(n) + "." + lower(user.surname)`, `"ada.lovelace"`},
		{text, `user.givenName | lower() | left(2)`, `"ad"`},
		{text, `lower(user.department)`, `null`},
		{text, `lower(user.department) ?? "none"`, `"none"`},
		{text, `split(user.userPrincipalName, "@")[0]`, `"ada"`},
		{text, `split(user.userPrincipalName, "@")[7]`, `fault: cannot be worked out: index out of range: 7 (array length is 2)`},
		{text, `first(filter(user.proxyAddresses, # startsWith "SMTP:")) | trimPrefix("SMTP:")`, `"ada@contoso.com"`},
		{text, `find(user.proxyAddresses, # matches "^smtp:a[.]")`, `"smtp:a.l@contoso.com"`},
		{text, `user.proxyAddresses[1]`, `"smtp:a.l@contoso.com"`},
		{text, `join(map(user.proxyAddresses, lower(#)), ";")`, `"smtp:ada@contoso.com;smtp:a.l@contoso.com"`},
		{text, `replace(user.userPrincipalName, "contoso", "example")`, `"ada@example.com"`},
		{text, `format(user.employeeHireDate, "DD/MM/YYYY")`, `"06/06/2019"`},
		{text, `string(user.level) + "!"`, `"7!"`},
		{text, `right(user.surname, 4) + mid(user.surname, 2, 3)`, `"laceove"`},
		{text, `capitalize(upper(user.surname)) + ascii("Ærøskøbing Łódź")`, `"LovelaceAEroeskoebing Lodz"`},
		{text, `user.department == nil ? "a" : "b"`, `"a"`},
		{text, `user.department == "x" ? "a" : "b"`, `"b"`},
		{text, `user.department in ["x", "y"] ? "a" : "b"`, `"b"`},
		{text, `user.level in [7, 8] ? "a" : "b"`, `"a"`},
		{text, `"x" in user.proxyAddresses ? "a" : "b"`, `"b"`},
		{text, `user.department startsWith "S" ? "a" : "b"`, `"b"`},
		{text, `not (user.department startsWith "S") ? "a" : "b"`, `"a"`},
		{text, `user.employeeHireDate < date("2020-01-01") ? "old" : "new"`, `"old"`},
		{text, `user.employeeHireDate == date("2019-06-06") and user.level == 7 and user.level != 7.5 ? "a" : "b"`, `"a"`},
		{text, `user.level not in [1, 2] and "smtp:a.l@contoso.com" in user.proxyAddresses ? "a" : "b"`, `"a"`},
		{text, `user?.employeeOrgData?.division`, `"Engines"`},
		{text, `user.manager ?? "none"`, `"none"`},
		{number, `user.level * 1.5`, `10.5`},
		{number, `len(user.surname) + len(user.proxyAddresses) + len(user.department)`, `10`},
		{number, `number("12.50") / 2`, `6.25`},
		{number, `user.level / 0`, `fault: cannot be worked out: the result is no number that can be written, as after a division by zero`},
		{number, `count(user.proxyAddresses, # contains "a.l")`, `1`},
		{boolean, `user.accountEnabled and not (user.department == "x")`, `true`},
		{boolean, `any(user.proxyAddresses, # == "none")`, `false`},
		{date, `user.employeeHireDate`, `"2019-06-06"`},
		{date, `addDays(user.employeeHireDate, 30)`, `"2019-07-06"`},
		{date, `date("06/06/2019", "DD/MM/YYYY")`, `"2019-06-06"`},
		{date, `date(user.surname, "DD/MM/YYYY")`, `fault: cannot be worked out: "Lovelace" is not a date in the form DD/MM/YYYY`},
		{list, `filter(user.proxyAddresses, not (# contains "a.l"))`, `["SMTP:ada@contoso.com"]`},
		{list, `[user.givenName, user.department, "x"]`, `["Ada","x"]`},
		{list, `split("a;b", ";")`, `["a","b"]`},
	} {
		if got := outcome(t, tc.field, Spec{Expr: tc.expr}, ada); got != tc.want {
			t.Errorf("%s\ngot  %s\nwant %s", tc.expr, got, tc.want)
		}
	}
}

func TestHostileExpressions(t *testing.T) {
	big := `"` + strings.Repeat("a", 60000) + `"`
	var entries []string
	for range 1000 {
		entries = append(entries, `"`+strings.Repeat("a", 50)+`"`)
	}
	record := attrs("givenName", big, "surname", `"x"`, "proxyAddresses", "["+strings.Join(entries, ",")+"]", "level", `1e300`)
	for _, e := range []string{
		`let a = user.givenName + user.givenName; let b = a + a; let c = b + b; c + c`,
		`replace(replace(user.givenName, "a", user.givenName), "a", user.givenName)`,
		`join(map(user.proxyAddresses, user.givenName), user.givenName)`,
		`count(user.proxyAddresses, user.givenName matches "(a*)*(a*)*b") == 1 ? "x" : "y"`,
		`count(user.proxyAddresses, user.givenName + # contains "aab") == 1 ? "x" : "y"`,
		`string(user.level ** user.level)`,
		`left(user.surname, user.level)`,
		`string(addDays(date("2019-01-01"), 1e9))`,
	} {
		got := outcome(t, dirsync.Field{Name: "x", Type: dirsync.Text}, Spec{Expr: e}, record)
		t.Logf("%.60s -> %.100s", e, got)
		if !strings.HasPrefix(got, "fault: ") && len(got) > maxResult+2 {
			t.Errorf("%s gives %d bytes", e, len(got))
		}
	}
}
