package client_test

import (
	"testing"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/scim/client"
	"dirsync/scim/scimtest"
)

const base = "https://app.example/scim/v2"

// open makes a client of an application, in process.
func open(t testing.TB, app *scimtest.App, change ...func(*client.Config)) *client.Client {
	t.Helper()
	cfg := client.Config{Name: "App", BaseURL: base, Token: "app-token", Transport: app.Transport()}
	cfg.Profile.PerSecond = 1e6
	for _, fn := range change {
		fn(&cfg)
	}
	c, err := client.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConformance(t *testing.T) {
	dirsynctest.TestTarget(t, func(t *testing.T) dirsync.Target { return open(t, scimtest.New()) })
}
