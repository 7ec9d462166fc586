package engine_test

import (
	"testing"

	"dirsync"
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
