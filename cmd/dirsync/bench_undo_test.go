package main

import (
	"fmt"
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

// BenchmarkUndo takes back a run of ten thousand changes, and says how long that takes next to the run itself.
func BenchmarkUndo(b *testing.B) {
	const people = 10_000
	for b.Loop() {
		st, err := store.Open(filepath.Join(b.TempDir(), "dirsync.db"), store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		e, src := undoEngine(b, st)
		for i := range people {
			src.Put(dirsync.ID(fmt.Sprintf("person-%06d", i)), map[string]any{"displayName": fmt.Sprint("Person ", i),
				"givenName": fmt.Sprint("P", i), "surname": "Test", "mail": fmt.Sprintf("p%d@contoso.com", i)})
		}
		runFor := func() (dirsync.Run, time.Duration) {
			begun := time.Now()
			r, err := e.Run(b.Context(), engine.Options{})
			if err != nil || r.Counts.Changed() != people {
				b.Fatalf("got %+v %v", r.Counts, err)
			}
			return r, time.Since(begun)
		}
		runFor()
		for i := range people {
			src.Put(dirsync.ID(fmt.Sprintf("person-%06d", i)), map[string]any{"surname": "Changed"})
		}
		bad, ran := runFor()
		begun := time.Now()
		take := engine.Taking{Run: bad.ID, By: "benchmark"}
		pv, err := e.PreviewUndo(b.Context(), take, func(engine.TakenBack) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		previewed := time.Since(begun)
		take.Digest = pv.Digest
		if r, err := e.Undo(b.Context(), take); err != nil || r.Counts.Updated != people {
			b.Fatalf("got %+v %v", r.Counts, err)
		}
		undone := time.Since(begun) - previewed
		b.ReportMetric(ran.Seconds()*1000, "ms/run")
		b.ReportMetric(previewed.Seconds()*1000, "ms/preview")
		b.ReportMetric(undone.Seconds()*1000, "ms/undo")
		b.ReportMetric(undone.Seconds()/ran.Seconds(), "undo/run")
		if err := st.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
}

func undoEngine(b *testing.B, st *store.Store) (*engine.Engine, *dirsynctest.Source) {
	b.Helper()
	src := dirsynctest.NewSource(0)
	src.PageSize = 1 << 20
	target, err := st.Directory()
	if err != nil {
		b.Fatal(err)
	}
	from, _ := src.Fields(b.Context())
	to, err := target.Fields(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	m, problems := mapping.Compile([]mapping.Spec{{Field: dirsync.FirstName, From: "givenName"},
		{Field: dirsync.LastName, From: "surname"}, {Field: dirsync.EmailAddress, From: "mail"}}, mapping.Expression{}, from, to)
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	free := plan.Every(plan.Limit{Count: plan.Unbounded, Share: plan.Unbounded})
	return &engine.Engine{Sync: "staff", Source: src, Target: target, Store: st.Sync("staff"), Mapping: m,
		Limits: plan.Limits{Deletes: free, Deactivations: free, Removals: free, Blankings: free}}, src
}
