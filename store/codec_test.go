package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"dirsync"
)

func TestWordsAreTheirNumbers(t *testing.T) {
	n := 1
	for ; word(byte(n)) != ""; n++ {
		if got := wordNumber(word(byte(n))); got != byte(n) {
			t.Errorf("%s has number %d, and is word %d", word(byte(n)), got, n)
		}
	}
	if n != 38 {
		t.Errorf("got %d words, want 37: they are on disk, so new ones go to the end and none is taken away", n-1)
	}
	for n := range 256 {
		if typ := typeOf(byte(n)); typ != "" && typeNumber(typ) != byte(n) {
			t.Errorf("type %s has number %d and %d", typ, n, typeNumber(typ))
		}
	}
}

// rows are all kinds of row: how each is drawn, written and read.
var rows = []struct {
	name   string
	draw   func(*rapid.T) any
	encode func(any) []byte
	decode func([]byte) (any, error)
}{
	{"person", drawPerson, func(v any) []byte { return appendPerson(nil, v.(dirsync.Person)) },
		func(b []byte) (any, error) { return decodePerson(decodeOwned(b), 7) }},
	{"link", func(r *rapid.T) any {
		return dirsync.Link{Account: drawText(r), Active: rapid.Bool().Draw(r, "active"), Held: drawValues(r), DeactivatedAt: drawTime(r),
			Doubt: dirsync.ChangeKind(rapid.IntRange(0, 5).Draw(r, "doubt")), Joined: drawName(r)}
	}, func(v any) []byte { return appendLink(nil, v.(dirsync.Link)) },
		func(b []byte) (any, error) { return decodeLink(decodeOwned(b)) }},
	{"debt", func(r *rapid.T) any {
		return dirsync.Owed{Mark: rapid.Uint64Min(1).Draw(r, "mark"), Why: dirsync.Why(rapid.IntRange(0, 10).Draw(r, "why")), Since: drawTime(r),
			Due: drawTime(r), Attempts: rapid.IntMin(0).Draw(r, "attempts"), Error: drawText(r)}
	}, func(v any) []byte { return appendOwed(nil, v.(dirsync.Owed)) },
		func(b []byte) (any, error) { return decodeOwed(decode(b)) }},
	{"change", func(r *rapid.T) any {
		return dirsync.Change{Kind: dirsync.Update, Person: drawID(r), Seq: 7, Mark: rapid.Uint64().Draw(r, "mark"), Account: drawText(r),
			User: drawText(r), Name: drawText(r), Before: drawValues(r), After: drawValues(r),
			CreateOnly: rapid.SliceOfN(rapid.Custom(drawName), 0, 3).Draw(r, "create only"), Why: drawText(r),
			Asked: optional(r, func() dirsync.Danger { return drawDanger(r) }), Join: optional(r, func() string { return drawName(r) })}
	}, func(v any) []byte { return appendChange(nil, v.(dirsync.Change)) },
		func(b []byte) (any, error) { return decodeChange(decodeOwned(b), dirsync.Update, 7) }},
	{"mark", func(r *rapid.T) any {
		return dirsync.Mark{Seq: 7, Danger: dirsync.Removal, Kind: dirsync.MarkKind(rapid.IntRange(0, 3).Draw(r, "kind")), At: drawTime(r),
			Digest: drawText(r), By: drawText(r), Why: drawText(r), Hold: dirsync.HoldID(rapid.Uint64().Draw(r, "hold")),
			Undone: dirsync.RunID(rapid.Uint64().Draw(r, "undone"))}
	}, func(v any) []byte { return appendMark(nil, v.(dirsync.Mark)) },
		func(b []byte) (any, error) { return decodeMark(decodeOwned(b), 7, dirsync.Removal) }},
	{"message", func(r *rapid.T) any {
		return Message{ID: "M1", Channel: drawText(r), Created: drawTime(r), Body: drawBytes(r), Delivery: Delivery{Status: drawText(r),
			Open: rapid.Bool().Draw(r, "open"), Due: drawTime(r), Ended: drawTime(r), Body: drawBytes(r)}}
	}, func(v any) []byte { return appendMessage(nil, v.(Message)) },
		func(b []byte) (any, error) { return decodeMessage(decodeOwned(b), "M1") }},
	{"note", func(r *rapid.T) any {
		return InboxNote{User: "a", ID: "1", At: drawTime(r), Read: rapid.Bool().Draw(r, "read"), Body: drawBytes(r)}
	}, func(v any) []byte { return appendNote(nil, v.(InboxNote)) },
		func(b []byte) (any, error) { return decodeNote(decodeOwned(b), InboxNote{User: "a", ID: "1"}.key()) }},
	{"rejection", func(r *rapid.T) any { return drawRejection(r) },
		func(v any) []byte { return appendRejection(nil, v.(dirsync.Rejection)) },
		func(b []byte) (any, error) { return decodeRejection(decodeOwned(b)) }},
	{"outcome", func(r *rapid.T) any {
		o := dirsync.Outcome{Result: dirsync.Result(rapid.IntRange(0, 4).Draw(r, "result")), Error: drawText(r)}
		if rapid.Bool().Draw(r, "rejected") {
			rejection := drawRejection(r)
			o.Rejection = &rejection
		}
		return o
	}, func(v any) []byte { return appendOutcome(nil, v.(dirsync.Outcome)) },
		func(b []byte) (any, error) { return decodeOutcome(decodeOwned(b)) }},
	{"account", func(r *rapid.T) any { return drawAccount(r) },
		func(v any) []byte { return appendAccount(nil, v.(account)) },
		func(b []byte) (any, error) { return decodeAccount(decodeOwned(b)) }},
	{"deleted account", func(r *rapid.T) any { return deletedAccount{drawTime(r), drawAccount(r)} },
		func(v any) []byte { return appendDeleted(nil, v.(deletedAccount).when, v.(deletedAccount).account) },
		func(b []byte) (any, error) {
			when, r, err := decodeDeleted(decodeOwned(b))
			return deletedAccount{when, r}, err
		}},
	{"counters", func(r *rapid.T) any {
		u := func() uint64 { return rapid.Uint64().Draw(r, "n") }
		return counters{u(), u(), u(), u(), u(), u(), u(), u(), u(), u(), optional(r, u)}
	}, func(v any) []byte { return appendCounters(nil, v.(counters)) },
		func(b []byte) (any, error) { return decodeCounters(decode(b)) }},
}

// deletedAccount is what a row of a deleted account holds.
type deletedAccount struct {
	when time.Time
	account
}

func drawAccount(r *rapid.T) account {
	out := account{Account: dirsync.Account{Source: drawID(r), Active: rapid.Bool().Draw(r, "active"), Values: drawValues(r),
		Created: drawTime(r), Updated: drawTime(r)}}
	last := uint64(0)
	for range optional(r, func() int { return rapid.IntRange(1, 4).Draw(r, "groups") }) {
		last += rapid.Uint64Range(1, 1<<50).Draw(r, "group")
		out.in = append(out.in, last)
	}
	if out.number = optional(r, func() uint64 { return rapid.Uint64Min(1).Draw(r, "number") }); out.number > 0 {
		out.said = optional(r, func() *said {
			return &said{name: drawText(r), display: drawText(r), external: drawText(r), emails: rapid.SliceOfN(rapid.Custom(drawText), 0, 3).Draw(r, "emails"),
				pending: dirsync.ChangeKind(rapid.IntRange(0, 5).Draw(r, "pending")), document: drawBytes(r)}
		})
		out.made = optional(r, func() uint64 { return rapid.Uint64Range(1, out.number).Draw(r, "made") })
	}
	return out
}

func drawDanger(r *rapid.T) dirsync.Danger {
	return dirsync.Danger(rapid.IntRange(0, 15).Draw(r, "danger"))
}

// common returns v without what only few rows have.
func common(v any) any {
	switch v := v.(type) {
	case dirsync.Link:
		v.Joined = ""
		return v
	case dirsync.Change:
		v.Asked, v.Join = 0, ""
		return v
	case counters:
		v.kept = 0
		return v
	case account:
		v.in, v.number, v.said = nil, 0, nil
		return v
	case deletedAccount:
		v.in, v.number, v.said = nil, 0, nil
		return v
	default:
		return v
	}
}

// optional draws what few rows have: nothing, in half of them.
func optional[T any](r *rapid.T, draw func() T) T {
	var none T
	if rapid.Bool().Draw(r, "without") {
		return none
	}
	return draw()
}

func drawBytes(r *rapid.T) []byte { return []byte(drawText(r)) }

func drawText(r *rapid.T) string { return rapid.StringN(0, 20, -1).Draw(r, "text") }

func drawName(r *rapid.T) string {
	return rapid.SampledFrom([]string{"first_name", "email", "mail", "x", "ä", "joining_date", ""}).Draw(r, "name")
}

func drawTime(r *rapid.T) time.Time {
	if rapid.Bool().Draw(r, "zero") {
		return time.Time{}
	}
	return time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(r, "sec"), rapid.Int64Range(0, 999_999_999).Draw(r, "nano")).UTC()
}

func drawID(r *rapid.T) dirsync.ID {
	return dirsync.ID(rapid.OneOf(rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
		rapid.StringMatching(`[0-9a-fA-F-]{36}`),
		rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}[/-][0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{11}[0-9a-fA]`), rapid.String()).Draw(r, "id"))
}

func drawValues(r *rapid.T) (out dirsync.Values) {
	for range rapid.IntRange(0, 4).Draw(r, "values") {
		v := dirsync.Value{Type: rapid.SampledFrom([]dirsync.Type{"", dirsync.Text, dirsync.Email, dirsync.TextList, "odd"}).Draw(r, "type")}
		if v.Type != "" {
			v.Text = drawText(r)
		}
		out = out.Set(drawName(r), v)
	}
	return out
}

func drawRejection(r *rapid.T) dirsync.Rejection {
	rejection := dirsync.Rejection{ID: drawID(r), User: drawText(r), Name: drawText(r)}
	for range rapid.IntRange(0, 3).Draw(r, "faults") {
		rejection.Faults = append(rejection.Faults, dirsync.Fault{Field: drawName(r), Value: drawText(r), Reason: drawText(r)})
	}
	return rejection
}

func drawPerson(r *rapid.T) any {
	p := dirsync.Person{Seq: 7, ID: drawID(r), Kind: dirsync.Kind(rapid.IntRange(0, 1).Draw(r, "kind")),
		Gone: dirsync.Gone(rapid.IntRange(0, 2).Draw(r, "gone")), GoneAt: drawTime(r)}
	for range rapid.IntRange(0, 5).Draw(r, "attributes") {
		p.Shadow = append(p.Shadow, dirsync.Attribute{Name: drawName(r), Raw: json.RawMessage(drawText(r))})
	}
	p.Shadow = dirsync.NewAttributes(p.Shadow)
	return p
}

func TestRowsComeBack(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			rapid.Check(t, func(r *rapid.T) {
				want := row.draw(r)
				b := row.encode(want)
				got, err := row.decode(b)
				if err != nil {
					r.Fatal(err)
				}
				opts := cmp.Options{cmpopts.EquateEmpty(), cmp.AllowUnexported(counters{}, account{}, deletedAccount{}, said{})}
				if diff := cmp.Diff(want, got, opts); diff != "" {
					r.Fatalf("-want +got\n%s", diff)
				}
				if _, err := row.decode(append(bytes.Clone(b), 0)); err == nil {
					r.Fatal("a byte too many was not noticed")
				}
				short := len(row.encode(common(want)))
				for n := range b {
					// What only few rows have lies at the end, and a row that ends before it is one that never had it.
					if _, err := row.decode(b[:n]); (err == nil) != (n == short) {
						r.Fatalf("%d of %d bytes: got %v; without what few have they are %d", n, len(b), err, short)
					}
				}
			})
		})
	}
}

// FuzzRows gives hostile bytes to every decoder: an error, never a panic, and what is understood means the same when
// it is written again.
func FuzzRows(f *testing.F) {
	for i, row := range rows {
		f.Add(byte(i), row.encode(rapid.Custom(func(r *rapid.T) any { return row.draw(r) }).Example(i)))
		f.Add(byte(i), []byte{rowVersion, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	}
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		row := rows[int(kind)%len(rows)]
		v, err := row.decode(b)
		if err != nil {
			if !errors.Is(err, errRow) {
				t.Fatalf("got %v", err)
			}
			return
		}
		again, err := row.decode(row.encode(v))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(v, again, cmpopts.EquateEmpty(), cmp.AllowUnexported(counters{}, account{}, deletedAccount{}, said{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzOpen gives hostile files to Open: an error, never a panic or worse.
func FuzzOpen(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "seed.db")
	if err := create(path); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(0, []byte{})
	f.Add(0, seed[:4096])
	f.Add(4096+16, seed[16:80])
	f.Add(2*4096, make([]byte, 64))
	f.Fuzz(func(t *testing.T, at int, patch []byte) {
		b := bytes.Clone(seed)
		if at >= 0 && at < len(b) {
			copy(b[at:], patch)
		}
		path := filepath.Join(t.TempDir(), "fuzz.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, Options{LockTimeout: time.Millisecond})
		if err != nil {
			if _, ok := errors.AsType[*dirsync.Error](err); !ok {
				t.Fatalf("got %v, want an *Error", err)
			}
			return
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMigrate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dirsync.db")
	if err := create(path); err != nil {
		t.Fatal(err)
	}
	var ran []string
	do := func(name string, err error) step {
		return step{name, func(t *tx, after uint64) (uint64, error) {
			ran = append(ran, fmt.Sprint(name, after))
			if err != nil && after == 1 {
				return 0, err
			}
			_, err := t.b.CreateBucket(fmt.Append(nil, name, after))
			return (after + 1) % 3, err // in three parts
		}}
	}
	with := func(opts Options, steps ...step) error {
		db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		return (&Store{db: db, opts: opts}).migrate(steps)
	}
	// As if this were a file of the first schema.
	if db, err := bolt.Open(path, 0o600, &bolt.Options{NoFreelistSync: true}); err != nil {
		t.Fatal(err)
	} else if err := errors.Join(db.Update(func(tx *bolt.Tx) error { return writeSchema(tx, 1) }), db.Close()); err != nil {
		t.Fatal(err)
	}
	if err := with(Options{ReadOnly: true}, do("a", nil)); dirsync.KindOf(err) != dirsync.Invalid {
		t.Errorf("got %v for an older schema that may only be looked at", err)
	}
	fault := errors.New("fault")
	if err := with(Options{}, do("a", nil), do("b", fault)); !errors.Is(err, fault) {
		t.Errorf("got %v, want the fault of step b", err)
	}
	if err := with(Options{}, do("a", nil), do("b", nil), do("c", nil)); err != nil {
		t.Error(err)
	}
	if err := with(Options{}, do("a", nil), do("b", nil), do("c", nil)); err != nil {
		t.Error(err)
	}
	if got, want := fmt.Sprint(ran), "[a0 a1 a2 b0 b1 b1 b2 c0 c1 c2]"; got != want {
		t.Errorf("got steps %s, want %s", got, want)
	}
	if err := with(Options{}, do("a", nil)); dirsync.KindOf(err) != dirsync.Invalid || dirsync.HintOf(err) == "" {
		t.Errorf("got %v for a newer schema, want Invalid with a hint", err)
	}
}
