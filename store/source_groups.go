package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"dirsync"
)

// groupSource reads the groups of the directory and who is in them.
type groupSource struct {
	*source
	chosen []string
	all    bool
}

var _ dirsync.GroupSource = (*groupSource)(nil)

// The attributes of a group that are called otherwise as a target's fields; see the engine.
const attrDisplayName = "displayName"

// GroupSource returns the directory's groups as a source of groups, of those that are chosen, or of all. A group is chosen
// by its id, by the id of the source that a sync made it for, or by a name that no other group has, letter case
// disregarded; it is known by its id from then on. Members are users: groups of the directory do not nest, so that nested
// changes nothing.
//
// A record is Whole and has the attributes id, displayName, description, mail, created, and source, as far as they have a
// value; that of a look-up has no members, for Members lists them. A round from a cursor reads nothing but the groups that
// have changed since, and tells who has joined or left; all members, in a Fresh record, only of groups that were made or
// brought back since, and of those that have changed when so many have joined and left since (some hundred thousand) that
// not all of it is known any more. Cursors expire as those of Source do, and when other groups are chosen than those that
// they were made of.
func (d *Directory) GroupSource(chosen []string, all, nested bool) dirsync.GroupSource {
	_ = nested
	g := &groupSource{source: newSource(d.groups.accounts, "groups of the embedded directory"), all: all}
	g.whole = func(_ *accountsTx, r account) (dirsync.Record, error) { return g.groupRecord(r) }
	for _, name := range chosen {
		if !slices.Contains(g.chosen, name) {
			g.chosen = append(g.chosen, name)
		}
	}
	return g
}

// Fields implements dirsync.Source.
func (g *groupSource) Fields(context.Context) ([]dirsync.Field, error) {
	return []dirsync.Field{
		{Name: attrID, Label: "Id", Type: dirsync.Text, Required: true, Unique: true},
		{Name: attrDisplayName, Label: "Name", Type: dirsync.Text, Required: true},
		{Name: "description", Label: "Description", Type: dirsync.Text},
		{Name: "mail", Label: "Mail", Type: dirsync.Text},
		{Name: attrCreated, Label: "Created", Type: dirsync.DateTime},
		{Name: attrSource, Label: "Source id", Type: dirsync.Text, Unique: true},
	}, nil
}

// groupPlace is where reading stands, and of which groups.
type groupPlace struct {
	readingPlace
	// fresh says that nothing was read from here yet.
	fresh bool
	// Full says that the round under way began at the beginning, and Started what the last change of all was then.
	Full    bool
	Started uint64
	All     bool
	Chosen  []dirsync.ChosenGroup
}

// following separates the groups that a cursor follows from the place in the sequence of changes.
const following = "~"

// groupCursor writes a place: that in the sequence of changes, and what is followed.
func (g *groupSource) groupCursor(p groupPlace) dirsync.Cursor {
	text, _ := json.Marshal(struct {
		Full    bool                  `json:"full,omitempty"`
		Started uint64                `json:"started,omitempty"`
		All     bool                  `json:"all,omitempty"`
		Chosen  []dirsync.ChosenGroup `json:"chosen,omitempty"`
	}{p.Full, p.Started, p.All, p.Chosen}) // texts always marshal
	at := dirsync.Cursor("")
	if !p.fresh {
		at = g.cursor(p.readingPlace)
	}
	return at + following + dirsync.Cursor(base64.RawURLEncoding.EncodeToString(text))
}

// groupPlace reads a cursor. ok is false for one that was not made here.
func (g *groupSource) groupPlace(c dirsync.Cursor) (p groupPlace, ok bool) {
	at, followed, _ := strings.Cut(string(c), following)
	if p, ok = decodeFollowed(followed); !ok {
		return p, false
	}
	if p.fresh = at == ""; p.fresh {
		return p, true
	}
	p.readingPlace, ok = g.place(dirsync.Cursor(at))
	return p, ok
}

// decodeFollowed reads what a cursor follows.
func decodeFollowed(s string) (p groupPlace, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(text, &p) != nil {
		return groupPlace{}, false
	}
	return p, true
}

// Chosen implements dirsync.GroupSource.
func (g *groupSource) Chosen(c dirsync.Cursor) []dirsync.ChosenGroup {
	return ChosenGroups(c, g.chosen)
}

// ChosenGroups is dirsync.GroupSource.Chosen of a Directory.GroupSource that was made with these names. It reads nothing.
func ChosenGroups(c dirsync.Cursor, chosen []string) []dirsync.ChosenGroup {
	var out []dirsync.ChosenGroup
	_, followed, _ := strings.Cut(string(c), following) // also of a place that has expired
	p, ok := decodeFollowed(followed)
	if !ok {
		return nil
	}
	for _, name := range chosen {
		if i := slices.IndexFunc(p.Chosen, func(c dirsync.ChosenGroup) bool { return c.Name == name }); i >= 0 {
			out = append(out, p.Chosen[i])
		}
	}
	return out
}

// Again implements dirsync.GroupSource.
func (g *groupSource) Again(c dirsync.Cursor) dirsync.Cursor {
	chosen := g.Chosen(c)
	if len(chosen) == 0 {
		return ""
	}
	return g.groupCursor(groupPlace{fresh: true, Chosen: chosen})
}

const (
	readGroups   = "read groups"
	chooseGroups = "find the chosen groups"
)

// Read implements dirsync.Source; see source.Read.
func (g *groupSource) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	at, err := g.begin(ctx, since)
	if err != nil {
		return err
	}
	for {
		page, next, err := g.page(ctx, at)
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

// begin finds out where to go on, and which groups are followed.
func (g *groupSource) begin(ctx context.Context, since dirsync.Cursor) (groupPlace, error) {
	if len(g.chosen) == 0 && !g.all {
		return groupPlace{}, &dirsync.Error{Op: chooseGroups, Kind: dirsync.Invalid, Field: dirsync.GroupsField, Err: errors.New("no group is chosen"),
			Hint: "Name the groups to read by their names or ids, or have all of them read."}
	}
	at := groupPlace{fresh: true}
	if since != "" {
		var ok bool
		if at, ok = g.groupPlace(since); !ok {
			return at, fmt.Errorf("the cursor was not made of the groups of this directory: %w", dirsync.ErrCursorExpired)
		}
	}
	pinned := g.Chosen(since)
	switch {
	case at.fresh:
	case g.all && !at.All, len(pinned) < len(g.chosen):
		return at, fmt.Errorf("other groups are chosen than those that were read: %w", dirsync.ErrCursorExpired)
	}
	at.All, at.Chosen = g.all, pinned
	return at, g.choose(ctx, &at)
}

// choose finds the groups that were chosen and are not known yet.
func (g *groupSource) choose(ctx context.Context, p *groupPlace) error {
	if len(p.Chosen) == len(g.chosen) {
		return nil
	}
	known := p.Chosen
	p.Chosen = nil
	return g.a.view(ctx, chooseGroups, func(x *accountsTx) error {
		for _, name := range g.chosen {
			if i := slices.IndexFunc(known, func(c dirsync.ChosenGroup) bool { return c.Name == name }); i >= 0 {
				p.Chosen = append(p.Chosen, known[i])
				continue
			}
			id, err := x.chosenGroup(name)
			if err != nil {
				return err
			}
			p.Chosen = append(p.Chosen, dirsync.ChosenGroup{Name: name, ID: id})
		}
		return nil
	})
}

// chosenGroup finds the one group that a name means.
func (x *accountsTx) chosenGroup(name string) (dirsync.ID, error) {
	refuse := func(hint, format string, args ...any) error {
		return &dirsync.Error{Op: chooseGroups, Kind: dirsync.Invalid, Field: dirsync.GroupsField, Value: name, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	if seq := x.a.seq(name); seq != 0 {
		if _, there, err := x.account(seq, false); there || err != nil {
			return dirsync.ID(name), err
		}
	}
	if seq, _, err := x.holder(lookupKey{tagSource, name}, 0); seq != 0 || err != nil {
		return dirsync.ID(x.a.id(seq)), err
	}
	found, err := x.findAll(lookupKey{groupName, dirsync.Fold(name)})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", refuse("dirsync groups list shows the groups that there are.", "there is no group %q in the directory", name)
	case len(found) > 1:
		return "", refuse("Name it by its id instead.", "several groups of the directory are called %q: %s and %s", name, found[0].ID, found[1].ID)
	}
	return dirsync.ID(found[0].ID), nil
}

// follows tells whether a place follows a group.
func (p *groupPlace) follows(id dirsync.ID) bool {
	return p.All || slices.ContainsFunc(p.Chosen, func(c dirsync.ChosenGroup) bool { return c.ID == id })
}

// mostMembers is about how many members a page has; one group is never divided.
const mostMembers = 20_000

// page reads the page behind a place.
func (g *groupSource) page(ctx context.Context, at groupPlace) (page dirsync.Page, next groupPlace, err error) {
	err = g.a.view(ctx, readGroups, func(x *accountsTx) error {
		h, err := x.past()
		if err != nil {
			return err
		}
		if !at.open {
			at.Started = h.latest
		}
		if at.fresh {
			at.fresh, at.Full, at.begun = false, true, h.latest
			if page.Records, err = g.missing(x, at); err != nil {
				return err
			}
		}
		if err := g.known(at.readingPlace, h); err != nil {
			return err
		}
		next = at
		next.open = true
		w, err := newWalk(h, at.number)
		if err != nil {
			return err
		}
		news, err := at.news(h)
		if err != nil {
			return err
		}
		for members := 0; len(page.Records) < g.a.s.sizes.page && members < mostMembers; {
			c, gone, err := w.next()
			if err != nil {
				return err
			}
			if c.number == 0 {
				page.Complete, next.Full, next.Started = true, false, 0
				next.readingPlace = readingPlace{number: h.latest, begun: h.latest}
				break
			}
			next.number = c.number
			if !at.follows(dirsync.ID(g.a.id(c.seq))) {
				continue
			}
			r, err := g.group(x, c, gone, news)
			if err != nil {
				return err
			}
			members += len(r.Members)
			page.Records = append(page.Records, r)
		}
		page.Next = g.groupCursor(next)
		return nil
	})
	return page, next, err
}

// missing are the tombstones of chosen groups that were pinned and are not there any more: of what was forgotten long ago no
// round from the beginning speaks.
func (g *groupSource) missing(x *accountsTx, at groupPlace) (out []dirsync.Record, err error) {
	for _, c := range at.Chosen {
		r, err := g.lookUp(x, c.ID)
		if err != nil {
			return nil, err
		}
		if r.Gone != dirsync.Present {
			out = append(out, r)
		}
	}
	return out, nil
}

// groupNews is who has joined or left which group.
type groupNews struct {
	of map[uint64]*joinNews
	// whole says that it is not all that has happened since the groups were read last. What has happened in this round it is
	// in any case: whoever was told as a member, and has left since, must be told to have left.
	whole bool
}

// news finds out who has joined or left.
func (p *groupPlace) news(h *history) (news groupNews, err error) {
	since := p.begun
	if news.whole = p.Full || p.begun < h.now.joinsUpTo; news.whole {
		since = p.Started
	}
	if since < h.now.joinsUpTo {
		return news, fmt.Errorf("who has joined and left since this page is forgotten: %w", dirsync.ErrPageExpired)
	}
	news.of, err = h.joinsSince(since)
	return news, err
}

// group reads the group of a change, with those of its members of whom there is news, or all.
func (g *groupSource) group(x *accountsTx, c changed, gone bool, news groupNews) (dirsync.Record, error) {
	if gone {
		return g.tombstone(c.seq, dirsync.GoneHard), nil
	}
	r, there, err := x.account(c.seq, true)
	if err != nil || !there || r.number != c.number {
		return g.read(x, c, gone) // a tombstone, or what is wrong
	}
	out, err := g.groupRecord(r)
	if err != nil {
		return out, err
	}
	users, err := x.a.users.open(x.tx)
	if err != nil {
		return out, err
	}
	of := news.of[c.seq]
	if of == nil {
		of = &joinNews{}
	}
	out.Fresh = news.whole || of.all
	tell := func(seq uint64, gone bool) error {
		u, _, err := users.account(seq, false)
		if in := contains(u.in, c.seq); err == nil && in != gone {
			out.Members = append(out.Members, dirsync.MemberChange{ID: dirsync.ID(users.a.id(seq)), Removed: gone})
		}
		return err
	}
	for _, seq := range slices.Sorted(maps.Keys(of.users)) {
		err = errors.Join(err, tell(seq, true))
		if !out.Fresh {
			err = errors.Join(err, tell(seq, false))
		}
	}
	if err != nil || !out.Fresh {
		return out, err
	}
	err = users.each(users.a.keys, groupHash(c.seq), 0, func(seq uint64) (bool, error) { return true, tell(seq, false) })
	return out, err
}

// groupRecord is what is said of a group that is there.
func (g *groupSource) groupRecord(r account) (dirsync.Record, error) {
	out := dirsync.Record{ID: dirsync.ID(r.ID), Kind: dirsync.KindGroup, Whole: true}
	value := func(field string) dirsync.Value { v, _ := r.Values.Get(field); return v }
	source := dirsync.Value{}
	if r.Source != "" {
		source = dirsync.Value{Type: dirsync.Text, Text: string(r.Source)}
	}
	for _, attr := range []struct { // in order of their names
		name  string
		value dirsync.Value
	}{
		{attrCreated, moment(r.Created)}, {"description", value("description")}, {attrDisplayName, value(groupName)},
		{attrID, dirsync.Value{Type: dirsync.Text, Text: r.ID}}, {"mail", value("mail")}, {attrSource, source},
	} {
		if attr.value.IsNull() {
			continue
		}
		raw, err := rawValue(attr.value)
		if err != nil {
			return out, fmt.Errorf("%s of group %s: %w", attr.name, r.ID, err)
		}
		out.Attrs = append(out.Attrs, dirsync.Attribute{Name: attr.name, Raw: raw})
	}
	return out, nil
}

// Members implements dirsync.GroupSource.
func (g *groupSource) Members(ctx context.Context, group dirsync.ID, fn func([]dirsync.Membership) error) error {
	groups := &Groups{g.a}
	for after := ""; ; {
		users, err := groups.Members(ctx, string(group), after, usersPage)
		if err != nil {
			return err
		}
		out := make([]dirsync.Membership, len(users))
		for i, u := range users {
			out[i] = dirsync.Membership{Group: group, Member: dirsync.ID(u.ID)}
		}
		if len(out) > 0 {
			if err := fn(out); err != nil {
				return err
			}
		}
		if len(users) < usersPage {
			return nil
		}
		after = users[len(users)-1].ID
	}
}
