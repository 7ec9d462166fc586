package graphtest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxBatch is how many requests a batch can carry (Graph, "Combine multiple HTTP requests using JSON batching").
const maxBatch = 20

// step is one request in a batch.
type step struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
	Depends []string          `json:"dependsOn"`
}

// parseBatch reads a batch and refuses all of it if any of its requests is malformed: ids that are missing or the same
// but for letter case, a request that writes without a body or without saying what it is, and dependencies on who is
// not there or in a circle.
func parseBatch(body []byte) ([]step, error) {
	var b struct {
		Requests []step `json:"requests"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, badQuery("BadRequest", "Invalid batch payload format.")
	}
	if n := len(b.Requests); n == 0 || n > maxBatch {
		return nil, badQuery("BadRequest", "Number of batch request steps must be between 1 and the maximum value of %d; it is %d.", maxBatch, n)
	}
	seen := make(map[string]bool)
	for _, s := range b.Requests {
		id := strings.ToLower(s.ID)
		switch {
		case s.ID == "" || s.Method == "" || s.URL == "":
			return nil, badQuery("BadRequest", "Every request of a batch must have an id, a method and a url.")
		case seen[id]:
			return nil, badQuery("BadRequest", "Request Id %s has to be unique in a batch.", s.ID)
		}
		seen[id] = true
		if m := strings.ToUpper(s.Method); (m == http.MethodPost || m == http.MethodPatch || m == http.MethodPut) && (s.header("Content-Type") == "" || len(s.Body) == 0 || isNull(s.Body)) {
			return nil, badQuery("BadRequest", "Write request id : %s does not contain Content-Type header or body.", s.ID)
		}
	}
	if order(b.Requests, nil) == nil {
		return nil, badQuery("BadRequest", "The dependencies of the batch request cannot be resolved.")
	}
	return b.Requests, nil
}

func (s *step) header(name string) string {
	for k, v := range s.Headers {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// order puts steps behind those that they depend on, and otherwise as they are shuffled; nil shuffles nothing. It is nil
// when there is no such order.
func order(steps []step, shuffle []int) []int {
	if shuffle == nil {
		for i := range steps {
			shuffle = append(shuffle, i)
		}
	}
	var out []int
	done := make(map[string]bool)
	for len(out) < len(steps) {
		at := slices.IndexFunc(shuffle, func(i int) bool {
			return !slices.ContainsFunc(steps[i].Depends, func(id string) bool { return !done[strings.ToLower(id)] })
		})
		if at < 0 {
			return nil
		}
		i := shuffle[at]
		done[strings.ToLower(steps[i].ID)] = true
		out, shuffle = append(out, i), slices.Delete(slices.Clone(shuffle), at, at+1)
	}
	return out
}

// batch reads a batch, whose requests are then worked off without the tenant being locked in between.
func (q *request) batch() answer {
	if q.inner {
		return q.refuse(badQuery("BadRequest", "A batch cannot contain a batch."))
	}
	steps, err := parseBatch(q.body)
	if err != nil {
		return q.refuse(err)
	}
	q.steps = steps
	return answer{status: http.StatusOK}
}

// workOff makes the requests of a batch one after the other, in an order of its own as far as they do not depend on each
// other, and answers in yet another one. Each of them is asked about with the Hook and counted by rules and budgets as if
// it had come alone. Cut says that the connection is to break, which is what becomes of one that a fault resets.
func (q *request) workOff() (body []byte, cut bool) {
	status := make(map[string]int)
	responses := make([]json.RawMessage, len(q.steps))
	seed := q.seed()
	for _, i := range order(q.steps, permutation(len(q.steps), seed)) {
		s := &q.steps[i]
		id := strings.ToLower(s.ID)
		if slices.ContainsFunc(s.Depends, func(on string) bool { return status[strings.ToLower(on)] >= http.StatusBadRequest }) {
			status[id] = http.StatusFailedDependency
			responses[i] = s.response(http.StatusFailedDependency, nil, []byte(`{"error":{"code":"FailedDependency","message":"A request that this one depends on failed."}}`))
			continue
		}
		r, err := q.innerRequest(s)
		if err != nil {
			status[id] = http.StatusBadRequest
			responses[i] = s.response(http.StatusBadRequest, nil, []byte(`{"error":{"code":"BadRequest","message":"Invalid url in the request."}}`))
			continue
		}
		in, a, fault := q.t.exchange(r, true)
		if fault.Truncate {
			a.body = a.body[:len(a.body)/2]
		}
		cut = cut || fault.Reset
		status[id] = a.status
		responses[i] = s.response(a.status, in.headers(a, fault), a.body)
	}
	body = []byte(`{"responses":[`)
	for n, i := range permutation(len(responses), seed+1) {
		if n > 0 {
			body = append(body, ',')
		}
		body = append(body, responses[i]...)
	}
	return append(body, `]}`...), cut
}

// seed varies the orders of a batch.
func (q *request) seed() uint64 {
	q.t.mu.Lock()
	defer q.t.mu.Unlock()
	return mix(q.t.Faults.Seed ^ uint64(q.t.requests.Batch)*0x9e3779b97f4a7c15)
}

// permutation is an order of n things that follows from a seed.
func permutation(n int, seed uint64) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	for i := n - 1; i > 0; i-- {
		seed = mix(seed + 0x9e3779b97f4a7c15)
		j := int(seed % uint64(i+1))
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// innerRequest makes the request of a step, with the credentials of the batch.
func (q *request) innerRequest(s *step) (*http.Request, error) {
	if strings.Contains(s.URL, "://") {
		return nil, fmt.Errorf("make a request of a batch: the url is not relative: %s", s.URL)
	}
	u, err := url.Parse("/v1.0/" + strings.TrimLeft(s.URL, "/"))
	if err != nil {
		return nil, fmt.Errorf("make a request of a batch: %w", err)
	}
	r := q.r.Clone(q.r.Context())
	r.Method, r.URL, r.RequestURI = strings.ToUpper(s.Method), u, u.RequestURI()
	r.Header = http.Header{"Authorization": q.r.Header.Values("Authorization")}
	for name, value := range s.Headers {
		if !strings.EqualFold(name, "Authorization") {
			r.Header.Set(name, value)
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(s.Body)), int64(len(s.Body))
	return r, nil
}

// response writes the answer to a step. What is not JSON comes as a string in base64, as pictures do.
func (s *step) response(status int, header http.Header, body []byte) json.RawMessage {
	b := appendString([]byte(`{"id":`), s.ID)
	b = append(append(b, `,"status":`...), itoa(status)...)
	flat := map[string]string{"Cache-Control": "no-cache"}
	for name, values := range header {
		flat[name] = strings.Join(values, ", ")
	}
	if raw, err := marshal(flat); err == nil {
		b = append(append(b, `,"headers":`...), raw...)
	}
	switch {
	case len(body) == 0:
	case json.Valid(body):
		b = append(append(b, `,"body":`...), body...)
	default:
		b = appendString(append(b, `,"body":`...), base64.StdEncoding.EncodeToString(body))
	}
	return append(b, '}')
}
