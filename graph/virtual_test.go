package graph_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// With the defaults for clock and waits the client works in virtual time, and waits exactly as long as it is told.
func TestReadInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{Tenant: &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 4, AccessLife: 10 * time.Minute, Rules: []graphtest.Rule{
			{On: graphtest.Delta, Skip: 1, Every: 2, Times: 6, Fault: graphtest.Throttled("110")},
			{On: graphtest.Token, Times: 1, Fault: graphtest.Throttled("45")},
		}}}}
		w.Generate(30, 1)
		who := w.Identity()
		c := w.connect(t, graph.Config{Tenant: who.ID, ClientID: who.ClientID, Credential: graph.Credential{Secret: who.Secret},
			Authority: "https://login.example", BaseURL: "https://graph.example", Transport: w.Transport()})
		start := time.Now()
		got := people{}
		_, _, err := got.try(c.Users(wantProperties()), "")
		if want := "read users: sign in: AADSTS500011"; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v for a Graph of another host, want %s", err, want)
		}
		if got, want := time.Since(start), 45*time.Second; got != want {
			t.Errorf("the sign-in took %v, want %v", got, want)
		}
		c = w.connect(t, graph.Config{Tenant: who.ID, ClientID: who.ClientID, Credential: graph.Credential{Secret: who.Secret},
			Authority: "https://graph.example", BaseURL: "https://graph.example", Transport: w.Transport()})
		start = time.Now()
		got.read(t, c.Users(wantProperties()), "")
		checkPeople(t, w, got, wantProperties())
		if got, want := time.Since(start), 11*time.Minute; got != want {
			t.Errorf("reading took %v, want six waits of 110s: %v", got, want)
		}
		// The token ended on the way and was replaced without a refusal that anybody noticed.
		if got := w.Requests().Token; got < 4 {
			t.Errorf("%d tokens were asked for, want a second one for this reading", got)
		}
	})
}
