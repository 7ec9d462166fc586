package graphtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

// inner is one answer out of a batch.
type inner struct {
	ID      string
	Status  int
	Headers map[string]string
	Body    json.RawMessage
}

func (i inner) code() string { return response{body: i.Body}.code() }

// batch sends requests, given as JSON, and returns the answers by their ids and the ids in the order of the answers.
func (c *client) batch(requests ...string) (map[string]inner, []string) {
	c.tb.Helper()
	r := c.call(http.MethodPost, "/v1.0/$batch", `{"requests":[`+strings.Join(requests, ",")+`]}`)
	if r.status != http.StatusOK {
		c.tb.Fatalf("batch: got %d %s", r.status, r.body)
	}
	var b struct{ Responses []inner }
	if err := json.Unmarshal(r.body, &b); err != nil {
		c.tb.Fatalf("batch: %v in %s", err, r.body)
	}
	out, order := map[string]inner{}, []string{}
	for _, i := range b.Responses {
		out[i.ID] = i
		order = append(order, i.ID)
	}
	return out, order
}

// wrapped is a request that writes, as one of a batch.
func wrapped(id, method, url, body string, depends ...string) string {
	raw, _ := json.Marshal(append([]string{}, depends...))
	return `{"id":"` + id + `","method":"` + method + `","url":"` + url + `","headers":{"content-type":"application/json"},"body":` + body + `,"dependsOn":` + string(raw) + `}`
}

func bare(id, method, url string) string {
	return `{"id":"` + id + `","method":"` + method + `","url":"` + url + `"}`
}

func TestBatch(t *testing.T) {
	tenant := &graphtest.Tenant{}
	c := writer(t, tenant)
	id := c.made("ada", "")
	tenant.ResetRequests()
	requests := []string{
		bare("read", "GET", "/users/"+id+"?$select=displayName"),
		wrapped("change", "PATCH", "users/"+id, `{"jobTitle":"Countess"}`),
		wrapped("double", "POST", "/users", newUser("ada", "")),
		bare("nobody", "GET", "/users/nobody"),
		bare("list", "get", "/users?$select=id"),
		bare("version", "GET", "/v1.0/users"),
		bare("absolute", "GET", c.url+"/v1.0/users"),
		`{"id":"nested","method":"POST","url":"/$batch","headers":{"Content-Type":"application/json"},"body":{"requests":[]}}`,
		bare("count", "GET", "/users/$count"),
	}
	for n := range 11 {
		requests = append(requests, wrapped(fmt.Sprint(n), "POST", "/users", newUser(fmt.Sprint("user", n), "")))
	}
	got, order := c.batch(requests...)
	for id, want := range map[string]int{"read": 200, "change": 204, "double": 400, "nobody": 404, "list": 200, "version": 400, "absolute": 400, "nested": 400, "count": 400, "0": 201, "10": 201} {
		if got[id].Status != want {
			t.Errorf("%s: got %d %s, want %d", id, got[id].Status, got[id].Body, want)
		}
	}
	if len(order) != 20 || len(got) != 20 || strings.HasPrefix(strings.Join(order, " "), "read change double") {
		t.Errorf("answered in this order: %v", order)
	}
	if g := got["read"]; !strings.Contains(string(g.Body), `"displayName":"ada","id":"`+id+`"`) || g.Headers["Content-Type"] == "" || g.Headers["X-Ms-Resource-Unit"] != "1" {
		t.Errorf("read: got %+v %s", g, g.Body)
	}
	if g := got["change"]; g.Body != nil || g.Headers["Content-Type"] != "" {
		t.Errorf("change: got %+v", g)
	}
	if got["double"].code() != "Request_BadRequest" || len(tenant.Users()) != 12 {
		t.Errorf("double: got %s, and there are %d users", got["double"].Body, len(tenant.Users()))
	}
	count := tenant.Requests()
	if count.Total != 1 || count.Batch != 2 || count.Inner != 19 || count.CreateUser != 12 || count.UpdateUser != 1 || count.Get != 2 || count.List != 2 || count.Writes != 13 {
		t.Errorf("counted: got %+v", count)
	}
}

func TestBatchDependencies(t *testing.T) {
	c := writer(t, &graphtest.Tenant{})
	var requests []string
	for n := 19; n > 0; n-- { // the last one first, and each depends on the one before
		requests = append(requests, wrapped(fmt.Sprint("r", n), "PATCH", "/users/u0@contoso.com", `{"jobTitle":"`+fmt.Sprint(n)+`"}`, fmt.Sprint("R", n-1)))
	}
	got, _ := c.batch(append(requests, wrapped("r0", "POST", "/users", newUser("u0", "")))...)
	for id, g := range got {
		if g.Status != 204 && id != "r0" {
			t.Errorf("%s: got %d %s", id, g.Status, g.Body)
		}
	}
	if r := c.get("/v1.0/users/u0@contoso.com"); r.fields(t)["jobTitle"] != "19" {
		t.Errorf("got %s, want the last one to have been last", r.body)
	}
	got, _ = c.batch(wrapped("a", "POST", "/users", newUser("u0", "")), wrapped("b", "PATCH", "/users/u0@contoso.com", `{"jobTitle":"b"}`, "a"),
		wrapped("c", "PATCH", "/users/u0@contoso.com", `{"jobTitle":"c"}`, "b"))
	if got["a"].Status != 400 || got["b"].Status != 424 || got["c"].Status != 424 {
		t.Errorf("after a failure: got %+v", got)
	}
}

func TestBatchRefused(t *testing.T) {
	tenant := &graphtest.Tenant{}
	c := writer(t, tenant)
	get := func(id string) string { return bare(id, "GET", "/users") }
	var many []string
	for n := range 21 {
		many = append(many, get(fmt.Sprint(n)))
	}
	for name, body := range map[string]string{
		"no JSON":              `{`,
		"no list":              `{}`,
		"nothing":              `{"requests":[]}`,
		"too many":             `{"requests":[` + strings.Join(many, ",") + `]}`,
		"the same id":          `{"requests":[` + get("a") + `,` + get("A") + `]}`,
		"no id":                `{"requests":[` + get("") + `]}`,
		"a number for an id":   `{"requests":[{"id":1,"method":"GET","url":"/users"}]}`,
		"no url":               `{"requests":[{"id":"1","method":"GET"}]}`,
		"no content type":      `{"requests":[{"id":"1","method":"POST","url":"/users","body":{}}]}`,
		"no body":              `{"requests":[{"id":"1","method":"PATCH","url":"/users/x","headers":{"Content-Type":"application/json"}}]}`,
		"an unknown condition": `{"requests":[{"id":"1","method":"GET","url":"/users","dependsOn":["2"]}]}`,
		"a circle":             `{"requests":[` + wrapped("1", "POST", "/users", "{}", "2") + `,` + wrapped("2", "POST", "/users", "{}", "1") + `]}`,
	} {
		if r := c.call(http.MethodPost, "/v1.0/$batch", body); r.status != http.StatusBadRequest || r.code() != "BadRequest" {
			t.Errorf("%s: got %d %s", name, r.status, r.body)
		}
	}
	if got := tenant.Requests(); got.Inner != 0 {
		t.Errorf("%d requests of malformed batches were answered", got.Inner)
	}
	if r := c.get("/v1.0/$batch"); r.status != http.StatusMethodNotAllowed {
		t.Errorf("GET: got %d", r.status)
	}
	c.token = "x"
	if r := c.call(http.MethodPost, "/v1.0/$batch", `{"requests":[`+get("1")+`]}`); r.status != http.StatusUnauthorized {
		t.Errorf("without a token: got %d", r.status)
	}
}
