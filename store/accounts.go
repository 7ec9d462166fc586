package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// accounts are what the embedded directory keeps of one kind: its users, or its groups. An account has an id, a letter and
// a number of at least eight digits in the order of arrival, which is never given to anybody else; a source id; a status;
// values of the schema's fields; and, if it is a user, the groups that they are in.
//
// Of each kind there is a bucket with these in it:
//
//	the rows          number → account
//	index             hash of a source id, of a value, of a reference or of a group, and number → nothing; "indexed" beside it
//	count             how many there are, how many deleted ones are kept, and of how many clients have said something
//	unique            a fingerprint of the fields by which accounts can be found
//	deleted           number → when, and the account as it was
//	deletedOrder      when and number → nothing
//	sizes             of groups: number → how many users are in it
//	holes             number of a block of rows → how many of them are not there any more
//	changes           number of the last change and number → nothing
//	tombstones        number of the last change and number → when, of who is not there any more
//	forgotten         up to which change tombstones were forgotten, and how many there are
type accounts struct {
	s      *Store
	noun   string // "user"
	letter string // with which ids begin
	place  string // the bucket, and that of the rows in it
	rows   string
	schema []dirsync.Field
	names  []string // of the schema, sorted
	// indexed are fields by which accounts can be found although several may have the same value.
	indexed []string
	// references are the fields by which one account may refer to another, and unindexed says that the index may not know of
	// them yet, in a file that may only be looked at.
	references []string
	unindexed  bool
	keys       *index
	moved      atomic.Uint64 // counts the transactions that took a key away from an account
	// groups are those that a user may be in, and users, of groups, who may be in them.
	groups, users *accounts
}

const (
	bucketUsers        = "users"
	bucketDeleted      = "deleted"
	bucketDeletedOrder = "deletedOrder"
	bucketSizes        = "sizes"
	keyCount           = "count"
	keyUnique          = "unique"
	tagSource          = "\x00source"
	tagGroup           = "\x00group"
	tagUserName        = "\x00name"
	tagDisplay         = "\x00display"
	tagExternal        = "\x00external"
	tagMail            = "\x00mail"
)

func newAccounts(s *Store, noun, place, rows string, schema []dirsync.Field) *accounts {
	a := &accounts{s: s, noun: noun, letter: noun[:1], place: place, rows: rows, schema: schema}
	for _, f := range schema {
		a.names = append(a.names, f.Name)
		if f.Type == dirsync.Reference {
			a.references = append(a.references, f.Name)
		}
	}
	slices.Sort(a.names)
	a.keys = &index{what: "index of the directory's " + noun + "s", rows: rows, table: newTable()}
	a.keys.parent = func(b *bolt.Tx) *bolt.Bucket { return b.Bucket([]byte(place)) }
	a.keys.hashes = func(seq uint64, body []byte) ([]uint64, error) {
		r, err := decodeAccount(decode(body))
		if err != nil {
			return nil, rowError(noun, seq, err)
		}
		return a.hashesOf(r), nil
	}
	return a
}

// load reads the index, or makes it anew when accounts were found by other fields before.
func (a *accounts) load() error {
	found := slices.Clone(a.indexed)
	for _, f := range a.schema {
		if f.Unique {
			found = append(found, f.Name)
		}
	}
	for _, name := range a.references {
		found = append(found, tagRefers+name)
	}
	slices.Sort(found)
	want, have := fingerprint(found), uint64(0)
	err := a.s.db.View(func(tx *bolt.Tx) error {
		body, err := get(a.keys.parent(tx), []byte(keyUnique))
		if err == nil && len(body) == 8 {
			have = binary.BigEndian.Uint64(body)
		}
		return err
	})
	if err != nil {
		return err
	}
	if have == want || a.s.opts.ReadOnly {
		a.unindexed = have != want
		return a.s.reload(a.keys)
	}
	if err := a.s.rebuild(a.keys); err != nil {
		return err
	}
	_, err = a.s.change(func(t *tx) error {
		parent, err := t.top(a.place)
		if err != nil {
			return err
		}
		return put(parent, []byte(keyUnique), seqKey(want))
	})
	return err
}

// kind is what the accounts are to a source.
func (a *accounts) kind() dirsync.Kind {
	if a.users != nil {
		return dirsync.KindGroup
	}
	return dirsync.KindUser
}

// id is the id of the account with a number.
func (a *accounts) id(seq uint64) string {
	s := strconv.FormatUint(seq, 10)
	if n := 8 - len(s); n > 0 {
		s = "00000000"[:n] + s
	}
	return a.letter + s
}

// seq is the inverse of id; 0 for what is no such id.
func (a *accounts) seq(id string) uint64 {
	digits, ok := strings.CutPrefix(id, a.letter)
	if !ok {
		return 0 // without the cost of an error
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || seq > maxAccounts || a.id(seq) != id {
		return 0
	}
	return seq
}

// numbered completes an account that was read with what its row does not say. In a file of before, accounts have changed
// last when they were made, as far as anybody knows.
func (a *accounts) numbered(r account, seq uint64) account {
	r.ID = a.id(seq)
	if r.number == 0 {
		r.number = seq
	}
	return r
}

// nameOf is by what people and clients call an account: a user's user name, which is the e-mail address unless a client
// has said another, and a group's name.
func (a *accounts) nameOf(r account) string {
	if name := r.said.called(); name != "" {
		return name
	}
	field := dirsync.EmailAddress
	if a.kind() == dirsync.KindGroup {
		field = groupName
	}
	v, _ := r.Values.Get(field)
	return v.Text
}

// accountsTx is a transaction that works on accounts of one kind.
type accountsTx struct {
	*tx
	a    *accounts
	root *bolt.Bucket
	rows *bolt.Bucket
	// count is how many there are, kept how many deleted ones are kept, and told of how many clients have said something;
	// was is all three as they are in the file.
	count, kept, told uint64
	was               [3]uint64
	// holes is how many more rows of a block are missing.
	holes     map[uint64]uint64
	deletions int  // in this transaction
	lost      bool // whether an account lost a key
	// shifted are the source ids that accounts came to have, or have no longer.
	shifted map[string]struct{}
	buf     []byte
	history history
	// The rest is for users: the groups, and what is known of them so far.
	groupsTx *accountsTx
	known    map[uint64]groupState
	numbers  map[string]uint64 // of groups, by their source ids
	// resized is what the users of this transaction add to the sizes of groups, or take away as the two's complement. It
	// has every group that somebody has joined or left.
	resized map[uint64]uint64
}

func (a *accounts) view(ctx context.Context, op string, fn func(*accountsTx) error) error {
	return a.s.view(ctx, op, func(t *tx) error { return a.in(t, fn) })
}

func (a *accounts) update(ctx context.Context, op string, fn func(*accountsTx) error) error {
	return a.s.update(ctx, op, func(t *tx) error {
		return a.in(t, func(x *accountsTx) error {
			err := fn(x)
			if x.lost {
				// Before the key goes: who then misses it, in a transaction that began earlier, looks again.
				t.committed = append(t.committed, func() { a.moved.Add(1) })
			}
			return err
		})
	})
}

func (a *accounts) in(t *tx, fn func(*accountsTx) error) error {
	x, err := a.open(t)
	if err != nil {
		return err
	}
	return fn(x)
}

func (a *accounts) open(t *tx) (*accountsTx, error) {
	x := &accountsTx{tx: t, a: a}
	var err error
	if x.root, err = t.top(a.place); err != nil {
		return nil, err
	}
	if x.rows, err = t.bucket(x.root, a.rows); err != nil {
		return nil, err
	}
	if x.rows != nil {
		x.rows.FillPercent = 0.95
	}
	body, err := get(x.root, []byte(keyCount))
	if err != nil {
		return nil, err
	}
	if body != nil {
		r := decode(body)
		if x.count = r.uint(); r.more() {
			x.kept = r.uint()
		}
		if r.more() {
			x.told = r.uint()
		}
		if err := r.end(); err != nil {
			return nil, corrupt(fmt.Errorf("count of the directory's %ss: %w", a.noun, err))
		}
	}
	x.was = [3]uint64{x.count, x.kept, x.told}
	t.finish = append(t.finish, x.write)
	return x, nil
}

// write writes at the end of a transaction what was only counted until then, and forgets what was deleted long ago.
func (x *accountsTx) write() error {
	if err := x.forgetDeleted(); err != nil {
		return err
	}
	if err := x.resize(); err != nil {
		return err
	}
	if err := x.renumber(); err != nil {
		return err
	}
	if err := x.writeHistory(); err != nil {
		return err
	}
	if err := x.dig(); err != nil {
		return err
	}
	if x.was == [3]uint64{x.count, x.kept, x.told} {
		return nil
	}
	body := appendUint([]byte{rowVersion}, x.count)
	if x.kept > 0 || x.told > 0 {
		body = appendUint(body, x.kept)
	}
	if x.told > 0 {
		body = appendUint(body, x.told)
	}
	return put(x.root, []byte(keyCount), body)
}

// account reads an account as it is kept.
func (x *accountsTx) account(seq uint64, owned bool) (r account, ok bool, err error) {
	body, err := x.row(x.rows, seq)
	if err != nil || body == nil {
		return account{}, false, err
	}
	d := decode(body)
	if owned {
		d = decodeOwned(body)
	}
	r, err = decodeAccount(d)
	return x.a.numbered(r, seq), true, rowError(x.a.noun, seq, err)
}

// holder finds an account that has a key. skip, when not zero, is an account that does not count.
func (x *accountsTx) holder(k lookupKey, skip uint64) (uint64, account, error) {
	var found account
	seq, err := x.look(x.a.keys, k.hash(), func(seq uint64) (bool, error) {
		if seq == skip {
			return false, nil
		}
		r, ok, err := x.account(seq, true)
		if err != nil || !ok {
			return false, err
		}
		found = r
		return x.a.has(r, k), nil
	})
	return seq, found, err
}

// show makes an account's values speak of every field of the schema, and of no other but a user's groups, if they are in
// any.
func (x *accountsTx) show(r account) (dirsync.Account, error) {
	values := make(dirsync.Values, 0, len(x.a.names)+1)
	for _, name := range x.a.names {
		v, _ := r.Values.Get(name)
		values = append(values, dirsync.FieldValue{Field: name, Value: v})
	}
	if len(r.in) > 0 {
		v, err := x.groupsValue(r.in)
		if err != nil {
			return dirsync.Account{}, err
		}
		if !v.IsNull() {
			values = values.Set(dirsync.GroupsField, v)
		}
	}
	r.Values = values
	return r.Account, nil
}

// Fields implements dirsync.Target.
func (a *accounts) Fields(context.Context) ([]dirsync.Field, error) {
	return slices.Clone(a.schema), nil
}

// usersPage is how many accounts Users reads in one transaction.
const usersPage = 1000

// Users implements dirsync.Target: in the order in which accounts were made. It reads them in pages and calls fn between
// the transactions, so fn may take its time, and may change the directory.
func (a *accounts) Users(ctx context.Context, fn func(dirsync.Account) error) error {
	for after := uint64(0); ; {
		page, err := a.page(ctx, &after, usersPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := fn(r); err != nil {
				return err
			}
		}
		if len(page) < usersPage {
			return nil
		}
	}
}

// page lists accounts after a number, and moves it on to the last of them.
func (a *accounts) page(ctx context.Context, after *uint64, limit int) (page []dirsync.Account, err error) {
	if limit <= 0 {
		return nil, ctx.Err()
	}
	err = a.view(ctx, "list "+a.noun+"s", func(x *accountsTx) error {
		return x.rowsAfter(*after, func(seq uint64, r account) (bool, error) {
			*after = seq
			shown, err := x.show(r)
			page = append(page, shown)
			return len(page) < limit, err
		})
	})
	return page, err
}

// rowsAfter calls fn for the accounts after a number, in order, until it returns false.
func (x *accountsTx) rowsAfter(after uint64, fn func(seq uint64, r account) (bool, error)) error {
	if x.rows == nil {
		return nil
	}
	cursor := x.rows.Cursor()
	for k, v := cursor.Seek(seqKey(after + 1)); len(k) == 8; k, v = cursor.Next() {
		body, err := open(k, v)
		if err != nil {
			return err
		}
		seq := binary.BigEndian.Uint64(k)
		r, err := decodeAccount(decodeOwned(body))
		if err != nil {
			return rowError(x.a.noun, seq, err)
		}
		if more, err := fn(seq, x.a.numbered(r, seq)); err != nil || !more {
			return err
		}
	}
	return nil
}

// Count returns the number of accounts, inactive ones included.
func (a *accounts) Count(ctx context.Context) (n int, err error) {
	err = a.view(ctx, "count "+a.noun+"s", func(x *accountsTx) error {
		n = int(x.count)
		return nil
	})
	return n, err
}
