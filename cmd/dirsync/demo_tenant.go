package main

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"dirsync"
	"dirsync/graph/graphtest"
)

// people fills the tenant.
func (d *demo) people(file string, users int) error {
	if file == "" {
		d.tenant.Generate(users, 1)
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return usageError("--tenant: %w", plainFileError(err))
	}
	defer func() { _ = f.Close() }()
	if _, err := d.tenant.Load(f); err != nil {
		return usageError("--tenant %s: %w", file, err)
	}
	return nil
}

// The groups of the simulated tenant, by the ids that they have in it. Sales Berlin is nested in Sales.
const (
	demoGroupSales   = "5a1e5000-0000-4000-8000-000000000001"
	demoGroupBerlin  = "5a1e5000-0000-4000-8000-000000000002"
	demoGroupSupport = "5a1e5000-0000-4000-8000-000000000003"
)

// groups makes groups of a few people, other ones than those to whom something happens in the week.
func (d *demo) groups() {
	d.tenant.AddGroup(
		graphtest.Group{"id": demoGroupSales, "displayName": "Sales", "description": "Whoever sells"},
		graphtest.Group{"id": demoGroupBerlin, "displayName": "Sales Berlin"},
		graphtest.Group{"id": demoGroupSupport, "displayName": "Support"},
	)
	for i, u := range d.inGroups() {
		d.tenant.AddMembers([]string{demoGroupSales, demoGroupBerlin, demoGroupSupport}[i%3], text(u, "id"))
	}
	d.tenant.AddMembers(demoGroupSales, demoGroupBerlin)
}

// inGroups are the people who are in groups, each third in the same one.
func (d *demo) inGroups() []graphtest.User {
	var first []graphtest.User
	for _, id := range d.tenant.IDs()[:min(300, len(d.tenant.IDs()))] {
		if u, ok := d.tenant.User(id); ok {
			first = append(first, u)
		}
	}
	people := slices.DeleteFunc(candidates(first), notLatin)
	return people[min(10, len(people)):min(31, len(people))]
}

// week makes in the tenant what a week makes in a company.
func (d *demo) week() error {
	users := candidates(d.tenant.Users())
	if latin := slices.DeleteFunc(slices.Clone(users), notLatin); len(latin) >= 8 {
		users = latin // easier to follow for most who watch; all scripts are in the directory anyway
	}
	if len(users) < 8 {
		return &dirsync.Error{Op: "demo", Kind: dirsync.Invalid, Err: errors.New("the tenant has fewer than eight people with names and mail"),
			Hint: "Add --once, or load a larger tenant."}
	}
	t := NewTable(d.style, "WHAT", "WHO", "HOW")
	domain := d.tenant.Identity().Domain
	for i, name := range [][2]string{{"Nadia", "Benali"}, {"Tomás", "Ó Briain"}} {
		upn := "hired" + strconv.Itoa(i+1) + "@" + domain
		d.tenant.Add(graphtest.User{"givenName": name[0], "surname": name[1], "displayName": name[0] + " " + name[1], "userPrincipalName": upn,
			"mail": upn, "department": "Sales", "jobTitle": "Consultant", "officeLocation": "B1"})
		t.Row("hired", name[0]+" "+name[1], upn)
	}
	change := func(i int, what, how string, props map[string]any) {
		d.tenant.Update(text(users[i], "id"), props)
		t.Row(what, text(users[i], "displayName"), how)
	}
	change(0, "renamed", "surname "+text(users[0], "surname")+" -> Fernández", map[string]any{"surname": "Fernández"})
	change(1, "moved", "department "+text(users[1], "department")+" -> Legal", map[string]any{"department": "Legal"})
	change(2, "moved office", "the mapping writes the office only once", map[string]any{"officeLocation": "Somewhere else"})
	change(3, "blocked", "may not sign in", map[string]any{"accountEnabled": false})
	change(4, "given bad data", "the first name is gone", map[string]any{"givenName": nil})
	d.tenant.Delete(text(users[5], "id"))
	t.Row("deleted", text(users[5], "displayName"), "can be restored for thirty days")
	d.tenant.Delete(text(users[6], "id"))
	d.tenant.Restore(text(users[6], "id"))
	t.Row("deleted and restored", text(users[6], "displayName"), "as if nothing had happened")
	d.weekOfGroups(t)
	if d.json() {
		return nil
	}
	return t.Write(d.stdout)
}

// weekOfGroups makes what a week makes in a company's groups.
func (d *demo) weekOfGroups(t *Table) {
	people := d.inGroups()
	if len(people) < 6 {
		return
	}
	leaver, joiner := people[0], people[2] // of Sales, and of Support
	d.tenant.RemoveMembers(demoGroupSales, text(leaver, "id"))
	t.Row("left a group", text(leaver, "displayName"), "Sales; is in no other chosen group")
	d.tenant.AddMembers(demoGroupBerlin, text(joiner, "id"))
	t.Row("joined a group", text(joiner, "displayName"), "Sales Berlin, and so Sales; is in Support, too")
	d.tenant.UpdateGroup(demoGroupSales, map[string]any{"displayName": "Sales and Marketing"})
	t.Row("group renamed", "Sales", "to Sales and Marketing; it is the same group by its id")
	d.tenant.DeleteGroup(demoGroupSupport)
	t.Row("group deleted", "Support", "its people are kept, and somebody has to decide")
}

// candidates are those people to whom the week can happen: complete, not blocked, and in the tenant's order.
func candidates(users []graphtest.User) []graphtest.User {
	seen := map[string]int{}
	for _, u := range users {
		seen[text(u, "mail")]++
	}
	var out []graphtest.User
	for _, u := range users {
		mail := text(u, "mail")
		if text(u, "givenName") != "" && text(u, "surname") != "" && mail != "" && seen[mail] == 1 && enabled(u) {
			out = append(out, u)
		}
	}
	return out
}

func text(u graphtest.User, name string) string {
	switch v := u[name].(type) {
	case string:
		return v
	case json.RawMessage:
		var s string
		if json.Unmarshal(v, &s) == nil {
			return s
		}
	}
	return ""
}

func notLatin(u graphtest.User) bool {
	return strings.ContainsFunc(text(u, "displayName"), func(r rune) bool { return unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) })
}

func enabled(u graphtest.User) bool {
	raw, _ := u["accountEnabled"].(json.RawMessage)
	return string(raw) != "false"
}
