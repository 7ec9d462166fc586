package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph/graphtest"
)

// TestExplainPromisesNoMoreThanARunDoes says that the next run makes a doubt certain only where it will, and leaves no
// account as it is where there is none.
func TestExplainPromisesNoMoreThanARunDoes(t *testing.T) {
	for _, c := range []struct {
		account, doubt, change string
		want                   []string
	}{
		{"u1", "update", "update", []string{"update took effect; the next run makes certain"}},
		{"u1", "deactivate", "none", []string{"deactivate took effect; that stays open", "do nothing"}},
		{"u1", "", changeRejected, []string{"reject the record, and leave the account as it is"}},
		{"", "create", changeRejected, []string{"that stays open", "reject the record, and leave the account as it is"}},
		{"", "", changeRejected, []string{"account       none", "reject the record, and make no account"}},
	} {
		var out bytes.Buffer
		a := newApp(&out, io.Discard)
		v := explainView{Doubt: c.doubt}
		v.Account, v.Change = c.account, c.change
		a.printFacts(v)
		got := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range c.want {
			if !strings.Contains(got, strings.Join(strings.Fields(want), " ")) {
				t.Errorf("%+v: %q is not in %s", c, want, got)
			}
		}
	}
}

// BenchmarkExplain explains single people of many. By an id or an address of an account that is what it costs to look
// into indexes, however many people there are; only a name that is neither is looked for among everybody. Beside it
// stands what the process takes, which reads through the store's file before it trusts it.
func BenchmarkExplain(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			if n > 100_000 && !*large {
				b.Skip("-large runs it: it takes minutes")
			}
			addr := tenantProcess(b, n, "DIRSYNC_TEST_UNIQUE=1")
			dir := b.TempDir()
			config := setUp(b, dir, addr.URL, []byte(addr.CA), (&graphtest.Tenant{}).Identity())
			peak(b, benchChild(b, "run", "-c", config))
			a := newApp(io.Discard, io.Discard)
			a.configPath, a.format = filepath.Join(dir, "config.yaml"), "text"
			err := a.joined(b.Context(), nil, looking, func(ws []*wired) error { return benchExplain(b, a, ws[0], n) })
			if err != nil {
				b.Fatal(err)
			}
			took, _ := peak(b, benchChild(b, "explain", "u00000001", "-c", config))
			b.ReportMetric(float64(took.Microseconds())/1000, "process-ms")
		})
	}
}

func benchExplain(b *testing.B, a *app, w *wired, n int) error {
	some, err := w.sync.People(b.Context(), dirsync.Seq(n/2), 200)
	if err != nil {
		return err
	}
	keys := map[string]func(dirsync.Person) string{
		"id":      func(p dirsync.Person) string { return string(p.ID) },
		"upn":     func(p dirsync.Person) string { return p.Shadow.Text("userPrincipalName") },
		"account": func(p dirsync.Person) string { return p.Link.Account },
		"address": func(p dirsync.Person) string {
			mail, _ := p.Link.Held.Get(dirsync.EmailAddress)
			return mail.Text
		},
	}
	for name, key := range keys {
		var all []time.Duration
		for _, p := range some {
			if p.Link.Account == "" {
				continue
			}
			began := time.Now()
			found, err := w.person(b.Context(), key(p), false)
			if err != nil || found.ID != p.ID {
				return fmt.Errorf("find %s: %s, %w", key(p), found.ID, err)
			}
			v, err := a.explain(b.Context(), w, found)
			if err != nil {
				return err
			}
			if err := a.printExplanation(v, func(id string) string { return id }); err != nil {
				return err
			}
			all = append(all, time.Since(began))
		}
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name+"-ms")
		b.ReportMetric(float64(all[len(all)-1].Microseconds())/1000, name+"-max-ms")
	}
	began := time.Now()
	if _, err := w.person(b.Context(), some[0].Shadow.Text("displayName"), false); err != nil && dirsync.KindOf(err) != dirsync.Conflict {
		return err
	}
	b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "name-ms")
	b.ReportMetric(0, "ns/op")
	return nil
}
