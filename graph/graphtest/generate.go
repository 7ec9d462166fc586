package graphtest

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"
)

// GeneratedExtension is the application id, without dashes, in the names of the directory extensions that generated
// people have: extension_{id}_costCentre (a string) and extension_{id}_badge (a number).
const GeneratedExtension = "00d886240b5a4d4c9b4f0f3d2b1c8928"

// Generate makes n believable people: names in ten scripts, managers in a tree, offices, telephone numbers as people
// type them, about four guests in a hundred, one conference room or shared mailbox (which have no names of a person and
// mostly may not sign in), one without a given name, a family name or both; three in a hundred people may not sign in,
// and one pair per 500 shares one mail address but for letter case.
//
// Person i depends on i, the seed and the tenant's domain alone, so that a larger tenant of the same seed begins with
// the same people. People who are there already are left as they are.
func (t *Tenant) Generate(n int, seed uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	d := &t.people
	g := newGenerator(d, seed, t.identity().Domain)
	d.grow(n)
	for i := range n {
		id := g.id(i)
		if _, ok := d.byID[id]; !ok {
			d.create(now, id, g.person(i))
		}
	}
}

// grow makes room for n more objects.
func (d *directory) grow(n int) {
	d.objects = slices.Grow(d.objects, n)
	d.log = slices.Grow(d.log, n)
	if d.byID == nil {
		d.byID = make(map[string]uint32, n)
	}
}

// generator makes people. It is used by one goroutine.
type generator struct {
	*stock
	seed   uint64
	domain string
	props  generatedProps
	attrs  []byte // of the person at work
	raw    []byte // scratch
	arena  []byte // where finished people are kept, so that a million of them are not a million allocations
}

// generatedProps are the numbers of the properties that generated people have.
type generatedProps struct {
	accountEnabled, businessPhones, city, companyName, country, created, creationType, department, displayName, hireDate,
	employeeID, employeeType, external, given, title, mail, nickname, mobile, office, onPremises, otherMails, postal,
	language, street, surname, usage, upn, userType, costCentre, badge, manager int
}

func newGenerator(d *directory, seed uint64, domain string) *generator {
	p, no := generatedProps{}, d.number
	p.accountEnabled, p.businessPhones, p.city, p.companyName = no("accountEnabled"), no("businessPhones"), no("city"), no("companyName")
	p.country, p.created, p.creationType, p.department = no("country"), no("createdDateTime"), no("creationType"), no("department")
	p.displayName, p.hireDate, p.employeeID, p.employeeType = no("displayName"), no("employeeHireDate"), no("employeeId"), no("employeeType")
	p.external, p.given, p.title, p.mail = no("externalUserState"), no("givenName"), no("jobTitle"), no("mail")
	p.nickname, p.mobile, p.office, p.onPremises = no("mailNickname"), no("mobilePhone"), no("officeLocation"), no("onPremisesExtensionAttributes")
	p.otherMails, p.postal, p.language, p.street = no("otherMails"), no("postalCode"), no("preferredLanguage"), no("streetAddress")
	p.surname, p.usage, p.upn, p.userType = no("surname"), no("usageLocation"), no("userPrincipalName"), no("userType")
	p.costCentre, p.badge = no("extension_"+GeneratedExtension+"_costCentre"), no("extension_"+GeneratedExtension+"_badge")
	p.manager = no(managerProperty)
	return &generator{stock: newStock(), seed: seed, domain: domain, props: p}
}

// dice are the choices of one person, each drawn once and in a fixed order.
type dice struct{ state uint64 }

func (r *dice) roll(n int) int {
	r.state += 0x9e3779b97f4a7c15
	return int(mix(r.state) % uint64(n))
}

func (g *generator) dice(i int, salt uint64) dice {
	return dice{mix(g.seed*0xd1342543de82ef95 + salt<<56 + uint64(i)*0x2545f4914f6cdd1d)}
}

// id makes the GUID of person i.
func (g *generator) id(i int) string {
	r := g.dice(i, 1)
	r.state++
	a, b := mix(r.state*0x9e3779b97f4a7c15), mix(r.state*0xbf58476d1ce4e5b9+1)
	var out [36]byte
	const digits = "0123456789abcdef"
	for k, v, n := 0, a, 0; k < 36; k++ {
		switch {
		case k == 8 || k == 13 || k == 18 || k == 23:
			out[k] = '-'
			continue
		case k == 14:
			out[k] = '4'
		case k == 19:
			out[k] = digits[8|v&3]
		default:
			out[k] = digits[v&15]
		}
		v >>= 4
		if n++; n == 16 {
			v = b
		}
	}
	return string(out[:])
}

// account is what kind of account somebody has.
type account uint8

const (
	staff account = iota
	guest
	room
	mailbox
)

// sortOf tells what person i is. The pairs that share an address are staff, and so is the head of the tree.
func (g *generator) sortOf(i int) account {
	if i == 0 || pair(i) != 0 {
		return staff
	}
	r := g.dice(i, 2)
	switch n := r.roll(1000); {
	case n < 40:
		return guest
	case n < 52:
		return room
	case n < 60:
		return mailbox
	}
	return staff
}

// pair is 1 for the first of two people who share an address, 2 for the second, and 0 for everybody else.
func pair(i int) int { return max(i%500-497, 0) }

// managerOf is the person above i in a tree of eight branches, skipping whoever is no staff.
func (g *generator) managerOf(i int) int {
	for i = (i - 1) / 8; g.sortOf(i) != staff; {
		i = (i - 1) / 8
	}
	return i
}

// person makes the packed properties of person i.
func (g *generator) person(i int) []byte {
	g.attrs = g.attrs[:0]
	switch g.sortOf(i) {
	case room:
		g.room(i)
	case mailbox:
		g.mailbox(i)
	case guest:
		g.guest(i)
	default:
		g.staff(i)
	}
	if cap(g.arena)-len(g.arena) < len(g.attrs) {
		g.arena = make([]byte, 0, max(1<<20, len(g.attrs)))
	}
	from := len(g.arena)
	g.arena = append(g.arena, g.attrs...)
	return g.arena[from:len(g.arena):len(g.arena)]
}

// text writes a string made of parts. All the stock is valid UTF-8, and quotation marks are all that needs an escape.
func (g *generator) text(prop int, parts ...string) {
	n := 2
	for _, p := range parts {
		n += len(p)
		for i := range len(p) {
			if p[i] == '"' {
				g.raw = appendString(g.raw[:0], strings.Join(parts, ""))
				g.attrs = appendPacked(g.attrs, prop, g.raw)
				return
			}
		}
	}
	g.attrs = binary.AppendUvarint(g.attrs, uint64(prop))
	g.attrs = append(binary.AppendUvarint(g.attrs, uint64(n)), '"')
	for _, p := range parts {
		g.attrs = append(g.attrs, p...)
	}
	g.attrs = append(g.attrs, '"')
}

// moment writes a time in one of Graph's forms.
func (g *generator) moment(prop int, at time.Time, layout string) {
	g.raw = append(at.AppendFormat(append(g.raw[:0], '"'), layout), '"')
	g.attrs = appendPacked(g.attrs, prop, g.raw)
}

func (g *generator) json(prop int, parts ...string) {
	g.raw = g.raw[:0]
	for _, p := range parts {
		g.raw = append(g.raw, p...)
	}
	g.attrs = appendPacked(g.attrs, prop, g.raw)
}

func (g *generator) enabled(on bool) { g.json(g.props.accountEnabled, strconv.FormatBool(on)) }

// staffName draws a person's names and the beginning of their addresses.
func (g *generator) staffName(i int) (given, family, display, local, language string, where int) {
	r := g.dice(i, 3)
	var s *script
	for k, n := 0, r.roll(g.weights); ; k++ {
		s = &g.scripts[k]
		if n -= s.weight; n < 0 {
			break
		}
	}
	first, last := s.given[r.roll(len(s.given))], s.family[r.roll(len(s.family))]
	where = s.offices[r.roll(len(s.offices))]
	given, family = first.own, last.own
	local = first.ascii + "." + last.ascii
	switch n := r.roll(1000); {
	case pair(i) != 0 || i == 0 || n >= 12:
	case n < 5: // one name and no more, as many people in Indonesia or South India
		family, local = "", first.ascii
	case n < 9:
		given, local = "", last.ascii
	default: // the record of somebody whom nobody filled in
		return "", "", strings.ToUpper(local[:1]) + local[1:], local + strconv.Itoa(i), s.language, where
	}
	space := " "
	if s.joined || given == "" || family == "" {
		space = ""
	}
	display = given + space + family
	if s.familyFirst {
		display = family + space + given
	}
	return given, family, display, local + strconv.Itoa(i), s.language, where
}

func (g *generator) staff(i int) {
	p := &g.props
	r := g.dice(i, 4)
	given, family, display, local, language, where := g.staffName(i)
	g.enabled(i == 0 || r.roll(100) >= 3)
	g.place(&r, where, i)
	g.text(p.companyName, "Contoso")
	g.since(&r, i)
	g.work(&r, i)
	g.text(p.displayName, display)
	if given != "" {
		g.text(p.given, given)
	}
	if family != "" {
		g.text(p.surname, family)
	}
	switch {
	case pair(i) == 2:
		_, _, _, other, _, _ := g.staffName(i - 1)
		g.text(p.mail, strings.ToUpper(other[:1]), other[1:], "@", g.domain)
	case pair(i) == 1, r.roll(100) != 0: // one in a hundred has no mailbox
		g.text(p.mail, local, "@", g.domain)
	}
	g.text(p.nickname, local)
	g.text(p.language, language)
	g.text(p.upn, local, "@", g.domain)
	g.text(p.userType, "Member")
	if i > 0 {
		g.attrs = appendPacked(g.attrs, p.manager, []byte(g.id(g.managerOf(i))))
	}
}

// place writes where somebody works and how to call them.
func (g *generator) place(r *dice, where, i int) {
	p, o := &g.props, &g.offices[where]
	two := func() string { return string([]byte{byte('0' + r.roll(10)), byte('0' + r.roll(10))}) }
	if r.roll(10) > 1 {
		g.json(p.businessPhones, `["`, o.phone, two(), `"]`)
	} else {
		g.json(p.businessPhones, `[]`)
	}
	g.text(p.city, o.city)
	g.text(p.country, o.country)
	g.text(p.usage, o.usage)
	if r.roll(4) > 0 {
		g.text(p.office, o.room)
	}
	if r.roll(10) > 3 {
		g.text(p.mobile, o.mobile, two())
	}
	if r.roll(2) == 0 {
		g.text(p.postal, o.postal)
		g.text(p.street, o.street)
	}
	if r.roll(50) == 0 {
		g.json(p.otherMails, `["private`, strconv.Itoa(i), `@example.net"]`)
	}
}

// since writes when somebody came: their account in the years to 2025, their employment some days later or long before.
func (g *generator) since(r *dice, i int) {
	p := &g.props
	made := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.roll(10*365*86400)) * time.Second)
	g.moment(p.created, made, time.RFC3339)
	if r.roll(20) > 0 {
		hired := made.Add(time.Duration(r.roll(30)-r.roll(300)) * 24 * time.Hour)
		g.moment(p.hireDate, hired, "2006-01-02T00:00:00Z")
	}
	if r.roll(20) > 0 {
		g.text(p.employeeID, strconv.Itoa(100000+i))
	}
}

// work writes what somebody does.
func (g *generator) work(r *dice, i int) {
	p, d := &g.props, &g.departments[r.roll(len(g.departments))]
	if i == 0 {
		g.text(p.title, "Chief Executive Officer")
		return
	}
	g.text(p.department, d.name)
	if r.roll(20) > 0 {
		g.text(p.title, d.titles[r.roll(len(d.titles))])
	}
	if r.roll(10) > 0 {
		g.text(p.employeeType, [...]string{"Employee", "Employee", "Employee", "Contractor", "Intern"}[r.roll(5)])
	}
	g.text(p.costCentre, d.centre, "-", strconv.Itoa(r.roll(90)+10))
	if r.roll(3) == 0 {
		g.json(p.badge, strconv.Itoa(10000000+i))
	}
	if r.roll(5) == 0 {
		g.json(p.onPremises, `{"extensionAttribute1":"`, d.centre, `","extensionAttribute2":null}`)
	}
}

// guest makes somebody of another organization, whose user principal name holds their address in a mangled form.
func (g *generator) guest(i int) {
	p := &g.props
	r := g.dice(i, 4)
	given, family, display, local, _, _ := g.staffName(i)
	home := []string{"fabrikam.com", "adatum.example", "litware.example"}[r.roll(3)]
	g.enabled(r.roll(100) >= 3)
	g.json(p.businessPhones, `[]`)
	g.since(&r, i)
	g.text(p.creationType, "Invitation")
	g.text(p.displayName, display)
	g.text(p.external, []string{"Accepted", "Accepted", "PendingAcceptance"}[r.roll(3)])
	if r.roll(3) > 0 { // most invitations name nobody
		if given != "" {
			g.text(p.given, given)
		}
		if family != "" {
			g.text(p.surname, family)
		}
	}
	g.text(p.mail, local+"@"+home)
	g.text(p.nickname, local+"_"+home+"#EXT#")
	g.text(p.upn, local+"_"+home+"#EXT#@"+g.domain)
	g.text(p.userType, "Guest")
}

// room makes a conference room, which is an account like any other but for having no names of a person.
func (g *generator) room(i int) {
	r := g.dice(i, 4)
	peaks := []string{"Adams", "Baker", "Crystal", "Hood", "Rainier", "Stevens"}
	g.resource(i, "Conf Room "+peaks[r.roll(len(peaks))]+" "+strconv.Itoa(i), "room"+strconv.Itoa(i))
}

// mailbox makes a shared mailbox, nobody of whom may sign in.
func (g *generator) mailbox(i int) {
	r := g.dice(i, 4)
	what := []string{"Info", "Invoices", "Jobs", "Press"}[r.roll(4)]
	g.resource(i, what+" "+strconv.Itoa(i), strings.ToLower(what)+strconv.Itoa(i))
}

func (g *generator) resource(i int, display, local string) {
	p := &g.props
	r := g.dice(i, 5)
	g.enabled(g.sortOf(i) == room && r.roll(2) == 0)
	g.json(p.businessPhones, `[]`)
	g.text(p.created, "2019-05-02T07:00:00Z")
	g.text(p.displayName, display)
	g.text(p.mail, local+"@"+g.domain)
	g.text(p.nickname, local)
	g.text(p.upn, local+"@"+g.domain)
	g.text(p.userType, "Member")
}
