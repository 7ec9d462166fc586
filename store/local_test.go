package store_test

import (
	"context"
	"fmt"
	"testing"

	"dirsync"
)

// TestDirectoryOfOwnPeople: an administrator edits accounts that belong to no sync, and those that do, by their ids.
func TestDirectoryOfOwnPeople(t *testing.T) {
	ctx := context.Background()
	_, d := directory(t, "synced")
	var own string
	for _, step := range []struct {
		what string
		c    dirsync.Change
		kind dirsync.ErrorKind
		want string // status, source and address of the account
	}{
		{"make", dirsync.Change{Kind: dirsync.Create, After: who("own", "own")}, 0, "true  own@a.example"},
		{"make again", dirsync.Change{Kind: dirsync.Create, After: who("own", "own")}, dirsync.Conflict, ""},
		{"make another", dirsync.Change{Kind: dirsync.Create, After: who("b", "b")}, 0, "true  b@a.example"},
		{"without an address", dirsync.Change{Kind: dirsync.Create, After: who("c", "c")[1:]}, dirsync.Invalid, ""},
		{"edit", dirsync.Change{Kind: dirsync.Update, Account: "own", After: mail("new")}, 0, "true  new@a.example"},
		{"take an address", dirsync.Change{Kind: dirsync.Update, Account: "own", After: mail("synced")}, dirsync.Conflict, ""},
		{"deactivate", dirsync.Change{Kind: dirsync.Deactivate, Account: "own"}, 0, "false  new@a.example"},
		{"reactivate", dirsync.Change{Kind: dirsync.Reactivate, Account: "own"}, 0, "true  new@a.example"},
		{"delete", dirsync.Change{Kind: dirsync.Delete, Account: "own"}, 0, ""},
		{"delete again", dirsync.Change{Kind: dirsync.Delete, Account: "own"}, 0, ""},
		{"edit who is gone", dirsync.Change{Kind: dirsync.Update, Account: "own", After: mail("x")}, dirsync.NotFound, ""},
		{"bring back", dirsync.Change{Kind: dirsync.Create, Account: "own"}, 0, "true  new@a.example"},
		{"nobody", dirsync.Change{Kind: dirsync.Update, After: mail("x")}, dirsync.NotFound, ""},
		{"delete nobody", dirsync.Change{Kind: dirsync.Delete}, 0, ""},
		{"edit what a sync has made", dirsync.Change{Kind: dirsync.Update, Account: "u00000001", After: mail("s2")}, 0, "true synced s2@a.example"},
		{"take what a sync has made", dirsync.Change{Kind: dirsync.Create, Account: "u00000001"}, dirsync.Conflict, ""},
		{"join own to a person", dirsync.Change{Kind: dirsync.Create, Account: "own", Person: "p"}, 0, "true p new@a.example"},
	} {
		if step.c.Account == "own" {
			step.c.Account = own
		}
		a, err := d.Apply(ctx, step.c)
		if dirsync.KindOf(err) != step.kind || (err == nil) != (step.kind == 0) {
			t.Fatalf("%s: got %v, want kind %v", step.what, err, step.kind)
		}
		got := ""
		if a.ID != "" {
			v, _ := a.Values.Get(dirsync.EmailAddress)
			got = fmt.Sprint(a.Active, " ", a.Source, " ", v.Text)
		}
		if got != step.want {
			t.Errorf("%s: got %q, want %q", step.what, got, step.want)
		}
		if step.what == "make" {
			own = a.ID
		}
	}
	// All of them at once: people without a source id are not one and the same.
	changes := []dirsync.Change{
		{Kind: dirsync.Create, After: who("x", "x")}, {Kind: dirsync.Create, After: who("y", "y")},
		{Kind: dirsync.Delete, Account: "u00000003"}, {Kind: dirsync.Deactivate, Account: own},
	}
	var failed []error
	for _, r := range d.ApplyAll(ctx, changes) {
		if r.Err != nil {
			failed = append(failed, r.Err)
		}
	}
	if n, err := d.Count(ctx); n != 4 || err != nil || len(failed) > 0 {
		t.Errorf("got %d accounts and %v, %v", n, err, failed)
	}
}
