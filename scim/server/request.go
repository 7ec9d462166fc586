package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"dirsync/scim"
)

// param are the parameters of a URL.
type param = url.Values

// target is what a request is for.
type target struct {
	base string
	// parts are the endpoint in its own spelling and what stands behind it.
	parts []string
	query param
	// bad is what is wrong with the URL, which nobody is told who is not signed in.
	bad error
}

func endpoints() [8]string {
	return [...]string{"Users", "Groups", "Me", "Bulk", "Schemas", "ResourceTypes", "ServiceProviderConfig", ".search"}
}

// target takes a URL apart.
func (s *Server) target(r *http.Request) (t target) {
	var err error
	path, query := r.URL.EscapedPath(), r.URL.RawQuery
	prefix, parts, ok := split(path)
	if rest, under := strings.CutPrefix(path, s.path); under && s.path != "" && (rest == "" || rest[0] == '/') {
		prefix = s.path
		_, parts, ok = split(rest)
		ok = ok || strings.Trim(rest, "/") == ""
	} else if strings.Trim(path, "/") == "" {
		ok = true
	}
	if !ok || len(parts) == 0 {
		// A flag in the tenant URL, "…/scim/?aadOptscim062020", can end up in front of the path.
		if i := strings.IndexByte(query, '/'); i >= 0 && !strings.Contains(query[:i], "=") {
			flag := strings.TrimRight(query[:i], "?&")
			rest, more, _ := cutAny(query[i:], "?&")
			if _, inner, found := split(rest); found && len(inner) > 0 {
				parts, ok, query = inner, true, more+"&"+flag
				prefix = strings.TrimRight(path, "/")
			}
		}
	}
	if all := endpoints(); !ok {
		t.bad = refuse(http.StatusNotFound, "", "there is no such endpoint; there are /%s", strings.Join(all[:], ", /"))
	}
	t.base = s.config.URL
	if t.base == "" {
		scheme := "http://"
		if r.TLS != nil {
			scheme = "https://"
		}
		t.base = scheme + r.Host + prefix
	}
	for i, part := range parts {
		if parts[i], err = url.PathUnescape(part); err != nil {
			t.bad = refuse(http.StatusBadRequest, scim.InvalidSyntax, "the path of the URL is not encoded correctly")
		}
	}
	t.parts = parts
	if t.query, err = parseQuery(query); err != nil {
		t.bad = err
	}
	return t
}

// split finds the first endpoint in an escaped path.
func split(path string) (prefix string, parts []string, ok bool) {
	segments := strings.Split(strings.TrimRight(path, "/"), "/")
	for i, segment := range segments {
		for _, endpoint := range endpoints() {
			// The plural is that of SCIM 1.1.
			if strings.EqualFold(segment, endpoint) || endpoint == "ServiceProviderConfig" && strings.EqualFold(segment, endpoint+"s") {
				parts = append([]string{endpoint}, segments[i+1:]...)
				return strings.Join(segments[:i], "/"), parts, true
			}
		}
	}
	return strings.TrimRight(path, "/"), nil, false
}

func cutAny(s, chars string) (before, after string, found bool) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// parseQuery reads parameters. It is url.ParseQuery, but a parameter that cannot be read is an error and a semicolon is
// part of a value: a filter that is silently left out would answer with everybody.
func parseQuery(query string) (param, error) {
	if query == "" {
		return nil, nil
	}
	values := param{}
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, scim.InvalidSyntax, "a parameter of the URL is not encoded correctly")
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, refuse(http.StatusBadRequest, scim.InvalidSyntax, "a parameter of the URL is not encoded correctly")
		}
		if name != "" {
			values[name] = append(values[name], value)
		}
	}
	return values, nil
}

// route finds out what is asked for.
func (c *call) route(out *reply, r *http.Request, parts []string) error {
	if len(parts) == 0 {
		if err := allow(r, http.MethodGet); err != nil {
			return options(out, err)
		}
		return c.list(out, c.s.kinds[:], nil)
	}
	rest := parts[1:]
	switch parts[0] {
	case "Users":
		c.event.Resource = c.s.users().Name
		return c.resource(out, r, c.s.users(), rest)
	case "Groups":
		c.event.Resource = c.s.groups().Name
		return c.resource(out, r, c.s.groups(), rest)
	case ".search":
		if len(rest) > 0 {
			break
		}
		return c.search(out, r, c.s.kinds[:])
	case "Bulk":
		if len(rest) > 0 {
			break
		}
		if err := allow(r, http.MethodPost); err != nil {
			return options(out, err)
		}
		return c.bulk(out, r)
	case "Me":
		return refuse(http.StatusNotImplemented, "", "a token is no user, so /Me means nobody")
	default:
		if err := allow(r, http.MethodGet); err != nil {
			return options(out, err)
		}
		return c.discover(out, parts[0], rest)
	}
	return refuse(http.StatusNotFound, "", "there is nothing at this address")
}

// resource answers requests to /Users and /Groups.
func (c *call) resource(out *reply, r *http.Request, k *kind, rest []string) error {
	switch {
	case len(rest) == 1 && strings.EqualFold(rest[0], ".search"):
		return c.search(out, r, []*kind{k})
	case len(rest) == 0:
		methods := []string{http.MethodGet}
		if !k.actions.NoCreate {
			methods = append(methods, http.MethodPost)
		}
		if err := allow(r, methods...); err != nil {
			return options(out, err)
		}
		if r.Method == http.MethodPost {
			return c.answer(out, r, k, func(body *scim.Object) (outcome, error) { return c.create(k, body) })
		}
		return c.list(out, []*kind{k}, nil)
	case len(rest) > 1 || rest[0] == "":
		return refuse(http.StatusNotFound, "", "there is nothing at this address")
	}
	id := rest[0]
	c.event.ID = clip(id, 256)
	if err := allow(r, k.methods()...); err != nil {
		return options(out, err)
	}
	switch r.Method {
	case http.MethodPut:
		return c.answer(out, r, k, func(body *scim.Object) (outcome, error) { return c.replace(k, id, body) })
	case http.MethodPatch:
		return c.answer(out, r, k, func(body *scim.Object) (outcome, error) { return c.patch(k, id, body) })
	case http.MethodDelete:
		if err := c.remove(k, id); err != nil {
			return err
		}
		out.status = http.StatusNoContent
		return nil
	}
	return c.get(out, k, id)
}

// methods are those of a single resource.
func (k *kind) methods() []string {
	methods := []string{http.MethodGet}
	if !k.actions.NoUpdate {
		methods = append(methods, http.MethodPut, http.MethodPatch)
	}
	if !k.actions.NoDelete {
		methods = append(methods, http.MethodDelete)
	}
	return methods
}

// allow says whether a request's method is one of those that there are. HEAD is GET.
func allow(r *http.Request, methods ...string) error {
	if slices.Contains(methods, r.Method) || r.Method == http.MethodHead && methods[0] == http.MethodGet {
		return nil
	}
	f := &failure{allow: strings.Join(append(methods, http.MethodOptions), ", ")}
	if f.wire.Status = http.StatusMethodNotAllowed; r.Method == http.MethodOptions {
		f.wire.Status = http.StatusNoContent
	}
	f.wire.Detail = "the method is not one of " + f.allow
	return f
}

// options answers OPTIONS, which is no error.
func options(out *reply, err error) error {
	f, ok := errors.AsType[*failure](err)
	if !ok || f.wire.Status != http.StatusNoContent {
		return err
	}
	out.w.Header().Set("Allow", f.allow)
	out.status = http.StatusNoContent
	return nil
}

// body reads the body of a request.
func (c *call) body(out *reply, r *http.Request) (*scim.Object, error) {
	if err := c.checkContent(r); err != nil {
		return nil, err
	}
	limit := int64(c.s.limits.Body)
	tooLarge := refuse(http.StatusRequestEntityTooLarge, "", "the body has more than %d bytes", limit)
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	// A body that comes in drops must not keep a goroutine for longer than any request may take. What is no connection has
	// no deadline, and no need of one.
	control := http.NewResponseController(out.w)
	_ = control.SetReadDeadline(time.Now().Add(c.s.limits.Timeout))
	data, err := io.ReadAll(http.MaxBytesReader(out.w, r.Body, limit))
	if err == nil {
		_ = control.SetReadDeadline(time.Time{}) // Otherwise net/http would wait for the rest.
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, scim.InvalidSyntax, "the body ends before it is complete")
	}
	if len(data) == 0 {
		return nil, refuse(http.StatusBadRequest, scim.InvalidSyntax, "the request has no body")
	}
	return scim.ReadObject(data, scim.Limits{Bytes: c.s.limits.Body})
}

func (c *call) checkContent(r *http.Request) error {
	refused := refuse(http.StatusUnsupportedMediaType, "", "the body must be %s or application/json, in UTF-8 and not compressed", scim.MediaType)
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return refused
	}
	header := r.Header.Get("Content-Type")
	if header == "" || header == scim.MediaType {
		return nil
	}
	media, params, err := mime.ParseMediaType(header)
	charset, named := params["charset"]
	if err != nil || media != scim.MediaType && media != "application/json" || named && !strings.EqualFold(charset, "utf-8") {
		return refused
	}
	return nil
}

// clip shortens what is only shown.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}

// rates count what each token has sent.
type rates struct {
	mu sync.Mutex
	// spent is, for each token, when all that it has sent is paid for.
	spent map[string]time.Time
}

// take takes n requests, and says how long to wait if there are not enough.
func (r *rates) take(name string, now time.Time, l Limits, n int) time.Duration {
	if l.Rate < 0 {
		return 0
	}
	each := float64(time.Second) / l.Rate
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spent == nil {
		r.spent = map[string]time.Time{}
	}
	paid := r.spent[name]
	if paid.Before(now) {
		paid = now
	}
	// Whoever may send one request may send a large one, and then owes the rest.
	if wait := paid.Add(time.Duration(each)).Sub(now) - time.Duration(each*float64(l.Burst)); wait > 0 {
		return wait
	}
	r.spent[name] = paid.Add(time.Duration(float64(n) * each))
	return 0
}
