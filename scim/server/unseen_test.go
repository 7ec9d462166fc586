package server_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"dirsync"
	"dirsync/scim/server"
)

// TestNumbersOfTheSeen: lists by number have everybody whom the client sees exactly once, and count them exactly, however many
// there are whom it does not see, and whoever made them so.
func TestNumbersOfTheSeen(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 11))
			verdicts := []server.Verdict{server.Allow, server.Hold, server.Deactivate}
			var store *memory
			guard := func(c *server.Config) {
				if store != nil {
					c.Store = store
				}
				c.Guard = func(context.Context, server.Principal, dirsync.Resource, dirsync.ChangeKind) (server.Verdict, error) {
					return verdicts[dice.IntN(3)], nil
				}
			}
			r := newRig(t, guard)
			var all []string
			for n := range 25 + dice.IntN(30) {
				all = append(all, r.user(fmt.Sprint("u", n)))
			}
			for range 6 {
				for range dice.IntN(25) {
					id := all[dice.IntN(len(all))]
					kept, there := r.store.get(dirsync.KindUser, id)
					switch what := dice.IntN(6); {
					case !there:
						all = append(all, r.user(fmt.Sprint("v", len(all))))
					case what == 0:
						_ = r.server.Approve(t.Context(), dirsync.KindUser, id, dirsync.Delete, verdicts[dice.IntN(2)*2])
					case what == 1:
						_ = r.server.Withdraw(t.Context(), dirsync.KindUser, id, dirsync.Delete)
					case what == 2: // Somebody else activates them.
						r.store.change(dirsync.KindUser, id, func(k *dirsync.Resource) { k.Active, k.Pending = true, 0 })
					case what == 3:
						r.do("POST", "/Users", `{'userName':'`+kept.Name+`'}`)
					default:
						r.do("DELETE", "/Users/"+id, "")
					}
				}
				if dice.IntN(3) == 0 {
					store = r.store
					r = newRig(t, guard) // a restart
					r.store = store
				}
				slices.Sort(all)
				all = slices.Compact(all)
				var seen []string
				for _, id := range all {
					if r.do("GET", "/Users/"+id, "").status == 200 {
						seen = append(seen, id)
					}
				}
				total := strconv.Itoa(len(seen))
				r.do("GET", "/Users?count=0", "").want(200).has("totalResults", total)
				count := 1 + dice.IntN(12)
				var got []string
				for at := 1; at <= len(seen); at += count {
					a := r.do("GET", fmt.Sprintf("/Users?startIndex=%d&count=%d", at, count), "").want(200).has("totalResults", total)
					got = append(got, a.ids()...)
				}
				if !slices.Equal(got, seen) {
					t.Fatalf("in pages of %d\ngot  %v\nwant %v", count, got, seen)
				}
				// Groups behind users.
				r.do("GET", "/?count=0", "").want(200).has("totalResults", total)
			}
		})
	}
}
