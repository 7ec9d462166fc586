package web

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"dirsync"
)

// Metrics are what Prometheus reads. They have a registry of their own. All methods may be called on nil, which does
// nothing, and from several goroutines. Labels take few values, whatever comes from outside: syncs, routes and kinds are
// those of the configuration and of the program, and of hosts and credentials the first maxHosts have names.
//
// docs/api.md lists all metrics, and a test holds the list, the alert rules and the dashboard against what is registered.
type Metrics struct {
	registry *prometheus.Registry

	runs         *prometheus.CounterVec
	runSeconds   *prometheus.HistogramVec
	running      *prometheus.GaugeVec
	lastRun      *prometheus.GaugeVec
	lastSuccess  *prometheus.GaugeVec
	lastComplete *prometheus.GaugeVec
	configured   *prometheus.GaugeVec
	changes      *prometheus.CounterVec
	failed       *prometheus.CounterVec
	warnings     *prometheus.GaugeVec

	totals     map[string]*prometheus.GaugeVec
	holds      *prometheus.GaugeVec
	held       *prometheus.GaugeVec
	oldestHold *prometheus.GaugeVec
	token      *prometheus.GaugeVec
	credential *prometheus.GaugeVec

	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	throttled      *prometheus.CounterVec
	throttledWait  *prometheus.CounterVec

	store        prometheus.Gauge
	outbox       *prometheus.GaugeVec
	oldestOutbox prometheus.Gauge

	apiRequests *prometheus.CounterVec
	apiSeconds  *prometheus.HistogramVec
	apiRefused  *prometheus.CounterVec
	pushes      pushMetrics

	mu    sync.Mutex
	named map[string]map[string]bool
}

// maxHosts is how many hosts, and how many credentials, have names of their own. All others are "other".
const maxHosts = 32

// NewMetrics makes the metrics of one process. version is that of the program.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), totals: map[string]*prometheus.GaugeVec{}, named: map[string]map[string]bool{}}
	build := m.gauge("dirsync_build_info", "The version of the program; always 1.", "version")
	build.WithLabelValues(version).Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	m.runs = m.counter("dirsync_runs_total", "Runs that have ended, by how they ended: success, partial success, failure.", "sync", "status")
	m.runSeconds = m.histogram("dirsync_run_duration_seconds", "How long runs took.", []float64{1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600}, "sync")
	m.running = m.gauge("dirsync_run_in_progress", "Whether a run is under way.", "sync")
	m.lastRun = m.gauge("dirsync_last_run_timestamp_seconds", "When the last run ended, however it ended.", "sync")
	m.lastSuccess = m.gauge("dirsync_last_success_timestamp_seconds", "When a run last ended as success or partial success.", "sync")
	m.lastComplete = m.gauge("dirsync_last_complete_success_timestamp_seconds", "When a run last ended as success: nobody was rejected, held or failed.", "sync")
	m.configured = m.gauge("dirsync_sync_configured_timestamp_seconds", "Since when the sync is known: what its first success is waited for from.", "sync")
	m.changes = m.counter("dirsync_changes_total", "Changes made to accounts, by kind.", "sync", "kind")
	m.failed = m.counter("dirsync_changes_failed_total", "Changes that failed, and will be tried again.", "sync")
	m.warnings = m.gauge("dirsync_last_run_warnings", "What the last run wants somebody to do something about.", "sync")

	for name, help := range totalsHelp() {
		m.totals[name] = m.gauge(name, help, "sync")
	}
	m.holds = m.gauge("dirsync_holds_open", "Lists of destructive changes that wait for approval.", "sync")
	m.held = m.gauge("dirsync_people_held", "People on the open holds.", "sync")
	m.oldestHold = m.gauge("dirsync_hold_oldest_timestamp_seconds", "When the oldest open hold was made; absent when there is none.", "sync")
	m.token = m.gauge("dirsync_delta_token_timestamp_seconds", "When the delta token was issued, of users and of groups. Microsoft keeps one for seven days.", "sync", "of")
	m.credential = m.gauge("dirsync_credential_expiry_timestamp_seconds", "When a secret or a certificate ends.", "credential")

	m.requests = m.counter("dirsync_requests_total", "Requests sent, by host, method and status; the status is error when there was no answer.", "host", "method", "status")
	m.requestSeconds = m.histogram("dirsync_request_duration_seconds", "How long answers took.", []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120}, "host", "method")
	m.throttled = m.counter("dirsync_throttled_total", "Times that a host asked for fewer requests.", "host")
	m.throttledWait = m.counter("dirsync_throttled_seconds_total", "How long hosts have made us wait.", "host")

	m.store = prometheus.NewGauge(prometheus.GaugeOpts{Name: "dirsync_store_size_bytes", Help: "The size of the store's file."})
	m.outbox = m.gauge("dirsync_outbox_messages", "Messages to people, by state: waiting, given up, unsure.", "state")
	m.oldestOutbox = prometheus.NewGauge(prometheus.GaugeOpts{Name: "dirsync_outbox_oldest_timestamp_seconds", Help: "When the oldest waiting message was written; zero when none waits."})
	m.registry.MustRegister(m.store, m.oldestOutbox)

	m.apiRequests = m.counter("dirsync_api_requests_total", "Requests to the daemon's own API.", "route", "status")
	m.apiSeconds = m.histogram("dirsync_api_request_duration_seconds", "How long requests to the daemon's own API took; streams count until they end.", []float64{.001, .005, .01, .05, .1, .5, 1, 5, 30}, "route")
	m.apiRefused = m.counter("dirsync_api_refused_total", "Requests that were refused because of who sent them, by code.", "code")
	m.pushes = m.pushMetrics()
	return m
}

// totalsHelp names the gauges of Totals.
func totalsHelp() map[string]string {
	return map[string]string{
		"dirsync_people":             "People at the source.",
		"dirsync_people_gone":        "People who were at the source once.",
		"dirsync_people_rejected":    "People whose records make no valid user.",
		"dirsync_people_owed":        "People who must be planned again.",
		"dirsync_people_failing":     "People whose last change failed.",
		"dirsync_people_kept":        "People who stay as they are because somebody decided so.",
		"dirsync_accounts_active":    "Accounts that are active.",
		"dirsync_accounts_inactive":  "Accounts that are inactive.",
		"dirsync_accounts_differing": "Accounts that are meant to differ from the source.",
	}
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(v)
	return v
}

// Handler writes the metrics in the form that Prometheus asks for.
func (m *Metrics) Handler() http.Handler {
	if m == nil {
		return http.NotFoundHandler()
	}
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 20 * time.Second})
}

// Known makes a sync appear before it has run in this process: since when it is configured, by which its first success is
// missed (the zero time: it never is), and what the journal has of it, newest first, so that a restart forgets no success.
func (m *Metrics) Known(sync string, since time.Time, journal []dirsync.Run) {
	if m == nil {
		return
	}
	if !since.IsZero() {
		m.configured.WithLabelValues(sync).Set(seconds(since))
	}
	m.running.WithLabelValues(sync).Set(0)
	for _, status := range []dirsync.RunStatus{dirsync.Success, dirsync.PartialSuccess, dirsync.Failure} {
		m.runs.WithLabelValues(sync, string(status))
	}
	for _, kind := range dirsync.ChangeKinds() {
		m.changes.WithLabelValues(sync, kind.String())
	}
	m.failed.WithLabelValues(sync)
	m.Holds(sync, nil)
	for i := len(journal) - 1; i >= 0; i-- {
		m.last(sync, journal[i])
	}
}

// RunBegan says that a run is under way.
func (m *Metrics) RunBegan(sync string) {
	if m != nil {
		m.running.WithLabelValues(sync).Set(1)
	}
}

// RunEnded counts a run that has ended, and what it has changed.
func (m *Metrics) RunEnded(r dirsync.Run) {
	if m == nil {
		return
	}
	m.running.WithLabelValues(r.Sync).Set(0)
	m.runs.WithLabelValues(r.Sync, string(r.Status)).Inc()
	if took := r.Ended.Sub(r.Started); took >= 0 && !r.Ended.IsZero() {
		m.runSeconds.WithLabelValues(r.Sync).Observe(took.Seconds())
	}
	c := r.Counts
	for kind, n := range map[dirsync.ChangeKind]int{dirsync.Delete: c.Deleted, dirsync.Deactivate: c.Deactivated,
		dirsync.Reactivate: c.Reactivated, dirsync.Update: c.Updated, dirsync.Create: c.Created} {
		m.changes.WithLabelValues(r.Sync, kind.String()).Add(float64(max(0, n)))
	}
	m.failed.WithLabelValues(r.Sync).Add(float64(max(0, c.Failed)))
	m.last(r.Sync, r)
}

// last keeps what the last run was like, without counting it.
func (m *Metrics) last(sync string, r dirsync.Run) {
	if r.Ended.IsZero() {
		return
	}
	at := seconds(r.Ended)
	m.lastRun.WithLabelValues(sync).Set(at)
	m.warnings.WithLabelValues(sync).Set(float64(len(r.Warnings)))
	switch r.Status {
	case dirsync.Success:
		m.lastComplete.WithLabelValues(sync).Set(at)
		m.lastSuccess.WithLabelValues(sync).Set(at)
	case dirsync.PartialSuccess:
		m.lastSuccess.WithLabelValues(sync).Set(at)
	}
}

// Totals sets the figures of a sync.
func (m *Metrics) Totals(sync string, t dirsync.Totals) {
	if m == nil {
		return
	}
	for name, n := range map[string]int{
		"dirsync_people": t.People, "dirsync_people_gone": t.Gone, "dirsync_people_rejected": t.Rejected, "dirsync_people_owed": t.Owed,
		"dirsync_people_failing": t.Failing, "dirsync_people_kept": t.Kept, "dirsync_accounts_active": t.Active,
		"dirsync_accounts_inactive": t.Inactive, "dirsync_accounts_differing": t.Differing,
	} {
		m.totals[name].WithLabelValues(sync).Set(float64(n))
	}
}

// Holds sets what waits for approval. Holds that are not open are passed over.
func (m *Metrics) Holds(sync string, holds []dirsync.Hold) {
	if m == nil {
		return
	}
	var oldest time.Time
	open, people := 0, 0
	for _, h := range holds {
		if h.Status != dirsync.HoldOpen {
			continue
		}
		open, people = open+1, people+h.People
		if oldest.IsZero() || h.Created.Before(oldest) {
			oldest = h.Created
		}
	}
	m.holds.WithLabelValues(sync).Set(float64(open))
	m.held.WithLabelValues(sync).Set(float64(people))
	if open == 0 {
		m.oldestHold.DeleteLabelValues(sync)
	} else {
		m.oldestHold.WithLabelValues(sync).Set(seconds(oldest))
	}
}

// Token says when the delta token of users or of groups was issued: when its round was completed. The zero time says that
// there is none.
func (m *Metrics) Token(sync, of string, issued time.Time) {
	switch {
	case m == nil:
	case issued.IsZero():
		m.token.DeleteLabelValues(sync, of)
	default:
		m.token.WithLabelValues(sync, of).Set(seconds(issued))
	}
}

// Credential says when a secret or a certificate ends. name is the configuration's.
func (m *Metrics) Credential(name string, ends time.Time) {
	if m != nil && !ends.IsZero() {
		m.credential.WithLabelValues(m.bounded("credential", name)).Set(seconds(ends))
	}
}

// Request counts a request that was sent. A status of zero means that there was no answer.
func (m *Metrics) Request(host, method string, status int, took time.Duration) {
	if m == nil {
		return
	}
	host, method = m.bounded("host", host), verb(method)
	m.requests.WithLabelValues(host, method, statusName(status)).Inc()
	m.requestSeconds.WithLabelValues(host, method).Observe(took.Seconds())
}

// Throttled counts that a host asked for fewer requests, and how long that makes us wait.
func (m *Metrics) Throttled(host string, wait time.Duration) {
	if m == nil {
		return
	}
	host = m.bounded("host", host)
	m.throttled.WithLabelValues(host).Inc()
	m.throttledWait.WithLabelValues(host).Add(max(0, wait.Seconds()))
}

// StoreSize sets the size of the store's file.
func (m *Metrics) StoreSize(bytes int64) {
	if m != nil {
		m.store.Set(float64(bytes))
	}
}

// Outbox sets how many messages to people have not arrived.
func (m *Metrics) Outbox(o Outbox) {
	if m == nil {
		return
	}
	m.outbox.WithLabelValues("waiting").Set(float64(o.Waiting))
	m.outbox.WithLabelValues("given up").Set(float64(o.GivenUp))
	m.outbox.WithLabelValues("unsure").Set(float64(o.Unsure))
	m.oldestOutbox.Set(seconds(o.Oldest))
}

// answered counts a request to the API.
func (m *Metrics) answered(route string, status int, took time.Duration) {
	if m == nil {
		return
	}
	m.apiRequests.WithLabelValues(route, statusName(status)).Inc()
	m.apiSeconds.WithLabelValues(route).Observe(took.Seconds())
}

// refused counts a request that was refused because of who sent it.
func (m *Metrics) refused(code string) {
	if m != nil {
		m.apiRefused.WithLabelValues(code).Inc()
	}
}

// bounded lets the first few values of a label stand.
func (m *Metrics) bounded(label, value string) string {
	value = strings.ToValidUTF8(strings.ToLower(value), "?")
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.named[label] == nil {
		m.named[label] = map[string]bool{}
	}
	if !m.named[label][value] {
		if len(m.named[label]) >= maxHosts {
			return "other"
		}
		m.named[label][value] = true
	}
	return value
}

// verb is an HTTP method, and "other" for what is none.
func verb(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	default:
		return "other"
	}
}

func statusName(status int) string {
	if status < 100 || status > 599 {
		return "error"
	}
	return strconv.Itoa(status)
}

// seconds is a time as Prometheus writes it; the zero time is 0.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
