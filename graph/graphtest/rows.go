package graphtest

import "slices"

// row says how one object is to be written on a page of a delta round.
type row struct {
	sel *selection
	// since is the position after which changes are news, and first says that everything is.
	since uint32
	first bool
	// base is where the last round ended; since is before it when a round replays what it told.
	base uint32
	// view is the position of the log as of which the object is shown.
	view uint32
	// scalars is the same for what is not a link, when it is not zero: a position before view.
	scalars uint32
	minimal bool
	limited bool
	extras  bool
	// types are the data types of directory extensions by their names, as far as they are defined.
	types map[string]string
	// who names the members of groups, and shut hides those of groups whose membership is hidden.
	who  func(ref) (kind, id string, purged bool)
	shut bool
}

// appendObject writes an object as it was at r.view, and reports whether there was anything to write: an object that
// did not exist then, or that a first round need not mention because it is gone, is left out. Of a group's members it
// shows those of s, if there is any.
func (d *directory) appendObject(b []byte, o *object, r *row, s *slice) ([]byte, bool) {
	attrs, st := o.attrs, o.state
	view := r.view
	if r.scalars > 0 {
		view = r.scalars
	}
	if o.last > view {
		attrs, st = d.at(o, view)
	}
	switch {
	case st == absent, st != present && r.first:
		return b, false
	case st != present:
		return d.appendTombstone(b, o.id, st == hardDeleted, r.extras), true
	case r.limited:
		return appendLimited(b, d.odataType(), o.id, r.sel), true
	}
	b = append(b, '{')
	if r.extras {
		b = append(append(append(b, `"@odata.type":"`...), d.odataType()...), `","@odata.etag":"W/\"JzEtVXNlcjsn\"",`...)
	}
	var only []int // the properties to send in minimal mode, nil for all
	if r.minimal && !r.first {
		only = d.news(o, r.since, view)
	}
	for rest := attrs; len(rest) > 0; {
		var p int
		var raw []byte
		p, raw, rest = next(rest)
		if p < len(r.sel.want) && r.sel.want[p] && (only == nil || d.isNews(only, attrs, p, r.types)) {
			b = append(append(append(b, d.keys[p]...), raw...), ',')
		}
	}
	if r.sel.manager {
		b = d.appendManager(b, o, attrs, r, only == nil)
	}
	if s != nil && r.sel.members && !(r.shut && d.hidden(attrs)) {
		b = d.appendMembers(b, o, r, s)
	}
	if r.extras {
		b = append(b, `"displayName@microsoft.graph.note":"x","previewOnly":{"list":[1,null,{"a":"b"}]},"previewFlag":true,`...)
	}
	b = append(b, `"id":"`...)
	b = append(b, o.id...)
	return append(b, `"}`...), true
}

func (d *directory) appendTombstone(b []byte, id string, hard, extras bool) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, id...)
	if extras {
		b = append(append(b, `","@odata.type":"`...), d.odataType()...)
	}
	if hard {
		return append(b, `","@removed":{"reason":"deleted"}}`...)
	}
	return append(b, `","@removed":{"reason":"changed"}}`...)
}

// appendLimited writes an object as Graph shows it to an application that may not read it: the type and the id, and
// null for whatever else was asked for.
func appendLimited(b []byte, kind, id string, sel *selection) []byte {
	b = append(append(append(b, `{"@odata.type":"`...), kind...), `","id":"`...)
	b = append(append(b, id...), '"')
	for _, name := range sel.names {
		if name != managerProperty && (name != membersProperty || kind != groupObject) {
			b = append(appendString(append(b, ','), name), `:null`...)
		}
	}
	return append(b, '}')
}

// appendManager writes the change of the link to the manager, which is an array although there can be only one. A link
// that went is a tombstone with the reason "deleted", whatever became of the manager.
func (d *directory) appendManager(b []byte, o *object, attrs []byte, r *row, whole bool) []byte {
	prop, ok := d.numbers[managerProperty]
	if !ok {
		return b
	}
	raw, _ := get(attrs, prop)
	var now, gone []byte
	if raw != nil && raw[0] != '-' {
		now = raw
	}
	if !r.first {
		before, _ := d.at(o, r.base)
		was, _ := get(before, prop)
		moved := string(was) != string(raw)
		if moved && was != nil && was[0] != '-' {
			gone = was
		}
		if !moved && !whole {
			now = nil
		}
	}
	if now == nil && gone == nil {
		return b
	}
	b = append(b, `"manager@delta":[`...)
	if gone != nil {
		b = append(append(b, `{"@odata.type":"#microsoft.graph.user","id":"`...), gone...)
		b = append(b, `","@removed":{"reason":"deleted"}}`...)
		if now != nil {
			b = append(b, ',')
		}
	}
	if now != nil {
		b = append(append(b, `{"@odata.type":"#microsoft.graph.user","id":"`...), now...)
		b = append(b, `"}`...)
	}
	return append(b, `],`...)
}

// news lists the properties of o that changed after since and up to view. Nil means all of them, because the object
// was made or restored in that time.
func (d *directory) news(o *object, since, view uint32) []int {
	props := []int{}
	for p := o.last; p > since; p = d.log[p-1].prev {
		e := &d.log[p-1]
		if p > view {
			continue
		}
		if e.kind != changed && e.kind != linked {
			return nil
		}
		for _, old := range e.old {
			props = append(props, old.prop)
		}
	}
	return props
}

// isNews tells whether a property is sent in minimal mode: when it changed, or when it is a directory extension and
// another one of the same data type did.
func (d *directory) isNews(news []int, attrs []byte, prop int, types map[string]string) bool {
	if slices.Contains(news, prop) {
		return true
	}
	if !isExtension(d.names[prop]) {
		return false
	}
	raw, _ := get(attrs, prop)
	kind := types[d.names[prop]]
	for _, n := range news {
		other, ok := get(attrs, n)
		switch {
		case !ok || !isExtension(d.names[n]):
		case kind != "" && types[d.names[n]] != "":
			if kind == types[d.names[n]] {
				return true
			}
		case dataType(other) == dataType(raw): // by its looks, because nobody defined it
			return true
		}
	}
	return false
}

// dataType is the first letter of a value's type: string, number, boolean, list or object.
func dataType(raw []byte) byte {
	if len(raw) == 0 {
		return 0
	}
	switch c := raw[0]; c {
	case '"', '{', '[', 'n':
		return c
	case 't', 'f':
		return 't'
	default:
		return '0'
	}
}
