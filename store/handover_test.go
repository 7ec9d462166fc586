package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"dirsync"
	"dirsync/store"
)

// TestHandOver gives a directory from syncs to clients and back, twice each, as after a crash.
func TestHandOver(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "store.db")
	st, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := st.Directory(dirsync.Field{Name: "manager", Type: dirsync.Reference})
	if err != nil {
		t.Fatal(err)
	}
	guid := func(n int) dirsync.ID { return dirsync.ID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }
	const n = 1200 // more than two pages
	var changes []dirsync.Change
	for i := range n {
		changes = append(changes, dirsync.Change{Kind: dirsync.Create, Person: guid(i), After: dirsync.Values{
			{Field: "email", Value: dirsync.Value{Type: dirsync.Email, Text: fmt.Sprintf("p%d@contoso.com", i)}},
			{Field: "first_name", Value: dirsync.Value{Type: dirsync.Text, Text: "A"}}, {Field: "last_name", Value: dirsync.Value{Type: dirsync.Text, Text: "B"}},
			{Field: "manager", Value: dirsync.Value{Type: dirsync.Reference, Text: string(guid((i + 700) % (n + 1)))}}}})
	}
	for i, a := range d.ApplyAll(ctx, changes) {
		if a.Err != nil {
			t.Fatalf("%d: %v", i, a.Err)
		}
	}
	group, err := d.Groups().Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: "g-source", After: dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: "All"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Groups().Join(ctx, group.ID, "u00000001", "u00000002"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Deactivate, Person: guid(1)}); err != nil {
		t.Fatal(err)
	}
	own, err := d.CreateResource(ctx, dirsync.Resource{Kind: dirsync.KindUser, Name: "own", ExternalID: "mine", Active: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, external, source dirsync.ID) {
		t.Helper()
		seen := 0
		for after := ""; ; {
			page, err := d.Resources(ctx, dirsync.KindUser, after, 0, 500)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				if after = r.ID; r.ID == own.ID {
					if r.ExternalID != "mine" || r.Source != "" || r.Version != own.Version {
						t.Errorf("%s: %+v has changed", what, r)
					}
					continue
				}
				wantExternal, wantSource := guid(seen), guid(seen)
				if external == "" {
					wantExternal = ""
				}
				if source == "" {
					wantSource = ""
				}
				manager, _ := r.Values.Get("manager")
				want := fmt.Sprintf("u%08d", (seen+700)%(n+1)+1)
				if (seen+700)%(n+1) == n {
					want = string(guid(n)) // nobody has that id
				}
				if r.ExternalID != string(wantExternal) || r.Source != wantSource || manager.Text != want || r.Name != fmt.Sprintf("p%d@contoso.com", seen) ||
					r.Active != (seen != 1) || len(r.Emails) != 1 {
					t.Fatalf("%s: user %d is %+v", what, seen, r)
				}
				seen++
			}
			if len(page) < 500 {
				break
			}
		}
		if seen != n {
			t.Errorf("%s: got %d users, want %d", what, seen, n)
		}
		if size, err := d.CountMembers(ctx, group.ID); err != nil || size != 2 {
			t.Errorf("%s: got %d members, %v", what, size, err)
		}
	}
	for range 2 {
		if err := d.HandOver(ctx, true); err != nil {
			t.Fatal(err)
		}
		check("to clients", "x", "")
		found, err := d.FindResources(ctx, dirsync.KindUser, dirsync.ByExternalID, string(guid(7)), 2)
		if err != nil || len(found) != 1 || found[0].ID != "u00000008" {
			t.Fatalf("by external id: %+v, %v", found, err)
		}
		if _, err := d.Lookup(ctx, string(guid(7))); dirsync.KindOf(err) != dirsync.NotFound {
			t.Fatalf("by source id: %v", err)
		}
		if r, err := d.Resource(ctx, dirsync.KindGroup, group.ID); err != nil || r.ExternalID != "g-source" || r.Source != "" {
			t.Fatalf("the group: %+v, %v", r, err)
		}
	}
	// Clients may write now.
	_, err = d.EditResource(ctx, dirsync.KindUser, "u00000003", func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
		r.Display = "Changed"
		return dirsync.ResourceEdit{Resource: r}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.HandOver(ctx, false); err != nil {
			t.Fatal(err)
		}
		check("to syncs", "", "")
		if r, err := d.Resource(ctx, dirsync.KindGroup, group.ID); err != nil || r.ExternalID != "g-source" {
			t.Fatalf("an external id that is no object id: %+v, %v", r, err)
		}
	}
	// A sync joins whom it finds.
	a, err := d.Apply(ctx, dirsync.Change{Kind: dirsync.Create, Person: guid(7), Account: "u00000008", Join: "email", After: changes[7].After})
	if err != nil || a.ID != "u00000008" || a.Source != guid(7) {
		t.Fatalf("join: %+v, %v", a, err)
	}
	if found, err := st.Verify(ctx); err != nil || len(found) > 0 {
		t.Fatalf("verify: %v, %v", found, err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}
