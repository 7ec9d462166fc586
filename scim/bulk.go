package scim

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Bulk is a bulk request (RFC 7644 section 3.7).
type Bulk struct {
	// FailOnErrors is the number of errors after which the server stops; 0 for never.
	FailOnErrors int
	Operations   []BulkOperation
}

// BulkOperation is one operation of a bulk request.
type BulkOperation struct {
	// Method is POST, PUT, PATCH or DELETE.
	Method string
	// BulkID names a resource that is to be created, for references of the form "bulkId:…".
	BulkID string
	// Version is the ETag that the resource must have, or "".
	Version string
	// Path is the endpoint, such as "/Users" or "/Users/2819c223".
	Path string
	// Data is the body; nil for DELETE.
	Data *Object
}

// ReadBulk reads a bulk request of at most the given number of operations, beyond which the error is 413 (RFC 7644
// section 3.7.4).
func ReadBulk(o *Object, maxOperations int) (*Bulk, error) {
	b := &Bulk{}
	if v, ok := o.Get("failOnErrors"); ok && v != nil {
		n, ok := asInteger(v)
		if !ok || n < 0 || n > 1<<30 {
			return nil, refuse(InvalidValue, "failOnErrors must be a whole number")
		}
		b.FailOnErrors = int(n)
	}
	value, _ := o.Get("Operations")
	list, ok := value.([]any)
	if !ok {
		return nil, refuse(InvalidSyntax, "a bulk request needs a list named Operations")
	}
	if len(list) > maxOperations {
		return nil, &Error{Status: 413, Detail: fmt.Sprintf("the bulk request has %d operations; maxOperations is %d", len(list), maxOperations)}
	}
	for i, v := range list {
		op, err := readBulkOperation(v)
		if err != nil {
			return nil, atOperation(i+1, err)
		}
		b.Operations = append(b.Operations, op)
	}
	return b, nil
}

func readBulkOperation(v any) (op BulkOperation, err error) {
	o, ok := v.(*Object)
	if !ok {
		return op, refuse(InvalidSyntax, "it is %s; it must be an object", describe(v))
	}
	method, _ := o.Text("method")
	op.Method = strings.ToUpper(method)
	op.BulkID, _ = o.Text("bulkId")
	op.Version, _ = o.Text("version")
	op.Path, _ = o.Text("path")
	op.Data = o.Object("data")
	switch op.Method {
	case "POST":
		if op.BulkID == "" {
			return op, refuse(InvalidValue, "a POST needs a bulkId")
		}
	case "PUT", "PATCH", "DELETE":
	default:
		return op, refuse(InvalidSyntax, "method must be POST, PUT, PATCH or DELETE")
	}
	if !strings.HasPrefix(op.Path, "/") {
		return op, refuse(InvalidValue, "path must be an endpoint such as /Users")
	}
	if op.Method == "DELETE" {
		op.Data = nil
	} else if op.Data == nil {
		return op, refuse(InvalidValue, "a %s needs an object named data", op.Method)
	}
	return op, nil
}

// Document returns the body of the request.
func (b *Bulk) Document() *Object {
	o := NewObject(Member{"schemas", []any{BulkURN}})
	if b.FailOnErrors > 0 {
		o.Set("failOnErrors", json.Number(strconv.Itoa(b.FailOnErrors)))
	}
	list := []any{}
	for _, op := range b.Operations {
		m := NewObject(Member{"method", op.Method})
		setText(m, "bulkId", op.BulkID)
		setText(m, "version", op.Version)
		m.Set("path", op.Path)
		if op.Data != nil {
			m.Set("data", op.Data)
		}
		list = append(list, m)
	}
	o.Set("Operations", list)
	return o
}

func setText(o *Object, name, text string) {
	if text != "" {
		o.Set(name, text)
	}
}

// BulkResult is what came of one operation of a bulk request.
type BulkResult struct {
	Method, BulkID, Version string
	// Location is the URL of the resource; "" if a POST failed.
	Location string
	Status   int
	// Response is the resource, or the error, which must be there if the status is one of an error.
	Response *Object
}

// BulkDocument returns the body of the answer to a bulk request.
func BulkDocument(results []BulkResult) *Object {
	list := []any{}
	for _, r := range results {
		m := &Object{}
		setText(m, "location", r.Location)
		m.Set("method", r.Method)
		setText(m, "bulkId", r.BulkID)
		setText(m, "version", r.Version)
		m.Set("status", strconv.Itoa(r.Status))
		if r.Response != nil {
			m.Set("response", r.Response)
		}
		list = append(list, m)
	}
	return NewObject(Member{"schemas", []any{BulkResponseURN}}, Member{"Operations", list})
}

// ReadBulkResults reads the answer to a bulk request. The status may be a string, a number, or the object with a code
// of SCIM 1.1; 0 stands for one that cannot be read.
func ReadBulkResults(o *Object) ([]BulkResult, error) {
	value, _ := o.Get("Operations")
	list, ok := value.([]any)
	if !ok {
		return nil, refuse(InvalidSyntax, "the answer is not one to a bulk request: it has no list named Operations")
	}
	var all []BulkResult
	for i, v := range list {
		m, ok := v.(*Object)
		if !ok {
			return nil, refuse(InvalidSyntax, "operation %d of the answer is %s", i+1, describe(v))
		}
		r := BulkResult{Status: statusOf(m), Response: m.Object("response")}
		if inner := m.Object("status"); inner != nil {
			r.Status = statusOf(inner)
		}
		method, _ := m.Text("method")
		r.Method = strings.ToUpper(method)
		r.BulkID, _ = m.Text("bulkId")
		r.Version, _ = m.Text("version")
		r.Location, _ = m.Text("location")
		all = append(all, r)
	}
	return all, nil
}

const bulkReference = "bulkId:"

// BulkReferences returns the bulkIds that a value refers to with strings of the form "bulkId:…", each once, in the order
// in which they appear.
func BulkReferences(v any) []string {
	var ids []string
	seen := map[string]bool{}
	walkText(v, func(s string) string {
		if id, ok := strings.CutPrefix(s, bulkReference); ok && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
		return s
	})
	return ids
}

// ResolveBulk returns a copy of a value with every reference to a bulkId replaced by the id of the resource. A reference
// that ids does not know is an error with status 409, as RFC 7644 section 3.7.1 has it for what cannot be resolved.
func ResolveBulk(v any, ids func(bulkID string) (id string, ok bool)) (any, error) {
	var err error
	out := walkText(v, func(s string) string {
		ref, ok := strings.CutPrefix(s, bulkReference)
		if !ok {
			return s
		}
		id, ok := ids(ref)
		if !ok && err == nil {
			err = &Error{Status: 409, Detail: fmt.Sprintf("the bulkId %q is not known", clean(ref, 80))}
		}
		return id
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// walkText returns a copy of a value in which fn has been applied to every string.
func walkText(v any, fn func(string) string) any {
	switch v := v.(type) {
	case string:
		return fn(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = walkText(v[i], fn)
		}
		return list
	case *Object:
		o := v.copy()
		for i := range o.members {
			o.members[i].Value = walkText(o.members[i].Value, fn)
		}
		return o
	}
	return v
}
