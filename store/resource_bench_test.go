package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

// benchResource is a user as Entra pushes them.
func benchResource(n int) dirsync.Resource {
	name := fmt.Sprintf("person.%d@contoso.example", n)
	values := benchValues(n)
	return dirsync.Resource{Kind: dirsync.KindUser, Name: name, Display: fmt.Sprint("Person Number ", n), ExternalID: string(guid(n)), Emails: []string{name}, Active: true,
		Values: values, Document: fmt.Appendf(nil, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"displayName":"Person Number %d","name":{"givenName":"Person","familyName":"Number %d"},"emails":[{"type":"work","primary":true,"value":%q}],"title":"Senior Engineer","active":true}`, name, n, n, name)}
}

// writers has some goroutines do something so many times together, and reports how many a second, and how long one of them
// takes at the most, with one in a hundred and without.
func writers(b *testing.B, n int, do func(worker, i int) error) {
	b.Helper()
	var next atomic.Int64
	took := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	b.ResetTimer()
	for worker := range n {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				start := time.Now()
				if err := do(worker, i); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(start)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
}

func benchDirectory(b *testing.B) *store.Directory {
	b.Helper()
	d, err := open(b, store.Options{}).Directory()
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// BenchmarkCreateResource makes users, durably, with 1, 8 and 64 callers:
//
//	go test ./store -run '^$' -bench CreateResource -benchtime 20000x
func BenchmarkCreateResource(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d := benchDirectory(b)
			writers(b, n, func(_, i int) error {
				_, err := d.CreateResource(context.Background(), benchResource(i), nil)
				return err
			})
		})
	}
}

// crowd makes users, and a group of all of them.
func crowd(b *testing.B, people int) (*store.Directory, dirsync.Resource, []string) {
	b.Helper()
	ctx, d := context.Background(), benchDirectory(b)
	ids := make([]string, people)
	var wg sync.WaitGroup
	for w := range 64 {
		wg.Go(func() {
			for i := w; i < people; i += 64 {
				r, err := d.CreateResource(ctx, benchResource(i), nil)
				if err != nil {
					b.Error(err)
					return
				}
				ids[i] = r.ID
			}
		})
	}
	wg.Wait()
	g, err := d.CreateResource(ctx, dirsync.Resource{Kind: dirsync.KindGroup, Name: "everybody"}, ids)
	if err != nil {
		b.Fatal(err)
	}
	return d, g, ids
}

// BenchmarkEditMember takes somebody out of a group of fifty thousand, or puts them back:
//
//	go test ./store -run '^$' -bench EditMember -benchtime 10000x
func BenchmarkEditMember(b *testing.B) {
	const people = 50_000
	d, g, ids := crowd(b, people)
	var turn atomic.Int64
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			writers(b, n, func(_, _ int) error {
				i := int(turn.Add(1))
				who, out := i*7919%people, i/people%2 == 0
				_, err := d.EditResource(context.Background(), g.Kind, g.ID, func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
					if out {
						return dirsync.ResourceEdit{Resource: r, Remove: ids[who : who+1]}, nil
					}
					return dirsync.ResourceEdit{Resource: r, Add: ids[who : who+1]}, nil
				})
				return err
			})
		})
	}
}

// BenchmarkEditResource changes the title of one of fifty thousand users.
func BenchmarkEditResource(b *testing.B) {
	d, _, ids := crowd(b, 50_000)
	var turn atomic.Int64
	for _, n := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			writers(b, n, func(_, _ int) error {
				i := int(turn.Add(1))
				_, err := d.EditResource(context.Background(), dirsync.KindUser, ids[i*7919%len(ids)], func(r dirsync.Resource) (dirsync.ResourceEdit, error) {
					r.Document = fmt.Appendf(r.Document[:100:100], "%d", i)
					return dirsync.ResourceEdit{Resource: r}, nil
				})
				return err
			})
		})
	}
}

// BenchmarkReadResource reads resources of fifty thousand by all the ways there are, with as many readers as there are
// processors.
func BenchmarkReadResource(b *testing.B) {
	const people = 50_000
	ctx := context.Background()
	d, g, ids := crowd(b, people)
	read := func(name string, do func(n int) error) {
		b.Run(name, func(b *testing.B) {
			b.RunParallel(func(p *testing.PB) {
				r := rand.New(rand.NewPCG(rand.Uint64(), 1))
				for p.Next() {
					if err := do(r.IntN(people)); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
		})
	}
	read("Resource", func(n int) error { _, err := d.Resource(ctx, dirsync.KindUser, ids[n]); return err })
	values := make([][4]string, people)
	for n := range values {
		r := benchResource(n)
		values[n] = [4]string{r.Name, r.Display, r.ExternalID, r.Emails[0]}
	}
	for i, name := range []string{"ByName", "ByDisplay", "ByExternalID", "ByEmail"} {
		read(name, func(n int) error {
			found, err := d.FindResources(ctx, dirsync.KindUser, dirsync.ResourceKey(i+1), values[n][i], 2)
			if len(found) != 1 {
				return fmt.Errorf("found %d: %w", len(found), err)
			}
			return err
		})
	}
	read("IsMember", func(n int) error { _, err := d.IsMember(ctx, g.ID, ids[n:n+1]); return err })
	read("Members100", func(n int) error { _, err := d.ResourceMembers(ctx, g.ID, ids[n], 100); return err })
	read("Skip", func(n int) error { _, err := d.Resources(ctx, dirsync.KindUser, "", n, 1); return err })
	read("Page100", func(n int) error { _, err := d.Resources(ctx, dirsync.KindUser, "", n, 100); return err })
}
