package main

import (
	"encoding/json"
	"strings"
	"testing"

	"dirsync"
)

// TestGroupKind names groups as Microsoft's pages do, whatever the tenant sends.
func TestGroupKind(t *testing.T) {
	tests := []struct{ types, mail, security, want string }{
		{`[]`, "false", "true", "security group"},
		{`["Unified"]`, "true", "false", "Microsoft 365 group"},
		{`["Unified","DynamicMembership"]`, "true", "true", "Microsoft 365 group, dynamic"},
		{`["DynamicMembership"]`, "false", "true", "security group, dynamic"},
		{`[]`, "true", "true", "mail-enabled security group"},
		{`[]`, "true", "false", "distribution list"},
		{`null`, "null", "null", "security group"},
		{`{"a":1}`, `"true"`, "1", "security group"},
	}
	for _, tt := range tests {
		attrs := dirsync.NewAttributes([]dirsync.Attribute{{Name: "groupTypes", Raw: json.RawMessage(tt.types)},
			{Name: "mailEnabled", Raw: json.RawMessage(tt.mail)}, {Name: "securityEnabled", Raw: json.RawMessage(tt.security)}})
		if got := groupKind(attrs); got != tt.want {
			t.Errorf("%s mail %s security %s: got %q, want %q", tt.types, tt.mail, tt.security, got, tt.want)
		}
	}
	if got := groupKind(nil); got != "security group" {
		t.Errorf("nothing known: got %q", got)
	}
}

// TestDiffOfGroups says which groups somebody joins and leaves, by name.
func TestDiffOfGroups(t *testing.T) {
	list := func(ids ...string) dirsync.Values {
		return dirsync.Values{}.Set(dirsync.GroupsField, dirsync.NewList(ids))
	}
	broken := dirsync.Values{}.Set(dirsync.GroupsField, dirsync.Value{Type: dirsync.TextList, Text: "no list"})
	tests := []struct {
		kind          dirsync.ChangeKind
		before, after dirsync.Values
		want          string
	}{
		{dirsync.Create, nil, list("b", "a"), "groups: A, B"},
		{dirsync.Create, nil, list(), ""},
		{dirsync.Delete, list("a"), nil, "groups: A"},
		{dirsync.Update, list("a", "b"), list("b", "c"), "leaves A, joins C"},
		{dirsync.Update, list("a"), list(), "leaves A"},
		{dirsync.Reactivate, nil, list("a"), "joins A"},
		{dirsync.Update, broken, list("a"), "joins A"},
		{dirsync.Deactivate, list("a"), nil, ""},
	}
	for _, tt := range tests {
		got := diff(dirsync.Change{Kind: tt.kind, Before: tt.before, After: tt.after}, strings.ToUpper)
		if got != tt.want {
			t.Errorf("%s %v -> %v: got %q, want %q", tt.kind, tt.before, tt.after, got, tt.want)
		}
	}
}

// TestNeededPermissions holds which permissions a tenant's syncs need.
func TestNeededPermissions(t *testing.T) {
	tests := []struct{ from, want string }{
		{"{ entra: contoso }", "User.Read.All Organization.Read.All"},
		{"{ entra: contoso, groups: all }", "User.Read.All Organization.Read.All GroupMember.Read.All"},
		{"{ entra: contoso, users: { groups: [Sales] }, groups: none }", "User.Read.All Organization.Read.All GroupMember.Read.All"},
	}
	for _, tt := range tests {
		c, err := parseConfig("c.yaml", []byte(strings.Replace(good, "from: { entra: contoso }", "from: "+tt.from, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(neededPermissions(c, "contoso"), " "); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.from, got, tt.want)
		}
	}
}
