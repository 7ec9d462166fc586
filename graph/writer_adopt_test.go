package graph_test

import (
	"encoding/json"
	"strconv"
	"testing"

	"dirsync"
	"dirsync/graph/graphtest"
)

// Somebody whom the tenant's own administrators have blocked is not let in again because an account is matched, unless who
// may sign in is this sync's business.
func TestAdoptedAccountStaysBlocked(t *testing.T) {
	for _, ours := range []bool{false, true} {
		w := inProcess(t, writable())
		id := w.Add(graphtest.User{"displayName": "Ann", "userPrincipalName": "ann@a.example", "accountEnabled": false})[0]
		cfg := writing()
		cfg.AllowBlock = ours
		values := dirsync.Values{}.Set("displayName", dirsync.Value{Type: dirsync.Text, Text: "Ann"}).
			Set("userPrincipalName", dirsync.Value{Type: dirsync.Email, Text: "ann@a.example"})
		a, err := writer(t, w.client, cfg).Apply(t.Context(), dirsync.Change{Kind: dirsync.Create, Person: person(1), Account: id, After: values})
		if err != nil || a.ID != id || a.Active != ours {
			t.Errorf("blocking is ours %v: got %+v, %v", ours, a, err)
		}
		if got, _ := w.User(id); string(got["accountEnabled"].(json.RawMessage)) != strconv.FormatBool(ours) {
			t.Errorf("blocking is ours %v: the tenant has accountEnabled %v", ours, got)
		}
	}
}
