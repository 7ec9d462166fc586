package graph_test

import (
	"fmt"
	"testing"

	"dirsync"
)

// BenchmarkWriterUpdates writes one value of a thousand people, in process, without a network and without the pace that the
// service's limits impose: what is left is the cost of the writer, and that of the simulated tenant, about half each.
func BenchmarkWriterUpdates(b *testing.B) {
	w := inProcess(b, writable())
	target := writer(b, w.client, writing("department"))
	changes := people1000(b, w, target, 1000)
	b.ReportAllocs()
	written := 0
	for round := 0; b.Loop(); round++ {
		for i := range changes {
			changes[i].After = dirsync.Values{field("department", text(fmt.Sprint("D", round%2)))}
		}
		for i, a := range target.ApplyAll(b.Context(), changes) {
			if a.Err != nil {
				b.Fatalf("change %d: %v", i, a.Err)
			}
		}
		written += len(changes)
	}
	b.ReportMetric(float64(written)/b.Elapsed().Seconds(), "users/s")
	b.ReportMetric(float64(w.Requests().Batch)/float64(written)*1000, "batches/1000")
}
