package server_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSortedCursors: whoever is there all the time, and stays as they are, is on exactly one page, whoever comes and goes
// meanwhile.
func TestSortedCursors(t *testing.T) {
	long := strings.Repeat("x", 600)
	for _, sort := range []string{"userName", "title", "emails", "meta.created", "nobodyHasIt"} {
		for _, order := range []string{"ascending", "descending"} {
			t.Run(sort+" "+order, func(t *testing.T) {
				dice := rand.New(rand.NewPCG(9, uint64(len(sort))))
				r := newRig(t)
				made := 0
				add := func() string {
					made++
					r.pass(1) // a nanosecond: meta.created differs, and not in what is shown
					return r.do("POST", "/Users", fmt.Sprintf(`{'userName':'%d-%d','title':'%d','emails':[{'value':'%d@example.com'}]}`,
						dice.IntN(1000), made, dice.IntN(3), dice.IntN(1000))).want(201).id()
				}
				var keep, passing []string
				for n := range 60 {
					if id := add(); n%2 == 0 {
						keep = append(keep, id)
					} else {
						passing = append(passing, id)
					}
				}
				seen := map[string]int{}
				cursor, pages := "", 0
				for {
					pages++
					a := r.do("GET", "/Users?count=7&sortBy="+sort+"&sortOrder="+order+"&cursor="+url.QueryEscape(cursor), "").want(200)
					for _, id := range a.ids() {
						seen[id]++
					}
					if cursor, _ = a.body.Text("nextCursor"); cursor == "" {
						break
					}
					if pages > 100 {
						t.Fatal("it does not end")
					}
					for range 3 {
						i := dice.IntN(len(passing))
						r.do("DELETE", "/Users/"+passing[i], "").want(204)
						passing[i] = add()
					}
				}
				for _, id := range keep {
					if seen[id] != 1 {
						t.Errorf("%s was on %d pages", id, seen[id])
					}
				}
			})
		}
	}
	t.Run("what is too long for a cursor", func(t *testing.T) {
		r := newRig(t)
		var want, got []string
		for n := range 5 {
			want = append(want, r.do("POST", "/Users", `{'userName':'u`+strconv.Itoa(n)+`','title':'`+long+`'}`).want(201).id())
		}
		cursor := ""
		for {
			a := r.do("GET", "/Users?count=2&sortBy=title&cursor="+cursor, "").want(200)
			got = append(got, a.ids()...)
			if cursor, _ = a.body.Text("nextCursor"); cursor == "" {
				break
			}
			if len(cursor) > 200 {
				t.Fatalf("a cursor has %d characters", len(cursor))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}
