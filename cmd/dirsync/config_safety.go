package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"dirsync"
	"dirsync/sync/engine"
)

// WhenOutOfScope is what happens to the account of somebody who is at the source, but left the scope.
type WhenOutOfScope string

// The policies for people who left the scope.
const (
	DeactivateOutOfScope WhenOutOfScope = "deactivate"
	DeleteOutOfScope     WhenOutOfScope = "delete"
	KeepOutOfScope       WhenOutOfScope = "keep"
)

// Drift is what to do about accounts of the target that are not as this sync left them.
type Drift string

// What to do about drift.
const (
	// RepairDrift gives the account again what it was given, in the fields that are kept in step. It is the default,
	// because that is what keeping in step means: a field whose updates are on is promised to be what the source says.
	RepairDrift Drift = "repair"
	// ReportDrift only tells.
	ReportDrift Drift = "report"
)

// Limits say how much may be taken away without a person's approval.
type Limits struct {
	Deletes       Budget `yaml:"deletes"`
	Deactivations Budget `yaml:"deactivations"`
	// Removals count memberships in groups, and Blankings values that go without another one in their place.
	Removals  Budget `yaml:"removals"`
	Blankings Budget `yaml:"blankings"`
	// Groups is for the deletions and for the deactivations of groups, with defaults of its own.
	Groups Budget `yaml:"groups"`
}

// Budget bounds one kind of danger: the keys themselves in one run, PerDay in any 24 hours and PerWeek in any 7 days. A
// run that would take away more than any of them allows is held back in that kind.
type Budget struct {
	// Count is how much whatever the size of the population, 500 by default, or 10 of groups; 0 lets nothing through.
	Count int `yaml:"count"`
	// Share is how much as a part of all accounts, 5% by default.
	Share Share `yaml:"share"`
	// Floor is how much is let through however few accounts there are, 5 by default, or 1 of groups, and never above Count.
	Floor int `yaml:"floor"`
	// PerDay and PerWeek are never nil once the configuration is read. What the file leaves out of them is as for a run.
	PerDay  *Limit `yaml:"per_day"`
	PerWeek *Limit `yaml:"per_week"`
}

// Limit bounds one kind of danger in one span of time; see Budget.
type Limit struct {
	Count int   `yaml:"count"`
	Share Share `yaml:"share"`
	Floor int   `yaml:"floor"`
}

// The defaults of a Budget.
const (
	DefaultLimitCount = 500
	DefaultLimitShare = Share(0.05)
	DefaultLimitFloor = 5

	DefaultGroupLimitCount = 10
	DefaultGroupLimitFloor = 1
)

// Protect says whose account is never deactivated or deleted. In the file it is a list of people, or the keys.
type Protect struct {
	// People are object ids, in lower case, user principal names and e-mail addresses.
	People []string `yaml:"people"`
	// Where is an expression over people's properties as they were last read. Whoever it cannot be worked out for is
	// protected.
	Where WhereExpression `yaml:"where"`
}

// IsSet tells a sync that protects anybody.
func (p Protect) IsSet() bool { return len(p.People) > 0 || p.Where.Text != "" }

// plainProtect is a Protect that is read key by key.
type plainProtect Protect

// decodeNode reads a list of people, or the keys.
func (p *Protect) decodeNode(d *decoder, n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.SequenceNode:
		d.decode(n, path, valueOf(&p.People))
	case yaml.MappingNode:
		d.decode(n, path, valueOf((*plainProtect)(p)))
	default:
		d.wrongKind(n, path, "a list of people: [ana@contoso.com], or { people: [...], where: EXPRESSION }")
		return
	}
	if !p.IsSet() && !d.failed(path) {
		d.fault(position(n), path, "protects nobody; name somebody, or remove the key")
	}
}

func (s *Sync) setDefaults() {
	limit := Budget{Count: DefaultLimitCount, Share: DefaultLimitShare, Floor: DefaultLimitFloor}
	groups := Budget{Count: DefaultGroupLimitCount, Share: DefaultLimitShare, Floor: DefaultGroupLimitFloor}
	s.Limits = Limits{Deletes: limit, Deactivations: limit, Removals: limit, Blankings: limit, Groups: groups}
	s.Enabled, s.WhenBlocked = true, DeactivateBlocked
	s.WhenDeleted, s.Drift, s.Join = DeactivateDeleted, RepairDrift, []string{dirsync.EmailAddress}
	for _, d := range engine.DefaultRetry() {
		s.Retry = append(s.Retry, Duration(d))
	}
	s.From.Users.Nested, s.ReadEvery, s.Schedule = true, DefaultReadEvery, defaultSchedule()
}

// checkLeaving checks what becomes of the accounts of people who leave.
func (d *decoder) checkLeaving(path string, s *Sync) {
	d.oneOf(path+".when_deleted", string(s.WhenDeleted), string(DeactivateDeleted), string(DeleteDeleted), string(KeepDeleted))
	d.oneOf(path+".when_blocked", string(s.WhenBlocked), string(DeactivateBlocked), string(KeepBlocked))
	switch {
	case d.said(path + ".when_out_of_scope"):
	case d.failed(path + ".when_deleted"):
		s.WhenOutOfScope = DeactivateOutOfScope
	default:
		s.WhenOutOfScope = WhenOutOfScope(s.WhenDeleted)
	}
	d.oneOf(path+".when_out_of_scope", string(s.WhenOutOfScope), string(DeactivateOutOfScope), string(DeleteOutOfScope), string(KeepOutOfScope))
	deletes := s.WhenDeleted == DeleteDeleted || s.WhenOutOfScope == DeleteOutOfScope
	if d.said(path+".grace") && !deletes && !d.failed(path+".grace") {
		d.faultAt(path+".grace", "has no effect, because when_deleted: deactivate never deletes anybody; remove it, or write "+
			"when_deleted: delete")
	}
}

// checkLimits checks the limits, and fills in what the file leaves out of them.
func (d *decoder) checkLimits(path string, s *Sync) {
	for _, b := range []struct {
		key    string
		budget *Budget
	}{
		{"deletes", &s.Limits.Deletes}, {"deactivations", &s.Limits.Deactivations}, {"removals", &s.Limits.Removals},
		{"blankings", &s.Limits.Blankings}, {"groups", &s.Limits.Groups},
	} {
		d.checkBudget(join(path, b.key), b.budget)
	}
}

func (d *decoder) checkBudget(path string, b *Budget) {
	d.checkFloor(path, b.Count, &b.Floor)
	for _, span := range []struct {
		key   string
		limit **Limit
	}{{"per_day", &b.PerDay}, {"per_week", &b.PerWeek}} {
		at, l := join(path, span.key), *span.limit
		if l == nil {
			*span.limit = &Limit{b.Count, b.Share, b.Floor}
			continue
		}
		if !d.said(at + ".count") {
			l.Count = b.Count
		}
		if !d.said(at + ".share") {
			l.Share = b.Share
		}
		if !d.said(at + ".floor") {
			l.Floor = b.Floor
		}
		d.checkFloor(at, l.Count, &l.Floor)
	}
}

func (d *decoder) checkFloor(path string, count int, floor *int) {
	if !d.said(path + ".floor") {
		*floor = min(*floor, count)
		return
	}
	if *floor > count && !d.failed(path) {
		d.faultAt(path+".floor", "is above count, which is %d, so that count would have no effect; lower it", count)
	}
}

// checkProtect puts names into the form in which they are compared.
func (d *decoder) checkProtect(path string, p *Protect) {
	list := path
	if d.said(path + ".people") {
		list = path + ".people"
		if len(p.People) == 0 && !d.failed(path) {
			d.faultAt(list, "is empty; name somebody, or remove the key")
		}
	}
	first := map[string]int{}
	for i, name := range p.People {
		at := join(list, strconv.Itoa(i+1))
		if d.failed(at) {
			continue
		}
		if id := strings.ToLower(name); isGUID(id) {
			p.People[i], name = id, id
		}
		line, twice := first[dirsync.Fold(name)]
		switch {
		case !isGUID(name) && (!strings.Contains(strings.Trim(name, "@"), "@") || strings.ContainsAny(name, " \t\n")):
			d.faultAt(at, "is %s; name a person by their object id, their user principal name or their e-mail address", quoted(name))
		case twice:
			d.faultAt(at, "is listed twice, letter case disregarded; the first is in line %d. Keep one of them", line)
		default:
			first[dirsync.Fold(name)] = d.places[at].Line
		}
	}
	if at := path + ".where"; d.said(at) && strings.TrimSpace(p.Where.Text) == "" && !d.failed(at) {
		d.faultAt(at, "is empty; write an expression, or remove the key")
	}
}

// checkJoin checks that accounts can be found by the fields, and that people have a value there.
func (d *decoder) checkJoin(path string, s *Sync, c *Config) {
	if d.failed("directory") || d.failed("applications") || d.failed(around(path)+".to") {
		return
	}
	var known, unique []string
	for _, f := range c.targetFields(s) {
		if known = append(known, f.Name); f.Unique {
			unique = append(unique, f.Name)
		}
	}
	for i, name := range s.Join {
		at := join(path, strconv.Itoa(i+1))
		switch {
		case d.failed(at):
		case !slices.Contains(known, name):
			d.unknownName(at, name, s.To.fieldNoun(), known)
		case !slices.Contains(unique, name):
			d.faultAt(at, "is %s, which several users may share, so that nobody can be told by it; only a unique field will do: %s", quoted(name),
				strings.Join(unique, ", "))
		case slices.Index(s.Join, name) != i:
			d.faultAt(at, "is listed twice")
		case d.said(path) && !slices.ContainsFunc(s.Fields, func(m FieldMapping) bool { return m.Field == name }):
			d.faultAt(at, "is %s, which no mapping fills, so that nobody is found by it; fill it, or remove it here", quoted(name))
		}
	}
}

func (d *decoder) checkHistory(path string, h HistoryConfig) {
	if h.Runs < 1 && !d.failed(path+".runs") {
		d.faultAt(path+".runs", "is 0; write at least 1, or nothing could be shown of a run or taken back")
	}
	if h.Keep < MinHistoryKeep && !d.failed(path+".keep") {
		d.faultAt(path+".keep", "is %s; write at least %s: the limits count what earlier runs have taken away, and what is held can be decided for so long",
			h.Keep, MinHistoryKeep)
	}
}

func (d *decoder) checkRetry(path string, delays []Duration) {
	if d.failed(path) || !d.said(path) {
		return
	}
	if len(delays) == 0 {
		d.faultAt(path, "is empty; write the delays after the first, second, … failure: [15m, 1h, 6h, 24h]")
	}
	for i, delay := range delays {
		at := join(path, strconv.Itoa(i+1))
		switch {
		case delay < Duration(minRetry):
			d.faultAt(at, "is %s; write at least %s, so that a target in trouble is not asked all the time", delay, Duration(minRetry))
		case i > 0 && delay < delays[i-1]:
			d.faultAt(at, "is %s, which is less than the delay before it; delays grow", delay)
		}
	}
}

// minRetry is the shortest delay before a change that failed is tried again.
const minRetry = time.Minute
