package graph_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// teamReader reads groups by the contract of dirsync.GroupSource, as an engine does, through whatever goes wrong.
type teamReader struct {
	*world
	t      *testing.T
	rand   *rand.Rand
	cfg    graph.GroupsConfig
	source *graph.GroupSource
	known  *teams
	// base is where the last complete round ended, at where to go on.
	base, at dirsync.Cursor
	full     bool
	// doubt are, in a full round, the groups that are not mentioned yet, or without a value that is known of them, and
	// open the memberships that only a list of members can settle. Fresh are the groups that the round under way reads
	// from the beginning.
	doubt map[dirsync.ID]bool
	open  map[dirsync.Membership]bool
	fresh map[dirsync.ID]bool
	// deleted were deleted once, users and groups.
	deleted                          map[dirsync.ID]bool
	groupIDs                         map[string]bool // of those
	device                           string
	lagged                           bool
	errs, rounds, restarts, invalids int
}

// TestGroupsConverge changes groups, and who is in them, at random while they are read under random faults, by readers
// that are configured anew now and then. In the end, when the faults are over, the reader must know exactly which groups
// there are of those that are followed, and who is in them.
func TestGroupsConverge(t *testing.T) {
	var total teamReader
	for seed := range uint64(*seeds) {
		r := newTeamReader(t, seed)
		for range 10 {
			r.SetFaults(r.faults())
			for range r.rand.IntN(6) {
				r.change()
			}
			if r.rand.IntN(3) == 0 {
				r.configure()
			}
			r.step(r.rand.IntN(6))
			r.clock.pass(time.Duration(r.rand.IntN(50)) * time.Minute)
			if r.rand.IntN(8) == 0 {
				r.clock.pass(8 * 24 * time.Hour)
			}
		}
		r.SetFaults(graphtest.Faults{PageSize: 5, LinkPage: 3, SoftGroups: true})
		if r.lagged {
			r.at, r.base = "", "" // as in TestConverge
		}
		for quiet, n := r.rounds, 0; r.rounds < quiet+2 && n < 12; n++ {
			r.step(100000)
		}
		if r.check(); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		total.errs, total.rounds, total.restarts = total.errs+r.errs, total.rounds+r.rounds, total.restarts+r.restarts
		total.invalids += r.invalids
	}
	t.Logf("%d rounds were completed, %d restarted, %d errors met, %d configurations put right", total.rounds, total.restarts, total.errs, total.invalids)
	if total.errs == 0 || total.restarts == 0 {
		t.Error("the faults were too kind to prove anything")
	}
}

func newTeamReader(t *testing.T, seed uint64) *teamReader {
	r := &teamReader{t: t, world: inProcess(t, granted(graphtest.Faults{})), rand: rand.New(rand.NewPCG(seed, 21)), known: newTeams(),
		open: map[dirsync.Membership]bool{}, fresh: map[dirsync.ID]bool{}, deleted: map[dirsync.ID]bool{}, groupIDs: map[string]bool{}}
	r.Add(make([]graphtest.User, 6+r.rand.IntN(20))...)
	r.device = r.AddObjects(graphtest.Device, "Laptop")[0]
	for n := range 5 + r.rand.IntN(6) {
		r.AddGroup(graphtest.Group{"displayName": fmt.Sprint("Team ", n), "uniqueName": fmt.Sprint("team-", n)})
	}
	for range 30 {
		r.change()
	}
	r.cfg = graph.GroupsConfig{Nested: r.rand.IntN(3) > 0, All: r.rand.IntN(6) == 0}
	r.configure()
	return r
}

// configure chooses other groups, by id or by name.
func (r *teamReader) configure() {
	var chosen []string
	for _, g := range r.Groups() {
		switch r.rand.IntN(6) {
		case 0:
			chosen = append(chosen, fmt.Sprint(g["id"]))
		case 1:
			chosen = append(chosen, strings.Trim(fmt.Sprintf("%s", g["displayName"]), `"`))
		}
	}
	if len(chosen) == 0 {
		chosen = []string{fmt.Sprint(r.Groups()[0]["id"])}
	}
	r.choose(chosen)
}

func (r *teamReader) choose(chosen []string) {
	r.cfg.Chosen = chosen
	r.source = r.client.Groups(r.cfg)
}

func (r *teamReader) faults() graphtest.Faults {
	f := graphtest.Faults{Seed: r.rand.Uint64(), PageSize: 1 + r.rand.IntN(9), LinkPage: 1 + r.rand.IntN(6), Rejection: graphtest.Rejection(r.rand.IntN(6))}
	some := func(n int) bool { return r.rand.IntN(n) == 0 }
	f.VaryPages, f.Shuffle, f.Extras, f.OlderFirst, f.Interleave = some(2), some(2), some(3), some(3), some(2)
	f.SoftGroups, f.SilentPurge = some(2), some(3)
	if some(3) {
		f.EmptyPages = 2 + r.rand.IntN(3)
	}
	if some(3) {
		f.Repeat = 1 + r.rand.IntN(4)
	}
	if some(3) {
		f.Replay = r.rand.IntN(9)
	}
	if some(4) {
		f.Strangers = r.rand.IntN(4)
	}
	switch {
	case some(16):
		f.LagRounds, r.lagged = 1, true
	case some(16):
		f.Spread, r.lagged = 20*time.Second, true
	case some(16):
		f.Lag, r.lagged = time.Duration(r.rand.IntN(60))*time.Minute, true
	}
	if some(6) {
		f.ExpirePage, f.ExpirePageTimes = 2+r.rand.IntN(3), 1
	}
	f.RejectDelta, f.Challenge, f.Limited, f.Denied = some(15), some(6), some(15), some(15)
	for _, kind := range []graphtest.Kind{graphtest.GroupDelta, graphtest.GroupList, graphtest.GroupGet, graphtest.Members, graphtest.Deleted, graphtest.Token} {
		if some(4) {
			f.Rules = append(f.Rules, graphtest.Rule{On: kind, Skip: r.rand.IntN(3), Every: 1 + r.rand.IntN(4), Times: r.rand.IntN(4), Fault: r.fault()})
		}
	}
	return f
}

func (r *teamReader) fault() graphtest.Fault {
	all := []graphtest.Fault{graphtest.Throttled("3"), graphtest.Throttled(""), graphtest.Throttled("4000"), graphtest.HTMLPage(503),
		graphtest.HTMLPage(200), graphtest.BadJSON(), graphtest.Empty(500), graphtest.Empty(404), graphtest.HTMLPage(404), graphtest.BareError(400),
		graphtest.AccessExpired(), {Reset: true}, {Truncate: true}, {Status: http.StatusFound}, graphtest.BareError(403), graphtest.Empty(200)}
	return all[r.rand.IntN(len(all))]
}

func some[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func (r *teamReader) change() {
	var users, groups, gone []string
	for _, u := range r.Users() {
		users = append(users, fmt.Sprint(u["id"]))
	}
	for _, g := range r.Groups() {
		groups = append(groups, fmt.Sprint(g["id"]))
	}
	for id := range r.deleted {
		gone = append(gone, string(id))
	}
	slices.Sort(gone)
	group := some(r.rand, groups)
	switch n := r.rand.IntN(20); {
	case n < 5:
		r.AddMembers(group, some(r.rand, users), some(r.rand, users), r.device)
	case n < 7:
		r.AddMembers(group, some(r.rand, groups))
	case n < 11:
		if members := r.Members(group); len(members) > 0 {
			id := some(r.rand, members)
			r.RemoveMembers(group, id)
			if r.rand.IntN(3) == 0 {
				r.AddMembers(group, id)
			}
		}
	case n < 12:
		r.UpdateGroup(group, map[string]any{"description": []any{nil, "one", "two"}[r.rand.IntN(3)]})
	case n < 13:
		r.UpdateGroup(group, map[string]any{"displayName": fmt.Sprint("Renamed ", r.rand.IntN(100))})
	case n < 14 && len(users) > 4:
		id := some(r.rand, users)
		r.deleted[dirsync.ID(id)] = true
		if r.rand.IntN(2) == 0 {
			r.Delete(id)
		} else {
			r.Purge(id)
		}
	case n < 15 && len(groups) > 3:
		r.deleted[dirsync.ID(group)], r.groupIDs[group] = true, true
		r.DeleteGroup(group)
	case n < 17 && len(gone) > 0:
		r.restore(some(r.rand, gone))
	case n < 18:
		r.Add(graphtest.User{})
	case n < 19:
		r.AddMembers(group, r.AddGroup(graphtest.Group{})...)
	}
}

// restore brings back whoever can be brought back.
func (r *teamReader) restore(id string) {
	defer func() { _ = recover() }() // the tenant's way of saying that they are there, or gone for good
	if r.groupIDs[id] {
		r.RestoreGroup(id)
	} else {
		r.Restore(id)
	}
}

// there asks the tenant itself.
func (r *teamReader) there(id dirsync.ID) bool {
	_, user := r.User(string(id))
	return user || slices.ContainsFunc(r.Groups(), func(g graphtest.Group) bool { return g["id"] == string(id) })
}

// step reads up to some pages and goes on as the answer says.
func (r *teamReader) step(pages int) {
	if r.at == "" {
		r.full, r.doubt = true, map[dirsync.ID]bool{}
		for id := range r.known.groups {
			r.doubt[id] = true
			r.reopen(id)
		}
	}
	if r.at == r.base {
		r.fresh = map[dirsync.ID]bool{}
	}
	stop := errors.New("stop")
	err := r.source.Read(r.t.Context(), r.at, func(p dirsync.Page) error {
		r.take(p.Records)
		if p.Complete {
			if err := r.confirm(); err != nil {
				return err
			}
			r.base, r.full, r.rounds = p.Next, false, r.rounds+1
		}
		r.at = p.Next
		if pages--; pages < 0 && !p.Complete {
			return stop
		}
		if r.rand.IntN(4) == 0 && pages < 90000 {
			r.change()
		}
		return nil
	})
	switch {
	case err == nil, err == stop:
	case errors.Is(err, dirsync.ErrPageExpired):
		r.at, r.restarts = r.base, r.restarts+1
	case errors.Is(err, dirsync.ErrCursorExpired):
		r.at, r.base, r.restarts = "", "", r.restarts+1
	case dirsync.KindOf(err) == dirsync.Invalid && strings.Contains(err.Error(), "find the chosen groups"):
		r.invalids++
		r.repair()
	default:
		r.errs++
		if dirsync.KindOf(err) == dirsync.Unknown {
			r.t.Errorf("an error without a kind: %v", err)
		}
	}
}

// repair puts the configuration right as its owner would: with the ids of groups that are there.
func (r *teamReader) repair() {
	r.choose([]string{fmt.Sprint(some(r.rand, r.Groups())["id"])})
}

// reopen puts all memberships of a group in doubt.
func (r *teamReader) reopen(group dirsync.ID) {
	for m, kind := range r.known.members[group] {
		r.open[dirsync.Membership{Group: group, Member: m, Kind: kind}] = true
	}
}

func (r *teamReader) take(records []dirsync.Record) {
	for _, rec := range records {
		if rec.Fresh && !r.fresh[rec.ID] {
			r.fresh[rec.ID] = true
			r.reopen(rec.ID)
		}
		switch {
		case rec.Gone != dirsync.Present:
			delete(r.doubt, rec.ID)
		case r.full && !rec.Whole && r.known.groups[rec.ID].Unsaid(rec.Attrs, r.source.Asked()):
			r.doubt[rec.ID] = true
		default:
			delete(r.doubt, rec.ID)
		}
		for _, m := range rec.Members {
			delete(r.open, dirsync.Membership{Group: rec.ID, Member: m.ID, Kind: m.Kind})
		}
	}
	r.known.take(records)
}

// confirm settles what a round has left in doubt.
func (r *teamReader) confirm() error {
	err := r.source.LookUp(r.t.Context(), slices.Sorted(maps.Keys(r.doubt)), func(rec dirsync.Record) error {
		if slices.Contains(r.IDs(), string(rec.ID)) {
			r.t.Errorf("a user was found where a group was looked for")
		}
		if r.there(rec.ID) && rec.Gone != dirsync.Present && !r.lagged {
			r.t.Errorf("%s was taken for gone", rec.ID)
		}
		r.take([]dirsync.Record{rec})
		return nil
	})
	if err != nil {
		return err
	}
	groups := map[dirsync.ID]bool{}
	for m := range r.open {
		groups[m.Group] = true
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		if _, there := r.known.groups[id]; there {
			if err := r.confirmMembers(id); err != nil {
				return err
			}
		}
		// Of whoever is away no list tells; they are asked about when they are back.
		maps.DeleteFunc(r.open, func(m dirsync.Membership, _ bool) bool { return m.Group == id && r.there(m.Member) })
	}
	return nil
}

func (r *teamReader) confirmMembers(group dirsync.ID) error {
	listed := map[dirsync.ID]dirsync.Kind{}
	err := r.source.Members(r.t.Context(), group, func(members []dirsync.Membership) error {
		for _, m := range members {
			if m.Group != group {
				r.t.Errorf("a member of %s was listed for %s", m.Group, group)
			}
			listed[m.Member] = m.Kind
		}
		return nil
	})
	if dirsync.KindOf(err) == dirsync.NotFound {
		r.known.take([]dirsync.Record{{ID: group, Kind: dirsync.KindGroup, Gone: dirsync.GoneSoft}})
		return nil
	}
	if err != nil {
		return err
	}
	for m, kind := range r.known.members[group] {
		// Whoever is not there themselves is not listed, and may be a member all the same.
		if _, there := listed[m]; !there && r.open[dirsync.Membership{Group: group, Member: m, Kind: kind}] && r.there(m) {
			delete(r.known.members[group], m)
		}
	}
	for m, kind := range listed {
		r.known.members[group][m] = kind
	}
	return nil
}

// check compares what is known with what is there, of all groups that are chosen or nested in those.
func (r *teamReader) check() {
	r.t.Helper()
	there := map[dirsync.ID]graphtest.Group{}
	for _, g := range r.Groups() {
		there[dirsync.ID(fmt.Sprint(g["id"]))] = g
	}
	var todo []dirsync.ID
	for _, c := range r.source.Chosen(r.base) {
		todo = append(todo, c.ID)
	}
	if got, want := len(todo), len(r.cfg.Chosen); got != want {
		r.t.Errorf("%d groups are chosen of %d names", got, want)
	}
	if r.cfg.All {
		todo = slices.Collect(maps.Keys(there))
	}
	done := map[dirsync.ID]bool{}
	for ; len(todo) > 0; todo = todo[1:] {
		id := todo[0]
		g, exists := there[id]
		attrs, known := r.known.groups[id]
		if exists != known {
			r.t.Errorf("%s: is there %v, known %v", id, exists, known)
		}
		if done[id] || !exists || !known {
			continue
		}
		done[id] = true
		for _, name := range []string{"displayName", "description"} {
			want, got := "null", "null"
			if v, ok := g[name]; ok {
				want = fmt.Sprintf("%s", v)
			}
			if raw, ok := attrs.Get(name); ok {
				got = string(raw)
			}
			if got != want {
				r.t.Errorf("%s: %s: got %s, want %s", id, name, got, want)
			}
		}
		var want, got []string
		for _, m := range r.Members(string(id)) {
			if m != r.device {
				want = append(want, m)
			}
			if _, group := there[dirsync.ID(m)]; group && r.cfg.Nested {
				todo = append(todo, dirsync.ID(m))
			}
		}
		for m := range r.known.members[id] {
			if r.there(m) {
				got = append(got, string(m))
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			r.t.Errorf("%s: got members %v, want %v", id, got, want)
		}
	}
}
