package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// The attributes of an account that are no fields of the schema.
const (
	attrActive  = "active"
	attrCreated = "created"
	attrID      = "id"
	attrSource  = "source"
	attrUpdated = "updated"
	attrName    = "userName" // of users
)

// source reads the accounts of one kind.
type source struct {
	a    *accounts
	name string
	// attrs are what a record says, sorted by name.
	attrs []string
	// whole makes the record of an account that is there.
	whole func(*accountsTx, account) (dirsync.Record, error)
}

// Source returns the directory's users as a source of people, so that they can be provisioned to other applications.
//
// A record is Whole and has the fields of the schema by their names, and beside them id, active (a Boolean), created and
// updated (DateTime), userName, which is the e-mail address unless a provisioning client has said another name, and
// source: the object id of the person whom a sync made or joined the account for, by which those who came from a tenant
// can be told from the directory's own people. An attribute without a value is absent. A field of the schema that has one
// of these names is not told. In which groups a user is, is for the GroupSource to say.
//
// A Reference is the directory's id of another user, also where a sync wrote the id that they have at its source; it has no
// value as long as nobody was made or joined for that id, and the user has changed when somebody is.
//
// A round from a cursor costs as much as has changed since, and nothing but one empty page if nothing has. A tombstone is
// soft as long as the account can be brought back. A cursor expires when more was forgotten since than tombstones are kept
// (Options.KeepTombstones), and one that was made of another file, or of this one before it was restored from a backup,
// has expired.
func (d *Directory) Source() dirsync.Source {
	return newSource(d.accounts, "embedded directory")
}

func newSource(a *accounts, name string) *source {
	s := &source{a: a, name: name, attrs: []string{attrActive, attrCreated, attrID, attrSource, attrUpdated}}
	if a.kind() == dirsync.KindUser {
		s.attrs = append(s.attrs, attrName)
	}
	for _, name := range a.names {
		if !slices.Contains(s.attrs, name) {
			s.attrs = append(s.attrs, name)
		}
	}
	slices.Sort(s.attrs)
	s.whole = s.record
	return s
}

// Name implements dirsync.Source.
func (s *source) Name() string { return s.name }

// Fields implements dirsync.Source.
func (s *source) Fields(context.Context) ([]dirsync.Field, error) {
	out := []dirsync.Field{
		{Name: attrID, Label: "Id", Type: dirsync.Text, Required: true, Unique: true},
		{Name: attrActive, Label: "Active", Type: dirsync.Boolean, Required: true},
		{Name: attrCreated, Label: "Created", Type: dirsync.DateTime},
		{Name: attrUpdated, Label: "Updated", Type: dirsync.DateTime},
		{Name: attrSource, Label: "Source id", Type: dirsync.Text, Unique: true},
	}
	if s.a.kind() == dirsync.KindUser {
		out = append(out, dirsync.Field{Name: attrName, Label: "User name", Type: dirsync.Text})
	}
	own := len(out)
	for _, f := range s.a.schema {
		if !slices.ContainsFunc(out[:own], func(o dirsync.Field) bool { return o.Name == f.Name }) {
			out = append(out, f)
		}
	}
	return out, nil
}

// place where reading stands in the sequence of changes.
type readingPlace struct {
	// number is the last change that was read, and begun what the last one of all was when the round began.
	number, begun uint64
	// open says that the round is under way.
	open bool
}

// cursor writes a place: "d1-u-fingerprint-number", and begun behind it in the middle of a round.
func (s *source) cursor(p readingPlace) dirsync.Cursor {
	c := "d1-" + s.a.letter + "-" + s.a.s.identity + "-" + strconv.FormatUint(p.number, 10)
	if p.open {
		c += "-" + strconv.FormatUint(p.begun, 10)
	}
	return dirsync.Cursor(c)
}

// place reads a cursor. ok is false for one that was not made here, or not of this file.
func (s *source) place(c dirsync.Cursor) (p readingPlace, ok bool) {
	rest, ok := strings.CutPrefix(string(c), "d1-"+s.a.letter+"-"+s.a.s.identity+"-")
	if !ok {
		return p, false
	}
	number, begun, open := strings.Cut(rest, "-")
	var err error
	if p.number, err = strconv.ParseUint(number, 10, 64); err != nil {
		return p, false
	}
	p.begun = p.number
	if p.open = open; open {
		if p.begun, err = strconv.ParseUint(begun, 10, 64); err != nil {
			return p, false
		}
	}
	return p, s.cursor(p) == c
}

// Read implements dirsync.Source. It reads each page in a transaction of its own and calls fn between them, so fn may take
// its time, and may change the directory. A round ends when nothing is left, changes that were made meanwhile included.
func (s *source) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	var at readingPlace
	if since != "" {
		var ok bool
		if at, ok = s.place(since); !ok {
			return fmt.Errorf("the cursor was not made of this directory: %w", dirsync.ErrCursorExpired)
		}
	}
	for first := since == ""; ; first = false {
		page, next, err := s.page(ctx, at, first)
		if err != nil {
			return err
		}
		if err := fn(page); err != nil {
			return err
		}
		if page.Complete {
			return nil
		}
		at = next
	}
}

// page reads the page behind a place; first says that a round from the beginning begins with it.
func (s *source) page(ctx context.Context, at readingPlace, first bool) (page dirsync.Page, next readingPlace, err error) {
	err = s.a.view(ctx, "read "+s.a.noun+"s", func(x *accountsTx) error {
		h, err := x.past()
		if err != nil {
			return err
		}
		if first {
			at.begun = h.latest
		}
		if err := s.known(at, h); err != nil {
			return err
		}
		next = readingPlace{number: at.number, begun: at.begun, open: true}
		w, err := newWalk(h, at.number)
		if err != nil {
			return err
		}
		told := map[uint64]struct{}{}
		for len(page.Records) < s.a.s.sizes.page {
			c, gone, err := w.next()
			if err != nil {
				return err
			}
			if c.number == 0 {
				page.Complete, next = true, readingPlace{number: h.latest, begun: h.latest}
				break
			}
			r, err := s.read(x, c, gone)
			if err != nil {
				return err
			}
			page.Records = append(page.Records, r)
			next.number, told[c.seq] = c.number, struct{}{}
			if c.number <= at.begun {
				continue // it was not made in this round
			}
			err = x.waiting(c.seq, at.begun, func(seq uint64, r account) error {
				if _, ok := told[seq]; ok {
					return nil
				}
				told[seq] = struct{}{}
				record, err := s.whole(x, r)
				page.Records = append(page.Records, record)
				return err
			})
			if err != nil {
				return err
			}
		}
		page.Next = s.cursor(next)
		return nil
	})
	return page, next, err
}

// known tells whether everything that happened behind a place is still known. Of who was deleted and forgotten before a
// round began, that round did not speak, so nothing is missing then.
func (s *source) known(at readingPlace, h *history) error {
	switch {
	case max(at.number, at.begun) >= h.now.upTo && at.number <= h.latest && at.begun <= h.latest:
		return nil
	case at.open:
		return fmt.Errorf("what was deleted since this page is forgotten: %w", dirsync.ErrPageExpired)
	default:
		return fmt.Errorf("what was deleted since the last reading is forgotten: %w", dirsync.ErrCursorExpired)
	}
}

// walk goes through the changes after a number in their order, those of accounts that are kept and those of others.
type walk struct {
	list       *bolt.Cursor
	entries    []changed
	tombstones *bolt.Cursor
	tomb       []byte
}

func newWalk(h *history, after uint64) (*walk, error) {
	w := &walk{}
	if h.tombstones != nil {
		w.tombstones = h.tombstones.Cursor()
		w.tomb, _ = w.tombstones.Seek(seqKey(after + 1))
	}
	if h.list == nil {
		return w, nil
	}
	w.list = h.list.Cursor()
	k, row := seekChunk(w.list, after+1)
	if k == nil {
		k, row = w.list.First()
	}
	if err := w.open(k, row); err != nil {
		return nil, err
	}
	for len(w.entries) > 0 && w.entries[0].number <= after {
		if err := w.advance(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func (w *walk) open(k, row []byte) (err error) {
	if w.entries = nil; k != nil {
		_, w.entries, err = openChunk(k, row)
	}
	return err
}

func (w *walk) advance() error {
	if w.entries = w.entries[1:]; len(w.entries) > 0 {
		return nil
	}
	return w.open(w.list.Next())
}

// next returns the next change, whose number is 0 at the end.
func (w *walk) next() (c changed, gone bool, err error) {
	if w.tomb != nil {
		if len(w.tomb) != 16 {
			return c, false, corrupt(fmt.Errorf("tombstone %x has no number", w.tomb))
		}
		c = changed{binary.BigEndian.Uint64(w.tomb), binary.BigEndian.Uint64(w.tomb[8:])}
	}
	if len(w.entries) == 0 || w.tomb != nil && c.number < w.entries[0].number {
		if w.tomb != nil {
			w.tomb, _ = w.tombstones.Next()
		}
		return c, true, nil
	}
	c = w.entries[0]
	return c, false, w.advance()
}

// read reads the account of a change.
func (s *source) read(x *accountsTx, c changed, gone bool) (dirsync.Record, error) {
	if gone {
		return s.tombstone(c.seq, dirsync.GoneHard), nil
	}
	r, there, err := x.account(c.seq, true)
	if err == nil && there && r.number == c.number {
		return s.whole(x, r)
	}
	if err == nil && !there {
		var when time.Time
		if r, when, there, err = x.deletedAccount(c.seq); err == nil && there && r.number == c.number {
			return s.deleted(x, c.seq, when), nil
		}
	}
	if err == nil {
		err = corrupt(fmt.Errorf("change %d is of %s %s, which does not know of it", c.number, s.a.noun, s.a.id(c.seq)))
	}
	return dirsync.Record{}, err
}

func (s *source) tombstone(seq uint64, gone dirsync.Gone) dirsync.Record {
	return dirsync.Record{ID: dirsync.ID(s.a.id(seq)), Kind: s.a.kind(), Gone: gone}
}

// deleted is the tombstone of an account that is kept.
func (s *source) deleted(x *accountsTx, seq uint64, when time.Time) dirsync.Record {
	if x.tooOld(when) {
		return s.tombstone(seq, dirsync.GoneHard)
	}
	return s.tombstone(seq, dirsync.GoneSoft)
}

// record is the record of an account that is there.
func (s *source) record(x *accountsTx, r account) (dirsync.Record, error) {
	out := dirsync.Record{ID: dirsync.ID(r.ID), Kind: s.a.kind(), Whole: true, Attrs: make(dirsync.Attributes, 0, len(s.attrs))}
	r, err := x.seen(r)
	if err != nil {
		return dirsync.Record{}, err
	}
	for _, name := range s.attrs {
		var v dirsync.Value
		switch name {
		case attrActive:
			v = dirsync.Value{Type: dirsync.Boolean, Text: strconv.FormatBool(r.Active)}
		case attrCreated:
			v = moment(r.Created)
		case attrID:
			v = dirsync.Value{Type: dirsync.Text, Text: r.ID}
		case attrSource:
			if r.Source != "" {
				v = dirsync.Value{Type: dirsync.Text, Text: string(r.Source)}
			}
		case attrUpdated:
			v = moment(r.Updated)
		case attrName:
			if name := s.a.nameOf(r); name != "" {
				v = dirsync.Value{Type: dirsync.Text, Text: name}
			}
		default:
			v, _ = r.Values.Get(name)
		}
		if v.IsNull() {
			continue
		}
		raw, err := rawValue(v)
		if err != nil {
			return dirsync.Record{}, fmt.Errorf("%s of %s %s: %w", name, s.a.noun, r.ID, err)
		}
		out.Attrs = append(out.Attrs, dirsync.Attribute{Name: name, Raw: raw})
	}
	return out, nil
}

func moment(t time.Time) dirsync.Value {
	if t.IsZero() {
		return dirsync.Value{}
	}
	return dirsync.Value{Type: dirsync.DateTime, Text: t.UTC().Format(time.RFC3339Nano)}
}

// rawValue is a value in JSON. Most are texts in which nothing needs to be escaped.
func rawValue(v dirsync.Value) (json.RawMessage, error) {
	switch v.Type {
	case dirsync.Boolean, dirsync.Number, dirsync.TextList:
		return v.MarshalJSON()
	}
	for i := range len(v.Text) {
		if c := v.Text[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return v.MarshalJSON()
		}
	}
	b := make([]byte, 0, len(v.Text)+2)
	return append(append(append(b, '"'), v.Text...), '"'), nil
}

// LookUp implements dirsync.Source. An id that was never given is that of nobody, for good.
func (s *source) LookUp(ctx context.Context, ids []dirsync.ID, fn func(dirsync.Record) error) error {
	for some := range slices.Chunk(ids, s.a.s.sizes.page) {
		records := make([]dirsync.Record, len(some))
		err := s.a.view(ctx, "look up "+s.a.noun+"s", func(x *accountsTx) error {
			for i, id := range some {
				var err error
				if records[i], err = s.lookUp(x, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// lookUp reads one account, or its tombstone.
func (s *source) lookUp(x *accountsTx, id dirsync.ID) (dirsync.Record, error) {
	seq := s.a.seq(string(id))
	if seq == 0 {
		return dirsync.Record{ID: id, Kind: s.a.kind(), Gone: dirsync.GoneHard}, nil
	}
	r, there, err := x.account(seq, true)
	if err != nil {
		return dirsync.Record{}, err
	}
	if there {
		return s.whole(x, r)
	}
	_, when, kept, err := x.deletedAccount(seq)
	if kept {
		return s.deleted(x, seq, when), err
	}
	return s.tombstone(seq, dirsync.GoneHard), err
}
