package graphtest

import (
	"net/http"
	"sort"
	"strings"
)

// maxPage is the most user rows that the service puts on a page; a client cannot raise it.
const maxPage = 200

func (q *request) delta() answer {
	c := cursor{First: true, Page: 1}
	for name, values := range q.query {
		switch {
		case strings.EqualFold(name, "$skiptoken"), strings.EqualFold(name, "$deltatoken"):
			var err error
			if strings.EqualFold(values[0], "latest") {
				c.Pos = ^uint32(0)
				break
			}
			if c, err = decodeCursor(q.t.identity().ID, values[0]); err != nil {
				return q.fail(http.StatusBadRequest, "Request_BadRequest", "The token is not valid.")
			}
		case name == "$select":
			c.Select = strings.Split(values[0], ",")
		}
	}
	d := &q.t.people
	if c.End == 0 {
		q.t.round++
		c.End = uint32(len(d.log))
		if c.Page == 0 {
			c.Page = 1
		}
	}
	sel := d.compile(c.Select)
	b := append([]byte(`{"@odata.context":"`), q.base()+`/v1.0/$metadata#users","value":[`...)
	rows := 0
	total := c.End - c.Since
	if c.First {
		total = uint32(sort.Search(len(d.objects), func(i int) bool { return d.objects[i].created > c.End }))
	}
	for ; c.Pos < total && rows < maxPage; c.Pos++ {
		i := c.Pos
		if !c.First {
			i = d.log[c.Since+c.Pos].object
			if d.objects[i].last != c.Since+c.Pos+1 && d.objects[i].last <= c.End {
				continue
			}
		}
		o := &d.objects[i]
		if c.First && o.state != present {
			continue
		}
		if rows > 0 {
			b = append(b, ',')
		}
		b = d.appendRow(b, o, sel)
		rows++
	}
	b = append(b, `],"`...)
	link := "@odata.nextLink"
	param := "$skiptoken="
	c.Issued = q.now.UnixMilli()
	c.Page++
	if c.Pos >= total {
		link, param = "@odata.deltaLink", "$deltatoken="
		c = cursor{Since: c.End, Select: c.Select, Issued: c.Issued}
	}
	token, err := encodeCursor(q.t.identity().ID, c, q.t.Faults.TokenPadding)
	if err != nil {
		return q.fail(http.StatusInternalServerError, "generalException", "internal error")
	}
	b = append(b, link+`":"`+q.base()+`/v1.0/users/delta?`+param+token+`"}`...)
	return answer{status: http.StatusOK, body: b}
}

func (d *directory) compile(names []string) []bool {
	sel := make([]bool, len(d.names))
	for i, n := range d.names {
		sel[i] = names == nil && n != managerProperty
		for _, want := range names {
			if want == n && n != managerProperty {
				sel[i] = true
			}
		}
	}
	return sel
}

func (d *directory) appendRow(b []byte, o *object, sel []bool) []byte {
	b = append(b, '{')
	if o.state == present {
		for a := o.attrs; len(a) > 0; {
			var p int
			var raw []byte
			p, raw, a = next(a)
			if sel[p] {
				b = append(append(append(b, d.keys[p]...), raw...), ',')
			}
		}
	}
	b = append(append(b, `"id":"`...), o.id...)
	switch o.state {
	case softDeleted:
		b = append(b, `","@removed":{"reason":"changed"}}`...)
	case hardDeleted:
		b = append(b, `","@removed":{"reason":"deleted"}}`...)
	default:
		b = append(b, `"}`...)
	}
	return b
}
