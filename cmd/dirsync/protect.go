package main

import (
	"fmt"
	"slices"
	"strings"

	"dirsync"
	"dirsync/mapping"
)

// protection tells whose account is never deactivated or deleted.
type protection struct {
	people []string // folded, sorted
	where  *mapping.Mapping
}

// compileProtection checks what a sync protects against what its source offers. It is nil when nobody is protected. The
// error is a *ConfigError with every fault in it.
func compileProtection(cfg *Config, name string, from []dirsync.Field) (*protection, error) {
	sc := cfg.Syncs[name].Protect
	if !sc.IsSet() {
		return nil, nil //nolint:nilnil // nobody is protected
	}
	p := &protection{}
	for _, who := range sc.People {
		p.people = append(p.people, dirsync.Fold(who))
	}
	slices.Sort(p.people)
	if sc.Where.Text == "" {
		return p, nil
	}
	// Only the scope of this mapping is ever asked. Its fields are there because no mapping is without them.
	anything := "x@example.com"
	var specs []mapping.Spec
	for _, f := range mapping.Mandatory() {
		specs = append(specs, mapping.Spec{Field: f.Name, Value: &anything})
	}
	var problems []mapping.Problem
	if p.where, problems = mapping.Compile(specs, sc.Where.Expression(), from, mapping.Mandatory()); len(problems) == 0 {
		return p, nil
	}
	ce := &ConfigError{File: cfg.Path}
	for _, problem := range problems {
		ce.Faults = append(ce.Faults, configFault(problem, "syncs."+name+".protect.where"))
	}
	return nil, ce
}

// configFault is a mistake in a mapping as one of the configuration.
func configFault(p mapping.Problem, path string) ConfigFault {
	fault := ConfigFault{Position: Position(p.Pos), Path: path, Message: p.Message}
	if p.Hint != "" {
		fault.Message += "; " + p.Hint
	}
	return fault
}

// properties are what of people's records the expression reads.
func (p *protection) properties() []string {
	if p == nil || p.where == nil {
		return nil
	}
	return p.where.Properties()
}

// why says why a person is protected; empty: they are not. It goes by their record as it was last read, also of people
// who are gone. Where the expression cannot be worked out they are protected: a mistake must take nothing away.
func (p *protection) why(person dirsync.Person) string {
	if p == nil {
		return ""
	}
	held, _ := person.Link.Held.Get(dirsync.EmailAddress)
	for _, key := range []string{string(person.ID), person.Shadow.Text("userPrincipalName"), person.Shadow.Text("mail"), held.Text} {
		if _, ok := slices.BinarySearch(p.people, dirsync.Fold(key)); ok && key != "" {
			return "protect names " + key
		}
	}
	if p.where == nil {
		return ""
	}
	m := p.where.Map(person.ID, person.Shadow)
	for _, f := range m.Faults {
		if f.Field == mapping.WhereField {
			return "whether protect.where is true of them cannot be told: the expression " + f.Reason
		}
	}
	if m.InScope {
		return "protect.where is true of them"
	}
	return ""
}

// identity identifies what protects; see engine.Engine.ProtectedBy.
func (p *protection) identity() string {
	if p == nil {
		return ""
	}
	s := fmt.Sprintf("people %q", p.people)
	if p.where != nil {
		s += " where " + p.where.Fingerprint()
	}
	return s
}

// protected is why, as the engine asks it.
func (p *protection) protected() func(dirsync.Person) bool {
	if p == nil {
		return nil
	}
	return func(person dirsync.Person) bool { return p.why(person) != "" }
}

// together are all of a and b, each once, sorted.
func together(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.SortFunc(all, strings.Compare)
	return slices.Compact(all)
}
