package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
	"dirsync/store"
)

// sample writes a store with some people, and returns its path and what it holds.
func sample(t testing.TB) (path string, totals dirsync.Totals) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "dirsync.db")
	s := openAt(t, path, store.Options{})
	s.SetSizes(150, 50)
	fill(t, s, 600)
	totals, err := s.Sync("staff").Totals(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path, totals
}

func TestOpenMakesAPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dirsync.db")
	s := openAt(t, path, store.Options{})
	defer s.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("got mode %o, want 600", got)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("got %d files and %v, want the store alone", len(left), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	other := filepath.Join(dir, "other.db")
	db, err := bolt.Open(other, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, path string
		opts       store.Options
		kind       dirsync.ErrorKind
		says       string
	}{
		{"zero length", write("zero", nil, 0o600), store.Options{}, dirsync.Corrupt, "empty"},
		{"short", write("short", []byte("hello"), 0o600), store.Options{}, dirsync.Corrupt, "5 bytes"},
		{"text", write("text", []byte(strings.Repeat("hello ", 10_000)), 0o600), store.Options{}, dirsync.Corrupt, "not a store"},
		{"zeros", write("zeros", make([]byte, 64<<10), 0o600), store.Options{}, dirsync.Corrupt, "not a store"},
		{"another program's", other, store.Options{}, dirsync.Corrupt, "another program"},
		{"a folder", folder, store.Options{}, dirsync.Invalid, "no regular file"},
		{"no folder", filepath.Join(dir, "no", "store.db"), store.Options{}, dirsync.NotFound, "no such file"},
		{"nothing to look at", filepath.Join(dir, "none"), store.Options{ReadOnly: true}, dirsync.NotFound, "no such file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := store.Open(test.path, test.opts)
			e, ok := errors.AsType[*dirsync.Error](err)
			if !ok {
				t.Fatalf("got %v, want an *Error", err)
			}
			if e.Kind != test.kind || !strings.Contains(e.Error(), test.says) || !strings.Contains(e.Error(), test.path) || dirsync.HintOf(err) == "" {
				t.Errorf("got %v (kind %v, hint %q), want %v that says %q", e, e.Kind, e.Hint, test.kind, test.says)
			}
		})
	}
	t.Run("no permission", func(t *testing.T) {
		path := write("secret", nil, 0)
		var err error
		asNobody(t, func() { _, err = store.Open(path, store.Options{}) })
		if dirsync.KindOf(err) != dirsync.Permission {
			t.Errorf("got %v, want Permission", err)
		}
	})
}

func TestOpenIsExclusive(t *testing.T) {
	path, totals := sample(t)
	first := openAt(t, path, store.Options{})
	for _, opts := range []store.Options{{}, {ReadOnly: true}} {
		opts.LockTimeout = time.Millisecond
		_, err := store.Open(path, opts)
		if dirsync.KindOf(err) != dirsync.Locked || dirsync.HintOf(err) == "" {
			t.Errorf("got %v, want Locked with a hint", err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := first.Sync("staff").Totals(context.Background()); err == nil {
		t.Error("a closed store can be read")
	}
	one, two := openAt(t, path, store.Options{ReadOnly: true}), openAt(t, path, store.Options{ReadOnly: true})
	defer one.Close()
	defer two.Close()
	for _, s := range []*store.Store{one, two} {
		if _, err := s.Directory(); err != nil {
			t.Fatal(err)
		}
		sound(t, s)
		if got, err := s.Sync("staff").Totals(context.Background()); err != nil || got != totals {
			t.Errorf("got %v and %v, want %v", got, err, totals)
		}
		_, err := s.Sync("staff").Merge(context.Background(), nil, dirsync.ReadState{}, time.Time{})
		if dirsync.KindOf(err) != dirsync.Invalid {
			t.Errorf("got %v for a write, want Invalid", err)
		}
	}
}

// setSchema writes another schema number into a file.
func setSchema(t *testing.T, path string, version byte) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("schema"), store.Seal([]byte("schema"), []byte{1, version}))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	path, _ := sample(t)
	setSchema(t, path, 77)
	_, err := store.Open(path, store.Options{})
	if dirsync.KindOf(err) != dirsync.Invalid || !strings.Contains(err.Error(), "schema 77") || dirsync.HintOf(err) == "" {
		t.Errorf("got %v, want Invalid that names the schema", err)
	}
	setSchema(t, path, 0)
	if _, err := store.Open(path, store.Options{}); dirsync.KindOf(err) != dirsync.Corrupt {
		t.Errorf("got %v for schema 0, want Corrupt", err)
	}
}

// try opens a damaged file and uses everything in it. It returns an error as soon as something is refused. Findings of
// Verify count as an error too: what matters is that damage is noticed.
func try(path string) (totals dirsync.Totals, notes []string, err error) {
	ctx := context.Background()
	s, err := store.Open(path, store.Options{})
	if err != nil {
		return totals, nil, err
	}
	defer func() {
		if e := s.Close(); e != nil && err == nil {
			err = e
		}
	}()
	notes = s.Notes()
	d, err := s.Directory()
	if err != nil {
		return totals, notes, err
	}
	findings, err := s.Verify(ctx)
	if err != nil || len(findings) > 0 {
		return totals, notes, errors.Join(err, &dirsync.Error{Op: fmt.Sprint(findings), Kind: dirsync.Corrupt})
	}
	y := s.Sync("staff")
	if totals, err = y.Totals(ctx); err != nil {
		return totals, notes, err
	}
	if _, err := y.People(ctx, 0, 10_000); err != nil {
		return totals, notes, err
	}
	err = d.Users(ctx, func(dirsync.Account) error { return nil })
	if err != nil {
		return totals, notes, err
	}
	// And write, which makes bbolt move pages about.
	records := make([]dirsync.Record, 0, 50)
	for n := range 50 {
		r := benchRecord(n * 11)
		r.Attrs = r.Attrs.Merge(dirsync.Attributes{{Name: "city", Raw: text("Berlin")}})
		records = append(records, r)
	}
	if _, err := y.Merge(ctx, records, dirsync.ReadState{Round: 2}, time.Unix(1, 0)); err != nil {
		return totals, notes, err
	}
	return totals, notes, nil
}

func TestTruncatedFile(t *testing.T) {
	path, want := sample(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := int(highWater(whole)) * os.Getpagesize()
	r := rand.New(rand.NewPCG(1, 2))
	lengths := []int{1, 63, 80, 4095, 4096, 4097, 8191, 8192, 8193, 16384, used - 1, used - 4096, used, len(whole)}
	for range 60 {
		lengths = append(lengths, 1+r.IntN(used-1))
	}
	for _, n := range lengths {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		totals, _, err := try(path)
		if n >= used {
			if err != nil || totals != want {
				t.Errorf("%d bytes: got %v and %v, want %v: only what was never used is missing", n, totals, err, want)
			}
			continue
		}
		if dirsync.KindOf(err) != dirsync.Corrupt {
			t.Errorf("%d of %d bytes: got %v, want Corrupt", n, used, err)
		}
	}
}

// highWater is how many pages of a file are in use, by the newer of its header pages.
func highWater(b []byte) uint64 {
	le := binary.LittleEndian
	pages, tx := le.Uint64(b[16+40:]), le.Uint64(b[16+48:])
	second := b[os.Getpagesize():]
	if le.Uint64(second[16+48:]) > tx {
		pages = le.Uint64(second[16+40:])
	}
	return pages
}

func TestFlippedBits(t *testing.T) {
	path, want := sample(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := int(highWater(whole)) * os.Getpagesize()
	rounds := 400
	if testing.Short() {
		rounds = 60
	}
	r := rand.New(rand.NewPCG(3, 4))
	noticed := 0
	for i := range rounds {
		b := append([]byte(nil), whole...)
		limit := used
		if i%3 == 0 {
			limit = 8192 // the header pages deserve more than their share
		}
		var at []int
		for range 1 + r.IntN(3) {
			n := r.IntN(limit)
			b[n] ^= 1 << r.IntN(8)
			at = append(at, n)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		totals, notes, err := try(path)
		switch {
		case err != nil && dirsync.KindOf(err) != dirsync.Corrupt && dirsync.KindOf(err) != dirsync.Invalid:
			t.Errorf("bytes %v: got %v, want Corrupt", at, err)
		case err != nil:
			noticed++
		case totals != want && len(notes) == 0:
			t.Errorf("bytes %v: %v became %v, and nobody noticed", at, want, totals)
		}
	}
	if noticed < rounds/10 {
		t.Errorf("only %d of %d damages were noticed", noticed, rounds)
	}
}

// TestFlippedRows flips a bit inside of rows, which bbolt itself would never notice.
func TestFlippedRows(t *testing.T) {
	path, _ := sample(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := int(highWater(whole)) * os.Getpagesize()
	// The last person's name is in the live pages; pages that were freed hold older copies, which nobody reads.
	flips := 0
	for at := 8192; at < used; at++ {
		if string(whole[at:min(at+9, len(whole))]) != "Number 42" {
			continue
		}
		b := append([]byte(nil), whole...)
		b[at+8] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := try(path); err != nil {
			flips++
		}
	}
	if flips == 0 {
		t.Error("a name was changed on the disk, and nobody noticed")
	}
}
