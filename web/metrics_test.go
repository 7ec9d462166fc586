package web

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.yaml.in/yaml/v4"

	"dirsync"
)

// measured are metrics with a value for everything.
func measured() *Metrics {
	m := NewMetrics("v1")
	at := noon()
	m.Known("staff", at.Add(-time.Hour), nil)
	m.RunBegan("staff")
	m.RunEnded(dirsync.Run{Sync: "staff", Status: dirsync.Success, Started: at, Ended: at.Add(90 * time.Second), Counts: dirsync.Counts{Created: 3, Updated: 2, Deactivated: 1, Failed: 4}})
	m.RunEnded(dirsync.Run{Sync: "staff", Status: dirsync.PartialSuccess, Started: at.Add(time.Hour), Ended: at.Add(2 * time.Hour), Warnings: []string{"w"}})
	m.RunEnded(dirsync.Run{Sync: "staff", Status: dirsync.Failure, Started: at.Add(3 * time.Hour), Ended: at.Add(3 * time.Hour)})
	m.Totals("staff", dirsync.Totals{People: 9, Gone: 8, Active: 7, Inactive: 6, Rejected: 5, Owed: 4, Differing: 3, Kept: 2, Failing: 1})
	closed := heldBy(1)
	closed.Status, closed.Created = dirsync.HoldApproved, at.Add(-time.Hour)
	m.Holds("staff", []dirsync.Hold{heldBy(2), closed})
	m.Token("staff", "users", at)
	m.Credential("contoso", at)
	m.Request("graph.microsoft.com", "GET", 200, time.Second)
	m.Request("Graph.Microsoft.com", "GET", 0, time.Second)
	m.Throttled("graph.microsoft.com", 10*time.Second)
	m.StoreSize(4096)
	m.Outbox(Outbox{Waiting: 1, GivenUp: 2, Unsure: 3, Oldest: at})
	m.answered("GET /v1/status", 200, time.Millisecond)
	m.refused("bad_token")
	m.Pushed("PATCH", "User", 200, time.Millisecond, []string{"opCase"})
	m.PushRefused(false)
	m.PushRefused(true)
	return m
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestMetrics(t *testing.T) {
	text := scrape(t, measured())
	for _, want := range []string{
		`dirsync_build_info{version="v1"} 1`,
		`dirsync_runs_total{status="success",sync="staff"} 1`,
		`dirsync_runs_total{status="failure",sync="staff"} 1`,
		`dirsync_run_in_progress{sync="staff"} 0`,
		`dirsync_run_duration_seconds_count{sync="staff"} 3`,
		fmt.Sprintf(`dirsync_last_run_timestamp_seconds{sync="staff"} %v`, float64(noon().Add(3*time.Hour).Unix())),
		fmt.Sprintf(`dirsync_last_success_timestamp_seconds{sync="staff"} %v`, float64(noon().Add(2*time.Hour).Unix())),
		fmt.Sprintf(`dirsync_last_complete_success_timestamp_seconds{sync="staff"} %v`, float64(noon().Add(90*time.Second).Unix())),
		`dirsync_changes_total{kind="create",sync="staff"} 3`,
		`dirsync_changes_total{kind="delete",sync="staff"} 0`,
		`dirsync_changes_failed_total{sync="staff"} 4`,
		`dirsync_people{sync="staff"} 9`,
		`dirsync_people_failing{sync="staff"} 1`,
		`dirsync_holds_open{sync="staff"} 1`,
		`dirsync_people_held{sync="staff"} 12`,
		fmt.Sprintf(`dirsync_hold_oldest_timestamp_seconds{sync="staff"} %v`, float64(noon().Unix())),
		`dirsync_requests_total{host="graph.microsoft.com",method="GET",status="200"} 1`,
		`dirsync_requests_total{host="graph.microsoft.com",method="GET",status="error"} 1`,
		`dirsync_throttled_seconds_total{host="graph.microsoft.com"} 10`,
		`dirsync_store_size_bytes 4096`,
		`dirsync_outbox_messages{state="given up"} 2`,
		`dirsync_api_refused_total{code="bad_token"} 1`,
		`dirsync_scim_requests_total{method="PATCH",resource="User",status="200"} 1`,
		`dirsync_scim_quirks_total{code="opcase"} 1`,
		`dirsync_scim_refused_total{code="bad_token"} 1`, `dirsync_scim_refused_total{code="too_many_failures"} 1`,
		`go_goroutines`, `process_start_time_seconds`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if problems, err := testutil.GatherAndLint(measured().registry); err != nil || len(problems) > 0 {
		t.Errorf("the linter says %v, %v", problems, err)
	}
}

// TestRestartForgetsNoSuccess holds that the dead man's switch does not start anew with the process.
func TestRestartForgetsNoSuccess(t *testing.T) {
	m := NewMetrics("v1")
	m.Known("staff", time.Time{}, []dirsync.Run{
		{Sync: "staff", Status: dirsync.Running},
		{Sync: "staff", Status: dirsync.Failure, Ended: noon().Add(2 * time.Hour)},
		{Sync: "staff", Status: dirsync.PartialSuccess, Ended: noon().Add(time.Hour)},
		{Sync: "staff", Status: dirsync.Success, Ended: noon()},
	})
	text := scrape(t, m)
	for _, want := range []string{
		fmt.Sprintf(`dirsync_last_success_timestamp_seconds{sync="staff"} %v`, float64(noon().Add(time.Hour).Unix())),
		fmt.Sprintf(`dirsync_last_complete_success_timestamp_seconds{sync="staff"} %v`, float64(noon().Unix())),
		`dirsync_runs_total{status="failure",sync="staff"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(text, "dirsync_sync_configured_timestamp_seconds{") || strings.Contains(text, "dirsync_hold_oldest_timestamp_seconds{") {
		t.Error("a time that nobody knows is told")
	}
}

// TestCardinality holds that what comes from outside makes no endless number of series.
func TestCardinality(t *testing.T) {
	m := NewMetrics("v1")
	h := (&Server{Daemon: newMemory(), Metrics: m}).handler(t.Context(), socketDoor, nil, nil)
	for i := range 500 {
		m.Request(fmt.Sprintf("h%d.example\xff\n", i), fmt.Sprintf("M%d", i), i*7, time.Second)
		m.Throttled(fmt.Sprintf("h%d", i), -time.Second)
		m.Credential(fmt.Sprintf("c%d", i), noon())
		m.Pushed(fmt.Sprintf("M%d", i), fmt.Sprintf("r%d", i), i*7, time.Second, []string{fmt.Sprintf("q%d", i)})
		answer(h, request("GET", fmt.Sprintf("/v1/syncs/s%d", i), "", nil))
		answer(h, request("GET", fmt.Sprintf("/path%d", i), "", nil))
		answer(h, request(fmt.Sprintf("M%d", i), "/v1/status", "", nil))
	}
	if n := strings.Count(scrape(t, m), "\ndirsync_"); n > 1500 {
		t.Errorf("got %d series, want them to be bounded", n)
	}
}

// TestNoMetrics holds that nobody needs to ask whether there are metrics.
func TestNoMetrics(t *testing.T) {
	v := reflect.ValueOf((*Metrics)(nil))
	for i := range v.NumMethod() {
		method := v.Method(i)
		var args []reflect.Value
		for j := range method.Type().NumIn() {
			args = append(args, reflect.Zero(method.Type().In(j)))
		}
		method.Call(args)
	}
	if w, _ := answer((&Server{Daemon: newMemory()}).handler(t.Context(), socketDoor, nil, nil), request("GET", "/metrics", "", nil)); w.Code != 404 {
		t.Errorf("got %d, want 404", w.Code)
	}
}

var metricName = regexp.MustCompile(`\bdirsync_[a-z0-9_]+`)

// registered are the names of all metrics of ours.
func registered(t *testing.T) []string {
	t.Helper()
	var names []string
	for line := range strings.Lines(scrape(t, measured())) {
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok && strings.HasPrefix(rest, "dirsync_") {
			name, kind, _ := strings.Cut(strings.TrimSpace(rest), " ")
			names = append(names, name)
			if kind == "histogram" {
				names = append(names, name+"_bucket", name+"_count", name+"_sum")
			}
		}
	}
	return names
}

// inExpression refuses what is surely no PromQL, and names that are no metrics.
func inExpression(t *testing.T, where, expr string, names []string) {
	t.Helper()
	found := metricName.FindAllString(expr, -1)
	if len(found) == 0 {
		t.Errorf("%s: no metric of ours in %q", where, expr)
	}
	for _, name := range found {
		if !slices.Contains(names, name) {
			t.Errorf("%s: there is no metric %s", where, name)
		}
	}
	for _, pair := range []string{"()", "[]", "{}"} {
		if strings.Count(expr, pair[:1]) != strings.Count(expr, pair[1:]) {
			t.Errorf("%s: %s do not match in %q", where, pair, expr)
		}
	}
}

func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Load(text, &file, yaml.WithKnownFields()); err != nil {
		t.Fatal(err)
	}
	names := registered(t)
	seen := map[string]bool{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			inExpression(t, r.Alert, r.Expr, names)
			if seen[r.Alert] || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s: is there twice, or lacks its severity, summary or description", r.Alert)
			}
			if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
				t.Errorf("%s: for: %v", r.Alert, err)
			}
			seen[r.Alert] = true
		}
	}
	for _, want := range []string{"RunFailed", "PartialForDays", "NoSuccess", "Down", "HoldsOpen", "TokenOld", "CredentialExpiring", "OutboxStuck"} {
		if !seen["Dirsync"+want] {
			t.Errorf("there is no alert Dirsync%s", want)
		}
	}
	// What they do is checked by promtool; see .ci/run.
	var tests []byte
	for _, name := range []string{"alerts_test.yaml", "alerts_days_test.yaml"} {
		text, err := os.ReadFile("../deploy/prometheus/" + name)
		if err != nil {
			t.Fatal(err)
		}
		tests = append(tests, text...)
	}
	for name := range seen {
		if !regexp.MustCompile(`alertname: ` + name + `\n\s+exp_alerts:`).Match(tests) {
			t.Errorf("no test lets %s fire", name)
		}
	}
}

func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../deploy/grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title  string `json:"title"`
		Panels []struct {
			ID      int                      `json:"id"`
			Title   string                   `json:"title"`
			Grid    struct{ X, Y, W, H int } `json:"gridPos"`
			Targets []struct{ Expr string }  `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	names, shown := registered(t), map[string]bool{}
	ids := map[int]bool{}
	for _, p := range board.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 || p.Grid.X+p.Grid.W > 24 {
			t.Errorf("the panel %q is there twice, is empty, or too wide", p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			inExpression(t, p.Title, target.Expr, names)
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				shown[name] = true
			}
		}
	}
	if len(shown) < 20 {
		t.Errorf("the dashboard shows %d metrics only", len(shown))
	}
}
