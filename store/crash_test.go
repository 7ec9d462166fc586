//go:build linux

package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"dirsync"
	"dirsync/store"
)

// The variables by which a test tells the process that it starts what to do.
const (
	envChild = "DIRSYNC_STORE_TEST_CHILD"
	envPath  = "DIRSYNC_STORE_TEST_PATH"
	envSeed  = "DIRSYNC_STORE_TEST_SEED"
)

func TestMain(m *testing.M) {
	seed, _ := strconv.ParseUint(os.Getenv(envSeed), 10, 64)
	w := &writer{path: os.Getenv(envPath), r: rand.New(rand.NewPCG(seed, 7))}
	switch os.Getenv(envChild) {
	case "":
		os.Exit(m.Run())
	case "write":
		w.must(w.open())
		for {
			w.must(w.step())
			fmt.Println(w.people, w.accounts, w.holds)
		}
	case "groups":
		w.must(w.open())
		for {
			w.must(w.groupStep())
			fmt.Println(w.people, w.accounts)
		}
	case "edit":
		w.must(w.open())
		for n := 1; ; n++ {
			w.must(w.editStep())
			fmt.Println(n)
		}
	case "resources":
		w.must(w.open())
		w.keepResources()
	case "tell":
		w.must(w.open())
		w.tell()
	case "tell fully":
		w.must(w.open())
		w.tellFully()
	case "full":
		w.fullDisk()
		fmt.Println("ok")
	}
}

func child(ctx context.Context, what, path string, seed int) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), envChild+"="+what, envPath+"="+path, envSeed+"="+strconv.Itoa(seed))
	cmd.Stderr = os.Stderr
	return cmd
}

// writer does one thing after the other to a store, and knows what must be in it.
type writer struct {
	path string
	r    *rand.Rand
	s    *store.Store
	y    *store.Sync
	d    *store.Directory
	run  dirsync.RunID

	people, accounts, holds int
}

func (w *writer) must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

func (w *writer) open() (err error) {
	if w.s, err = store.Open(w.path, store.Options{LockTimeout: 10 * time.Second}); err != nil {
		return err
	}
	w.s.SetSizes(60, 20)
	w.y = w.s.Sync("staff")
	if w.d, err = w.s.Directory(managerFields()...); err != nil {
		return err
	}
	return w.look()
}

// look reads how many people and accounts there are.
func (w *writer) look() error {
	totals, err := w.y.Totals(context.Background())
	if err != nil {
		return err
	}
	w.people = totals.People + totals.Gone
	if w.accounts, err = w.d.Count(context.Background()); err != nil {
		return err
	}
	holds, err := w.y.Holds(context.Background(), 0, 1_000_000)
	w.holds = len(holds)
	return err
}

// step is one pass: some new people, some changed, then everybody owed is planned, applied and settled.
func (w *writer) step() error {
	ctx, now := context.Background(), time.Unix(1_800_000_000, 0)
	var err error
	if w.run == 0 {
		if w.run, err = w.y.NewRun(ctx, dirsync.Run{Sync: "staff"}); err != nil {
			return err
		}
	}
	var records []dirsync.Record
	for n := range 20 + w.r.IntN(40) {
		records = append(records, benchRecord(w.people+n))
	}
	added := len(records)
	for range 10 {
		r := benchRecord(w.r.IntN(w.people + 1))
		r.Attrs = r.Attrs.Merge(dirsync.Attributes{{Name: "city", Raw: text(fmt.Sprint("City ", w.r.IntN(100)))}})
		records = append(records, r)
	}
	w.r.Shuffle(added, func(i, j int) { records[i], records[j] = records[j], records[i] })
	state := dirsync.ReadState{Round: 1, Full: true, Page: dirsync.Cursor(strings.Repeat("x", w.r.IntN(3000)))}
	m, err := w.y.Merge(ctx, records, state, now)
	if err != nil {
		return err
	}
	w.people += m.Added
	if w.r.IntN(10) == 0 {
		if err := w.y.OweAll(ctx, dirsync.WhyConfig, state, now); err != nil {
			return err
		}
	}
	if err := w.decide(ctx, now); err != nil {
		return err
	}
	for after := dirsync.Seq(0); ; {
		owed, err := w.y.Owed(ctx, now, after, 100)
		if err != nil {
			return err
		}
		if len(owed) == 0 {
			return w.y.SaveRun(ctx, dirsync.Run{ID: w.run, Sync: "staff", Notes: []string{strings.Repeat("n", w.r.IntN(500))}})
		}
		after = owed[len(owed)-1].Seq
		if err := w.apply(ctx, owed); err != nil {
			return err
		}
	}
}

// decide is what people do between two runs: they decide about holds and about single people. Somebody looks at the
// target, and a round has to be begun again.
func (w *writer) decide(ctx context.Context, now time.Time) error {
	someone := func() dirsync.Seq { return dirsync.Seq(1 + w.r.IntN(w.people)) }
	id, err := w.y.NewHold(ctx, dirsync.Hold{Sync: "staff", Kind: dirsync.Deletion, Run: w.run, Status: dirsync.HoldOpen})
	if err != nil {
		return err
	}
	w.holds++
	var marks []dirsync.Mark
	for range 20 {
		marks = append(marks, dirsync.Mark{Seq: someone(), Kind: dirsync.MarkKind(1 + w.r.IntN(2)), Hold: id,
			Danger: dirsync.Danger(w.r.IntN(3)), Digest: strings.Repeat("d", w.r.IntN(100)), At: now})
	}
	if err := w.y.Mark(ctx, marks); err != nil {
		return err
	}
	if err := w.y.Unmark(ctx, marks[:w.r.IntN(len(marks))]); err != nil {
		return err
	}
	if err := w.y.SaveHold(ctx, dirsync.Hold{ID: id, Sync: "staff", Run: w.run, Status: dirsync.HoldApproved}); err != nil {
		return err
	}
	links := map[dirsync.Seq]dirsync.Link{}
	for range 5 {
		links[someone()] = dirsync.Link{Account: "elsewhere", Active: w.r.IntN(2) == 0}
	}
	if err := w.y.Correct(ctx, links, now); err != nil {
		return err
	}
	for _, state := range []dirsync.ReadState{{Round: 1, Open: true}, {Round: 2, Redo: true}} {
		if _, err := w.y.Merge(ctx, []dirsync.Record{benchRecord(int(someone()) - 1)}, state, now); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) apply(ctx context.Context, owed []dirsync.Person) error {
	var decisions []dirsync.Decision
	var changes []dirsync.Change
	for _, p := range owed {
		c := dirsync.Change{Kind: dirsync.Create, Person: p.ID, Seq: p.Seq, Mark: p.Owed.Mark, After: benchValues(int(p.Seq))}
		changes = append(changes, c)
		decisions = append(decisions, dirsync.Decision{Seq: p.Seq, Mark: p.Owed.Mark, Change: &c})
	}
	if err := w.y.Decide(ctx, w.run, decisions); err != nil {
		return err
	}
	var outcomes []dirsync.Outcome
	for i, a := range w.d.ApplyAll(ctx, changes) {
		if a.Err != nil {
			return a.Err
		}
		outcomes = append(outcomes, dirsync.Outcome{Change: changes[i], Result: dirsync.Done,
			Link: dirsync.Link{Account: a.Account.ID, Active: true, Held: a.Account.Values}})
	}
	var err error
	if w.accounts, err = w.d.Count(ctx); err != nil {
		return err
	}
	return w.y.Settle(ctx, w.run, outcomes, dirsync.PlanKey{Kind: dirsync.Create, Seq: owed[len(owed)-1].Seq})
}

// dies has a process of its own do something to the store at path, and ends it at a random moment after its first word, and
// again; now and then before it, while the process opens the store. It calls said for every whole line that the process says, and then look with what it has left.
func dies(t *testing.T, what, path string, times int, within time.Duration, said func(line string) error, look func(death int, w *writer) error) {
	t.Helper()
	for i := range times {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := child(ctx, what, path, i)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if i%5 == 2 {
			time.AfterFunc(rand.N(100*time.Millisecond), cancel)
		}
		lines := bufio.NewReader(out)
		for n := 0; ; n++ {
			line, err := lines.ReadString('\n')
			if err != nil { // a line that was cut off has no end
				break
			}
			if err := said(line); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if n == 0 {
				time.AfterFunc(rand.N(within), cancel)
			}
		}
		err = cmd.Wait()
		cancel()
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the process ended by itself: %v", err)
		}
		w := &writer{path: path}
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		sound(t, w.s)
		if err := errors.Join(look(i, w), w.s.Close()); err != nil {
			t.Fatalf("after %d deaths: %v", i+1, err)
		}
	}
}

// deaths is how many there are in a test.
func deaths() int {
	if testing.Short() {
		return 5
	}
	return 25
}

// TestKilledProcess ends a process that writes at random moments, and looks at what it leaves behind each time.
func TestKilledProcess(t *testing.T) {
	people, accounts, holds := 0, 0, 0
	dies(t, "write", filepath.Join(t.TempDir(), "dirsync.db"), deaths(), 250*time.Millisecond, func(line string) error {
		_, err := fmt.Sscan(line, &people, &accounts, &holds)
		return err
	}, func(_ int, w *writer) error {
		if w.people < people || w.accounts < accounts || w.holds < holds {
			return fmt.Errorf("%d people, %d accounts and %d holds were written, and only %d, %d and %d are there", people, accounts, holds,
				w.people, w.accounts, w.holds)
		}
		people, accounts, holds = w.people, w.accounts, w.holds
		return nil
	})
	if people == 0 || holds == 0 {
		t.Error("nothing was ever written")
	}
	t.Logf("%d people, %d accounts and %d holds after %d deaths", people, accounts, holds, deaths())
}

// TestFullDisk writes in a process whose files may not grow, or not even be written, beyond a limit.
func TestFullDisk(t *testing.T) {
	for seed := range 2 {
		out, err := child(context.Background(), "full", filepath.Join(t.TempDir(), "dirsync.db"), seed).Output()
		if got := strings.TrimSpace(string(out)); err != nil || !strings.HasSuffix(got, "ok") {
			t.Fatalf("seed %d: %v\n%s", seed, err, got)
		}
	}
}

// fullDisk is what the process does.
func (w *writer) fullDisk() {
	signal.Ignore(syscall.SIGXFSZ)
	w.must(w.open())
	w.must(w.step())
	failed := 0
	for i := range 24 {
		info, err := os.Stat(w.path)
		w.must(err)
		// Alternately within the file, so that writing pages fails, and at its end, so that it cannot grow.
		size := info.Size()
		if i%2 == 0 {
			size = w.r.Int64N(size)
		}
		limit(uint64(size))
		for range 4 {
			if err = w.step(); err != nil {
				break
			}
		}
		limit(math.MaxUint64)
		if err != nil {
			failed++
			if dirsync.KindOf(err) != dirsync.Storage || dirsync.HintOf(err) == "" {
				w.must(fmt.Errorf("got %w (%v), want Storage with a hint", err, dirsync.KindOf(err)))
			}
			if e, ok := errors.AsType[*dirsync.Error](err); ok && strings.Contains(e.Error(), "found damaged") {
				w.must(err)
			}
		}
		people, accounts, holds := w.people, w.accounts, w.holds
		w.must(w.look())
		if w.people < people || w.accounts < accounts || w.holds < holds {
			w.must(fmt.Errorf("%d people, %d accounts and %d holds were written, and only %d, %d and %d are there", people, accounts, holds,
				w.people, w.accounts, w.holds))
		}
		findings, err := w.s.Verify(context.Background())
		w.must(err)
		if len(findings) > 0 {
			w.must(errors.New(strings.Join(findings, "\n")))
		}
		w.must(w.step())
		if i%10 == 9 {
			w.must(w.s.Close())
			w.must(w.open())
		}
	}
	if failed < 8 {
		w.must(fmt.Errorf("only %d of 24 attempts failed", failed))
	}
	w.must(w.s.Close())
}

// limit sets how large a file this process may write.
func limit(size uint64) {
	r := syscall.Rlimit{Cur: size, Max: math.MaxUint64}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &r); err != nil {
		panic(err)
	}
}
