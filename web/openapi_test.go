package web

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"dirsync"
)

type object = map[string]any

// document reads the description of the API.
func document(t *testing.T) object {
	t.Helper()
	var doc object
	if err := yaml.Load([]byte(OpenAPI()), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// at walks down into a document.
func at(doc any, keys ...string) any {
	for _, key := range keys {
		m, ok := doc.(object)
		if !ok {
			return nil
		}
		doc = m[key]
	}
	return doc
}

// resolve follows a reference.
func resolve(t *testing.T, doc object, v any) object {
	t.Helper()
	m, _ := v.(object)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	target, ok := at(doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...).(object)
	if !ok {
		t.Errorf("the reference %s leads nowhere", ref)
	}
	return target
}

// operations are all operations of the document by method and path.
func operations(doc object) map[string]object {
	out := map[string]object{}
	paths, _ := at(doc, "paths").(object)
	for path, methods := range paths {
		for method, op := range methods.(object) {
			out[strings.ToUpper(method)+" "+path], _ = op.(object)
		}
	}
	return out
}

// TestEveryPathIsDescribed holds the routes and the document together, both ways.
func TestEveryPathIsDescribed(t *testing.T) {
	doc := document(t)
	ops, served, ids := operations(doc), map[string]bool{}, map[any]bool{}
	for _, rt := range routes() {
		served[rt.pattern()] = true
		op, ok := ops[rt.pattern()]
		if !ok {
			t.Errorf("%s is served and not described", rt.pattern())
			continue
		}
		if ids[op["operationId"]] || op["operationId"] == nil || op["summary"] == nil {
			t.Errorf("%s: has no summary, or no operationId of its own", rt.pattern())
		}
		ids[op["operationId"]] = true
		onlyLocal := !slices.Contains(rt.doors, tcpDoor)
		if described := op["x-doors"] != nil; described != onlyLocal {
			t.Errorf("%s: x-doors is described: %v, only the socket has it: %v", rt.pattern(), described, onlyLocal)
		}
		if described := op["security"] != nil; described != (rt.open || onlyLocal) {
			t.Errorf("%s: it is described to need no token: %v, it needs none: %v", rt.pattern(), described, rt.open || onlyLocal)
		}
		if described := op["requestBody"] != nil; described != (rt.method == http.MethodPost) {
			t.Errorf("%s: a body is described: %v", rt.pattern(), described)
		}
		var inPath []string
		params, _ := op["parameters"].([]any)
		for _, p := range params {
			if p := resolve(t, doc, p); p["in"] == "path" {
				inPath = append(inPath, "{"+p["name"].(string)+"}")
			}
		}
		if want := regexp.MustCompile(`\{[a-z]+\}`).FindAllString(rt.path, -1); !slices.Equal(inPath, want) {
			t.Errorf("%s: the parameters %v are described, want %v", rt.pattern(), inPath, want)
		}
	}
	for pattern := range ops {
		if !served[pattern] {
			t.Errorf("%s is described and not served", pattern)
		}
	}
	for _, m := range regexp.MustCompile(`\$ref: ['"]#/([a-zA-Z/]+)['"]`).FindAllStringSubmatch(OpenAPI(), -1) {
		if at(doc, strings.Split(m[1], "/")...) == nil {
			t.Errorf("the reference #/%s leads nowhere", m[1])
		}
	}
}

// schemaTypes are the structs that the schemas describe. Those of requests require what the column says and nothing else.
func schemaTypes() map[string]struct {
	of       any
	requests []string
} {
	answer := func(v any) struct {
		of       any
		requests []string
	} {
		return struct {
			of       any
			requests []string
		}{v, nil}
	}
	asks := func(v any, required ...string) struct {
		of       any
		requests []string
	} {
		return struct {
			of       any
			requests []string
		}{v, append([]string{}, required...)}
	}
	return map[string]struct {
		of       any
		requests []string
	}{
		"Status": answer(Status{}), "Outbox": answer(Outbox{}), "Syncs": answer(Syncs{}), "SyncStatus": answer(SyncStatus{}), "Totals": answer(Totals{}),
		"Progress": answer(Progress{}), "Counts": answer(Counts{}), "Run": answer(Run{}), "Requests": answer(Requests{}), "GroupRun": answer(GroupRun{}),
		"Runs": answer(Runs{}), "Change": answer(Change{}), "Changes": answer(Changes{}), "Hold": answer(Hold{}), "Holds": answer(Holds{}),
		"HeldChange": answer(HeldChange{}), "HeldChanges": answer(HeldChanges{}), "Decided": answer(Decided{}), "UndoPreview": answer(UndoPreview{}),
		"UndoLine": answer(UndoLine{}), "Explanation": answer(Explanation{}), "Fault": answer(Fault{}), "PersonChange": answer(PersonChange{}),
		"Note": answer(Note{}), "Inbox": answer(Inbox{}), "Marked": answer(Marked{}), "Asked": answer(Asked{}), "Health": answer(Health{}),
		"ChangedPerson": answer(ChangedPerson{}), "Problem": answer(Problem{}), "Frame": answer(frame{}), "Step": answer(Step{}),
		"SyncNowRequest": asks(wish{}), "DecideRequest": asks(deciding{}), "UndoRequest": asks(undoing{}), "MarkRequest": asks(marking{}, "user", "ids"),
		"Command":    asks(Command{}, "args"),
		"SCIMStatus": answer(SCIMStatus{}), "SCIMAnswered": answer(SCIMAnswered{}), "SCIMToken": answer(SCIMToken{}), "SCIMRequest": answer(SCIMRequest{}),
		"SCIMQuirk": answer(SCIMQuirk{}), "Pushed": answer(Pushed{}), "PushedPeople": answer(PushedPeople{}),
	}
}

// TestSchemasAreTheStructs compares every schema with its struct: names, types, and what is required.
func TestSchemasAreTheStructs(t *testing.T) {
	doc := document(t)
	schemas, _ := at(doc, "components", "schemas").(object)
	types := schemaTypes()
	for name := range schemas {
		if _, ok := types[name]; !ok {
			t.Errorf("the schema %s has no struct", name)
		}
	}
	for name, typ := range types {
		schema, ok := schemas[name].(object)
		if !ok {
			t.Errorf("the struct %s has no schema", name)
			continue
		}
		properties, _ := schema["properties"].(object)
		var required []string
		rt := reflect.TypeOf(typ.of)
		for i := range rt.NumField() {
			field, options, _ := strings.Cut(rt.Field(i).Tag.Get("json"), ",")
			property, ok := properties[field].(object)
			if !ok {
				t.Errorf("%s.%s is not described", name, field)
				continue
			}
			if typ.requests == nil && options == "" {
				required = append(required, field)
			}
			if got, want := described(property), shape(rt.Field(i).Type); got != want {
				t.Errorf("%s.%s is described as %s, and is %s", name, field, got, want)
			}
		}
		if len(properties) != rt.NumField() {
			t.Errorf("%s: %d properties are described, %d fields are there", name, len(properties), rt.NumField())
		}
		required = append(required, typ.requests...)
		if got := stringsOf(schema["required"]); !slices.Equal(got, required) {
			t.Errorf("%s: required are %v, want %v", name, got, required)
		}
		if schema["additionalProperties"] != false {
			t.Errorf("%s: other properties are allowed", name)
		}
	}
}

func stringsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, x := range list {
		out = append(out, fmt.Sprint(x))
	}
	return out
}

// described is a schema's type in a word.
func described(s object) string {
	if ref, ok := s["$ref"].(string); ok {
		return strings.TrimPrefix(ref, "#/components/schemas/")
	}
	switch s["type"] {
	case "array":
		return "[]" + described(s["items"].(object))
	case "object":
		if of, ok := s["additionalProperties"].(object); ok {
			return "map of " + described(of)
		}
	case "string":
		if s["format"] != nil {
			return fmt.Sprint(s["format"])
		}
		if s["contentEncoding"] != nil {
			return fmt.Sprint(s["contentEncoding"])
		}
	}
	return fmt.Sprint(s["type"])
}

// shape is a Go type in the same words.
func shape(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "date-time"
	case t == reflect.TypeFor[json.RawMessage]():
		return "object"
	case t == reflect.TypeFor[[]byte]():
		return "base64"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shape(t.Elem())
	case reflect.Slice:
		return "[]" + shape(t.Elem())
	case reflect.Map:
		return "map of " + shape(t.Elem())
	case reflect.Struct:
		return t.Name()
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "integer"
	default:
		return t.Kind().String()
	}
}

// check says where a value does not fit a schema. It knows the part of JSON Schema that the document uses.
func check(t *testing.T, doc object, schema any, v any, where string) []string {
	t.Helper()
	s := resolve(t, doc, schema)
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, where+" "+fmt.Sprintf(format, args...)) }
	for key := range s {
		if !slices.Contains([]string{"type", "description", "properties", "required", "additionalProperties", "items", "format", "enum", "contentEncoding"}, key) {
			fault("has %s, which this checker does not know", key)
		}
	}
	switch s["type"] {
	case "object":
		m, ok := v.(object)
		if !ok {
			fault("is no object but %T", v)
			return faults
		}
		for _, name := range stringsOf(s["required"]) {
			if _, ok := m[name]; !ok {
				fault("lacks %s", name)
			}
		}
		properties, _ := s["properties"].(object)
		for name, value := range m {
			if property, ok := properties[name]; ok {
				faults = append(faults, check(t, doc, property, value, where+"."+name)...)
			} else if more, ok := s["additionalProperties"].(object); ok {
				faults = append(faults, check(t, doc, more, value, where+"."+name)...)
			} else if s["additionalProperties"] == false {
				fault("has %s", name)
			}
		}
	case "array":
		list, ok := v.([]any)
		if !ok {
			fault("is no list but %T", v)
		}
		for i, value := range list {
			faults = append(faults, check(t, doc, s["items"], value, where+"["+strconv.Itoa(i)+"]")...)
		}
	case "string":
		text, ok := v.(string)
		if !ok {
			fault("is no text but %T", v)
		}
		if _, err := time.Parse(time.RFC3339, text); s["format"] == "date-time" && err != nil {
			fault("is no time: %v", err)
		}
		if enum := stringsOf(s["enum"]); enum != nil && !slices.Contains(enum, text) {
			fault("is %q, not one of %v", text, enum)
		}
	case "integer":
		if n, ok := v.(float64); !ok || n != math.Trunc(n) {
			fault("is no whole number but %v", v)
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			fault("is no boolean but %T", v)
		}
	default:
		fault("has the type %v", s["type"])
	}
	return faults
}

// TestAnswersFit asks every path and holds the answer against the document.
func TestAnswersFit(t *testing.T) {
	doc := document(t)
	ops := operations(doc)
	m := newMemory()
	m.feed.Tell(Progress{Sync: "staff", Run: "7", Phase: "apply", Done: 1, Total: 2, Status: "running", At: noon()})
	s := &Server{Daemon: m, Exec: echo, Metrics: measured(), Now: noon}
	for pattern, tc := range map[string]struct {
		ask, body string
	}{
		"GET /livez":                       {"/livez", ""},
		"GET /readyz":                      {"/readyz", ""},
		"GET /metrics":                     {"/metrics", ""},
		"GET /v1/openapi.yaml":             {"/v1/openapi.yaml", ""},
		"GET /v1/status":                   {"/v1/status", ""},
		"GET /v1/syncs":                    {"/v1/syncs", ""},
		"GET /v1/syncs/{sync}":             {"/v1/syncs/staff", ""},
		"GET /v1/syncs/{sync}/runs":        {"/v1/syncs/staff/runs?limit=2", ""},
		"GET /v1/syncs/{sync}/progress":    {"/v1/syncs/staff/progress", ""},
		"GET /v1/syncs/{sync}/explain":     {"/v1/syncs/staff/explain?person=u0", ""},
		"GET /v1/scim/explain":             {"/v1/scim/explain?person=ann", ""},
		"POST /v1/syncs/{sync}/sync-now":   {"/v1/syncs/staff/sync-now", `{"by":"ann"}`},
		"GET /v1/runs/{run}":               {"/v1/runs/7", ""},
		"GET /v1/runs/{run}/changes":       {"/v1/runs/7/changes?limit=1", ""},
		"POST /v1/runs/{run}/undo/preview": {"/v1/runs/7/undo/preview", `{"people":["p0"],"all":true}`},
		"POST /v1/runs/{run}/undo":         {"/v1/runs/7/undo", `{"digest":"1a2b3c4d","by":"ann","reason":"r"}`},
		"GET /v1/holds":                    {"/v1/holds?limit=1&status=open&sync=staff", ""},
		"GET /v1/holds/{hold}":             {"/v1/holds/3-1a2b3c4d", ""},
		"GET /v1/holds/{hold}/changes":     {"/v1/holds/3/changes?limit=1", ""},
		"POST /v1/holds/{hold}/approve":    {"/v1/holds/3-1a2b3c4d/approve", `{"people":["p0"],"by":"ann","reason":"r"}`},
		"POST /v1/holds/{hold}/reject":     {"/v1/holds/3-1a2b3c4d/reject", `{"reason":"r"}`},
		"GET /v1/inbox":                    {"/v1/inbox?user=u1&limit=1", ""},
		"POST /v1/inbox/mark":              {"/v1/inbox/mark", `{"user":"u1","ids":["n1"],"read":true}`},
		"POST /v1/exec":                    {"/v1/exec", `{"args":["status"],"dir":"/","color":true,"progress":true}`},
	} {
		op, ok := ops[pattern]
		if !ok {
			t.Errorf("%s is not described", pattern)
			continue
		}
		delete(ops, pattern)
		method, _, _ := strings.Cut(pattern, " ")
		stop := t.Context()
		if strings.HasSuffix(pattern, "/progress") {
			stop = stopped(t) // a door that is closing ends its streams
		}
		h := s.handler(stop, socketDoor, nil, nil)
		w, _ := answer(h, request(method, tc.ask, tc.body, nil))
		media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
		schema := at(op, "responses", strconv.Itoa(w.Code), "content", media, "schema")
		if schema == nil {
			t.Errorf("%s: the answer %d %s is not described: %s", pattern, w.Code, media, w.Body)
			continue
		}
		if tc.body != "" {
			var v any
			if err := json.Unmarshal([]byte(tc.body), &v); err != nil {
				t.Fatal(err)
			}
			for _, f := range check(t, doc, at(op, "requestBody", "content", "application/json", "schema"), v, "the body of "+pattern) {
				t.Error(f)
			}
		}
		for _, line := range answers(media, w) {
			for _, f := range check(t, doc, schema, line, pattern) {
				t.Error(f)
			}
		}
	}
	for pattern := range ops {
		t.Errorf("nobody asked %s", pattern)
	}
	for _, err := range []error{badRequest("d", "h"), &refusal{code: codeFailures, retryAfter: time.Second},
		&dirsync.Error{Op: "o", ID: "p", Kind: dirsync.Conflict, Field: "f", Value: "v", Other: "x", Err: &ChangedError{[]ChangedPerson{{"p", "u", "n", "now"}}, 1}}} {
		m.fails("Status", err)
		w, _ := answer(s.handler(t.Context(), socketDoor, nil, nil), request("GET", "/v1/status", "", nil))
		for _, f := range check(t, doc, at(doc, "components", "responses", "Problem", "content", "application/problem+json", "schema"), answers("application/json", w)[0], "the problem") {
			t.Error(f)
		}
	}
}

// answers are the JSON values of an answer; a text is one value.
func answers(media string, w *httptest.ResponseRecorder) []any {
	if media != "application/json" && media != "application/x-ndjson" {
		return []any{w.Body.String()}
	}
	var out []any
	for dec := json.NewDecoder(w.Body); dec.More(); {
		var v any
		if err := dec.Decode(&v); err != nil {
			return []any{err.Error()}
		}
		out = append(out, v)
	}
	return out
}

// TestDocument holds docs/api.md to everything that there is: paths, codes and metrics, and to nothing else.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	known := map[string]bool{}
	for _, rt := range routes() {
		known[rt.pattern()] = true
		if !strings.Contains(text, "`"+rt.pattern()+"`") {
			t.Errorf("docs/api.md does not name `%s`", rt.pattern())
		}
	}
	for _, m := range regexp.MustCompile("`((?:GET|POST) /[^`]*)`").FindAllStringSubmatch(text, -1) {
		if !known[m[1]] {
			t.Errorf("docs/api.md names `%s`, which there is not", m[1])
		}
	}
	for _, c := range codes() {
		if row := fmt.Sprintf("| `%s` | %d | %s |", c.code, c.status, c.means); !strings.Contains(text, row) {
			t.Errorf("docs/api.md lacks the row\n%s", row)
		}
	}
	names := registered(t)
	for _, name := range metricName.FindAllString(text, -1) {
		if !slices.Contains(names, name) {
			t.Errorf("docs/api.md names the metric %s, which there is not", name)
		}
	}
	for _, name := range names {
		histogram := strings.HasSuffix(name, "_bucket") || strings.HasSuffix(name, "_count") || strings.HasSuffix(name, "_sum")
		if !histogram && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/api.md does not name the metric %s", name)
		}
	}
}
