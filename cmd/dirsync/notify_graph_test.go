package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
	"dirsync/notify"
	"dirsync/sync/schedule"
)

// mailingTenant is a tenant by which mail can be sent, and a configuration that does.
func mailingTenant(t *testing.T) (*graphtest.Tenant, string) {
	t.Helper()
	tenant, config := newTenant(t, 5)
	tenant.Set(func(t *graphtest.Tenant) {
		t.Roles = []string{"User.Read.All", "Organization.Read.All", graph.MailPermission}
	})
	appendTo(t, config, `    schedule: manually
    notify: [{ name: IT, address: it@contoso.com, user: it }]
notify:
  graph: { tenant: contoso, from: dirsync@contoso.com }
  window: 0s
`)
	return tenant, config
}

// TestToldByGraph lets a run fail, and looks into the mailboxes.
func TestToldByGraph(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*graphtest.Tenant)
		want    notify.Delivered
		stopped []string // in the error of the channel that stops
	}{
		"accepted": {want: notify.Delivered{Sent: 1}},
		"not allowed": {change: func(t *graphtest.Tenant) { t.Senders = []string{"hr@contoso.com"} },
			stopped: []string{"Mail.Send is needed", "403"}},
		"no mailbox": {change: func(t *graphtest.Tenant) { t.Mailboxes = []string{"hr@contoso.com"} },
			stopped: []string{"404", "MailboxNotEnabledForRESTAPI"}},
		"not now": {change: func(t *graphtest.Tenant) {
			t.Faults.Rules = append(t.Faults.Rules, graphtest.Rule{On: graphtest.SendMail, Fault: graphtest.Fault{Status: 503}})
		}, want: notify.Delivered{Again: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			tenant, config := mailingTenant(t)
			tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Delta, Fault: graphtest.BareError(http.StatusBadRequest)}}})
			if test.change != nil {
				tenant.Set(test.change)
			}
			d := idle(t, config)
			w, err := d.worker("staff")
			if err != nil {
				t.Fatal(err)
			}
			w.runDue(t.Context(), schedule.Todo{Slot: time.Now()})
			got, err := d.teller.Deliver(t.Context(), time.Now())
			got.Sent -= len(notes(t, d)) // those into the inbox
			if err != nil || got != test.want {
				t.Errorf("got %+v, %v, want %+v", got, err, test.want)
			}
			mails := tenant.Mails()
			if len(mails) != test.want.Sent {
				t.Fatalf("got %d mails, want %d", len(mails), test.want.Sent)
			}
			for _, m := range mails {
				if m.From != "dirsync@contoso.com" || m.Subject != "dirsync: staff failed" || !strings.Contains(m.HTML, "ended on") ||
					fmt.Sprint(m.To) != "[{IT it@contoso.com}]" || m.Headers["x-dirsync-message-id"] == "" || m.Saved {
					t.Errorf("got %+v", m)
				}
			}
			stopped := d.teller.Stopped()
			if (len(stopped) == 1) != (test.stopped != nil) {
				t.Fatalf("stopped are %+v", stopped)
			}
			for _, part := range test.stopped {
				if s := stopped[0]; s.Channel != notify.EmailChannel || !strings.Contains(s.Error, part) {
					t.Errorf("got %+v, want %q in it", s, part)
				}
			}
		})
	}
}

// notes are the titles of the messages in the inbox that are news, not alarms about the channel.
func notes(t *testing.T, d *daemon) (titles []string) {
	t.Helper()
	list, err := newNotifyStore(d.st).Notes(t.Context(), "it", nil, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list {
		if !strings.HasPrefix(n.ID, "stopped-") {
			titles = append(titles, n.Title)
		}
	}
	return titles
}

// TestGraphMailer asks by command, and sees what is wrong and what to do; and a lost answer is a doubt.
func TestGraphMailer(t *testing.T) {
	tenant, config := mailingTenant(t)
	stdout, stderr, code := run(t, "notify", "test", "it@contoso.com", "-c", config)
	if code != 0 || !strings.Contains(stdout, "taken: Microsoft Graph has accepted it") || len(tenant.Mails()) != 1 {
		t.Errorf("exit %d, %d mails, %s%s", code, len(tenant.Mails()), stdout, stderr)
	}
	tenant.Set(func(t *graphtest.Tenant) { t.Roles = nil })
	stdout, stderr, code = run(t, "notify", "test", "it@contoso.com", "-c", config)
	for _, part := range []string{"not taken", "Mail.Send is needed", "RBAC for applications", "dirsync@contoso.com"} {
		if !strings.Contains(stdout, part) || code != exitFailed {
			t.Errorf("exit %d, %q is not in %s%s", code, part, stdout, stderr)
		}
	}
	tenant.Set(func(t *graphtest.Tenant) { t.Roles = []string{graph.MailPermission} })
	tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.SendMail, Fault: graphtest.Fault{Reset: true}}}})
	d := idle(t, config)
	for _, tried := range d.teller.Test(t.Context(), time.Now(), notify.Recipient{Address: "it@contoso.com"}) {
		if !errors.Is(tried.Err, notify.ErrUnsure) || dirsync.KindOf(tried.Err) != dirsync.Unavailable || dirsync.HintOf(tried.Err) == "" {
			t.Errorf("got %v, want a doubt", tried.Err)
		}
	}
	if got, want := len(tenant.Mails()), 2; got != want {
		t.Errorf("got %d mails, want %d", got, want)
	}
}
