package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dirsync"
	"dirsync/scim/scimtest"
	"dirsync/sync/schedule"
)

// TestPartlyAgain lets an application fail for one person only: the run is made again when the configuration says that they
// are to be tried again, and not just a week later.
func TestPartlyAgain(t *testing.T) {
	tenant, config := newTenant(t, 3)
	appendTo(t, config, "    retry: [20m, 2h]\n    schedule: weekly on sunday at 02:00\n")
	unlucky := text(candidates(tenant.Users())[1], "mail")
	app := scimtest.New()
	var down atomic.Bool
	down.Store(true)
	app.Hook = func(r scimtest.Request) scimtest.Fault {
		if r.Method == http.MethodPost && down.Load() && strings.Contains(string(r.Body), unlucky) {
			return scimtest.Fault{Status: http.StatusInternalServerError}
		}
		return scimtest.Fault{}
	}
	toApplication(t, config, serveApp(t, app))
	d := idle(t, config)
	w, err := d.worker("staff")
	if err != nil {
		t.Fatal(err)
	}
	if got := w.runDue(t.Context(), schedule.Todo{Run: true, Slot: time.Now()}); got != schedule.Partly {
		t.Fatalf("got %v, want a run that is made again", got)
	}
	run := runsOf(t, d)[0]
	if run.Status != dirsync.PartialSuccess || run.Counts.Created != 2 || run.Counts.Failed != 1 {
		t.Errorf("got %s %+v", run.Status, run.Counts)
	}
	if due := w.owed(); due.Before(run.Started.Add(20*time.Minute)) || due.After(run.Ended.Add(20*time.Minute)) {
		t.Errorf("it is due at %s, twenty minutes after the run of %s", due, run.Ended)
	}
	// It is not due yet, and is not forgotten.
	if got := w.runDue(t.Context(), schedule.Todo{Run: true, Slot: time.Now(), Failed: 1}); got != schedule.Partly {
		t.Errorf("before it is due: got %v", got)
	}
	down.Store(false)
	if got := w.runDue(t.Context(), schedule.Todo{Run: true, Asked: true}); got != schedule.Ended {
		t.Errorf("at last: got %v", got)
	}
	if got := len(appUsers(app)); got != 3 {
		t.Errorf("the application has %d users", got)
	}
	if got, want := fmt.Sprint(told(t, d)), "[partial_success recovered]"; got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}
