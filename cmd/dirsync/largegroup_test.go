package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

// One change in a group of fifty thousand costs one page of the groups' delta query and one of the users', and one person
// is planned and changed: not the group is what a run costs, but what has happened in it.
func TestLargeGroupCostsOne(t *testing.T) {
	if testing.Short() {
		t.Skip("makes fifty thousand people")
	}
	const size = 50_000
	tenant, config := newTenant(t, 0)
	people := make([]graphtest.User, size)
	for i := range people {
		mail := fmt.Sprintf("p%d@contoso.com", i)
		people[i] = graphtest.User{"givenName": "P", "surname": strconv.Itoa(i), "mail": mail, "userPrincipalName": mail}
	}
	ids := tenant.Add(people...)
	tenant.Set(func(t *graphtest.Tenant) {
		t.Roles = []string{"User.Read.All", "Organization.Read.All", "GroupMember.Read.All"}
	})
	everybody := tenant.AddGroup(graphtest.Group{"displayName": "Everybody"})[0]
	tenant.AddMembers(everybody, ids...)
	chooseGroups(t, config, everybody)
	if out, errs, code := run(t, "run", "-c", config); code != 0 {
		t.Fatalf("the first run: exit %d\n%s%s", code, out, errs)
	}
	id := ids[777]
	for _, step := range []struct {
		name, outcome string
		change        func()
	}{
		{"somebody leaves", "deactivated", func() { tenant.RemoveMembers(everybody, id) }},
		{"and joins again", "reactivated", func() { tenant.AddMembers(everybody, id) }},
	} {
		step.change()
		tenant.ResetRequests()
		out, errs, _ := run(t, "run", "-c", config, "-o", "json")
		var runs struct{ Runs []map[string]any }
		if err := json.Unmarshal([]byte(out), &runs); err != nil || len(runs.Runs) != 1 {
			t.Fatalf("%s: %v\n%s%s", step.name, err, out, errs)
		}
		for _, what := range []string{"created", "updated", "deactivated", "reactivated", "deleted", "failed", "held"} {
			want := 0.0
			if what == step.outcome {
				want = 1
			}
			if got := runs.Runs[0][what]; got != want {
				t.Errorf("%s: %v %s, want %v", step.name, got, what, want)
			}
		}
		// Besides the two pages only the tenant is verified.
		if n := tenant.Requests(); n.GroupDelta != 1 || n.Delta != 1 || n.Graph() != 2+n.Organization {
			t.Errorf("%s: it cost %+v", step.name, n)
		}
	}
	// The same, asked for beforehand: one person is planned.
	tenant.RemoveMembers(everybody, id)
	out, errs, _ := run(t, "plan", "-c", config)
	if !regexp.MustCompile(`(?m)^staff: (0 changes of groups and )?1 (change|of users) planned$`).MatchString(out) {
		t.Errorf("the plan: %s%s", out, errs)
	}
	if out, errs, _ = run(t, "run", "-c", config); !strings.Contains(errs, "planning: 1 of 1 ") {
		t.Errorf("more people were planned than one: %s%s", out, errs)
	}
}

// chooseGroups makes the configuration of newTenant one of the people of a group.
func chooseGroups(t testing.TB, config, group string) {
	t.Helper()
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	from := "from: { entra: contoso }"
	if strings.Count(string(b), from) != 1 {
		t.Fatalf("%s is not in\n%s", from, b)
	}
	b = []byte(strings.Replace(string(b), from, "from: { entra: contoso, users: { groups: ["+group+"] } }", 1))
	if err := os.WriteFile(config, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
