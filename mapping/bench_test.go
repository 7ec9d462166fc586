//go:build unix

package mapping

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"dirsync"
)

// crowd makes records as Graph delivers them.
func crowd(n int) []dirsync.Attributes {
	out := make([]dirsync.Attributes, n)
	for i := range out {
		out[i] = attrs(
			"givenName", fmt.Sprintf(`"Given%d"`, i), "surname", fmt.Sprintf(`"Sur%d"`, i), "mail", fmt.Sprintf(`"User.%d@Contoso.com"`, i),
			"userPrincipalName", fmt.Sprintf(`"user%d@contoso.com"`, i), "department", `"Research and development"`, "officeLocation", `"18/2111"`,
			"accountEnabled", `true`, "level", `7`, "employeeHireDate", `"2019-06-06T00:00:00Z"`, "birthDay", `"1990-01-31"`,
			"manager", `"A0000000-0000-0000-0000-000000000001"`, "proxyAddresses", `["SMTP:a@contoso.com","smtp:b@contoso.com"]`)
	}
	return out
}

func benchmark(b *testing.B, specs []Spec, where string, target []dirsync.Field) {
	m, problems := Compile(specs, Expression{Text: where}, exprSource, with(target...))
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	people := crowd(1000)
	b.ReportAllocs()
	i, before := 0, cpu()
	for b.Loop() {
		if r := m.Map("a0000000-0000-0000-0000-000000000001", people[i%len(people)]); len(r.Faults) > 0 {
			b.Fatal(r.Faults)
		}
		i++
	}
	b.ReportMetric(float64(b.N)/(cpu()-before).Seconds(), "people/cpu-s")
}

// cpu is the processor time that this process has used, which other work on the machine does not change.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkDirect6(b *testing.B) {
	benchmark(b, []Spec{
		{Field: "first_name", From: "givenName"}, {Field: "last_name", From: "surname"}, {Field: "email", From: "mail"},
		{Field: "department", From: "department"}, {Field: "office", From: "officeLocation"}, {Field: "joined", From: "employeeHireDate"},
	}, "", []dirsync.Field{{Name: "department", Type: dirsync.Text}, {Name: "office", Type: dirsync.Text}, {Name: "joined", Type: dirsync.Date}})
}

var tenFields = []dirsync.Field{
	{Name: "department", Type: dirsync.Text}, {Name: "office", Type: dirsync.Text}, {Name: "joined", Type: dirsync.Date},
	{Name: "manager", Type: dirsync.Reference}, {Name: "level", Type: dirsync.Number}, {Name: "active", Type: dirsync.Boolean},
	{Name: "display", Type: dirsync.Text},
}

func BenchmarkTenFieldsTwoExpressions(b *testing.B) {
	benchmark(b, []Spec{
		{Field: "first_name", From: "givenName"}, {Field: "last_name", From: "surname"}, {Field: "email", Expr: "user.mail ?? user.userPrincipalName"},
		{Field: "department", From: "department"}, {Field: "office", From: "officeLocation"}, {Field: "joined", From: "employeeHireDate"},
		{Field: "manager", From: "manager"}, {Field: "level", From: "level"}, {Field: "active", From: "accountEnabled"},
		{Field: "display", Expr: `user.givenName + " " + user.surname`},
	}, "", tenFields)
}

func BenchmarkTenFieldsTwoEntra(b *testing.B) {
	benchmark(b, []Spec{
		{Field: "first_name", From: "givenName"}, {Field: "last_name", From: "surname"}, {Field: "email", Entra: "Coalesce([mail], [userPrincipalName])"},
		{Field: "department", From: "department"}, {Field: "office", Entra: `Switch([officeLocation], "Redmond", "18/2111", "Redmond", "B1", "Berlin")`},
		{Field: "joined", From: "employeeHireDate"}, {Field: "manager", From: "manager"}, {Field: "level", From: "level"},
		{Field: "active", From: "accountEnabled"}, {Field: "display", From: "surname"},
	}, "", tenFields)
}

func BenchmarkWhere(b *testing.B) {
	benchmark(b, constants(), `user.accountEnabled and user.department startsWith "Res"`, nil)
}

func BenchmarkPhone(b *testing.B) {
	c := converter{field: dirsync.Field{Type: dirsync.Phone}}
	in := textInput("+1 425 555 0109")
	b.ReportAllocs()
	for b.Loop() {
		if _, reason := c.value(&in); reason != "" {
			b.Fatal(reason)
		}
	}
}
