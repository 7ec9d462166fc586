package graph_test

import (
	"slices"
	"testing"

	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// Whoever is told by mail through Graph learns beforehand that the permission is missing; RBAC for applications in Exchange
// grants it without the token saying so, so it stops nothing.
func TestCheckAsksForMail(t *testing.T) {
	for _, granted := range []bool{false, true} {
		tenant := &graphtest.Tenant{}
		if granted {
			tenant.Roles = []string{"User.Read.All", "Organization.Read.All", graph.MailPermission}
		}
		w := inProcess(t, tenant)
		w.Add(graphtest.User{})
		r, err := w.client.CheckFor(t.Context(), graph.Needs{Mail: true})
		if missing := slices.Contains(r.Missing, graph.MailPermission); err != nil || missing == granted {
			t.Errorf("granted %v: got missing %q, %v", granted, r.Missing, err)
		}
	}
	if got := (graph.Needs{Mail: true}).Permissions(); !slices.Contains(got, graph.MailPermission) {
		t.Errorf("needed: %q", got)
	}
}
