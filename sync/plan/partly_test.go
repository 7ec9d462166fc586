package plan_test

import (
	"testing"
	"time"

	"dirsync"
	"dirsync/sync/plan"
)

// TestPartly: a change that does not write everything makes certain only what it has written.
func TestPartly(t *testing.T) {
	held := dirsync.Values{}.Set("department", dirsync.Value{Type: dirsync.Text, Text: "D5"})
	for _, tt := range []struct {
		before dirsync.ChangeKind
		kind   dirsync.ChangeKind
		want   dirsync.ChangeKind
	}{
		{0, dirsync.Reactivate, 0},
		{dirsync.Update, dirsync.Reactivate, dirsync.Update},
		{dirsync.Create, dirsync.Update, dirsync.Update},
		{dirsync.Deactivate, dirsync.Reactivate, 0},
		{dirsync.Update, dirsync.Delete, 0},
	} {
		before := dirsync.Link{Account: "a", Active: true, Held: held, Doubt: tt.before}
		settled := plan.Settle(before, dirsync.Change{Kind: tt.kind, Account: "a"}, dirsync.Account{ID: "a", Active: true}, time.Unix(0, 0))
		if got := plan.Partly(settled, before).Doubt; got != tt.want {
			t.Errorf("%v after %v in doubt: got %v, want %v", tt.kind, tt.before, got, tt.want)
		}
	}
}
