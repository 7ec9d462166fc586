package engine_test

import (
	"context"
	"testing"

	"dirsync"
	"dirsync/sync/engine"
)

// Which groups Outside names the target does not get, and nobody is put into them; when it says something else, they come.
func TestGroupsOutside(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.withTeams(0, false)
	staff(w, 3)
	e := w.engine(m)
	e.Groups.OutsideBy = "first"
	e.Groups.Outside = func(_ context.Context, g dirsync.Person) (string, error) {
		if g.ID == "g-support" {
			return "came from elsewhere", nil
		}
		return "", nil
	}
	held := func() (groups int, in map[string]int) {
		in = map[string]int{}
		for range w.teams.target.Accounts() {
			groups++
		}
		for _, a := range w.target.Accounts() {
			v, _ := a.Values.Get(dirsync.GroupsField)
			for _, id := range v.List() {
				in[id]++
			}
		}
		return groups, in
	}
	w.teams.src.Join("g-support", "safe-01", dirsync.KindUser)
	w.teams.src.Join("g-sales", "safe-01", dirsync.KindUser)
	if r, err := e.Run(t.Context(), engine.Options{}); err != nil || r.Status != dirsync.Success {
		t.Fatalf("%+v, %v", r, err)
	}
	if groups, in := held(); groups != 1 || in["g-support"] != 0 || in["g-sales"] == 0 {
		t.Errorf("got %d groups and people in %v", groups, in)
	}
	e.Groups.Outside, e.Groups.OutsideBy = nil, ""
	for range 2 {
		if _, err := e.Run(t.Context(), engine.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if groups, in := held(); groups != 2 || in["g-support"] == 0 {
		t.Errorf("without: got %d groups and people in %v", groups, in)
	}
}
