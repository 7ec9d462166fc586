package graph_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph/graphtest"
)

// Without an anchor, an account of whose creation nothing was heard is found by its name alone. A process that begins at
// once, while a part of the service has not heard of it either, asks again before it believes that there is none.
func TestWriterFindsWhatWasJustMade(t *testing.T) {
	for name, sameProcess := range map[string]bool{"by the same process": true, "by one that has ended": false} {
		t.Run(name, func(t *testing.T) {
			w := inProcess(t, writable())
			cfg := writing("department")
			cfg.Anchor = ""
			target := writer(t, w.client, cfg)
			w.clock.pass(time.Hour)
			// The answer is lost, and so is every look at what came of it.
			w.SetFaults(graphtest.Faults{Lag: 15 * time.Second, Rules: []graphtest.Rule{
				{On: graphtest.CreateUser, Fault: graphtest.Fault{Status: http.StatusGatewayTimeout, Apply: true}},
				{On: graphtest.Get, Fault: graphtest.Fault{Status: http.StatusForbidden}}}})
			if _, err := target.Apply(t.Context(), joiner(1)); err == nil || len(w.Users()) != 1 {
				t.Fatalf("got %v, want that nobody knows", err)
			}
			w.SetFaults(graphtest.Faults{Lag: 15 * time.Second})
			if !sameProcess {
				target = writer(t, w.client, cfg)
			}
			began := w.clock.Now()
			found, err := target.Find(t.Context(), "userPrincipalName", []dirsync.Value{email("p1@a.example"), email("p2@a.example")})
			if err != nil || len(found[0]) != 1 || len(found[1]) != 0 {
				t.Errorf("got %+v, %v", found, err)
			}
			if took := w.clock.Now().Sub(began); took > 30*time.Second {
				t.Errorf("it took %s", took)
			}
			began = w.clock.Now()
			if _, err := target.Find(t.Context(), "userPrincipalName", []dirsync.Value{email("p3@a.example")}); err != nil || w.clock.Now() != began {
				t.Errorf("asked once more, it took %s (%v), want no time", w.clock.Now().Sub(began), err)
			}
		})
	}
}

// An answer about another account than the one that was asked for is none: nobody is written what somebody else holds.
func TestWriterAnsweredWithAnother(t *testing.T) {
	w := inProcess(t, writable())
	target := writer(t, w.client, writing("department"))
	ids := w.Add(graphtest.User{"userPrincipalName": "p1@a.example", "displayName": "One", anchor: string(person(1))},
		graphtest.User{"userPrincipalName": "p2@a.example", "displayName": "Two", anchor: string(person(2))})
	w.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Get, Fault: graphtest.Fault{Status: http.StatusOK,
		Body: `{"id":"` + ids[1] + `","userPrincipalName":"p2@a.example","displayName":"Two"}`}}}})
	before := w.Users()
	c := dirsync.Change{Kind: dirsync.Update, Person: person(1), Account: ids[0], After: dirsync.Values{field("department", text("X"))}}
	if _, err := target.Apply(t.Context(), c); dirsync.KindOf(err) != dirsync.Unavailable {
		t.Errorf("got %v, want an error", err)
	}
	if after := w.Users(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("there were %v\nand are %v", before, after)
	}
}
