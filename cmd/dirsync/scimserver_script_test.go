package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scimCommand sends requests to a SCIM server:
//
//	scim FILE                            uses the base URL and the token of FILE from now on, as soon as it is there
//	scim METHOD PATH BODY STATUS TEXT... sends a request, and expects the status and the texts in the answer
func scimCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: scim FILE, or scim METHOD PATH BODY STATUS TEXT...")
	}
	if len(args) == 1 {
		var access newTokenView
		ts.Check(json.Unmarshal(awaitFile(ts, ts.MkAbs(args[0])), &access))
		ts.Setenv("SCIM", access.BaseURL)
		ts.Setenv("TOKEN", access.Token)
		return
	}
	path, query, _ := strings.Cut(args[1], "?")
	if query != "" {
		values, err := url.ParseQuery(query)
		ts.Check(err)
		path += "?" + values.Encode()
	}
	req, err := http.NewRequest(args[0], ts.Getenv("SCIM")+path, strings.NewReader(args[2]))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+ts.Getenv("TOKEN"))
	req.Header.Set("Content-Type", "application/scim+json")
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if got := strconv.Itoa(resp.StatusCode); got != args[3] {
		ts.Fatalf("%s %s: got %s, want %s\n%s", args[0], args[1], got, args[3], body)
	}
	for _, want := range args[4:] {
		if !strings.Contains(string(body), want) {
			ts.Fatalf("%s %s: the answer lacks %s\n%s", args[0], args[1], want, body)
		}
	}
}

// awaitFile reads a file as soon as it is there.
func awaitFile(ts *testscript.TestScript, name string) (text []byte) {
	await(ts, name, func() (err error) {
		text, err = os.ReadFile(name)
		return err
	})
	return text
}

// awaitCommand waits for a file to be there: await FILE.
func awaitCommand(ts *testscript.TestScript, _ bool, args []string) {
	await(ts, args[0], func() error {
		_, err := os.Lstat(ts.MkAbs(args[0]))
		return err
	})
}

func await(ts *testscript.TestScript, name string, there func() error) {
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for there() != nil {
		select {
		case <-tick.C:
		case <-deadline:
			ts.Fatalf("%s is not there after a minute", name)
		}
	}
}

var heldName = regexp.MustCompile(`(?m)^([0-9]+-[0-9a-f]{8}) `)

// holdCommand puts the name of the newest open hold into $HOLD: hold CONFIG.
func holdCommand(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("dirsync", "holds", "-c", args[0]))
	m := heldName.FindStringSubmatch(ts.ReadFile("stdout"))
	if m == nil {
		ts.Fatalf("nothing is held")
	}
	ts.Setenv("HOLD", m[1])
}
