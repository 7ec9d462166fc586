package store_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

var benchPeople = flag.Int("people", 100_000, "how many people the first-run benchmark stores")

var benchManagers = flag.Bool("managers", false, "whether everybody in the first-run benchmark has a manager, one in ten people, who as often comes later as before")

const benchBatch = 2000

// guid is the id of the n-th person: random to look at, as GUIDs are.
func guid(n int) dirsync.ID {
	r := rand.New(rand.NewPCG(uint64(n), 42))
	a, b := r.Uint64(), r.Uint64()
	return dirsync.ID(fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, 0x8000|b>>48&0x3fff, b&0xffffffffffff))
}

func text(s string) json.RawMessage { return json.RawMessage(strconv.Quote(s)) }

// benchRecord is a record as Microsoft Graph sends them, with a dozen attributes.
func benchRecord(n int) dirsync.Record {
	id := guid(n)
	name := fmt.Sprintf("person.%d", n)
	return dirsync.Record{ID: id, Attrs: dirsync.NewAttributes([]dirsync.Attribute{
		{Name: "accountEnabled", Raw: json.RawMessage("true")},
		{Name: "city", Raw: text("Redmond")},
		{Name: "companyName", Raw: text("Contoso Ltd.")},
		{Name: "department", Raw: text("Engineering")},
		{Name: "displayName", Raw: text("Person Number " + strconv.Itoa(n))},
		{Name: "employeeHireDate", Raw: text("2021-04-05T00:00:00Z")},
		{Name: "givenName", Raw: text("Person")},
		{Name: "jobTitle", Raw: text("Senior Engineer")},
		{Name: "mail", Raw: text(name + "@contoso.example")},
		{Name: "officeLocation", Raw: text("18/2111")},
		{Name: "surname", Raw: text("Number " + strconv.Itoa(n))},
		{Name: "userPrincipalName", Raw: text(name + "@contoso.example")},
		{Name: "userType", Raw: text("Member")},
	})}
}

func benchValues(n int) dirsync.Values {
	return dirsync.Values{
		{Field: dirsync.EmailAddress, Value: dirsync.Value{Type: dirsync.Email, Text: fmt.Sprintf("person.%d@contoso.example", n)}},
		{Field: dirsync.FirstName, Value: dirsync.Value{Type: dirsync.Text, Text: "Person"}},
		{Field: dirsync.LastName, Value: dirsync.Value{Type: dirsync.Text, Text: "Number " + strconv.Itoa(n)}},
	}
}

// rss returns a figure of /proc/self/status in megabytes, 0 where there is no such file.
func rss(field string) float64 {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return n / 1024
		}
	}
	return 0
}

// peak watches the anonymous memory of the process until stop is called, which returns its highest value in megabytes.
func peak() (stop func() float64) {
	done, result := make(chan struct{}), make(chan float64)
	go func() {
		var most float64
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, rss("RssAnon"))
			select {
			case <-done:
				result <- most
				return
			case <-tick.C:
			}
		}
	}()
	return func() float64 { close(done); return <-result }
}

// filledDirectory opens the directory as firstRun has it, which must be the same for whoever looks at it afterwards.
func filledDirectory(s *store.Store) (*store.Directory, error) {
	return s.Directory(dirsync.Field{Name: "manager", Type: dirsync.Reference})
}

// firstRun takes people through everything that a first run does to the store, and returns how long the store took for
// each part; making up the people and their changes is not its work and is not counted.
func firstRun(tb testing.TB, s *store.Store, people int) (read, planned, applied time.Duration) {
	ctx, now := context.Background(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	y := s.Sync("staff")
	dir, err := filledDirectory(s)
	if err != nil {
		tb.Fatal(err)
	}
	values := func(n int) dirsync.Values {
		v := benchValues(n)
		if *benchManagers {
			boss := guid(rand.New(rand.NewPCG(uint64(n), 43)).IntN(people/10+1) * 10)
			v = append(v, dirsync.FieldValue{Field: "manager", Value: dirsync.Value{Type: dirsync.Reference, Text: string(boss)}})
		}
		return v
	}
	timed := func(to *time.Duration, fn func() error) {
		start := time.Now()
		if err := fn(); err != nil {
			tb.Fatal(err)
		}
		*to += time.Since(start)
	}
	state := dirsync.ReadState{Round: 1, Open: true, Full: true}
	batch := make([]dirsync.Record, 0, benchBatch)
	for n := 0; n < people; n++ {
		batch = append(batch, benchRecord(n))
		if len(batch) == benchBatch || n == people-1 {
			state.Page = dirsync.Cursor(strconv.Itoa(n))
			timed(&read, func() error { _, err := y.Merge(ctx, batch, state, now); return err })
			batch = batch[:0]
		}
	}
	timed(&read, func() error { return y.EndRound(ctx, state) })

	run, err := y.NewRun(ctx, dirsync.Run{Sync: "staff"})
	if err != nil {
		tb.Fatal(err)
	}
	for after, full := dirsync.Seq(0), true; full; {
		var owed []dirsync.Person
		timed(&planned, func() (err error) { owed, err = y.Owed(ctx, now, after, benchBatch); return err })
		decisions := make([]dirsync.Decision, 0, len(owed))
		for _, p := range owed {
			decisions = append(decisions, dirsync.Decision{Seq: p.Seq, Mark: p.Owed.Mark, Change: &dirsync.Change{
				Kind: dirsync.Create, Person: p.ID, Seq: p.Seq, Mark: p.Owed.Mark, User: p.Shadow.Text("userPrincipalName"),
				Name: p.Shadow.Text("displayName"), After: values(int(p.Seq) - 1), Why: "new in the tenant"}})
			after = p.Seq
		}
		timed(&planned, func() error { return y.Decide(ctx, run, decisions) })
		full = len(owed) == benchBatch
	}
	for after, full := dirsync.Seq(0), true; full; {
		var changes []dirsync.Change
		timed(&applied, func() (err error) { changes, err = y.Plan(ctx, run, dirsync.Create, after, benchBatch); return err })
		outcomes := make([]dirsync.Outcome, 0, len(changes))
		timed(&applied, func() error {
			for i, applied := range dir.ApplyAll(ctx, changes) {
				if applied.Err != nil {
					return applied.Err
				}
				outcomes = append(outcomes, dirsync.Outcome{Change: changes[i], Result: dirsync.Done,
					Link: dirsync.Link{Account: applied.Account.ID, Active: true, Held: applied.Account.Values}})
				after = changes[i].Seq
			}
			return y.Settle(ctx, run, outcomes, dirsync.PlanKey{Kind: dirsync.Create, Seq: after})
		})
		full = len(changes) == benchBatch
	}
	return read, planned, applied
}

// BenchmarkFirstRun is the whole path of a first run through the store and the directory:
//
//	go test ./store -run '^$' -bench FirstRun -benchtime 1x -people 1000000
func BenchmarkFirstRun(b *testing.B) {
	for range b.N {
		path := filepath.Join(b.TempDir(), "dirsync.db")
		s, err := store.Open(path, store.Options{})
		if err != nil {
			b.Fatal(err)
		}
		before := rss("RssAnon")
		stop := peak()
		read, planned, applied := firstRun(b, s, *benchPeople)
		total := read + planned + applied
		most := stop()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		n := float64(*benchPeople)
		b.ReportMetric(n/total.Seconds(), "people/s")
		b.ReportMetric(n/read.Seconds(), "read/s")
		b.ReportMetric(n/planned.Seconds(), "plan/s")
		b.ReportMetric(n/applied.Seconds(), "apply/s")
		b.ReportMetric(float64(info.Size())/n, "B/person")
		b.ReportMetric(most, "peak-MB")
		b.ReportMetric(before, "start-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// filled returns a store with people, linked and settled.
func filled(b *testing.B) *store.Store {
	b.Helper()
	s := open(b, store.Options{})
	firstRun(b, s, *benchPeople)
	return s
}

// BenchmarkMergeNoChange is a full round in which nothing has changed, in an order that has nothing to do with ours.
func BenchmarkMergeNoChange(b *testing.B) {
	s := filled(b)
	ctx, y, r := context.Background(), s.Sync("staff"), rand.New(rand.NewPCG(1, 1))
	records := make([]dirsync.Record, benchBatch)
	for b.Loop() {
		b.StopTimer()
		for i := range records {
			records[i] = benchRecord(r.IntN(*benchPeople))
		}
		b.StartTimer()
		m, err := y.Merge(ctx, records, dirsync.ReadState{Round: 2, Full: true}, time.Time{})
		if err != nil || m.Same != benchBatch {
			b.Fatal(m, err)
		}
	}
	b.ReportMetric(float64(b.N)*benchBatch/b.Elapsed().Seconds(), "people/s")
}

// BenchmarkFind looks up people and accounts by their ids and addresses.
func BenchmarkFind(b *testing.B) {
	s := filled(b)
	ctx, y, r := context.Background(), s.Sync("staff"), rand.New(rand.NewPCG(1, 1))
	d, err := filledDirectory(s)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("person", func(b *testing.B) {
		for b.Loop() {
			if _, err := y.Person(ctx, guid(r.IntN(*benchPeople))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("address", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.Lookup(ctx, fmt.Sprintf("Person.%d@contoso.example", r.IntN(*benchPeople))); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkOweAll makes everybody owed.
func BenchmarkOweAll(b *testing.B) {
	s := filled(b)
	for b.Loop() {
		if err := s.Sync("staff").OweAll(context.Background(), dirsync.WhyConfig, dirsync.ReadState{}, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens a store, which reads and checks the whole file.
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "dirsync.db")
	s := openAt(b, path, store.Options{})
	firstRun(b, s, *benchPeople)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s := openAt(b, path, store.Options{})
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDirectorySource reads the directory from the beginning, and what has changed since:
//
//	go test ./store -run '^$' -bench DirectorySource -benchtime 3x
func BenchmarkDirectorySource(b *testing.B) {
	ctx := context.Background()
	s := filled(b)
	d, err := filledDirectory(s)
	if err != nil {
		b.Fatal(err)
	}
	read := func(b *testing.B, since dirsync.Cursor) (next dirsync.Cursor, people, size int) {
		err := d.Source().Read(ctx, since, func(p dirsync.Page) error {
			next = p.Next
			people += len(p.Records)
			for _, r := range p.Records {
				for _, a := range r.Attrs {
					size += len(a.Name) + len(a.Raw)
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		return next, people, size
	}
	b.Run("all", func(b *testing.B) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		stop, people, size := peak(), 0, 0
		for b.Loop() {
			_, people, size = read(b, "")
		}
		most := stop()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(b.N*people)/b.Elapsed().Seconds(), "users/s")
		b.ReportMetric(float64(size)/float64(people), "B/user")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N*people), "alloc-B/user")
		b.ReportMetric(most, "peak-MB")
	})
	b.Run("nothing", func(b *testing.B) {
		next, _, _ := read(b, "")
		for b.Loop() {
			if _, people, _ := read(b, next); people > 0 {
				b.Fatal(people)
			}
		}
	})
}

// BenchmarkDirectoryEdits makes, changes and deletes users of the directory, a batch at a time, without a sync:
//
//	go test ./store -run '^$' -bench DirectoryEdits -benchtime 1x
func BenchmarkDirectoryEdits(b *testing.B) {
	ctx := context.Background()
	for range b.N {
		s := open(b, store.Options{})
		d, err := filledDirectory(s)
		if err != nil {
			b.Fatal(err)
		}
		for _, phase := range []struct {
			name   string
			change func(n int) dirsync.Change
		}{
			{"create", func(n int) dirsync.Change {
				return dirsync.Change{Kind: dirsync.Create, Person: guid(n), After: benchValues(n)}
			}},
			{"update", func(n int) dirsync.Change {
				return dirsync.Change{Kind: dirsync.Update, Account: fmt.Sprintf("u%08d", n+1), After: benchValues(n)[2:].With(dirsync.Values{
					{Field: dirsync.FirstName, Value: dirsync.Value{Type: dirsync.Text, Text: "Other"}}})}
			}},
			{"delete", func(n int) dirsync.Change {
				return dirsync.Change{Kind: dirsync.Delete, Account: fmt.Sprintf("u%08d", n+1)}
			}},
		} {
			var took time.Duration
			for from := 0; from < *benchPeople; from += benchBatch {
				changes := make([]dirsync.Change, 0, benchBatch)
				for n := from; n < min(from+benchBatch, *benchPeople); n++ {
					changes = append(changes, phase.change(n))
				}
				start := time.Now()
				for _, out := range d.ApplyAll(ctx, changes) {
					if out.Err != nil {
						b.Fatal(out.Err)
					}
				}
				took += time.Since(start)
			}
			b.ReportMetric(float64(*benchPeople)/took.Seconds(), phase.name+"/s")
		}
		b.ReportMetric(0, "ns/op")
	}
}
