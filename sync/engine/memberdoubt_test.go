package engine_test

import (
	"testing"

	"dirsync"
	"dirsync/sync/engine"
)

// Somebody leaves a group while its reading has lost its place, and is then deleted: no list shows them, so whether they
// are still a member cannot be told. It is asked as soon as they are restored, and before they get anything by it.
func TestMemberInDoubtIsAskedAbout(t *testing.T) {
	for name, left := range map[string]bool{"left": true, "stayed": false} {
		t.Run(name, func(t *testing.T) {
			w, m := newWorld(0), testMapping(t)
			w.withTeams(0, true)
			// Few enough for one page: on further ones the source tells of who has left.
			for id, group := range map[dirsync.ID]dirsync.ID{"safe-00": "g-sales", "safe-01": "g-support"} {
				w.src.Put(id, person("Ada", string(id)+"@x.org"))
				w.teams.src.Join(group, id, dirsync.KindUser)
			}
			w.run(t, m)
			attrs, _ := w.src.Attrs("safe-00")
			if left {
				w.teams.src.Leave("g-sales", "safe-00")
				w.teams.src.Put("g-sales", "sales") // so that the place after which changes are told is behind the leaving
			}
			w.src.Remove("safe-00")
			w.teams.src.ExpireCursors()
			for range 2 { // and nothing comes of asking while they are away
				w.run(t, m)
			}
			w.src.Put("safe-00", attrs)
			w.run(t, m)
			for _, a := range w.target.Accounts() {
				if a.Source == "safe-00" && a.Active == left {
					t.Errorf("active: %v", a.Active)
				}
			}
			in, err := w.teams.members.GroupsOf(t.Context(), []dirsync.ID{"safe-00"})
			if err != nil || len(in[0]) == 0 != left {
				t.Errorf("is in %v, %v", in, err)
			}
			if r := w.run(t, m); r.Counts.Changed() != 0 {
				t.Errorf("a run with nothing to do: %+v", r.Counts)
			}
		})
	}
}

// failing makes one call to a store fail, once and without effect.
func failing(op string) func(string) (error, error) {
	return func(is string) (error, error) {
		if is != op {
			return nil, nil
		}
		op = ""
		return errFault, nil
	}
}

// Somebody in a chosen group is deleted before anybody has looked them up, and restored while the reading of people has
// lost its place. Nothing tells of that: they are known to nobody, and the new reading begins after they came back.
func TestUnknownMemberInDoubtIsRestoredUnseen(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.withTeams(0, true)
	w.src.Put("safe-00", person("Ada", "ada@x.org"))
	w.teams.src.Join("g-sales", "safe-00", dirsync.KindUser)
	w.teams.store.Fault = failing("EndRound") // the groups were read, and nobody has been looked up
	if _, err := w.engine(m).Run(t.Context(), engine.Options{}); err == nil {
		t.Fatal("the fault went unnoticed")
	}
	w.src.Remove("safe-00")
	w.run(t, m)
	w.src.Put("safe-00", person("Ada", "ada@x.org"))
	w.src.ExpireCursors()
	if r := w.run(t, m); r.Counts.Created != 1 || active(w) != 1 {
		t.Errorf("got %+v, %d are active", r.Counts, active(w))
	}
}

// A doubt outlives a process that dies while it is being written down, and a reading of people that begins anew.
func TestDoubtOutlivesItsProcess(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.withTeams(0, true)
	for id, group := range map[dirsync.ID]dirsync.ID{"risk-00": "g-sales", "safe-01": "g-support"} {
		w.src.Put(id, person("Ada", string(id)+"@x.org"))
		w.teams.src.Join(group, id, dirsync.KindUser)
	}
	w.run(t, m)
	w.teams.src.Leave("g-sales", "risk-00")
	w.teams.src.Put("g-sales", "sales") // so that the place after which changes are told is behind the leaving
	w.src.Remove("risk-00")
	w.teams.src.ExpireCursors()
	for range 2 {
		w.teams.members.Fault = failing("Owe")
		_, _ = w.engine(m).Run(t.Context(), engine.Options{})
		w.src.ExpireCursors()
	}
	w.teams.members.Fault = nil
	w.run(t, m)
	w.src.Put("risk-00", person("Ada", "risk-00@x.org"))
	if r := w.run(t, m); r.Counts.Changed() != 0 || active(w) != 1 {
		t.Errorf("somebody who left the group before they were deleted came back with it: %+v", r.Counts)
	}
}

// Somebody joins a group, and before that has come to anything a doubt about it comes and goes. They are in the group.
func TestDoubtTakesNoJoiningAway(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.withTeams(0, true)
	w.src.Put("risk-00", person("Ada", "ada@x.org"))
	w.teams.src.Join("g-sales", "risk-00", dirsync.KindUser)
	w.run(t, m)
	w.teams.src.Leave("g-sales", "risk-00")
	w.run(t, m)
	w.teams.src.Join("g-sales", "risk-00", dirsync.KindUser)
	w.teams.src.ExpireCursors()
	fails := func(fault func(string) (error, error)) {
		w.teams.store.Fault = fault
		if _, err := w.engine(m).Run(t.Context(), engine.Options{}); err == nil {
			t.Fatal("the fault went unnoticed")
		}
		w.teams.store.Fault = nil
	}
	fails(failing("EndRound")) // who was mentioned is forgotten, so that all members are asked about again
	w.src.Remove("risk-00")
	fails(failing("EndRound")) // and nobody has read of the deletion
	w.src.Put("risk-00", nil)
	if r := w.run(t, m); r.Counts.Reactivated != 1 || active(w) != 1 {
		t.Errorf("got %+v, %d are active", r.Counts, active(w))
	}
}
