package main

import (
	"context"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"dirsync"
	"dirsync/store"
)

// elsewhereCommand changes the embedded directory as somebody else would, behind the back of every sync:
//
//	elsewhere update ACCOUNT FIELD=TEXT...
//	elsewhere deactivate ACCOUNT | elsewhere delete ACCOUNT
//	elsewhere create E-MAIL            an account that is nobody's
func elsewhereCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: elsewhere VERB ...")
	}
	st, err := store.Open(ts.MkAbs("dirsync.db"), store.Options{})
	ts.Check(err)
	defer func() { ts.Check(st.Close()) }()
	target, err := st.Directory(dirsync.Field{Name: "department", Type: dirsync.Text}, dirsync.Field{Name: "office", Type: dirsync.Text})
	ts.Check(err)
	c := dirsync.Change{Account: args[1]}
	switch args[0] {
	case "update":
		c.Kind = dirsync.Update
		for _, arg := range args[2:] {
			field, text, _ := strings.Cut(arg, "=")
			c.After = c.After.Set(field, dirsync.Value{Type: dirsync.Text, Text: text})
		}
	case "deactivate":
		c.Kind = dirsync.Deactivate
	case "delete":
		c.Kind = dirsync.Delete
	case "create":
		c = dirsync.Change{Kind: dirsync.Create, After: dirsync.Values{}.
			Set(dirsync.EmailAddress, dirsync.Value{Type: dirsync.Email, Text: args[1]}).
			Set(dirsync.FirstName, dirsync.Value{Type: dirsync.Text, Text: "Old"}).
			Set(dirsync.LastName, dirsync.Value{Type: dirsync.Text, Text: "Account"})}
	default:
		ts.Fatalf("elsewhere %s: no such verb", args[0])
	}
	_, err = target.Apply(context.Background(), c)
	ts.Check(err)
}
