package scimtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"dirsync/scim"
)

// Watch returns a transport that hands every request on to next, and tells violated, in a sentence, of each rule of good
// clients that one breaks; see Violations. violated may be called from many goroutines.
func Watch(next http.RoundTripper, violated func(string), secrets ...string) http.RoundTripper {
	return watcher{next: next, violated: violated, secrets: secrets}
}

type watcher struct {
	next     http.RoundTripper
	violated func(string)
	secrets  []string
}

// RoundTrip implements http.RoundTripper.
func (w watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil && r.Body != http.NoBody {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close() // it was read; there is nothing to be done about an error
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	for _, text := range Violations(r, body, w.secrets...) {
		w.violated(fmt.Sprintf("%s %s: %s", r.Method, r.URL.Path, text))
	}
	return w.next.RoundTrip(r)
}

// Violations says what is wrong with a request of a SCIM client, as phrases; nil for nothing. No URL may hold a secret, and
// no body one but that of the token request. A body is an object without null anywhere; a resource names its schemas, and
// has no attribute that is the server's own; a PATCH has operations, each with what its kind needs.
//
// A PUT may have an id: the standard's own example has it (RFC 7644 section 3.5.1), and some servers want it.
func Violations(r *http.Request, body []byte, secrets ...string) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	_, path := split(r.URL.EscapedPath())
	for _, secret := range secrets {
		if in := r.URL.String(); strings.Contains(in, secret) || strings.Contains(in, url.QueryEscape(secret)) {
			say("a secret is in the URL")
		}
		if path != "/token" && bytes.Contains(body, []byte(secret)) {
			say("a secret is in the body")
		}
	}
	if path == "/token" {
		return out
	}
	if r.Header.Get("Authorization") == "" {
		say("there is no Authorization")
	}
	if r.Method == http.MethodGet || r.Method == http.MethodDelete {
		if len(body) > 0 {
			say("there is a body")
		}
		return out
	}
	if got := r.Header.Get("Content-Type"); got != scim.MediaType {
		say("the content type is %q", got)
	}
	o, err := scim.ReadObject(body, scim.Limits{})
	if err != nil {
		return append(out, "the body is no object: "+err.Error())
	}
	if where := null(o); where != "" {
		say("%s is null", where)
	}
	if len(o.Texts("schemas")) == 0 || slices.Contains(o.Texts("schemas"), "") {
		say("it names no schemas")
	}
	if r.Method == http.MethodPatch {
		return append(out, patchViolations(o)...)
	}
	kinds := []*scim.Schema{scim.User(), scim.EnterpriseUser()}
	if strings.HasPrefix(path, "/Groups") {
		kinds = []*scim.Schema{scim.Group()}
	}
	for i, s := range kinds {
		in := o
		if i > 0 {
			in = o.Object(s.ID)
		}
		for _, name := range readOnly(in, s.Attributes) {
			say("%s is read-only", name)
		}
	}
	for _, name := range []string{"id", "meta"} {
		if _, has := o.Get(name); has && (name == "meta" || r.Method == http.MethodPost) {
			say("%s is the server's own", name)
		}
	}
	return out
}

func patchViolations(o *scim.Object) (out []string) {
	ops := o.List("Operations")
	if len(ops) == 0 {
		out = append(out, "there are no operations")
	}
	for i, e := range ops {
		op, _ := e.(*scim.Object)
		kind, _ := op.Text("op")
		path, _ := op.Text("path")
		value, has := op.Get("value")
		wrong := ""
		switch kind = strings.ToLower(kind); {
		case kind != "add" && kind != "replace" && kind != "remove":
			wrong = "is none"
		case kind == "remove" && path == "":
			wrong = "removes everything"
		case kind != "remove" && !has:
			wrong = "has no value"
		case path == "":
			if _, isObject := value.(*scim.Object); !isObject {
				wrong = "has neither a path nor an object"
			}
		case slices.Contains([]string{"id", "meta", "groups", "schemas"}, strings.ToLower(strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' })[0])):
			wrong = "writes " + path + ", which is read-only"
		}
		if wrong != "" {
			out = append(out, fmt.Sprintf("operation %d %s", i+1, wrong))
		}
	}
	return out
}

// null finds a null, and says where it is; "" if there is none.
func null(x any) string {
	switch x := x.(type) {
	case nil:
		return "it"
	case *scim.Object:
		for name, v := range x.All() {
			if where := null(v); where != "" {
				return strings.TrimSuffix(name+"."+where, ".it")
			}
		}
	case []any:
		for i, v := range x {
			if where := null(v); where != "" {
				return strings.TrimSuffix(fmt.Sprintf("[%d].%s", i, where), ".it")
			}
		}
	}
	return ""
}

// readOnly names the attributes of an object that its schema says are read-only.
func readOnly(o *scim.Object, attrs []scim.Attribute) (out []string) {
	for i := range attrs {
		a := &attrs[i]
		v, has := o.Get(a.Name)
		if !has || a.Name == "id" || a.Name == "meta" {
			continue
		}
		if a.Mutability == scim.ReadOnly {
			out = append(out, a.Name)
			continue
		}
		elements, isList := v.([]any)
		if !isList {
			elements = []any{v}
		}
		for _, e := range elements {
			if inner, ok := e.(*scim.Object); ok {
				for _, name := range readOnly(inner, a.SubAttributes) {
					out = append(out, a.Name+"."+name)
				}
			}
		}
	}
	return out
}
