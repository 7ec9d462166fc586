package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/mapping"
	"dirsync/store"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// TestRestoreOfAnOldBackup puts an old backup back while tenant and application have moved on: people have come, gone,
// been renamed, and been renamed there and back. A run that compares the application makes it right, whether the tenant
// still knows where the old reading stopped or not, and nobody is doubled, lost or given another account. Whoever came
// and went in between is nobody whom the backup or the tenant knows: their account is left as it was.
func TestRestoreOfAnOldBackup(t *testing.T) {
	for _, forgotten := range []bool{false, true} {
		t.Run(fmt.Sprint("forgotten ", forgotten), func(t *testing.T) { restoreOld(t, forgotten) })
	}
}

func restoreOld(t *testing.T, forgotten bool) {
	ctx := t.Context()
	now := time.Date(2026, 1, 4, 2, 0, 0, 0, time.UTC)
	opts := store.Options{Now: func() time.Time { return now }}
	path, copied := filepath.Join(t.TempDir(), "dirsync.db"), filepath.Join(t.TempDir(), "copy.db")
	src, target := dirsynctest.NewSource(1), dirsynctest.NewTarget()
	var st *store.Store
	var e *engine.Engine
	open := func() {
		var err error
		if st, err = store.Open(path, opts); err != nil {
			t.Fatal(err)
		}
		from, _ := src.Fields(ctx)
		to, _ := target.Fields(ctx)
		m, problems := mapping.Compile([]mapping.Spec{{Field: dirsync.FirstName, From: "givenName"},
			{Field: dirsync.LastName, From: "surname"}, {Field: dirsync.EmailAddress, From: "mail"}}, mapping.Expression{}, from, to)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		e = &engine.Engine{Sync: "staff", Source: src, Target: target, Store: st.Sync("staff"), Mapping: m, Limits: plan.DefaultLimits(),
			Join: []string{dirsync.EmailAddress}, Now: opts.Now}
	}
	run := func(full bool) dirsync.Run {
		t.Helper()
		r, err := e.Run(ctx, engine.Options{RetryNow: true, Compare: full})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	put := func(id, name string) {
		src.Put(dirsync.ID(id), map[string]any{"displayName": name, "givenName": id, "surname": name, "mail": id + "@x.org"})
	}
	open()
	for i := range 12 {
		put(fmt.Sprintf("old-%02d", i), "Old")
	}
	run(false)
	backup(t, st, copied)
	now = now.Add(3 * 24 * time.Hour)
	put("old-00", "New")
	put("old-01", "There")
	src.Remove("old-02")
	put("new-00", "Joined")
	put("new-01", "Joined")
	run(false)
	put("old-01", "Old")       // and back again: the tenant says nothing new of them after the restore
	put("old-03", "Unapplied") // not applied yet
	src.Remove("new-01")       // came and went, and the backup knows nothing of it
	ids := map[dirsync.ID]string{}
	for _, a := range target.Accounts() {
		ids[a.Source] = a.ID
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Restore(ctx, copied, path, true, opts); err != nil {
		t.Fatal(err)
	}
	open()
	defer st.Close()
	now = now.Add(8 * 24 * time.Hour)
	if forgotten {
		src.ExpireCursors()
	}
	first, second := run(true), run(true)
	t.Logf("%+v %q\n%+v %q", first.Counts, first.Notes, second.Counts, second.Notes)
	want := map[dirsync.ID]string{"old-00": "New", "old-03": "Unapplied", "new-00": "Joined"}
	for _, a := range target.Accounts() {
		if a.ID != ids[a.Source] {
			t.Errorf("%s has account %s, had %s", a.Source, a.ID, ids[a.Source])
		}
		name, _ := a.Values.Get(dirsync.LastName)
		_, present := src.Attrs(a.Source)
		if a.Source == "new-01" {
			if !a.Active {
				t.Errorf("%s is foreign to this store, and was changed", a.Source)
			}
			continue
		}
		w := want[a.Source]
		if w == "" {
			w = "Old"
		}
		if a.Active != present || present && name.Text != w {
			t.Errorf("%s: active %v, there %v, %s, want %s", a.Source, a.Active, present, name.Text, w)
		}
	}
	if len(target.Accounts()) != len(ids) {
		t.Errorf("%d accounts, had %d", len(target.Accounts()), len(ids))
	}
	if second.Counts.Changed() != 0 {
		t.Errorf("the second run: %+v", second.Counts)
	}
}

// backup writes a backup of a store.
func backup(t *testing.T, st *store.Store, path string) {
	t.Helper()
	var b bytes.Buffer
	if err := st.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
