package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/store"
)

// readingView is how one reading stands, as programs read it.
type readingView struct {
	// Of is users or groups.
	Of string `json:"of"`
	// LastRead is when it was last complete, and TokenDies when the tenant forgets where it ended; zero: never read.
	LastRead  time.Time `json:"last_read,omitzero"`
	TokenDies time.Time `json:"token_dies,omitzero"`
	// State is one of the readingStates.
	State string `json:"state"`
	// Round is "open" while a round is under way, "confirming" while those are looked up of whom it left doubts.
	Round string `json:"round,omitempty"`
}

// The states of a reading.
const (
	neverRead    = "never read"
	readFresh    = "fresh"
	readLate     = "late"     // longer ago than twice read_every
	readDying    = "dying"    // the tenant forgets it within a day
	readOutlived = "outlived" // the tenant may have forgotten it; the next reading may be a whole one
)

func viewReading(of string, s dirsync.ReadState, every time.Duration, now time.Time) readingView {
	v := readingView{Of: of, LastRead: s.Completed, State: neverRead}
	switch {
	case s.Open:
		v.Round = "open"
	case s.Confirming:
		v.Round = "confirming"
	}
	if s.Completed.IsZero() {
		return v
	}
	v.TokenDies = s.Completed.Add(tokenLife)
	switch age := now.Sub(s.Completed); {
	case age > tokenLife:
		v.State = readOutlived
	case age > tokenLife-24*time.Hour:
		v.State = readDying
	case age > 2*every:
		v.State = readLate
	default:
		v.State = readFresh
	}
	return v
}

// remembered is v for a source that does not forget where a reading ended, as a tenant does.
func (v readingView) remembered() readingView {
	v.TokenDies = time.Time{}
	if v.State == readDying || v.State == readOutlived {
		v.State = readLate
	}
	return v
}

// words says for people how a reading stands.
func (v readingView) words(every Duration) painted {
	p := painted{plain, v.State}
	switch v.State {
	case neverRead:
		p.color = yellow
	case readLate:
		p = painted{yellow, "late: read_every is " + every.String()}
	case readDying:
		p = painted{red, "dying: start dirsync read today"}
	case readOutlived:
		p = painted{red, "outlived: the next reading may have to be a whole one"}
	}
	if v.Round != "" {
		p.value = fmt.Sprintf("%s; a round is %s", p.value, map[string]string{"open": "under way", "confirming": "complete but for its look-ups"}[v.Round])
	}
	return p
}

// readingsOf is where a sync's readings stand.
func readingsOf(ctx context.Context, sc *Sync, s *store.Sync) (readings, error) {
	var r readings
	var err error
	if r.users, err = s.ReadState(ctx); err != nil {
		return r, fmt.Errorf("how users were read: %w", err)
	}
	if !sc.From.HasGroups() {
		return r, nil
	}
	groups, err := s.Groups().ReadState(ctx)
	if err != nil {
		return r, fmt.Errorf("how groups were read: %w", err)
	}
	r.groups = &groups
	return r, nil
}

// statusOfReadings fills in what was read, and what became of the groups.
func (a *app) statusOfReadings(ctx context.Context, cfg *Config, s *store.Sync, v *statusView) error {
	sc, now := cfg.Syncs[v.Sync], a.now()
	every := time.Duration(sc.ReadEvery)
	r, err := readingsOf(ctx, sc, s)
	if err != nil {
		return err
	}
	v.every, v.LastRead = sc.ReadEvery, r.completed()
	v.Readings = []readingView{viewReading("users", r.users, every, now)}
	if r.groups != nil {
		v.Readings = append(v.Readings, viewReading("groups", *r.groups, every, now))
		t, err := s.Groups().Totals(ctx)
		if err != nil {
			return err
		}
		v.Groups = &groupTotals{Read: t.People, Gone: t.Gone}
		if sc.From.Groups.Which != NoGroups { // otherwise nobody settles what groups are owed
			v.Groups.Linked, v.Groups.Owed = t.Active+t.Inactive, t.Owed
		}
		if v.Chosen, err = chosenGroups(ctx, cfg.Tenants[sc.From.Entra], sc.From, s, r.groups.Base); err != nil {
			return err
		}
	}
	if sc.From.Entra == "" {
		for i := range v.Readings {
			v.Readings[i] = v.Readings[i].remembered()
		}
	}
	v.Reading = slices.ContainsFunc(v.Readings, func(r readingView) bool { return r.Round != "" })
	return nil
}

// chosenView is a group that the configuration names, as programs read it.
type chosenView struct {
	// Chosen is what the configuration says.
	Chosen string `json:"chosen"`
	ID     string `json:"id,omitempty"`
	Name   string `json:"name,omitempty"`
	Kind   string `json:"kind,omitempty"`
	// State is "there", "deleted, can be restored", "deleted for good", or "not read yet".
	State string `json:"state"`
	// Users and Groups count its direct members. MoreUsers says that there may be more.
	Users  int  `json:"direct_users"`
	Groups int  `json:"nested_groups"`
	More   bool `json:"more,omitempty"`
	// Account is the group's id in the target, if it has one.
	Account string `json:"account,omitempty"`
}

const (
	groupThere   = "there"
	groupNotRead = "not read yet"
)

// chosenGroups says what became of the groups that the configuration names, as far as was read. cursor is where the
// reading of groups has ended.
func chosenGroups(ctx context.Context, t *Tenant, from From, s *store.Sync, cursor dirsync.Cursor) ([]chosenView, error) {
	found := store.ChosenGroups(cursor, from.chosen())
	if !from.Directory {
		// Nothing is asked, so a client that cannot sign in will do: this works without the right to read the credential.
		client, err := speechless(t)
		if err != nil {
			return nil, err
		}
		defer client.Close()
		found = client.Groups(graph.GroupsConfig{Chosen: from.chosen(), All: from.Groups.Which == AllGroups}).Chosen(cursor)
	}
	ids := map[string]dirsync.ID{}
	for _, c := range found {
		ids[c.Name] = c.ID
	}
	var out []chosenView
	for _, name := range from.chosen() {
		v := chosenView{Chosen: name, ID: string(ids[name]), State: groupNotRead}
		p, err := s.Groups().Person(ctx, ids[name])
		switch {
		case dirsync.KindOf(err) == dirsync.NotFound:
		case err != nil:
			return nil, err
		default:
			v.Name, v.Kind, v.Account, v.State = groupTitle(p), groupKind(p.Shadow), p.Link.Account, groupThere
			if p.Gone != dirsync.Present {
				v.State = p.Gone.String()
			}
			if v.Users, v.Groups, err = countMembers(ctx, s.Members(), p.ID); err != nil {
				return nil, err
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// chosenTable lists groups that configurations name.
func (a *app) chosenTable(bySync map[string][]chosenView, names []string) *Table {
	titles := []string{"SYNC", "CHOSEN", "NAME", "ID", "KIND", "STATE", "DIRECT USERS", "NESTED GROUPS"}
	linked := slices.ContainsFunc(names, func(sync string) bool {
		return slices.ContainsFunc(bySync[sync], func(v chosenView) bool { return v.Account != "" })
	})
	if linked {
		titles = append(titles, "IN THE TARGET")
	}
	t := NewTable(a.style, titles...)
	for _, sync := range names {
		for _, v := range bySync[sync] {
			state := painted{plain, v.State}
			if v.State != groupThere {
				state.color = yellow
			}
			users := any(v.Users)
			if v.More {
				users = number(v.Users) + " or more"
			}
			row := []any{sync, v.Chosen, v.Name, v.ID, v.Kind, state, users, v.Groups}
			if linked {
				row = append(row, v.Account)
			}
			t.Row(row...)
		}
	}
	return t
}

func (a *app) printReadings(views []statusView) error {
	now := a.now()
	titles := []string{"SYNC", "READING", "LAST COMPLETE", "FORGOTTEN", "STATE"}
	if slices.ContainsFunc(views, func(v statusView) bool { return v.Groups != nil }) {
		titles = append(titles, "GROUPS", "LINKED", "OWED")
	}
	t := NewTable(a.style, titles...)
	chosen, names := map[string][]chosenView{}, []string{}
	for _, v := range views {
		for _, r := range v.Readings {
			dies := ""
			if !r.TokenDies.IsZero() {
				dies = when(r.TokenDies, now)
			}
			row := []any{v.Sync, r.Of, when(r.LastRead, now), dies, r.words(v.every)}
			if r.Of == "groups" {
				row = append(row, v.Groups.Read, v.Groups.Linked, v.Groups.Owed)
			}
			t.Row(row...)
		}
		chosen[v.Sync], names = v.Chosen, append(names, v.Sync)
	}
	a.printf("\n")
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if t := a.chosenTable(chosen, names); t.Len() > 0 {
		a.printf("\n")
		return t.Write(a.stdout)
	}
	return nil
}
