package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dirsync"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
	"dirsync/sync/engine"
)

// TestSCIMParked lets an application ask to be left alone for ten minutes in the middle of a run: the run waits, says until
// when and about how long the rest will take, and ends well.
func TestSCIMParked(t *testing.T) {
	m := scimWorldMapping(t)
	synctest.Test(t, func(t *testing.T) {
		w := newSCIMWorld(t, 0, []oddity{{name: "a request every five seconds", profile: func(p *client.Profile) { p.PerSecond = 0.2 }}}, 1)
		for i, id := range peopleNamed("safe", 20) {
			w.src.Put(id, personNamed(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
		}
		posts := 0
		w.app.Hook = func(r scimtest.Request) scimtest.Fault {
			if r.Method != http.MethodPost {
				return scimtest.Fault{}
			}
			if posts++; posts != 11 {
				return scimtest.Fault{}
			}
			return scimtest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"600"}}}
		}
		var shown, status bytes.Buffer
		a := newApp(&status, io.Discard)
		a.now = func() time.Time { return time.Now().UTC() }
		progress := newProgress(&shown, false)
		began := time.Now()
		e := w.engine(m, true)
		e.Progress = func(p engine.Progress) {
			a.showProgress(progress, p)
			runs, err := w.store.Runs(t.Context(), 0, 1)
			if err != nil || len(runs) != 1 {
				t.Fatalf("the journal: %v, %v", runs, err)
			}
			if last := viewRun(runs[0]); !p.Parked.IsZero() {
				a.printParked(statusView{Sync: "staff", LastRun: &last, status: runs[0].Status})
			}
		}
		r, err := e.Run(t.Context(), engine.Options{})
		progress.Close()
		if err != nil || r.Status != dirsync.Success || r.Counts.Created != 20 || len(appUsers(w.app)) != 20 {
			t.Fatalf("got %s %+v, %v", r.Status, r.Counts, err)
		}
		if took := time.Since(began); took < 10*time.Minute || took > 20*time.Minute {
			t.Errorf("it took %s", took)
		}
		if got := posts; got != 21 {
			t.Errorf("got %d POSTs, want 21", got)
		}
		const line = "applying: 8 of 20, waits until 2000-01-01 00:10:55 UTC, because the target wants to be left alone, and then about 1 min left\n"
		if strings.Count(shown.String(), line) != 1 {
			t.Errorf("got\n%swant once %q", shown.String(), line)
		}
		if got, want := status.String(), "\nstaff: the run waits until 2000-01-01 00:10:55 UTC, because the target wants to be left alone\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
