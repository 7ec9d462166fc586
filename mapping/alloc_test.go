//go:build unix && !race

package mapping

import "testing"

// TestAllocations holds what one person may allocate, so that a million of them stay cheap. The race detector allocates
// on its own account, so that this is not for it.
func TestAllocations(t *testing.T) {
	record := crowd(1)[0]
	for _, tc := range []struct {
		name  string
		specs []Spec
		most  float64
	}{
		{"three properties", threeFields(), 7},
		{"with an expression", append(threeFields()[:2], Spec{Field: "email", Expr: "user.mail ?? user.userPrincipalName"}), 14},
		{"with one of Entra's", append(threeFields()[:2], Spec{Field: "email", Entra: "Coalesce([mail], [userPrincipalName])"}), 10},
	} {
		m := compile(t, tc.specs, "")
		got := testing.AllocsPerRun(200, func() {
			if r := m.Map("1", record); len(r.Faults) > 0 {
				t.Fatal(r.Faults)
			}
		})
		t.Logf("%s: %v allocations", tc.name, got)
		if got > tc.most {
			t.Errorf("%s: got %v allocations, want at most %v", tc.name, got, tc.most)
		}
	}
}
