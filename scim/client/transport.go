package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"dirsync"
	"dirsync/scim"
)

const (
	attempts     = 6        // of one request
	maxBody      = 64 << 20 // bytes of an answer
	maxRedirects = 3
)

// call is one request, before it is sent as often as it takes.
type call struct {
	// op is what is being done, for errors: "create user". person is for whom, if for one.
	op     string
	person dirsync.ID
	method string
	// path is below the base URL, escaped: "/Users/7".
	path  string
	query url.Values
	body  *scim.Object
	// control marks a request that only tells whether the target is what answers; see Client.alive.
	control bool
}

// reply is an answer of the 2xx class.
type reply struct {
	status int
	header http.Header
	// object is the body; nil if there was none that is a JSON object.
	object *scim.Object
	// date is the target's clock, zero where it does not say.
	date time.Time
}

// refusal is an answer that is none of the 2xx class, or the reason why there is none.
type refusal struct {
	// answer is what the target said; nil if nothing came that can be understood.
	answer *scim.Error
	// unsure says that the request may have taken effect.
	unsure bool
	// strange says that the answer is not what a SCIM service would say: perhaps something in front of it said it.
	strange bool
	cause   error
}

func (r *refusal) Error() string { return r.cause.Error() }
func (r *refusal) Unwrap() error { return r.cause }

// said tells the status that an error is about; 0 if no answer came.
func said(err error) int {
	var r *refusal
	if errors.As(err, &r) && r.answer != nil {
		return r.answer.Status
	}
	return 0
}

// unsure tells errors of requests that may have taken effect.
func unsure(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.unsure
}

// do sends a request until an answer stands. A request that makes something new is sent again only if it cannot have
// taken effect: after 429, 503 with Retry-After, a connection that was never made, or a token that had expired.
func (c *Client) do(ctx context.Context, k call) (*reply, error) {
	var body []byte
	if k.body != nil {
		var err error
		if body, err = k.body.MarshalJSON(); err != nil {
			return nil, c.fault(k, dirsync.Invalid, err)
		}
	}
	waited, renewed := time.Duration(0), false
	for n := 1; ; n++ {
		answer, after, err := c.once(ctx, k, body)
		if err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return nil, c.fault(k, dirsync.Unavailable, err)
		}
		var r *refusal
		if !errors.As(err, &r) {
			return nil, err // the gate, or signing in: it is classified already
		}
		if r.answer != nil && r.answer.Status == http.StatusUnauthorized && c.tokens != nil && !renewed {
			renewed = true
			c.tokens.forget()
			continue
		}
		wait, again := c.again(k.method, r, after, n)
		if !again || waited+wait > c.maxWait() {
			if r.strange && absent(r.answer) && !k.control {
				if err := c.alive(ctx, k); err != nil {
					return nil, c.fault(k, dirsync.Unavailable, errors.Join(r, err))
				}
			}
			return nil, c.classify(k, r, after)
		}
		waited += wait
		c.log.Debug().Str("method", k.method).Str("op", k.op).Int("attempt", n).Int("status", said(err)).Dur("wait", wait).Msg("trying a request again")
		if r.answer != nil && r.answer.Status == http.StatusTooManyRequests {
			n--      // it was not even looked at
			continue // the gate makes everybody wait
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, c.fault(k, dirsync.Unavailable, err)
		}
	}
}

// again tells whether attempt n is followed by another, and after what wait at least.
func (c *Client) again(method string, r *refusal, after time.Duration, n int) (time.Duration, bool) {
	if r.answer != nil && r.answer.Status == http.StatusTooManyRequests {
		return max(after, time.Second/4), true // as long as the time suffices: it was not even looked at
	}
	if n >= attempts {
		return 0, false
	}
	backoff := time.Second << min(n-1, 6)
	wait := backoff/2 + rand.N(backoff/2)
	if r.answer == nil {
		// A page of HTML is seldom gone a second later, and whoever waits for it learns nothing.
		return wait, (method != http.MethodPost || !r.unsure) && (!r.strange || n == 1)
	}
	switch r.answer.Status {
	case http.StatusServiceUnavailable:
		if after > 0 {
			return after, true
		}
		return wait, method != http.MethodPost
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return wait, method != http.MethodPost
	}
	return 0, false
}

// once sends a request once, through the gate. The wait is what the target asked for.
func (c *Client) once(ctx context.Context, k call, body []byte) (*reply, time.Duration, error) {
	authorization, err := c.authorization(ctx)
	if err != nil {
		return nil, 0, err
	}
	if err := c.gate.enter(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, 0, &refusal{cause: ctx.Err()}
		}
		return nil, 0, c.outside(k, err)
	}
	defer c.gate.exit()
	attempt, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	start := time.Now()
	resp, data, err := c.exchange(attempt, k, authorization, body) //nolint:bodyclose // exchange reads it to its end and closes it
	if err != nil {
		if ctx.Err() != nil {
			return nil, 0, &refusal{unsure: true, cause: ctx.Err()}
		}
		if attempt.Err() != nil {
			err = fmt.Errorf("no whole answer came within %v", c.timeout)
		}
		err = errors.New(c.scrub(err.Error()))
		c.gate.failed(err)
		return nil, 0, &refusal{unsure: !unreached(resp, err), cause: err}
	}
	if resp.StatusCode/100 == 2 {
		out, err := c.read(k, resp, data)
		if err != nil {
			c.gate.failed(err)
			return nil, 0, err
		}
		c.gate.succeeded(time.Since(start))
		return out, 0, nil
	}
	problem := c.problem(resp, data)
	return nil, c.refuse(resp, data), &refusal{answer: problem, unsure: resp.StatusCode >= 500, strange: !says(data), cause: problem}
}

// absent tells an answer that says that something is not there.
func absent(e *scim.Error) bool {
	return e != nil && (e.Status == http.StatusNotFound || e.Status == http.StatusGone)
}

// says tells whether a body looks like an error of a SCIM service (RFC 7644 section 3.12).
func says(data []byte) bool {
	o, err := scim.ReadObject(data, scim.Limits{Bytes: maxBody})
	if err != nil {
		return false
	}
	_, detailed := o.Get("detail")
	return detailed || slices.Contains(o.Texts("schemas"), scim.ErrorURN)
}

// alive asks the target for a list that can be understood. A 404 that a SCIM service would have worded otherwise may come
// from something in front of it, which answers so to everything, and then nobody must be taken for gone.
func (c *Client) alive(ctx context.Context, k call) error {
	endpoint, _, _ := strings.Cut(strings.TrimPrefix(k.path, "/"), "/")
	_, err := c.list(ctx, call{op: k.op, person: k.person, method: http.MethodGet, path: "/" + endpoint,
		query: url.Values{"startIndex": {"1"}, "count": {"1"}}, control: true})
	return err
}

// refuse tells the gate about an answer that is no success, and returns how long the target wants to be left alone.
func (c *Client) refuse(resp *http.Response, data []byte) time.Duration {
	after, asked := retryAfter(resp.Header, time.Now())
	err := c.problem(resp, data)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		if !asked || after <= 0 {
			after = c.gate.backoff()
		}
		c.gate.throttled(after, err)
	case resp.StatusCode == http.StatusServiceUnavailable && asked && after > 0:
		c.gate.throttled(after, err)
	case resp.StatusCode >= 500 && resp.StatusCode != http.StatusNotImplemented:
		c.gate.failed(err)
	default:
		c.gate.succeeded(0)
	}
	return after
}

// problem reads an answer that is no success.
func (c *Client) problem(resp *http.Response, data []byte) *scim.Error {
	e := scim.ReadError(resp.StatusCode, data)
	if e.Detail = c.scrub(e.Detail); e.Detail == "" {
		e.Detail = http.StatusText(resp.StatusCode)
	}
	e.SCIMType = c.scrub(e.SCIMType)
	e.Detail = fmt.Sprintf("the target answered %d: %s", resp.StatusCode, e.Detail)
	return e
}

// read understands an answer of the 2xx class. A page of HTML is none of SCIM: it comes from something in front of the
// target, such as a page to sign in at, and says nothing about what was asked for.
func (c *Client) read(k call, resp *http.Response, data []byte) (*reply, error) {
	out := &reply{status: resp.StatusCode, header: resp.Header}
	out.date, _ = http.ParseTime(resp.Header.Get("Date"))
	text := bytes.TrimSpace(data)
	if len(text) == 0 {
		if k.method == http.MethodGet {
			return nil, &refusal{unsure: true, cause: errors.New("the answer is empty")}
		}
		return out, nil
	}
	object, err := scim.ReadObject(data, scim.Limits{Bytes: maxBody})
	switch {
	case err != nil && text[0] == '<':
		return nil, &refusal{unsure: true, strange: true, cause: errors.New("the answer is a page of HTML, not of SCIM; is the base URL right, and is a proxy in the way?")}
	case err != nil && k.method == http.MethodGet:
		return nil, &refusal{unsure: true, cause: fmt.Errorf("the answer cannot be understood: %w", err)}
	}
	out.object = object // nil for what is no JSON: that the write took effect the status says
	return out, nil
}

// exchange sends a request and reads the whole answer. It follows redirects within the target only, because others would
// be sent the token.
func (c *Client) exchange(ctx context.Context, k call, authorization string, body []byte) (*http.Response, []byte, error) {
	target := c.base + k.path
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	for n := 0; ; n++ {
		req, err := http.NewRequestWithContext(ctx, k.method, target, bytes.NewReader(body))
		if err != nil {
			return nil, nil, err
		}
		req.Header.Set("Accept", scim.MediaType+", application/json;q=0.9")
		req.Header.Set("User-Agent", c.userAgent)
		req.Header.Set("Authorization", authorization)
		if body != nil {
			req.Header.Set("Content-Type", scim.MediaType)
		}
		c.sent.Add(1)
		if k.method == http.MethodPost || k.method == http.MethodDelete {
			c.stirring.begun.Add(1)
			defer c.stirring.ended.Add(1)
		}
		resp, err := c.transport.RoundTrip(req)
		if err != nil {
			return unreachedMark(err), nil, err
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
		_ = resp.Body.Close() // it was read; there is nothing to be done about an error
		switch {
		case err != nil:
			return resp, nil, fmt.Errorf("the answer broke off: %w", err)
		case len(data) > maxBody:
			return resp, nil, fmt.Errorf("the answer is larger than %d bytes", maxBody)
		}
		next, follow, err := redirect(req, resp)
		if err != nil {
			return resp, nil, err
		}
		if !follow || n >= maxRedirects {
			return resp, data, nil
		}
		target = next
	}
}

// redirect tells where an answer leads to: with the same method, and within the same host.
func redirect(req *http.Request, resp *http.Response) (string, bool, error) {
	switch resp.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	case http.StatusMovedPermanently, http.StatusFound:
		if req.Method != http.MethodGet {
			return "", false, nil
		}
	default:
		return "", false, nil
	}
	next, err := req.URL.Parse(resp.Header.Get("Location"))
	if err != nil || next.Scheme != req.URL.Scheme || next.Host != req.URL.Host {
		return "", false, errors.New("the target redirects to another host, which is not sent the token; configure the base URL that it redirects to")
	}
	return next.String(), true, nil
}

// unreachedMark is a response that stands for a connection that was never made: with status 0.
func unreachedMark(err error) *http.Response {
	var op *net.OpError
	var dns *net.DNSError
	if errors.As(err, &op) && op.Op == "dial" || errors.As(err, &dns) {
		return &http.Response{}
	}
	return nil
}

func unreached(resp *http.Response, err error) bool {
	return err != nil && resp != nil && resp.StatusCode == 0
}

// backoff is how long to pause after a 429 that does not say: a second, and twice as long each time that this was not
// enough.
func (g *gate) backoff() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return min(30*time.Second, time.Second<<min(g.strikes, 5))
}

// retryAfter reads how long the target wants to be left alone: seconds, whole or not, or a date (RFC 9110 section 10.2.3).
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	if date, err := http.ParseTime(v); err == nil {
		return min(max(0, date.Sub(now)), 24*time.Hour), true
	}
	seconds, err := strconv.ParseFloat(v, 64)
	if math.IsNaN(seconds) || seconds < 0 || err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return time.Duration(math.Ceil(min(seconds, 86400) * float64(time.Second))), true
}
