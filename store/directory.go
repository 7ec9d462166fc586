package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// Directory is the embedded directory: the users of an application that has no directory of its own. It is a
// dirsync.Target and a dirsync.Batcher.
//
// An account has an id, "u" and a number of at least eight digits in the order of arrival, which is never given to
// anybody else; a source id; a status; and values of the schema's fields. Two accounts never share a value of a Unique
// field, letter case and the spelling of accents disregarded; inactive accounts keep theirs.
type Directory struct {
	s      *Store
	schema []dirsync.Field
	names  []string // of the schema, sorted
	keys   *index
	moved  atomic.Uint64 // counts the transactions that took a key away from an account
}

var (
	_ dirsync.Target  = (*Directory)(nil)
	_ dirsync.Batcher = (*Directory)(nil)
)

// The directory lies in directory: users (number → account), index (hash of a source id or a unique value, and number
// → nothing), "indexed" beside it, "count", and "unique", a fingerprint of the fields that the index knows.
const (
	bucketDirectory = "directory"
	bucketUsers     = "users"
	keyCount        = "count"
	keyUnique       = "unique"
	tagSource       = "\x00source"
)

// Directory opens the embedded directory. Its fields are first_name, last_name and email, all required and the last
// unique, whether or not fields has them, and then the other fields. Which fields there are is for the configuration
// to say and may change from one opening to the next: values of fields that are no longer there are kept and not shown.
// A store has one directory: opening it again with the same fields returns the same one, and with other fields is an
// error of kind Invalid.
func (s *Store) Directory(fields ...dirsync.Field) (*Directory, error) {
	d := &Directory{s: s, schema: wholeSchema(fields)}
	for _, f := range d.schema {
		d.names = append(d.names, f.Name)
	}
	slices.Sort(d.names)
	d.keys = &index{what: "index of the directory", rows: bucketUsers, table: newTable()}
	d.keys.parent = func(b *bolt.Tx) *bolt.Bucket { return b.Bucket([]byte(bucketDirectory)) }
	d.keys.hashes = func(seq uint64, body []byte) ([]uint64, error) {
		a, err := decodeAccount(decode(body), seq)
		if err != nil {
			return nil, rowError("account", seq, err)
		}
		var out []uint64
		for _, k := range d.keysOf(a) {
			out = append(out, k.hash())
		}
		return out, nil
	}
	s.write.Lock()
	defer s.write.Unlock()
	if s.directory != nil {
		if !slices.EqualFunc(s.directory.schema, d.schema, sameField) {
			return nil, &dirsync.Error{Op: "open directory", Kind: dirsync.Invalid, Err: errors.New("it is open already, with other fields")}
		}
		return s.directory, nil
	}
	if err := guard(d.load); err != nil {
		return nil, named("open directory", err)
	}
	s.state.Lock()
	defer s.state.Unlock()
	s.directory = d
	return d, nil
}

func sameField(a, b dirsync.Field) bool {
	return a.Name == b.Name && a.Label == b.Label && a.Type == b.Type && a.Required == b.Required && a.Unique == b.Unique &&
		a.Format == b.Format && a.MaxLength == b.MaxLength && a.Refused == b.Refused && slices.Equal(a.Options, b.Options)
}

func wholeSchema(fields []dirsync.Field) []dirsync.Field {
	schema := []dirsync.Field{
		{Name: dirsync.FirstName, Label: "First name", Type: dirsync.Text, Required: true},
		{Name: dirsync.LastName, Label: "Last name", Type: dirsync.Text, Required: true},
		{Name: dirsync.EmailAddress, Label: "E-mail", Type: dirsync.Email, Required: true, Unique: true},
	}
	for _, f := range fields {
		i := slices.IndexFunc(schema, func(g dirsync.Field) bool { return g.Name == f.Name })
		switch {
		case i < 0:
			schema = append(schema, f)
		case i < 3:
			if f.Label != "" {
				schema[i].Label = f.Label
			}
			schema[i].MaxLength = f.MaxLength
		default:
			schema[i] = f
		}
	}
	return schema
}

// load reads the index, or makes it anew when other fields are unique than before.
func (d *Directory) load() error {
	var unique []string
	for _, f := range d.schema {
		if f.Unique {
			unique = append(unique, f.Name)
		}
	}
	slices.Sort(unique)
	want, have := fingerprint(unique), uint64(0)
	err := d.s.db.View(func(tx *bolt.Tx) error {
		body, err := get(d.keys.parent(tx), []byte(keyUnique))
		if err == nil && len(body) == 8 {
			have = binary.BigEndian.Uint64(body)
		}
		return err
	})
	if err != nil {
		return err
	}
	if have == want || d.s.opts.ReadOnly {
		return d.s.reload(d.keys)
	}
	if err := d.s.rebuild(d.keys); err != nil {
		return err
	}
	_, err = d.s.change(func(t *tx) error {
		parent, err := t.top(bucketDirectory)
		if err != nil {
			return err
		}
		return put(parent, []byte(keyUnique), seqKey(want))
	})
	return err
}

// accountID is the id of the account with a number.
func accountID(seq uint64) string {
	s := strconv.FormatUint(seq, 10)
	if n := 8 - len(s); n > 0 {
		s = "00000000"[:n] + s
	}
	return "u" + s
}

// accountSeq is the inverse of accountID; 0 for what is no such id.
func accountSeq(id string) uint64 {
	digits, ok := strings.CutPrefix(id, "u")
	seq, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || accountID(seq) != id {
		return 0
	}
	return seq
}

// uniqueKey is something by which at most one account can be found.
type uniqueKey struct {
	tag  string // the field, or tagSource
	text string // folded
}

func (k uniqueKey) hash() uint64 { return hashKey(k.tag, k.text) }

// what says which of an account's properties the key is.
func (k uniqueKey) what() string {
	if k.tag == tagSource {
		return "source id"
	}
	return k.tag
}

// keysOf are an account's keys, the source id first.
func (d *Directory) keysOf(a dirsync.Account) []uniqueKey {
	out := make([]uniqueKey, 0, 2)
	if a.Source != "" {
		out = append(out, uniqueKey{tagSource, string(a.Source)})
	}
	for _, f := range d.schema {
		if !f.Unique {
			continue
		}
		if v, _ := a.Values.Get(f.Name); !v.IsNull() {
			out = append(out, uniqueKey{f.Name, dirsync.Fold(v.Text)})
		}
	}
	return out
}

// dirTx is a transaction that works on the directory.
type dirTx struct {
	*tx
	d     *Directory
	root  *bolt.Bucket
	users *bolt.Bucket
	count uint64
	was   uint64
	lost  bool // whether an account lost a key
	buf   []byte
}

func (d *Directory) view(ctx context.Context, op string, fn func(*dirTx) error) error {
	return d.s.view(ctx, op, func(t *tx) error { return d.in(t, fn) })
}

func (d *Directory) update(ctx context.Context, op string, fn func(*dirTx) error) error {
	lost := false
	err := d.s.update(ctx, op, func(t *tx) error {
		return d.in(t, func(x *dirTx) error {
			err := fn(x)
			lost = x.lost
			return err
		})
	})
	if lost {
		d.moved.Add(1)
	}
	return err
}

func (d *Directory) in(t *tx, fn func(*dirTx) error) error {
	x := &dirTx{tx: t, d: d}
	var err error
	if x.root, err = t.top(bucketDirectory); err != nil {
		return err
	}
	if x.users, err = t.bucket(x.root, bucketUsers); err != nil {
		return err
	}
	if x.users != nil {
		x.users.FillPercent = 0.95
	}
	body, err := get(x.root, []byte(keyCount))
	if err != nil {
		return err
	}
	if body != nil {
		r := decode(body)
		x.count = r.uint()
		if err := r.end(); err != nil {
			return corrupt(fmt.Errorf("count of the directory: %w", err))
		}
	}
	x.was = x.count
	t.finish = append(t.finish, func() error {
		if x.count == x.was {
			return nil
		}
		return put(x.root, []byte(keyCount), appendUint([]byte{rowVersion}, x.count))
	})
	return fn(x)
}

// account reads an account as it is kept: with the values that are not null, of fields past and present.
func (x *dirTx) account(seq uint64, owned bool) (a dirsync.Account, ok bool, err error) {
	body, err := x.row(x.users, seq)
	if err != nil || body == nil {
		return dirsync.Account{}, false, err
	}
	r := decode(body)
	if owned {
		r = decodeOwned(body)
	}
	a, err = decodeAccount(r, seq)
	return a, true, rowError("account", seq, err)
}

// holder finds the account that has a key. skip, when not zero, is an account that does not count.
func (x *dirTx) holder(k uniqueKey, skip uint64) (uint64, dirsync.Account, error) {
	var found dirsync.Account
	seq, err := x.look(x.d.keys, k.hash(), func(seq uint64) (bool, error) {
		if seq == skip {
			return false, nil
		}
		a, ok, err := x.account(seq, true)
		if err != nil || !ok {
			return false, err
		}
		found = a
		return x.d.has(a, k), nil
	})
	return seq, found, err
}

// has tells whether an account has a key.
func (d *Directory) has(a dirsync.Account, k uniqueKey) bool {
	if k.tag == tagSource {
		return string(a.Source) == k.text
	}
	v, _ := a.Values.Get(k.tag)
	return !v.IsNull() && dirsync.Fold(v.Text) == k.text
}

// show makes an account's values speak of every field of the schema, and of no other.
func (d *Directory) show(a dirsync.Account) dirsync.Account {
	values := make(dirsync.Values, 0, len(d.names))
	for _, name := range d.names {
		v, _ := a.Values.Get(name)
		values = append(values, dirsync.FieldValue{Field: name, Value: v})
	}
	a.Values = values
	return a
}

// Name implements dirsync.Target.
func (d *Directory) Name() string { return "embedded directory" }

// Fields implements dirsync.Target.
func (d *Directory) Fields(context.Context) ([]dirsync.Field, error) {
	return slices.Clone(d.schema), nil
}

// usersPage is how many accounts Users reads in one transaction.
const usersPage = 1000

// Users implements dirsync.Target: in the order in which accounts were made. It reads them in pages and calls fn between
// the transactions, so fn may take its time, and may change the directory.
func (d *Directory) Users(ctx context.Context, fn func(dirsync.Account) error) error {
	page := make([]dirsync.Account, 0, usersPage)
	for after := uint64(0); ; {
		page = page[:0]
		err := d.view(ctx, "list users", func(x *dirTx) error {
			if x.users == nil {
				return nil
			}
			cursor := x.users.Cursor()
			for k, v := cursor.Seek(seqKey(after + 1)); len(k) == 8 && len(page) < usersPage; k, v = cursor.Next() {
				body, err := open(k, v)
				if err != nil {
					return err
				}
				after = binary.BigEndian.Uint64(k)
				a, err := decodeAccount(decodeOwned(body), after)
				if err != nil {
					return rowError("account", after, err)
				}
				page = append(page, d.show(a))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, a := range page {
			if err := fn(a); err != nil {
				return err
			}
		}
		if len(page) < usersPage {
			return nil
		}
	}
}

// Count returns the number of accounts, inactive ones included.
func (d *Directory) Count(ctx context.Context) (n int, err error) {
	err = d.view(ctx, "count users", func(x *dirTx) error {
		n = int(x.count)
		return nil
	})
	return n, err
}

// Find returns the account with an id, an e-mail address (or another unique value) or a source id, whichever is tried
// first in this order. When there is none the error's kind is NotFound.
func (d *Directory) Find(ctx context.Context, key string) (out dirsync.Account, err error) {
	for {
		moved := d.moved.Load()
		found := false
		err := d.view(ctx, "find user "+strconv.Quote(key), func(x *dirTx) error {
			out, found, err = x.findAny(key)
			return err
		})
		switch {
		case err != nil:
			return dirsync.Account{}, err
		case found:
			return d.show(out), nil
		case moved == d.moved.Load():
			return dirsync.Account{}, &dirsync.Error{Op: "find user " + strconv.Quote(key), Kind: dirsync.NotFound}
		}
		// An address went from one account to another while we looked: look again.
	}
}

func (x *dirTx) findAny(key string) (dirsync.Account, bool, error) {
	if seq := accountSeq(key); seq != 0 {
		if a, ok, err := x.account(seq, true); ok || err != nil {
			return a, ok, err
		}
	}
	folded := dirsync.Fold(key)
	for _, f := range x.d.schema {
		if !f.Unique {
			continue
		}
		if seq, a, err := x.holder(uniqueKey{f.Name, folded}, 0); seq != 0 || err != nil {
			return a, seq != 0, err
		}
	}
	seq, a, err := x.holder(uniqueKey{tagSource, key}, 0)
	return a, seq != 0, err
}
