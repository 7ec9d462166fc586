package server

import (
	"encoding/binary"
	"errors"

	"dirsync"
	"dirsync/scim"
)

// Resource.Document is a version, flags, the columns as they were when it was written, and JSON: the resource as the client
// sent it, without id, meta, groups and members, which are known elsewhere. As long as the columns are the same, the JSON
// is right as it stands, and is answered without being read.

const documentVersion = 1

// flags of a document.
const (
	// hidden marks an account that a client has deleted and that is kept, inactive. Whoever makes it active again makes it
	// visible, too.
	hidden = 1 << iota
	// waits marks a user who refers to somebody who is not here yet.
	waits
)

// envelope is a Document that was opened.
type envelope struct {
	flags    byte
	snapshot []byte
	json     []byte
}

// open opens a Document. That of an account that no client has written yet is empty.
func open(document []byte) (e envelope, err error) {
	if len(document) == 0 {
		return e, nil
	}
	damaged := errors.New("read the document of a resource: it is damaged")
	if len(document) < 3 || document[0] != documentVersion {
		return e, damaged
	}
	n, size := binary.Uvarint(document[2:])
	rest := document[2:]
	if size <= 0 || n > uint64(len(rest)-size) {
		return e, damaged
	}
	rest = rest[size:]
	e = envelope{flags: document[1], snapshot: rest[:n], json: rest[n:]}
	if len(e.json) < 2 || e.json[0] != '{' || e.json[len(e.json)-1] != '}' {
		return envelope{}, damaged
	}
	return e, nil
}

// seal is the inverse of open.
func (e envelope) seal() []byte {
	b := make([]byte, 0, 2+binary.MaxVarintLen32+len(e.snapshot)+len(e.json))
	b = append(b, documentVersion, e.flags)
	b = binary.AppendUvarint(b, uint64(len(e.snapshot)))
	return append(append(b, e.snapshot...), e.json...)
}

// flagged says whether a resource's document has a flag, without opening it.
func flagged(r *dirsync.Resource, flag byte) bool {
	return len(r.Document) > 2 && r.Document[0] == documentVersion && r.Document[1]&flag != 0
}

// invisible says that a client was told that a resource is not here any more.
func invisible(r *dirsync.Resource) bool {
	return r.Pending == dirsync.Delete || flagged(r, hidden) && !r.Active
}

// shownActive is what a client sees of Active.
func shownActive(r *dirsync.Resource) bool { return r.Active && r.Pending != dirsync.Deactivate }

// snapshot appends the columns that the JSON repeats.
func (s *Server) snapshot(b []byte, k *kind, r *dirsync.Resource) []byte {
	b = appendText(b, r.Name)
	b = appendText(b, r.ExternalID)
	if k.of != dirsync.KindUser {
		return b
	}
	b = appendText(b, r.Display)
	active := byte(0)
	if shownActive(r) {
		active = 1
	}
	b = append(b, active)
	// Both the fields and the values are in the order of the names.
	values := r.Values
	for i := range s.fields {
		name := s.fields[i].Name
		for len(values) > 0 && values[0].Field < name {
			values = values[1:]
		}
		if len(values) > 0 && values[0].Field == name && !values[0].Value.IsNull() {
			b = appendText(appendText(appendText(b, name), string(values[0].Value.Type)), values[0].Value.Text)
		}
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// columns reads a snapshot of a user. What cannot be read counts as nothing.
func columns(b []byte) dirsync.Values {
	next := func() string {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			b = nil
			return ""
		}
		text := string(b[size : size+int(n)])
		b = b[size+int(n):]
		return text
	}
	for range 3 {
		next()
	}
	if len(b) > 0 {
		b = b[1:]
	}
	var values dirsync.Values
	for len(b) > 0 {
		name, typ := next(), next()
		values = values.Set(name, dirsync.Value{Type: dirsync.Type(typ), Text: next()})
	}
	return values
}

// object returns a resource as a client knows it, without what is kept elsewhere: id, meta, groups and members. It is the
// caller's own.
func (s *Server) object(k *kind, r *dirsync.Resource) (*scim.Object, error) {
	e, err := open(r.Document)
	if err != nil {
		return nil, err
	}
	o := scim.NewObject(scim.Member{Name: "schemas", Value: []any{k.URNs()[0]}})
	if e.json != nil {
		if o, err = scim.ReadObject(e.json, scim.Limits{}); err != nil {
			return nil, errors.New("read the document of a resource: its JSON is damaged")
		}
	}
	if string(s.snapshot(nil, k, r)) == string(e.snapshot) {
		return o, nil
	}
	return s.overlay(k, r, o, e)
}

// overlay lays what others have changed over what the client has sent.
func (s *Server) overlay(k *kind, r *dirsync.Resource, o *scim.Object, e envelope) (*scim.Object, error) {
	setText(o, k.name, r.Name)
	setText(o, "externalId", r.ExternalID)
	if k.of != dirsync.KindUser {
		return o, nil
	}
	setText(o, "displayName", r.Display)
	o.Set("active", shownActive(r))
	was := columns(e.snapshot)
	for i := range s.fields {
		f := &s.fields[i]
		before, _ := was.Get(f.Name)
		now, _ := r.Values.Get(f.Name)
		_, p := f.of(o)
		if before == now || p.path.URN == "" && p.path.Name == k.name {
			continue // The name is the resource's own.
		}
		ops := []scim.Operation{{Op: scim.Remove, Path: p.path}}
		if !now.IsNull() {
			ops = append(ops, scim.Operation{Op: scim.Add, Path: p.path, Value: encode(k.ResourceType, f, p, now)})
			if p.path.Sub != "" {
				ops = ops[1:] // The other parts, such as the display of an address, stay, and in their order.
			}
		}
		next, _, err := k.Apply(o, &scim.Patch{Operations: ops})
		if err != nil {
			return nil, errors.New("show the field " + f.Name + ": its value does not fit the attribute")
		}
		o = next
	}
	return o, nil
}

func setText(o *scim.Object, name, text string) {
	if text == "" {
		o.Delete(name)
		return
	}
	o.Set(name, text)
}

// write puts a resource as a client sent it into the document of r, whose columns are made already; see take.
func (s *Server) write(k *kind, r *dirsync.Resource, o *scim.Object, flags byte) error {
	for _, name := range []string{"id", "meta", "groups", "members"} {
		o.Delete(name)
	}
	if k.of == dirsync.KindUser {
		o.Set("active", shownActive(r))
	}
	json, err := o.MarshalJSON()
	if err != nil {
		return err
	}
	if len(json) > maxDocument {
		return refuse(413, "", "the resource has more than %d bytes", maxDocument)
	}
	r.Document = envelope{flags: flags, snapshot: s.snapshot(nil, k, r), json: json}.seal()
	return nil
}

// maxDocument is the most bytes of one resource, members not counted.
const maxDocument = 256 << 10
