package graphtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// maxByIDs is how many objects one request can name (Graph reference, directoryObject: getByIds).
const maxByIDs = 1000

// byIDs answers directoryObjects/getByIds: the objects with these ids, in their order, as far as they are there and of
// one of the types that are asked for. All are on one page.
func (q *request) byIDs() answer {
	var asked struct{ IDs, Types []string }
	if err := json.Unmarshal(q.body, &asked); err != nil {
		return q.fail(http.StatusBadRequest, "Request_BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	if n := len(asked.IDs); n == 0 || n > maxByIDs {
		return q.fail(http.StatusBadRequest, "Request_BadRequest", "The number of elements in 'ids' must be between 1 and 1000.")
	}
	for _, kind := range asked.Types {
		if _, ok := castOf("graph." + kind); !ok && kind != "directoryObject" {
			return q.fail(http.StatusBadRequest, "Request_BadRequest", "Invalid type '"+kind+"' specified.")
		}
	}
	opt, err := parseOptions(q.query)
	if err == nil && (len(opt.others) > 0 || opt.top > 0 || opt.skip != "" || opt.hasFilter || opt.hasDelta) {
		err = badQuery("Request_UnsupportedQuery", "Only $select is known of getByIds here.")
	}
	if q.t.Faults.ByIDsPlain {
		opt.fields = nil
	}
	var sels [2]selection
	if err == nil {
		sels, err = q.mixedSelections(opt.fields)
	}
	if err != nil {
		return q.refuse(err)
	}
	l := listing{opt: opt}
	b := append(q.beginList(&l, "directoryObjects"), `"value":[`...)
	v, first := q.views(), true
	for _, id := range asked.IDs {
		m, ok := q.t.lookRef(strings.ToLower(id))
		if !ok || !q.t.present(m, v) {
			continue
		}
		kind, _, _ := q.t.who(m)
		kind = strings.TrimPrefix(kind, "#microsoft.graph.")
		if asked.Types != nil && !slices.Contains(asked.Types, kind) && !slices.Contains(asked.Types, "directoryObject") {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		b, first = q.appendMember(b, m, v, &sels, true), false
	}
	return q.endList(append(b, ']'), &l, false)
}

// listed finds the objects of a filter that is a list of ids and nothing else, in order of creation. It is false when it
// is another one. Ids are for ever, so that it holds for the past as well.
func (d *directory) listed(filter string) ([]uint32, bool) {
	words, ok := filterWords(filter)
	if n := len(words); !ok || n < 5 || words[0] != "id" || !strings.EqualFold(words[1], "in") || slices.Index(words, ")") != n-1 {
		return nil, false
	}
	var out []uint32
	for _, w := range words[3 : len(words)-1] {
		if w == "," || w[0] != '\'' {
			continue
		}
		if i, ok := d.byID[strings.ToLower(unquote(w))]; ok {
			out = append(out, i)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), true
}
