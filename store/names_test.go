package store_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

func TestNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dirsync.db")
	st, err := store.Open(path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	record := func(n int, name string) dirsync.Record {
		return dirsync.Record{ID: dirsync.ID(fmt.Sprint("person-", n)), Attrs: dirsync.Attributes{{Name: "userPrincipalName", Raw: []byte(`"` + name + `"`)}}}
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	y := st.Sync("staff")
	merge := func(records ...dirsync.Record) {
		t.Helper()
		if _, err := y.Merge(t.Context(), records, dirsync.ReadState{Round: 1}, now); err != nil {
			t.Fatal(err)
		}
	}
	want := func(name string, ids ...dirsync.ID) {
		t.Helper()
		people, err := y.Named(t.Context(), name)
		var got []dirsync.ID
		for _, p := range people {
			got = append(got, p.ID)
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("%s: got %v %v, want %v", name, got, err, ids)
		}
	}
	merge(record(1, "Ana@x.org"), record(2, "bo@x.org"))
	want("ANA@x.org", "person-1")
	merge(record(1, "anna@x.org"))
	want("ana@x.org")
	want("anna@x.org", "person-1")
	merge(record(1, "ana@x.org"), record(3, "anna@x.org"))
	want("ana@x.org", "person-1")
	want("anna@x.org", "person-3")
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if st, err = store.Open(path, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	y = st.Sync("staff")
	want("Ana@x.org", "person-1")
	if broken, err := st.Verify(t.Context()); err != nil || len(broken) > 0 {
		t.Errorf("verify: %v %v", broken, err)
	}
}
