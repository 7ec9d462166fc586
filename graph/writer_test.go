package graph_test

import (
	"fmt"
	"testing"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

// anchor is the extension in which the tests keep whose an account is.
var anchor = graphtest.Extension{Name: "source"}.Property()

// mayWrite are roles with which an application may do everything that a Writer does.
func mayWrite() []string {
	return []string{"User.ReadWrite.All", "Organization.Read.All", "Application.Read.All"}
}

// writable is a tenant into which a Writer can write, and the domain of the conformance suite is verified in.
func writable() *graphtest.Tenant {
	return &graphtest.Tenant{Domain: "a.example", Roles: mayWrite(), Extensions: []graphtest.Extension{{Name: "source"}}}
}

func writing(properties ...string) graph.WriterConfig {
	return graph.WriterConfig{Properties: append([]string{"displayName", "userPrincipalName"}, properties...), Anchor: anchor,
		AllowBlock: true, AllowDelete: true}
}

// writer makes a Writer of a client.
func writer(t testing.TB, c *graph.Client, cfg graph.WriterConfig) *graph.Writer {
	t.Helper()
	w, err := c.Writer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// shape is what the conformance suite writes into a tenant.
func shape() dirsynctest.Shape {
	return dirsynctest.Shape{
		First:   dirsync.Field{Name: "displayName", Type: dirsync.Text, Required: true},
		Second:  dirsync.Field{Name: "department", Type: dirsync.Text},
		Address: dirsync.Field{Name: "userPrincipalName", Type: dirsync.Email, Required: true, Unique: true},
	}
}

func TestWriterIsATarget(t *testing.T) {
	dirsynctest.TestTargetOf(t, shape(), func(t *testing.T) dirsync.Target {
		return writer(t, inProcess(t, writable()).client, writing("department"))
	})
}

func person(n int) dirsync.ID { return dirsync.ID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n)) }
