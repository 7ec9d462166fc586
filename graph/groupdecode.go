package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"dirsync"
)

const (
	membersName  = "members"
	membersDelta = "members@delta"
	typeName     = "@odata.type"
	groupTitle   = "displayName"
)

// errLimitedGroup is errLimited of groups.
var errLimitedGroup = errors.New("Microsoft Graph sends groups without their names, only ids")

func newGroupDecoder() *decoder { return &decoder{kind: dirsync.KindGroup, names: newNames()} }

// groupRow decodes the group that comes next, with the members who joined or left; see row.
func (d *decoder) groupRow(s *scan, attrs []dirsync.Attribute) (dirsync.Record, []dirsync.Attribute, error) {
	var (
		r                = dirsync.Record{Kind: dirsync.KindGroup}
		own              []dirsync.Attribute
		removed, members []byte
		limited          bool
	)
	for s.enter(); s.more(); {
		name := d.names.decode(s.name())
		raw := s.value()
		switch {
		case name == "id":
			if raw[0] != '"' {
				return r, attrs, errors.New("the id is no text")
			}
			r.ID = dirsync.ID(strings.ToLower(unquote(raw)))
		case name == removedName:
			removed = raw
		case name == membersDelta:
			members = raw
		case name == membersName, strings.IndexByte(name, '@') >= 0: // what is not a change, and annotations
		default:
			if name == groupTitle {
				limited = string(raw) == "null"
			}
			own = append(own, dirsync.Attribute{Name: name, Raw: raw})
		}
	}
	switch {
	case r.ID == "":
		return r, attrs, errors.New("the group has no id")
	case removed != nil:
		r.Gone = removal(removed)
		return r, attrs, nil
	case limited:
		return r, attrs, fmt.Errorf("group %s: %w", r.ID, errLimitedGroup)
	}
	var err error
	if members != nil {
		if r.Members, err = memberChanges(members); err != nil {
			return r, attrs, fmt.Errorf("group %s: %w", r.ID, err)
		}
	}
	first := len(attrs)
	attrs = append(attrs, order(own)...)
	r.Attrs = dirsync.Attributes(attrs[first:len(attrs):len(attrs)])
	return r, attrs, nil
}

// memberChanges decodes the links of members@delta in their order (Graph document "group: delta"). A link that is
// removed has a reason, which speaks of the link and not of the member: "deleted" is what it says of everybody who left.
func memberChanges(raw []byte) ([]dirsync.MemberChange, error) {
	switch raw[0] {
	case 'n':
		return nil, nil
	case '[':
	default:
		return nil, errors.New(membersDelta + " is no list")
	}
	var out []dirsync.MemberChange
	s := &scan{b: raw}
	n := 0
	for s.enter(); s.more(); {
		n++
		if s.peek() != '{' {
			return nil, fmt.Errorf("member %d is no object", n)
		}
		var (
			m     dirsync.MemberChange
			kind  string
			typed bool
		)
		for s.enter(); s.more(); {
			name, v := unquote(s.name()), s.value()
			switch {
			case name == "id" && v[0] == '"':
				m.ID = dirsync.ID(strings.ToLower(unquote(v)))
			case name == typeName && v[0] == '"':
				kind, typed = unquote(v), true
			case name == removedName:
				m.Removed = string(v) != "null"
			}
		}
		if m.ID == "" || !typed {
			return nil, fmt.Errorf("member %d has no id or no type", n)
		}
		if k, ok := memberKind(kind); ok {
			m.Kind = k
			out = append(out, m)
		}
	}
	return out, nil
}

// memberKind tells users and groups from devices, service principals, contacts, and whatever else can be a member.
func memberKind(odataType string) (dirsync.Kind, bool) {
	switch strings.ToLower(strings.TrimPrefix(odataType, "#")) {
	case "microsoft.graph.user":
		return dirsync.KindUser, true
	case "microsoft.graph.group":
		return dirsync.KindGroup, true
	}
	return 0, false
}

// memberList decodes a page of a group's members, which may be users, groups and others; the others are left out.
func memberList(body []byte, group dirsync.ID) (members []dirsync.Membership, next string, err error) {
	if _, err := document(body); err != nil {
		return nil, "", err
	}
	var doc struct {
		Next  *string `json:"@odata.nextLink"`
		Value *[]struct {
			Type *string `json:"@odata.type"`
			ID   string  `json:"id"`
		} `json:"value"`
	}
	if json.Unmarshal(body, &doc) != nil || doc.Value == nil {
		return nil, "", errors.New(`the answer has no list of members: "value" is missing or no array of objects`)
	}
	for i, m := range *doc.Value {
		if m.ID == "" || m.Type == nil {
			return nil, "", fmt.Errorf("member %d has no id or no type", i+1)
		}
		if kind, ok := memberKind(*m.Type); ok {
			members = append(members, dirsync.Membership{Group: group, Member: dirsync.ID(strings.ToLower(m.ID)), Kind: kind})
		}
	}
	if doc.Next != nil {
		if next = *doc.Next; next == "" {
			return nil, "", errors.New("@odata.nextLink is empty")
		}
	}
	return members, next, nil
}
