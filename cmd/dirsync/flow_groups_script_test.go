package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"dirsync"
	"dirsync/graph/graphtest"
	"dirsync/store"
)

// teamCommand looks after the groups of the embedded directory, as an application that pushes them would, and looks at those
// of the script's tenant:
//
//	team make STORE NAME               adds a group to the directory
//	team rename STORE NAME NEW
//	team delete STORE NAME
//	team join STORE NAME E-MAIL...     puts people into a group of the directory, and leave takes them out
//	team leave STORE NAME E-MAIL...
//	team tenant                        prints the groups of the tenant and who is in them
//	team dynamic NAME                  gives a group of the tenant a rule that says who is in it
//	team requests                      prints what was asked of groups since the last time
func teamCommand(ts *testscript.TestScript, neg bool, args []string) {
	tenant, ok := ts.Value("tenant").(*graphtest.Tenant)
	if neg || len(args) == 0 || !ok {
		ts.Fatalf("usage: team VERB ...")
	}
	switch args[0] {
	case "tenant":
		for _, line := range entraGroups(tenant) {
			fmt.Fprintln(ts.Stdout(), line)
		}
	case "dynamic":
		for _, g := range tenant.Groups() {
			if text(graphtest.User(g), "displayName") == args[1] {
				tenant.UpdateGroup(g["id"].(string), map[string]any{"groupTypes": []string{"DynamicMembership"}, "membershipRule": "user.department -eq \"x\""})
			}
		}
	case "requests":
		n := tenant.Requests()
		fmt.Fprintf(ts.Stdout(), "graph %d: batches %d with %d; groups created %d, updated %d, deleted %d, members removed %d; users created %d, updated %d\n",
			n.Graph(), n.Batch, n.Inner, n.CreateGroup, n.UpdateGroup, n.DeleteGroup, n.ChangeMembers, n.CreateUser, n.UpdateUser)
		tenant.ResetRequests()
	default:
		editTeam(ts, args)
	}
}

// editTeam changes a group of the directory in a store.
func editTeam(ts *testscript.TestScript, args []string) {
	st, err := store.Open(ts.MkAbs(args[1]), store.Options{})
	ts.Check(err)
	defer func() { ts.Check(st.Close()) }()
	d, err := st.Directory()
	ts.Check(err)
	groups, ctx := d.Groups(), context.Background()
	named := func(name string) dirsync.Account {
		found, err := groups.Find(ctx, "name", []dirsync.Value{{Type: dirsync.Text, Text: name}})
		ts.Check(err)
		if len(found[0]) != 1 {
			ts.Fatalf("%d groups are called %s", len(found[0]), name)
		}
		return found[0][0]
	}
	name := func(s string) dirsync.Values {
		return dirsync.Values{{Field: "name", Value: dirsync.Value{Type: dirsync.Text, Text: s}}}
	}
	users := func(mails []string) (ids []string) {
		for _, mail := range mails {
			found, err := d.Find(ctx, "email", []dirsync.Value{{Type: dirsync.Email, Text: mail}})
			ts.Check(err)
			ids = append(ids, found[0][0].ID)
		}
		return ids
	}
	switch args[0] {
	case "make":
		_, err = groups.Apply(ctx, dirsync.Change{Kind: dirsync.Create, After: name(args[2])})
	case "rename":
		_, err = groups.Apply(ctx, dirsync.Change{Kind: dirsync.Update, Account: named(args[2]).ID, After: name(args[3])})
	case "delete":
		_, err = groups.Apply(ctx, dirsync.Change{Kind: dirsync.Delete, Account: named(args[2]).ID})
	case "join":
		err = groups.Join(ctx, named(args[2]).ID, users(args[3:])...)
	case "leave":
		err = groups.Leave(ctx, named(args[2]).ID, users(args[3:])...)
	default:
		ts.Fatalf("team %s: no such verb", args[0])
	}
	ts.Check(err)
}

// entraGroups are the groups of a tenant, a line each.
func entraGroups(tenant *graphtest.Tenant) []string {
	names := map[string]string{}
	for _, u := range tenant.Users() {
		names[text(u, "id")] = text(u, "displayName")
	}
	var lines []string
	for _, g := range tenant.Groups() {
		var members []string
		for _, id := range tenant.Members(g["id"].(string)) {
			members = append(members, names[id])
		}
		slices.Sort(members)
		lines = append(lines, fmt.Sprintf("%s: %s", text(graphtest.User(g), "displayName"), orDash(strings.Join(members, ", "))))
	}
	slices.Sort(lines)
	return lines
}
