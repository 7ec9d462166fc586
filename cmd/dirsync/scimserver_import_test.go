package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestImportFromPushed has another dirsync import people, by from: { scim: … }, from a directory that clients fill: all whom
// clients see and nobody else, with whom clients have deleted, and are kept, in the midst of them.
func TestImportFromPushed(t *testing.T) {
	s := serving(t, pushConfigIn(t, t.TempDir(), unlimited))
	p := pushTo(t, s, 0)
	var ids []string
	for i := range 230 { // more than two pages
		ids = append(ids, made(t, p.want(201, "POST", "/Users", fmt.Sprintf(`{'userName':'p%03d@contoso.com','name':{'givenName':'P','familyName':'Q'},
			'emails':[{'type':'work','value':'p%03d@contoso.com'}],'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User':{'department':'Sales'}}`, i, i))))
	}
	for _, i := range []int{0, 1, 99, 100, 101, 229} {
		p.want(204, "DELETE", "/Users/"+ids[i], "")
	}
	p.want(200, "PATCH", "/Users/"+ids[5], setInactive)

	out, errs, code := run(t, "token", "create", "reader", "--scopes", "users:read,groups:read", "-o", "json", "-c", s.config)
	var token newTokenView
	if err := json.Unmarshal([]byte(out), &token); code != 0 || err != nil {
		t.Fatalf("token create: exit %d, %v: %s", code, err, errs)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	for name, text := range map[string]string{
		"token": token.Token,
		"config.yaml": `
store: { path: dirsync.db }
applications:
  people: { url: "` + token.BaseURL + `", token: file:token, fields: [ { name: department, path: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" } ] }
directory: { fields: [ { name: department } ] }
syncs:
  staff:
    from: { scim: people }
    to: directory
    fields: { first_name: givenName, last_name: surname, email: mail, department: department }
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	imported := func() (active, inactive []string) {
		t.Helper()
		if out, errs, code := run(t, "run", "-c", config); code != exitOK {
			t.Fatalf("run: exit %d: %s%s", code, out, errs)
		}
		out, errs, code := run(t, "users", "list", "--limit", "0", "-o", "json", "-c", config)
		var list struct {
			Users []struct {
				Status string
				Values struct{ Email, Department string }
			}
		}
		if err := json.Unmarshal([]byte(out), &list); code != 0 || err != nil {
			t.Fatalf("users list: exit %d, %v: %s", code, err, errs)
		}
		for _, u := range list.Users {
			if u.Values.Department != "Sales" {
				t.Errorf("%s has the department %q", u.Values.Email, u.Values.Department)
			}
			if u.Status == "active" {
				active = append(active, u.Values.Email)
			} else {
				inactive = append(inactive, u.Values.Email)
			}
		}
		return active, inactive
	}
	want := func(left ...int) (emails []string) {
		for i := range ids {
			if !slices.Contains(left, i) {
				emails = append(emails, fmt.Sprintf("p%03d@contoso.com", i))
			}
		}
		return emails
	}
	active, inactive := imported()
	slices.Sort(active)
	if !slices.Equal(active, want(0, 1, 5, 99, 100, 101, 229)) || len(inactive) != 0 {
		t.Errorf("imported %d active ones: %s\nand inactive ones: %s", len(active), strings.Join(active, " "), inactive)
	}
	// What changes afterwards is asked for by meta.lastModified.
	p.want(200, "PATCH", "/Users/"+ids[7], setInactive)
	p.want(200, "PATCH", "/Users/"+ids[5], strings.Replace(setInactive, "False", "True", 1))
	active, inactive = imported()
	slices.Sort(active)
	if !slices.Equal(active, want(0, 1, 7, 99, 100, 101, 229)) || !slices.Equal(inactive, []string{"p007@contoso.com"}) {
		t.Errorf("imported %d active ones: %s\nand inactive ones: %s", len(active), strings.Join(active, " "), inactive)
	}
}
