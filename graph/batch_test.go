package graph

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"
)

func TestReadBatch(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		want string // status and body of each of two answers, or the error
	}{
		"in another order":     {`{"responses":[{"id":"2","status":204},{"id":"1","status":200,"headers":{"Retry-After":"3"},"body":{"id":"x"}}]}`, `200 {"id":"x"} 3; 204  `},
		"one is missing":       {`{"responses":[{"id":"2","status":404,"body":{}}]}`, `0  ; 404 {} `},
		"twice the same":       {`{"responses":[{"id":"1","status":204},{"id":"1","status":204},{"id":"2","status":204}]}`, `204  ; 204  `},
		"twice, and different": {`{"responses":[{"id":"1","status":204},{"id":"1","status":400},{"id":"2","status":204}]}`, `0  ; 204  `},
		"twice, of two people": {`{"responses":[{"id":"1","status":200,"body":{"id":"x"}},{"id":"1","status":200,"body":{"id":"y"}},{"id":"2","status":204}]}`, `0  ; 204  `},
		"not JSON inside":      {`{"responses":[{"id":"1","status":502,"body":"PGh0bWw+"},{"id":"2","status":502,"body":"no base 64!"}]}`, `502 <html> ; 502 no base 64! `},
		"numbers in headers":   {`{"responses":[{"id":"1","status":429,"headers":{"Retry-After":7}},{"id":"2","status":429,"headers":{"retry-after":null}}]}`, `429  7; 429  `},
		"a negative status":    {`{"responses":[{"id":"1","status":-5},{"id":"2","status":204}]}`, `0  ; 204  `},
		"somebody else's":      {`{"responses":[{"id":"3","status":204}]}`, `it answers a request "3" that was not in the batch`},
		"no id":                {`{"responses":[{"status":204}]}`, `it answers a request "" that was not in the batch`},
		"no answers":           {`{"value":[]}`, `it has no list of answers: "responses" is missing or no array of answers`},
		"another form":         {`{"responses":{"1":{"status":204}}}`, `it has no list of answers: "responses" is missing or no array of answers`},
		"a page":               {`<html>`, "a web page came instead of data"},
		"cut off":              {`{"responses":[{"id":"1"`, "the answer is broken JSON: at byte 23 of 23, unexpected end of JSON input"},
		"nothing":              {``, "the answer is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			answers, err := readBatch([]byte(test.body), 2)
			got := fmt.Sprint(err)
			if err == nil {
				got = ""
				for i, a := range answers {
					if i > 0 {
						got += "; "
					}
					got += fmt.Sprintf("%d %s %s", a.status, a.body, a.header.Get("Retry-After"))
				}
			}
			if got != test.want {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

func FuzzReadBatch(f *testing.F) {
	f.Add([]byte(`{"responses":[{"id":"2","status":204},{"id":"1","status":200,"headers":{"Retry-After":"3"},"body":{"id":"x"}}]}`), 2)
	f.Add([]byte(`{"responses":[{"id":"1","status":502,"body":"PGh0bWw+"}]}`), 1)
	f.Add([]byte(`{"responses":null}`), 20)
	f.Fuzz(func(t *testing.T, body []byte, n int) {
		if n < 0 || n > mostInBatch {
			return
		}
		answers, err := readBatch(body, n)
		if err == nil && len(answers) != n {
			t.Errorf("got %d answers of %d", len(answers), n)
		}
		for _, a := range answers {
			if a.status < 0 {
				t.Errorf("got status %d", a.status)
			}
		}
	})
}

func FuzzRefusal(f *testing.F) {
	f.Add([]byte(`{"error":{"code":"Request_BadRequest","message":"Another object with the same value for property userPrincipalName already exists.","details":[{"code":"ObjectConflict","message":"x","target":"userPrincipalName"},{"code":"ConflictingObjects","target":"User_11111111-2222-3333-4444-555555555555"}]}}`))
	f.Add([]byte(`{"error":{"code":"Request_BadRequest","message":"Invalid value specified for property 'mobilePhone' of resource 'User'."}}`))
	f.Add([]byte(`{"error":{"details":[null,{"code":7,"target":[]}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := parseRefusal(body)
		r.duplicate()
		r.aboutPassword()
		if id := r.holder(); id != "" && !isGUID(id) {
			t.Errorf("the holder is %q", id)
		}
		if name := r.property(); len(name) > len(body) {
			t.Errorf("the property is %q", name)
		}
	})
}

// Whatever a list of users holds, reading it ends in accounts or in an error.
func FuzzWriterAccounts(f *testing.F) {
	f.Add([]byte(`{"value":[{"id":"1","userPrincipalName":"a@b.example","accountEnabled":false,"businessPhones":["1"],"employeeOrgData":{"division":"x"},"manager":{"id":"2","employeeId":"7"},"employeeHireDate":"2026-01-02T00:00:00Z"}]}`))
	f.Add([]byte(`{"value":[{"id":"1","userPrincipalName":7,"businessPhones":"x","employeeOrgData":[],"manager":{"employeeId":[]},"mail":"@"}]}`))
	c, err := New(Config{Tenant: "6f89cf12-978b-4d23-ac18-9ef0c127cf87", ClientID: "6f89cf12-978b-4d23-ac18-9ef0c127cf87", Credential: Credential{Secret: "x"}})
	if err != nil {
		f.Fatal(err)
	}
	w, err := c.Writer(WriterConfig{Anchor: "employeeId", Properties: []string{"displayName", "userPrincipalName", "mail", "manager", "businessPhones", "employeeHireDate",
		"employeeOrgData/division", "userType", "extension_00d886240b5a4d4c9b4f0f3d2b1c8928_x"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		env, err := w.decoder().envelope(body)
		if err != nil {
			return
		}
		for _, r := range env.rows {
			a := w.account(r)
			if got, want := len(a.Values), len(w.all()); got != want {
				t.Errorf("got %d values, want %d", got, want)
			}
			for _, v := range a.Values {
				if v.Value.IsNull() != (v.Value.Text == "") {
					t.Errorf("%s is %+v", v.Field, v.Value)
				}
			}
			w.document(a.Values, false)
		}
	})
}

// A batch is JSON of the form that Graph documents, with a content type for each body.
func TestBatchOf(t *testing.T) {
	got, err := json.Marshal(batchOf([]*parcel{
		{method: http.MethodGet, path: "/users/1?$select=id", header: map[string]string{"ConsistencyLevel": "eventual"}},
		{method: http.MethodPatch, path: "/users/2", body: []byte(`{"a":null}`)},
	}))
	want := `{"requests":[{"id":"1","method":"GET","url":"/users/1?$select=id","headers":{"ConsistencyLevel":"eventual"}},` +
		`{"id":"2","method":"PATCH","url":"/users/2","headers":{"Content-Type":"application/json"},"body":{"a":null}}]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}

// The gate lets no more than the limit through in any window, and as much as that over a long time.
func TestWriteGate(t *testing.T) {
	g, now := new(writeGate), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	start := now
	var sent []time.Time
	for len(sent) < 40_000 {
		wait := g.reserve(mostInBatch, now)
		if wait > 0 {
			now = now.Add(wait)
			continue
		}
		for range mostInBatch {
			sent = append(sent, now)
		}
		now = now.Add(50 * time.Millisecond)
	}
	for i := 3000; i < len(sent); i++ {
		if d := sent[i].Sub(sent[i-3000]); d < 150*time.Second {
			t.Fatalf("3,000 writes within %v, want 150s at least", d)
		}
	}
	if rate := float64(len(sent)) / now.Sub(start).Seconds(); rate < 18 {
		t.Errorf("got %.1f writes a second, want 18 at least", rate)
	}
	g.close(now.Add(time.Minute))
	if got, want := g.reserve(1, now), time.Minute; got != want {
		t.Errorf("a closed gate makes wait for %v, want %v", got, want)
	}
	// A clock that is set back does not shut the gate for good.
	if wait := g.reserve(1, now.Add(-24*time.Hour)); wait > 25*time.Hour {
		t.Errorf("got a wait of %v", wait)
	}
	if wait := g.reserve(1, now.Add(2*time.Minute)); wait > writeWindow {
		t.Errorf("got a wait of %v", wait)
	}
}
