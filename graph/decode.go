package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"dirsync"
)

// decoder turns answers into records. The attributes of a page's records share the page's memory and one slice, so that
// a person costs no allocation of their own but the id. It is for one goroutine.
type decoder struct {
	// kind is what the rows are.
	kind  dirsync.Kind
	names *names
	// slots and rowsHint are how many attributes and rows the last page had, which is a good guess for the next.
	slots, rowsHint int
	// bosses keeps a manager as the object that Graph sends, and not the id alone.
	bosses bool
}

func newDecoder() *decoder { return &decoder{names: newNames()} }

const (
	managerName   = "manager"
	managerDelta  = "manager@delta"
	principalName = "userPrincipalName"
	removedName   = "@removed"
	nextLinkName  = "@odata.nextLink"
	deltaLinkName = "@odata.deltaLink"
)

// errLimited is what Graph does in place of an error when an application may know that users exist, but not who they
// are: it sends their ids with nulls for everything else.
var errLimited = errors.New("Microsoft Graph sends users without their names, only ids")

// deltaPage is one page of users/delta.
type deltaPage struct {
	records  []dirsync.Record
	link     string
	complete bool
}

// page decodes a page of a delta round. It must have rows and exactly one link.
func (d *decoder) page(body []byte) (deltaPage, error) {
	env, err := d.envelope(body)
	switch {
	case err != nil:
		return deltaPage{}, err
	case env.next == "" && env.delta == "":
		return deltaPage{}, errors.New("the page has neither @odata.nextLink nor @odata.deltaLink, so it is not known how to go on")
	case env.next != "" && env.delta != "":
		return deltaPage{}, errors.New("the page has both @odata.nextLink and @odata.deltaLink, so it is not known whether the round is complete")
	}
	return deltaPage{records: env.rows, link: env.next + env.delta, complete: env.delta != ""}, nil
}

// rows decodes an answer that is a plain collection.
func (d *decoder) rows(body []byte) ([]dirsync.Record, error) {
	env, err := d.envelope(body)
	return env.rows, err
}

// one decodes an answer that is one object.
func (d *decoder) one(body []byte) (dirsync.Record, error) {
	doc, err := document(body)
	if err != nil {
		return dirsync.Record{}, err
	}
	r, _, err := d.row(&scan{b: doc}, nil)
	return r, err
}

// envelope is what an answer with rows holds.
type envelope struct {
	rows        []dirsync.Record
	next, delta string
}

// envelope decodes an answer with rows. Of members that come twice the last counts, as for encoding/json.
func (d *decoder) envelope(body []byte) (envelope, error) {
	var env envelope
	doc, err := document(body)
	if err != nil {
		return env, err
	}
	s := &scan{b: doc}
	for s.enter(); s.more(); {
		switch name := unquote(s.name()); name {
		case "value":
			env.rows, err = nil, nil
			if s.peek() != '[' {
				s.value()
				continue
			}
			env.rows, err = d.list(s)
		case nextLinkName:
			env.next, err = link(name, s.value())
		case deltaLinkName:
			env.delta, err = link(name, s.value())
		default:
			s.value()
		}
		if err != nil {
			return envelope{}, err
		}
	}
	if env.rows == nil {
		return envelope{}, fmt.Errorf(`the answer has no list of %ss: "value" is missing or no array`, d.kind)
	}
	return env, nil
}

func link(name string, raw []byte) (string, error) {
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil || s == "" {
		return "", fmt.Errorf("%s is no text", name)
	}
	return s, nil
}

// document checks that body is one JSON object, and returns it in memory of its own meaning: valid UTF-8 throughout,
// as encoding/json would read it, and without outer white space.
func document(body []byte) ([]byte, error) {
	if !json.Valid(body) {
		return nil, notJSON(body)
	}
	body = bytes.TrimSpace(body)
	if body[0] != '{' {
		return nil, errors.New("the answer is JSON, but no object")
	}
	if !utf8.Valid(body) {
		body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	}
	return body, nil
}

// notJSON says what came in place of JSON. Nothing is quoted: a page cut short is full of people.
func notJSON(body []byte) error {
	start := bytes.TrimSpace(body)
	switch {
	case len(start) == 0:
		return errors.New("the answer is empty")
	case start[0] == '<':
		return errors.New("a web page came instead of data")
	}
	var syntax *json.SyntaxError
	var any json.RawMessage
	if err := json.Unmarshal(body, &any); errors.As(err, &syntax) {
		return fmt.Errorf("the answer is broken JSON: at byte %d of %d, %s", syntax.Offset, len(body), syntax.Error())
	}
	return errors.New("the answer is broken JSON")
}

// list decodes the rows of the array that comes next. Its result is never nil without an error.
func (d *decoder) list(s *scan) ([]dirsync.Record, error) {
	attrs := make([]dirsync.Attribute, 0, max(64, d.slots+d.slots/8))
	records := make([]dirsync.Record, 0, max(16, d.rowsHint))
	for s.enter(); s.more(); {
		n := len(records) + 1
		if s.peek() != '{' {
			return nil, fmt.Errorf("row %d is no object", n)
		}
		r, rest, err := d.row(s, attrs)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", n, err)
		}
		records, attrs = append(records, r), rest
	}
	d.slots, d.rowsHint = min(len(attrs), maxHint), min(len(records), maxHint)
	return records, nil
}

// maxHint bounds what one large answer makes the next one reserve.
const maxHint = 1 << 14

// row decodes the user or group that comes next. Their attributes are appended to attrs, and the record has the part of
// it that is theirs.
func (d *decoder) row(s *scan, attrs []dirsync.Attribute) (dirsync.Record, []dirsync.Attribute, error) {
	if d.kind == dirsync.KindGroup {
		return d.groupRow(s, attrs)
	}
	var (
		r       dirsync.Record
		room    [32]dirsync.Attribute // on the stack, where sorting costs no write barriers
		own     = room[:0]
		removed []byte
		limited bool
	)
	for s.enter(); s.more(); {
		name := d.names.decode(s.name())
		raw := s.value()
		switch {
		case name == "id":
			if raw[0] != '"' {
				return r, attrs, errors.New("the id is no text")
			}
			r.ID = dirsync.ID(strings.ToLower(unquote(raw)))
		case name == removedName:
			removed = raw
		case name == managerName && d.bosses:
			own = append(own, dirsync.Attribute{Name: name, Raw: raw})
		case name == managerName || name == managerDelta:
			if v, said := reportsTo(raw); said {
				own = append(own, dirsync.Attribute{Name: managerName, Raw: v})
			}
		case strings.IndexByte(name, '@') >= 0: // an annotation says something about data and is none
		default:
			if name == principalName {
				limited = string(raw) == "null"
			}
			own = append(own, dirsync.Attribute{Name: name, Raw: raw})
		}
	}
	switch {
	case r.ID == "":
		return r, attrs, errors.New("the user has no id")
	case removed != nil:
		r.Gone = removal(removed)
		return r, attrs, nil
	case limited:
		return r, attrs, fmt.Errorf("user %s: %w", r.ID, errLimited)
	}
	first := len(attrs)
	attrs = append(attrs, order(own)...)
	r.Attrs = dirsync.Attributes(attrs[first:len(attrs):len(attrs)])
	return r, attrs, nil
}

// removal reads the reason of @removed. "changed" means that the user was deleted and can be restored, "deleted" that
// they are gone for good (delta query overview, "Using delta query to track changes"). Of a reason that is unknown or
// unreadable, the weaker is believed.
func removal(raw []byte) dirsync.Gone {
	var removed struct{ Reason string }
	if json.Unmarshal(raw, &removed) == nil && strings.EqualFold(removed.Reason, "deleted") {
		return dirsync.GoneHard
	}
	return dirsync.GoneSoft
}

// reportsTo makes one JSON text, or null, of what Graph says of a manager: in a delta row a list of links of which some
// are removed, in a look-up the manager's own object. It is false when nothing usable is said.
func reportsTo(raw []byte) (json.RawMessage, bool) {
	type ref struct {
		ID      string          `json:"id"`
		Removed json.RawMessage `json:"@removed"`
	}
	var refs []ref
	switch raw[0] {
	case '[':
		if json.Unmarshal(raw, &refs) != nil {
			return nil, false
		}
	case '{':
		refs = make([]ref, 1)
		if json.Unmarshal(raw, &refs[0]) != nil {
			return nil, false
		}
	case 'n':
		return json.RawMessage("null"), true
	}
	var said json.RawMessage
	for _, r := range refs {
		if r.Removed != nil {
			if said == nil {
				said = json.RawMessage("null")
			}
			continue
		}
		if r.ID == "" {
			continue
		}
		// The old manager's link may be listed as removed before or after the new one: a link that is there counts.
		text, err := json.Marshal(strings.ToLower(r.ID))
		if err == nil {
			said = text
		}
	}
	return said, said != nil
}

// order sorts attributes by name in place. Of those with one name the last is kept, as encoding/json would. Rows have
// about a dozen attributes, which insertion sorts fastest.
func order(attrs []dirsync.Attribute) []dirsync.Attribute {
	if len(attrs) > 64 {
		return dirsync.NewAttributes(attrs)
	}
	twice := false
	for i := 1; i < len(attrs); i++ {
		a, j := attrs[i], i
		for j > 0 {
			c := strings.Compare(attrs[j-1].Name, a.Name)
			if c <= 0 {
				twice = twice || c == 0
				break
			}
			attrs[j] = attrs[j-1]
			j--
		}
		attrs[j] = a
	}
	if twice {
		return dirsync.NewAttributes(slices.Clip(attrs))
	}
	return attrs
}
