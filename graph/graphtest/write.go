package graphtest

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"
)

// kindOfWrite sorts the requests that change something, and batches; "" is anything else.
func kindOfWrite(method string, path []string) Kind {
	if len(path) < 2 || path[0] != "v1.0" {
		return ""
	}
	n := len(path)
	switch {
	case path[1] == "$batch" && n == 2:
		return Batch
	case path[1] == "users" || strings.HasPrefix(path[1], "users('"):
		return kindOfUserWrite(method, path)
	case path[1] == "groups" || strings.HasPrefix(path[1], "groups("):
		return kindOfGroupWrite(method, path)
	case path[1] != "directory" || n < 4 || path[2] != "deletedItems":
		return ""
	case n == 4 && method == http.MethodDelete:
		return PurgeDeleted
	case n == 5 && method == http.MethodPost && strings.TrimPrefix(path[4], "microsoft.graph.") == "restore":
		return RestoreDeleted
	}
	return ""
}

func kindOfUserWrite(method string, path []string) Kind {
	key, rest := userKey(path)
	switch {
	case key == "" && len(path) == 2 && method == http.MethodPost:
		return CreateUser
	case key == "" || isDelta(key) || key == countSegment:
		return ""
	case len(rest) == 0 && method == http.MethodPatch:
		return UpdateUser
	case len(rest) == 0 && method == http.MethodDelete:
		return DeleteUser
	case len(rest) == 2 && rest[0] == managerProperty && rest[1] == refSegment && (method == http.MethodPut || method == http.MethodDelete):
		return ChangeManager
	}
	return ""
}

// refSegment ends the path of a link itself, as opposed to the object at its end.
const refSegment = "$ref"

func kindOfGroupWrite(method string, path []string) Kind {
	if len(path) == 2 && path[1] == "groups" {
		if method == http.MethodPost {
			return CreateGroup
		}
		return ""
	}
	key, rest := groupKey(path)
	switch n := len(rest); {
	case isDelta(key) || key == countSegment:
		return ""
	case n == 0 && method == http.MethodPatch:
		return UpdateGroup
	case n == 0 && method == http.MethodDelete:
		return DeleteGroup
	case n == 0 || rest[0] != membersProperty:
		return ""
	case n == 2 && rest[1] == refSegment && method == http.MethodPost,
		n == 3 && rest[2] == refSegment && method == http.MethodDelete,
		n == 2 && rest[1] != refSegment && method == http.MethodDelete:
		return ChangeMembers
	}
	return ""
}

// userKey splits the path of one user into the key and what follows: users/{id or name} or users('{id or name}').
func userKey(path []string) (key string, rest []string) {
	if inner, ok := strings.CutPrefix(path[1], "users('"); ok {
		return strings.ReplaceAll(strings.TrimSuffix(inner, "')"), "''", "'"), path[2:]
	}
	if len(path) < 3 {
		return "", nil
	}
	return path[2], path[3:]
}

// write answers a request that changes something.
func (q *request) write() answer {
	switch q.kind {
	case CreateUser:
		return q.createUser()
	case UpdateUser:
		return q.updateUser()
	case DeleteUser:
		key, _ := userKey(q.path)
		return q.deleteUser(key)
	case ChangeManager:
		return q.changeManager()
	case RestoreDeleted:
		return q.restoreDeleted()
	case PurgeDeleted:
		return q.purgeDeleted()
	case CreateGroup:
		return q.createGroup()
	case UpdateGroup:
		return q.updateGroup()
	case DeleteGroup:
		return q.deleteGroup()
	default:
		return q.changeMembers()
	}
}

// refusal is why a write is refused. Its status is 400 unless it says otherwise.
type refusal struct {
	status        int
	code, message string
	details       []detail
}

func (q *request) refused(r *refusal) answer {
	status, code := r.status, r.code
	if status == 0 {
		status = http.StatusBadRequest
	}
	return q.fail(status, or(code, "Request_BadRequest"), r.message, r.details...)
}

func refuse(message string) *refusal { return &refusal{message: message} }

// invalid refuses the value of a property. Kind is "User" or "Group".
func invalid(name, kind string) *refusal {
	return aboutProperty(name, "InvalidValue", "Invalid value specified for property '"+name+"' of resource '"+kind+"'.")
}

func aboutProperty(name, code, message string) *refusal {
	return &refusal{message: message, details: []detail{{code, message, name}}}
}

func (q *request) denied() answer {
	return q.fail(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
}

// object reads the body of a write, which must be an object and be said to be JSON.
func (q *request) object() (map[string]json.RawMessage, *refusal) {
	kind, _, err := mime.ParseMediaType(q.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, &refusal{code: "BadRequest", message: "Entity only allows writes with a JSON Content-Type header."}
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(q.body, &body); err != nil || body == nil || !utf8.Valid(q.body) {
		return nil, &refusal{code: "BadRequest", message: "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."}
	}
	for name := range body {
		if strings.HasPrefix(name, "@odata.") && name != "@odata.id" {
			delete(body, name) // annotations such as @odata.type say nothing that the path does not say
		}
	}
	return body, nil
}

// prefers tells whether a preference of what to return is expressed and obeyed.
func (q *request) prefers(what string) bool {
	if !q.t.Faults.ObeyReturn {
		return false
	}
	for _, h := range q.r.Header.Values("Prefer") {
		for pref := range strings.SplitSeq(h, ",") {
			if strings.EqualFold(strings.TrimSpace(pref), "return="+what) {
				return true
			}
		}
	}
	return false
}

// made answers 201 with the new object as a plain read shows it, wherever the replicas are.
func (q *request) made(d *directory, id string) answer {
	where := http.Header{"Location": {q.base() + "/v2/" + q.t.identity().ID + "/directoryObjects/" + id + "/Microsoft.DirectoryServices." + d.resource()}}
	if q.prefers("minimal") {
		where.Set("Preference-Applied", "return=minimal")
		where.Set("Odata-Entityid", q.base()+"/v1.0/"+d.set()+"/"+id)
		return answer{status: http.StatusNoContent, header: where}
	}
	a := q.entity(d, id, http.StatusCreated)
	a.header = where
	return a
}

// changed answers an update: 204 without a body, unless another answer is preferred and preferences are obeyed.
func (q *request) changed(d *directory, id string) answer {
	if !q.prefers("representation") {
		return answer{status: http.StatusNoContent}
	}
	a := q.entity(d, id, http.StatusOK)
	a.header = http.Header{"Preference-Applied": {"return=representation"}}
	return a
}

// entity shows one object with its default properties as it is now.
func (q *request) entity(d *directory, id string, status int) answer {
	sel := d.choose(nil, false)
	o, _ := d.find(id)
	b := append(append([]byte(`{"@odata.context":"`), q.base()...), `/v1.0/$metadata#`...)
	b = append(append(b, sel.context()...), `/$entity",`...)
	return answer{status: status, body: append(q.appendPlain(b, d, o, o.attrs, &sel), '}')}
}

// resource is how errors call the objects of a directory.
func (d *directory) resource() string {
	if d.members != nil {
		return "Group"
	}
	return "User"
}
