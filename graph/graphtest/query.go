package graphtest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// options are the query options of a request to Graph.
type options struct {
	// fields is nil when nothing was selected.
	fields []string
	// filter, search and orderby are what these options say, as it is; count is whether $count is true.
	filter, search, orderby string
	hasFilter, count        bool
	// top is zero when it was not given.
	top int
	// skip and delta are the tokens, and hasDelta tells an empty delta token from none.
	skip, delta string
	hasDelta    bool
	// expand is what $expand says, as it is.
	expand string
	// others are all options beside these that delta queries know, in order of their names.
	others []string
}

// queryError is a query that Graph refuses.
type queryError struct{ code, message string }

func (e *queryError) Error() string { return e.message }

func badQuery(code, format string, args ...any) error {
	return &queryError{code, fmt.Sprintf(format, args...)}
}

// parseOptions reads query options. Names are matched without regard to letter case, because the service's own documents
// spell $deltatoken in two ways. What does not begin with a dollar is no business of OData's and is ignored.
func parseOptions(query url.Values) (options, error) {
	var o options
	seen := make(map[string]bool)
	for name, values := range query {
		lower := strings.ToLower(name)
		if !strings.HasPrefix(lower, "$") {
			continue
		}
		if seen[lower] || len(values) != 1 {
			return o, badQuery("BadRequest", "Query option '%s' was specified more than once, but it must be specified at most once.", name)
		}
		seen[lower] = true
		var err error
		switch v := values[0]; lower {
		case "$select":
			o.fields, err = parseSelect(v)
		case "$filter":
			o.filter, o.hasFilter = v, true
		case "$top":
			if o.top, err = strconv.Atoi(v); err != nil || o.top < 1 {
				err = badQuery("BadRequest", "Invalid value '%s' for $top query option found. The $top query option requires a positive integer value.", v)
			}
		case "$skiptoken":
			o.skip = v
			if v == "" {
				err = badQuery("BadRequest", "The $skiptoken is empty.")
			}
		case "$deltatoken":
			o.delta, o.hasDelta = v, true
		case "$expand":
			o.expand = v
		case "$search":
			o.search = v
		case "$orderby":
			o.orderby = v
		case "$count":
			o.count = strings.EqualFold(v, "true")
		}
		if !slices.Contains([]string{"$select", "$filter", "$top", "$skiptoken", "$deltatoken"}, lower) {
			o.others = append(o.others, lower)
		}
		if err != nil {
			return o, err
		}
	}
	slices.Sort(o.others)
	return o, nil
}

// parseSelect splits a $select; the id, which is always sent, is left out.
func parseSelect(v string) ([]string, error) {
	names := []string{}
	for name := range strings.SplitSeq(v, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			return nil, badQuery("BadRequest", "Parsing OData Select and Expand failed: Term '%s' is not valid in a $select or $expand expression.", v)
		}
		if name != "id" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// maxFilterIDs is how many objects the filter of a delta query can name (Graph reference, user: delta).
const maxFilterIDs = 50

// parseIDs reads the only filter that delta queries know.
func parseIDs(v string) ([]string, error) {
	unsupported := badQuery("Request_UnsupportedQuery", "Unsupported or invalid query filter clause specified for the resource: only 'id eq' joined by 'or' is supported.")
	var ids []string
	rest := v
	for {
		words := strings.Fields(rest)
		if len(words) < 3 || !strings.EqualFold(words[0], "id") || !strings.EqualFold(words[1], "eq") {
			return nil, unsupported
		}
		id := words[2]
		if len(id) < 3 || id[0] != '\'' || id[len(id)-1] != '\'' || strings.Contains(id[1:len(id)-1], "'") {
			return nil, unsupported
		}
		if id = strings.ToLower(id[1 : len(id)-1]); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		if len(words) == 3 {
			break
		}
		if !strings.EqualFold(words[3], "or") {
			return nil, unsupported
		}
		rest = strings.Join(words[4:], " ")
	}
	if len(ids) > maxFilterIDs {
		return nil, badQuery("Request_UnsupportedQuery", "Too many objects in the filter of a delta query: %d, and at most %d are supported.", len(ids), maxFilterIDs)
	}
	return ids, nil
}

// checkSelect refuses properties that no such object has and, for delta queries, those that cannot be tracked.
func (d *directory) checkSelect(names []string, delta bool) error {
	var bad []string
	for _, name := range names {
		_, used := d.numbers[name]
		switch {
		case d.untrackable(name) && delta:
			bad = append(bad, name)
		case !used && !d.untrackable(name) && !d.known(name):
			return badQuery("BadRequest", "Parsing OData Select and Expand failed: Could not find a property named '%s' on type '%s'.", name, d.odataType()[1:])
		}
	}
	if bad != nil {
		return badQuery("BadRequest", "Invalid request for delta query: for this entity set, $expand/$select is not supported for the following properties: %s", strings.Join(bad, ","))
	}
	return nil
}

// refuse answers a query error.
func (q *request) refuse(err error) answer {
	code := "BadRequest"
	if e, ok := errors.AsType[*queryError](err); ok {
		code = e.code
	}
	return q.fail(http.StatusBadRequest, code, err.Error())
}

// preferences are what a Prefer header asks for, as far as it is understood.
type preferences struct {
	// page is the page size asked for, zero when none was.
	page    int
	minimal bool
}

func parsePrefer(headers []string) preferences {
	var p preferences
	for pref := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(pref), "=")
		name = strings.ToLower(strings.TrimSpace(name))
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch name {
		case "odata.maxpagesize", "maxpagesize":
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				p.page = n
			}
		case "return":
			p.minimal = strings.EqualFold(value, "minimal")
		}
	}
	return p
}
