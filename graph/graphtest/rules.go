package graphtest

import (
	"net/http"
	"time"
)

// Rule makes some requests of one kind fail, whether they come alone or in a batch, which is a request of its own kind
// besides. Conditions that are zero do not restrict.
type Rule struct {
	// On is the kind of request; empty means every request to Graph, but not to the sign-in service.
	On Kind
	// Skip lets the first n requests pass; after them every nth of Every fails, the first included.
	Skip, Every int
	// Times is how often the rule fires; zero means without end.
	Times int
	// Until is the moment by the tenant's clock from which on the rule no longer fires.
	Until time.Time
	// Fault is what happens.
	Fault Fault
}

// Fault is what goes wrong with one request. The zero Fault is nothing.
type Fault struct {
	// Status is the status of the answer instead of the true one; zero keeps the true answer, subject to the other
	// fields.
	Status int
	// Header is added to the answer.
	Header http.Header
	// Body is the body of the answer when Status is set.
	Body string
	// Apply lets the request take effect before the answer of Status is sent.
	Apply bool
	// Reset breaks the connection in the middle of the true answer's body, or, when Status is set, of Body.
	Reset bool
	// Truncate sends only the first half of the body, as if it were all.
	Truncate bool
	// Delay is how long, in real time, the answer is held back.
	Delay time.Duration
}

func (f *Fault) isZero() bool {
	return f.Status == 0 && len(f.Header) == 0 && f.Body == "" && !f.Reset && !f.Truncate && f.Delay == 0
}

// ruleCount is how often a rule has matched and fired.
type ruleCount struct{ matched, fired int }

// matching returns the fault of the first rule that fires for a request. Every rule that the request matches counts it,
// whether another fires or not.
func (t *Tenant) matching(k Kind, now time.Time) Fault {
	rules := t.Faults.Rules
	if len(t.rules) < len(rules) {
		t.rules = append(t.rules, make([]ruleCount, len(rules)-len(t.rules))...)
	}
	var fault Fault
	for i, r := range rules {
		if r.On != k && (r.On != "" || k == Discovery || k == Token || k == Consent) {
			continue
		}
		c := &t.rules[i]
		c.matched++
		n := c.matched - 1 - r.Skip
		due := n >= 0 && n%max(r.Every, 1) == 0
		if !due || r.Times > 0 && c.fired >= r.Times || !r.Until.IsZero() && !now.Before(r.Until) || !fault.isZero() {
			continue
		}
		c.fired++
		fault = r.Fault
	}
	return fault
}

// Throttled is 429 with Retry-After as given ("10", "2.128", a date), or without one when retryAfter is empty. The
// headers and the body are those of Microsoft's throttling guidance.
func Throttled(retryAfter string) Fault {
	h := http.Header{
		"X-Ms-Throttle-Scope":       {"Tenant_Application/ReadWrite/" + DefaultClientID + "/" + DefaultID},
		"X-Ms-Throttle-Information": {"ResourceUnitLimitExceeded"},
	}
	if retryAfter != "" {
		h.Set("Retry-After", retryAfter)
	}
	return Fault{Status: http.StatusTooManyRequests, Header: h, Body: `{"error":{"code":"TooManyRequests","innerError":{` +
		`"code":"429","date":"2020-08-18T12:51:51","message":"Please retry after",` +
		`"request-id":"94fb3b52-452a-4535-a601-69e0a90e3aa2","status":"429"},"message":"Please retry again later."}}`}
}

// ThrottledUntil is Throttled with the date form of Retry-After, which knows whole seconds only.
func ThrottledUntil(at time.Time) Fault { return Throttled(at.UTC().Format(http.TimeFormat)) }

// HTMLPage is an answer in HTML, as gateways and captive portals give it: 502, 503 and 504, or even 200.
func HTMLPage(status int) Fault {
	text := http.StatusText(status)
	return Fault{Status: status, Header: http.Header{"Content-Type": {"text/html; charset=us-ascii"}},
		Body: "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\"\"http://www.w3.org/TR/html4/strict.dtd\">\r\n<HTML><HEAD><TITLE>" +
			text + "</TITLE></HEAD>\r\n<BODY><h2>" + text + "</h2>\r\n<hr><p>The page was made by the gateway.</p>\r\n</BODY></HTML>\r\n"}
}

// Empty is an answer without a body.
func Empty(status int) Fault { return Fault{Status: status} }

// BadJSON is a page with status 200 that is not JSON although it begins like it.
func BadJSON() Fault {
	return Fault{Status: http.StatusOK, Body: `{"@odata.context":"","value":[{"id":"1","displayName":"a" "b"},]}`}
}

// BareError is an error in JSON that lacks everything that an error of Graph has.
func BareError(status int) Fault { return Fault{Status: status, Body: `{"error":{}}`} }

// Refused is an error in Graph's form with a code of one's choice.
func Refused(status int, code string) Fault {
	b := appendString([]byte(`{"error":{"code":`), code)
	return Fault{Status: status, Body: string(b) + `,"message":"The request was refused.","innerError":{"date":"2021-05-18T19:03:10",` +
		`"request-id":"d9bbd4d8-0f1e-4f5d-8f0c-9c1a6a1d8f0e","client-request-id":"d9bbd4d8-0f1e-4f5d-8f0c-9c1a6a1d8f0e"}}}`}
}

// AccessExpired is 401 as for an access token that has just expired.
func AccessExpired() Fault {
	f := Refused(http.StatusUnauthorized, "InvalidAuthenticationToken")
	f.Header = http.Header{"Www-Authenticate": {bearerChallenge + `, error="invalid_token", error_description="The access token expired"`}}
	return f
}
