package graphtest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"dirsync/graph/graphtest"
)

// Lists of a range of names hold whom the range holds, whether they are looked for among all or not, while people come,
// go and change their names.
func TestListsOfRanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{ListPage: 7}}
	tenant.Generate(100, 1)
	tenant.Add(graphtest.User{"userPrincipalName": "B@contoso.com"}, graphtest.User{"userPrincipalName": "m", "displayName": "é"}, graphtest.User{"userPrincipalName": "Émile@contoso.com"})
	c := connect(t, tenant)
	limit := func() string { return []string{"", "b", "M", "m", "p", "z", "é", "anna", "'"}[r.IntN(9)] }
	quoted := func(s string) string {
		if s == "'" {
			s = "''"
		}
		return "'" + s + "'"
	}
	for range 300 {
		low, high := limit(), limit()
		var filter string
		switch {
		case r.IntN(4) == 0:
			filter = "userPrincipalName ge " + quoted(low) + " or userPrincipalName le " + quoted(high)
		case r.IntN(4) == 0:
			filter = "userPrincipalName ge " + quoted(low) + " and startswith(displayName, 'a')"
		default:
			filter = "userPrincipalName ge " + quoted(low) + " and userPrincipalName le " + quoted(high)
		}
		got, _, _ := c.listed(users("$filter", filter, "$select", "id"), "id")
		again, _, _ := c.listed(users("$filter", filter, "$select", "id"), "id")
		c.headers = eventually() // in an order that was asked for, everybody is looked at
		slow, _, _ := c.listed(users("$filter", "("+filter+")", "$select", "id", "$orderby", "userPrincipalName", "$count", "true"), "id")
		c.headers = nil
		if slices.Sort(slow); !slices.Equal(got, again) {
			t.Errorf("%s: got %d people and then %d", filter, len(got), len(again))
		}
		if slices.Sort(again); !slices.Equal(again, slow) {
			t.Errorf("%s: got %v, want %v", filter, again, slow)
		}
		if r.IntN(3) > 0 {
			continue
		}
		ids := tenant.IDs()
		switch id := ids[r.IntN(len(ids))]; r.IntN(3) {
		case 0:
			tenant.Delete(id)
		case 1:
			tenant.Add(graphtest.User{"displayName": "Anna"})
		default:
			tenant.Update(id, map[string]any{"userPrincipalName": fmt.Sprintf("%c%d@contoso.com", 'a'+rune(r.IntN(26)), r.IntN(1000))})
		}
	}
}
