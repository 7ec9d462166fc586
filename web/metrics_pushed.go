package web

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// pushMetrics count what SCIM clients push.
type pushMetrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	quirks   *prometheus.CounterVec
	refused  *prometheus.CounterVec
}

func (m *Metrics) pushMetrics() pushMetrics {
	return pushMetrics{
		requests: m.counter("dirsync_scim_requests_total", "Requests of SCIM clients, by method, resource and status.", "method", "resource", "status"),
		seconds:  m.histogram("dirsync_scim_request_duration_seconds", "How long SCIM clients waited for answers.", []float64{.0005, .001, .0025, .005, .01, .05, .1, .5, 1, 5, 30}, "method", "resource"),
		quirks:   m.counter("dirsync_scim_quirks_total", "What was odd in requests of SCIM clients, and understood or left out all the same.", "code"),
		refused:  m.counter("dirsync_scim_refused_total", "Requests of SCIM clients that were refused because of their token, by code: bad_token, too_many_failures.", "code"),
	}
}

// pushResources are what SCIM clients can ask for. Whatever else they name is "other".
func pushResources() []string {
	return []string{"User", "Group", "Users", "Groups", "Bulk", "Me", ".search", "Schemas", "ResourceTypes", "ServiceProviderConfig"}
}

// Pushed counts a request of a SCIM client: what it was about ("User", "Bulk"), what was answered, and what was odd in it.
func (m *Metrics) Pushed(method, resource string, status int, took time.Duration, quirks []string) {
	if m == nil {
		return
	}
	if method = verb(method); !slices.Contains(pushResources(), resource) {
		resource = "other"
	}
	m.pushes.requests.WithLabelValues(method, resource, statusName(status)).Inc()
	m.pushes.seconds.WithLabelValues(method, resource).Observe(took.Seconds())
	for _, code := range quirks {
		m.pushes.quirks.WithLabelValues(m.bounded("quirk", code)).Inc()
	}
}

// PushRefused counts a request of a SCIM client without a valid token; waits tells whether it was turned away unheard, because
// too many wrong ones came from its address.
func (m *Metrics) PushRefused(waits bool) {
	if m == nil {
		return
	}
	code := codeBadToken
	if waits {
		code = codeFailures
	}
	m.pushes.refused.WithLabelValues(code).Inc()
}
