package store

import (
	"dirsync"
)

// The rows, each as a pair of an append and a decode function. What the key says is not in the row again.

func appendPerson(b []byte, p dirsync.Person) []byte {
	b = append(b, rowVersion, byte(p.Kind), byte(p.Gone))
	b = appendTime(b, p.GoneAt)
	b = appendID(b, p.ID)
	return appendAttributes(b, p.Shadow)
}

func decodePerson(d *decoder, seq uint64) (dirsync.Person, error) {
	p := dirsync.Person{Seq: dirsync.Seq(seq), Kind: dirsync.Kind(d.byte()), Gone: dirsync.Gone(d.byte()), GoneAt: d.time(), ID: d.id()}
	if p.Gone > dirsync.GoneHard {
		d.bad = true
	}
	p.Shadow = d.attributes()
	return p, d.end()
}

func appendLink(b []byte, l dirsync.Link) []byte {
	b = append(b, rowVersion, byte(l.Doubt))
	b = appendBool(b, l.Active)
	b = appendTime(b, l.DeactivatedAt)
	b = appendString(b, l.Account)
	b = appendValues(b, l.Held)
	if l.Joined != "" {
		b = appendName(b, l.Joined)
	}
	return b
}

func decodeLink(d *decoder) (dirsync.Link, error) {
	l := dirsync.Link{Doubt: dirsync.ChangeKind(d.byte()), Active: d.bool(), DeactivatedAt: d.time(), Account: d.string()}
	l.Held = d.values()
	if d.more() {
		l.Joined = d.name()
		d.bad = d.bad || l.Joined == ""
	}
	return l, d.end()
}

func appendOwed(b []byte, o dirsync.Owed) []byte {
	b = append(b, rowVersion, byte(o.Why))
	b = appendUint(b, o.Mark)
	b = appendTime(b, o.Since)
	b = appendTime(b, o.Due)
	b = appendUint(b, uint64(max(o.Attempts, 0)))
	return appendString(b, o.Error)
}

func decodeOwed(d *decoder) (dirsync.Owed, error) {
	o := dirsync.Owed{Why: dirsync.Why(d.byte()), Mark: d.uint(), Since: d.time(), Due: d.time(), Attempts: int(d.uint()), Error: d.string()}
	if o.Mark == 0 || o.Attempts < 0 {
		d.bad = true
	}
	return o, d.end()
}

func appendChange(b []byte, c dirsync.Change) []byte {
	b = append(b, rowVersion)
	b = appendID(b, c.Person)
	b = appendUint(b, c.Mark)
	b = appendString(b, c.Account)
	b = appendString(b, c.User)
	b = appendString(b, c.Name)
	b = appendString(b, c.Why)
	b = appendValues(b, c.Before)
	b = appendValues(b, c.After)
	b = appendUint(b, uint64(len(c.CreateOnly)))
	for _, name := range c.CreateOnly {
		b = appendName(b, name)
	}
	if c.Asked != 0 || c.Join != "" { // few have these
		b = append(b, byte(c.Asked))
		b = appendName(b, c.Join)
	}
	return b
}

func decodeChange(d *decoder, kind dirsync.ChangeKind, seq uint64) (dirsync.Change, error) {
	c := dirsync.Change{Kind: kind, Seq: dirsync.Seq(seq), Person: d.id(), Mark: d.uint(), Account: d.string(), User: d.string(),
		Name: d.string(), Why: d.string(), Before: d.values(), After: d.values()}
	if n := d.count(1); n > 0 {
		c.CreateOnly = make([]string, 0, n)
		for range n {
			c.CreateOnly = append(c.CreateOnly, d.name())
		}
	}
	if d.more() {
		c.Asked, c.Join = dirsync.Danger(d.byte()), d.name()
		d.bad = d.bad || c.Asked == 0 && c.Join == ""
	}
	return c, d.end()
}

func appendRejection(b []byte, r dirsync.Rejection) []byte {
	b = append(b, rowVersion)
	return appendRejectionBody(b, r)
}

func appendRejectionBody(b []byte, r dirsync.Rejection) []byte {
	b = appendID(b, r.ID)
	b = appendString(b, r.User)
	b = appendString(b, r.Name)
	b = appendUint(b, uint64(len(r.Faults)))
	for _, f := range r.Faults {
		b = appendName(b, f.Field)
		b = appendString(b, f.Value)
		b = appendString(b, f.Reason)
	}
	return b
}

func (d *decoder) rejection() dirsync.Rejection {
	r := dirsync.Rejection{ID: d.id(), User: d.string(), Name: d.string()}
	n := d.count(3)
	if n == 0 {
		return r
	}
	r.Faults = make([]dirsync.Fault, 0, n)
	for range n {
		r.Faults = append(r.Faults, dirsync.Fault{Field: d.name(), Value: d.string(), Reason: d.string()})
	}
	return r
}

func decodeRejection(d *decoder) (dirsync.Rejection, error) {
	r := d.rejection()
	return r, d.end()
}

// appendOutcome writes what is remembered of an outcome that was not simply Done.
func appendOutcome(b []byte, o dirsync.Outcome) []byte {
	b = append(b, rowVersion, byte(o.Result))
	b = appendString(b, o.Error)
	b = appendBool(b, o.Rejection != nil)
	if o.Rejection != nil {
		b = appendRejectionBody(b, *o.Rejection)
	}
	return b
}

func decodeOutcome(d *decoder) (dirsync.Outcome, error) {
	o := dirsync.Outcome{Result: dirsync.Result(d.byte()), Error: d.string()}
	if d.bool() {
		r := d.rejection()
		o.Rejection = &r
	}
	return o, d.end()
}

// counters are the figures of one sync that are kept up to date with every transaction.
type counters struct {
	last     uint64 // the Seq of the person who came last
	gone     uint64
	active   uint64
	inactive uint64
	rejected uint64
	owed     uint64
	failing  uint64
	differs  uint64
	mark     uint64 // the Mark that was given last
	round    uint64 // the round that the bits of the seen belong to
	kept     uint64 // people with a mark that says that they stay as they are
}

func appendCounters(b []byte, c counters) []byte {
	b = append(b, rowVersion)
	for _, n := range [...]uint64{c.last, c.gone, c.active, c.inactive, c.rejected, c.owed, c.failing, c.mark, c.round, c.differs} {
		b = appendUint(b, n)
	}
	if c.kept != 0 { // files of before have none
		b = appendUint(b, c.kept)
	}
	return b
}

func decodeCounters(d *decoder) (counters, error) {
	c := counters{last: d.uint(), gone: d.uint(), active: d.uint(), inactive: d.uint(), rejected: d.uint(), owed: d.uint(),
		failing: d.uint(), mark: d.uint(), round: d.uint(), differs: d.uint()}
	if d.more() {
		c.kept = d.uint()
		d.bad = d.bad || c.kept == 0
	}
	return c, d.end()
}
