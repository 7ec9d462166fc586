package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph/graphtest"
)

var statusPeople = flag.Int("status-people", 20_000, "how many people the tenant of BenchmarkStatusDuringRun has")

// BenchmarkStatusDuringRun asks a real daemon over its socket how it stands, again and again while it makes its first run
// of many people, and says how long the answers took: p50, p99 and so on, by phase of the run. Beside it stands the same of the
// daemon before the run (idle), because what a busy machine costs is in both.
func BenchmarkStatusDuringRun(b *testing.B) {
	for b.Loop() {
		addr := tenantProcess(b, *statusPeople)
		config := setUp(b, b.TempDir(), addr.URL, []byte(addr.CA), (&graphtest.Tenant{}).Identity())
		manually(b, config)
		s := serving(b, config)
		client, plain := s.client(), &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(filepath.Dir(config), "dirsync.sock"))
		}}}
		took := map[string][]time.Duration{}
		ask := func(phase string) string {
			began := time.Now()
			v, err := client.Status(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if running := v.Syncs[0].Running; running != nil {
				phase = running.Phase
			}
			took[phase] = append(took[phase], time.Since(began))
			took["run"] = append(took["run"], time.Since(began))
			began = time.Now()
			res, err := plain.Get("http://dirsync/livez")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil {
				b.Fatal(err)
			}
			_ = res.Body.Close()
			took["live"] = append(took["live"], time.Since(began))
			return phase
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for range 100 {
			<-tick.C
			ask("idle")
		}
		took["run"], took["live"] = nil, nil
		from := s.said()
		began := time.Now()
		s.signal(syscall.SIGUSR1)
		for over := false; !over; {
			<-tick.C
			ask("between")
			over = strings.Contains(strings.Join(s.since(from), "\n"), `"message":"the run has ended"`)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s/run")
		for _, phase := range []string{"idle", "live", "run", string(dirsync.PhaseRead), string(dirsync.PhasePlan), string(dirsync.PhaseApply)} {
			list := took[phase]
			slices.Sort(list)
			for _, share := range []float64{50, 99, 99.9, 100} {
				if len(list) > 0 {
					b.ReportMetric(float64(list[int(share/100*float64(len(list)-1))])/1e6, fmt.Sprintf("%s-ms/p%v", phase, share))
				}
			}
		}
		b.ReportMetric(float64(len(took["run"])), "asked")
		b.ReportMetric(0, "ns/op")
		if code := s.stop(syscall.SIGTERM); code != 0 {
			b.Errorf("exit %d", code)
		}
	}
}
