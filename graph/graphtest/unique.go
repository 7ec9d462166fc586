package graphtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// holders finds who has a value that nobody else may have, without looking at everybody. It follows the log and only ever
// learns: whoever it names is asked again whether they still have the value.
type holders struct {
	log int // how much of the log it knows
	by  map[string][]uint32
}

// The first letters of the keys of holders tell properties apart.
const (
	byName      = "n:" // userPrincipalName
	byAddress   = "a:" // mail and proxyAddresses
	byNickname  = "k:" // mailNickname
	byImmutable = "i:" // onPremisesImmutableId
	byUnique    = "u:" // uniqueName of groups
	byEmployee  = "e:" // employeeId, which several may have
)

// keyOf is the first part of the keys of a property, "" when it has none. Directory extensions have one each.
func keyOf(name string) string {
	switch name {
	case "userPrincipalName":
		return byName
	case "mail":
		return byAddress
	case "mailNickname":
		return byNickname
	case "onPremisesImmutableId":
		return byImmutable
	case "uniqueName":
		return byUnique
	case "employeeId":
		return byEmployee
	}
	if isExtension(name) {
		return name + ":"
	}
	return ""
}

// claim yields the keys of an object's values.
func (d *directory) claim(attrs []byte, yield func(key string)) {
	for b := attrs; len(b) > 0; {
		var p int
		var raw []byte
		p, raw, b = next(b)
		if d.names[p] == "proxyAddresses" {
			for _, a := range proxies(raw) {
				yield(byAddress + bareAddress(a))
			}
			continue
		}
		prefix := keyOf(d.names[p])
		if prefix == "" {
			continue
		}
		if s, ok := text(raw); ok {
			yield(prefix + folded(prefix, s))
		}
	}
}

// folded is a value as it is compared: immutable ids exactly, everything else without regard to letter case.
func folded(prefix, s string) string {
	if prefix == byImmutable {
		return s
	}
	return strings.ToLower(s)
}

// proxies are the addresses of a user or group, with their "SMTP:" or "smtp:".
func proxies(raw []byte) []string {
	var all []string
	if raw == nil || json.Unmarshal(raw, &all) != nil {
		return nil
	}
	return all
}

// bareAddress is a proxy address without its kind and in lower case.
func bareAddress(s string) string {
	s = strings.ToLower(s)
	return strings.TrimPrefix(s, "smtp:")
}

// learn reads on in the log.
func (d *directory) learn() {
	h := &d.holders
	if h.by == nil {
		h.by = make(map[string][]uint32)
	}
	for ; h.log < len(d.log); h.log++ {
		e := &d.log[h.log]
		if e.kind != created && e.kind != changed {
			continue
		}
		d.claim(d.objects[e.object].attrs, func(key string) {
			if !slices.Contains(h.by[key], e.object) {
				h.by[key] = append(h.by[key], e.object)
			}
		})
	}
}

// holding returns the present objects that have the value of a key, but for one.
func (d *directory) holding(key string, except uint32) []uint32 {
	d.learn()
	var out []uint32
	for _, i := range d.holders.by[key] {
		has := false
		d.claim(d.objects[i].attrs, func(k string) { has = has || k == key })
		if has && i != except && d.objects[i].state == present {
			out = append(out, i)
		}
	}
	return out
}

// having returns all objects that may have the value of one of the keys, in order of creation. It is false when there are
// no keys, or when nothing has been written yet, so that reading alone never costs what the keys of everybody take.
func (d *directory) having(keys []string) ([]uint32, bool) {
	if len(keys) == 0 || d.holders.by == nil {
		return nil, false
	}
	d.learn()
	var out []uint32
	for _, key := range keys {
		out = append(out, d.holders.by[key]...)
	}
	slices.Sort(out)
	return slices.Compact(out), true
}

// nobody is no object's index.
const nobody = ^uint32(0)

// conflict refuses values that another present object has. The object itself, or nobody, is excepted. Nicknames says
// whether the mailNickname is one of those values.
func (q *request) conflict(d *directory, except uint32, values map[string]json.RawMessage, nicknames bool) *refusal {
	for _, c := range []struct{ name, prefix, target string }{
		{"userPrincipalName", byName, "userPrincipalName"}, {"uniqueName", byUnique, "uniqueName"},
		{"onPremisesImmutableId", byImmutable, "onPremisesImmutableId"}, {"mailNickname", byNickname, "mailNickname"},
		{"mail", byAddress, "proxyAddresses"},
	} {
		s, ok := text(values[c.name])
		if !ok || c.prefix == byNickname && !nicknames {
			continue
		}
		if owner := q.owner(d, except, c.prefix+folded(c.prefix, s)); owner != "" {
			return q.taken(c.target, owner)
		}
	}
	return nil
}

// owner names another present object that has the value of a key: of the same directory or, for an address, of any.
func (q *request) owner(d *directory, except uint32, key string) string {
	if held := d.holding(key, except); held != nil {
		return d.resource() + "_" + d.objects[held[0]].id
	}
	if !strings.HasPrefix(key, byAddress) {
		return ""
	}
	other := &q.t.people
	if d == other {
		other = q.t.teams()
	}
	if held := other.holding(key, nobody); held != nil {
		return other.resource() + "_" + other.objects[held[0]].id
	}
	return ""
}

// taken refuses a value that another object has, in the shape that is set.
func (q *request) taken(name, owner string) *refusal {
	r := &refusal{status: http.StatusBadRequest, message: "Another object with the same value for property " + name + " already exists."}
	switch q.t.Faults.Conflict {
	case ConflictVague:
		r.message = "A conflicting object with one or more of the specified property values is present in the directory."
	case ConflictNamed:
		r.details = []detail{{"ObjectConflict", r.message, name}, {"ConflictingObjects", r.message, owner}}
	default:
		r.details = []detail{{"ObjectConflict", r.message, name}}
	}
	return r
}
