package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"dirsync"
)

func TestDecodeBody(t *testing.T) {
	for body, want := range map[string]string{
		`{}`:                                   "",
		` {"people":["a","b"],"by":"x"} `:      "",
		``:                                     "the body is empty or ends early",
		`{"by":"x"`:                            "the body is empty or ends early",
		`{"by":}`:                              "the body is not JSON",
		`[]`:                                   "the body is not a JSON object",
		`null`:                                 "the body is not a JSON object",
		`"x"`:                                  "the body is not a JSON object",
		`{"by":"x"} {}`:                        "something follows the JSON object",
		`{"by":"x"} x`:                         "something follows the JSON object",
		`{"by":"x","by":"y"}`:                  `the field "by" is there twice`,
		`{"BY":"x"}`:                           `there is no field "BY"`,
		`{"nobody":1}`:                         `there is no field "nobody"`,
		`{"by":null}`:                          `the field "by" is null`,
		`{"people":[null]}`:                    `the field "people" is null`,
		`{"by":1}`:                             `the field "by" may not be a number`,
		`{"people":"a"}`:                       `the field "people" may not be a string`,
		`{"people":[[[[[[[[[[[[1]]]]]]]]]]]]}`: "the body is nested too deeply",
		`{"people":` + strings.Repeat("[", 100_000):    "the body is nested too deeply",
		"{\"by\":\"\xff\"}":                            "the body is not UTF-8",
		`{"` + strings.Repeat("long", 100) + `":1}`:    `there is no field "longlong`,
		`{"people":[{"a":1,"a":2}]}`:                   `the field "a" is there twice`,
		`{"by":"x",}`:                                  "the body is not JSON",
		`{"reason":"` + strings.Repeat("r", 100) + `"`: "the body is empty or ends early",
	} {
		var into deciding
		err := decodeBody([]byte(body), &into)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%.60s: got %v, want %q", body, err, want)
		}
	}
}

// FuzzDecode sends any body to every path that takes one. Nothing may panic, and whatever is refused is refused as a problem.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{`{}`, `{"people":["p1"],"by":"ann","reason":"r"}`, `{"digest":"1a2b3c4d","all":true}`, `{"args":["x"],"progress":true}`,
		`{"user":"u","ids":["n1"],"read":false}`, `{"people":null}`, `[[[[`, "\xff", `{"a":{"a":{"a":1}}}`} {
		f.Add([]byte(body))
	}
	m := newMemory()
	h := (&Server{Daemon: m, Exec: echo}).handler(f.Context(), socketDoor, nil, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		m.mu.Lock()
		m.said = nil
		m.mu.Unlock()
		for _, path := range []string{"/v1/syncs/staff/sync-now", "/v1/runs/7/undo", "/v1/runs/7/undo/preview", "/v1/holds/3-1a2b3c4d/approve",
			"/v1/holds/3-1a2b3c4d/reject", "/v1/inbox/mark", "/v1/exec"} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(string(body)))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code/100 == 2 {
				if !json.Valid(body) || !utf8.Valid(body) || strings.Contains(string(body), "null") && !strings.Contains(string(body), `"`) {
					t.Errorf("%s: %q was accepted", path, body)
				}
				continue
			}
			var p Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || w.Code >= 500 {
				t.Errorf("%s: %q: got %d %s", path, body, w.Code, w.Body)
			}
		}
	})
}

// FuzzQuery does the same with paths and queries.
func FuzzQuery(f *testing.F) {
	f.Add("staff", "limit=3&after="+position(dirsync.PlanKey{Kind: dirsync.Delete, Seq: 1}))
	f.Add("../x", "limit=-1")
	f.Add("%", "person=%zz;a=b")
	f.Add("1", "status=open&sync=x")
	h := (&Server{Daemon: newMemory()}).handler(f.Context(), socketDoor, nil, nil)
	f.Fuzz(func(t *testing.T, name, query string) {
		for _, path := range []string{"/v1/syncs/%s/runs", "/v1/syncs/%s/explain", "/v1/runs/%s/changes", "/v1/holds/%s/changes", "/v1/holds", "/v1/inbox"} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL.Path, r.URL.RawQuery = strings.ReplaceAll(path, "%s", name), query
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code >= 500 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s %s: got %d %s", r.URL.Path, query, w.Code, w.Body)
			}
		}
	})
}

// FuzzAnswers holds that no answer of a daemon, however broken, makes the client panic, and that errors stay errors.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"type":"about:blank","status":404,"code":"not_found","detail":"x"}`), 404)
	f.Add([]byte(`{"exit":0}`), 200)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		var p Problem
		if json.Unmarshal(body, &p) != nil {
			return
		}
		if err := p.err(); err == nil || err.Error() == "" {
			t.Errorf("%q became no error", body)
		}
	})
}
