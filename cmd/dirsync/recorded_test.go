package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorded is Microsoft Graph's recorded answer for the public demonstration tenant of Graph Explorer: 32 fictional
// users, six of them conference rooms and one a shared mailbox, without first and last names.
func recorded(t *testing.T) string {
	t.Helper()
	path := filepath.FromSlash("../../../shared/data/graph-explorer-users.json")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the recorded tenant is kept outside of the project and is not here: %v", err)
	}
	return path
}

// dirsyncJSON runs a command in this process and decodes what it prints.
func dirsyncJSON(t *testing.T, into any, args ...string) int {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := newApp(&stdout, &stderr).run(context.Background(), append(args, "-o", "json"))
	if err := json.Unmarshal(stdout.Bytes(), into); err != nil {
		t.Fatalf("dirsync %s: %v\n%s%s", strings.Join(args, " "), err, &stdout, &stderr)
	}
	return code
}

func TestRecordedTenant(t *testing.T) {
	path, dir := recorded(t), filepath.Join(t.TempDir(), "kept")
	var first, second demoView
	if code := dirsyncJSON(t, &first, "demo", "--once", "--tenant", path, "--dir", dir); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	want := demoRunView{ID: "1", Sync: "staff", Status: "partial success", figures: figures{Read: 32, Created: 25, Rejected: 7, Requests: requestView{Source: 1}}}
	if diff := cmp.Diff([]demoRunView{want}, first.Runs[:1], cmp.AllowUnexported(demoRunView{})); diff != "" {
		t.Errorf("first run (-want +got):\n%s", diff)
	}
	var users []string
	for _, r := range first.Rejections {
		user, _, _ := strings.Cut(r.User, "@")
		users = append(users, user)
		if r.Field != "first_name" || !strings.Contains(r.Reason, "givenName is empty") || !strings.Contains(r.Reason, "surname is empty") {
			t.Errorf("%s: %s %s", r.User, r.Field, r.Reason)
		}
	}
	slices.Sort(users)
	if diff := cmp.Diff([]string{"Adams", "Baker", "Crystal", "Hood", "Rainier", "Stevens", "support"}, users); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}

	// The tenant's process has ended; a new one begins a new story, and there is nothing new in it.
	dirsyncJSON(t, &second, "demo", "--once", "--tenant", path, "--dir", dir)
	got := second.Runs[0]
	if got.Created+got.Updated+got.Deactivated+got.Reactivated+got.Deleted != 0 || got.Unchanged != 25 || got.Rejected != 7 {
		t.Errorf("second run: %+v, want nothing changed", got)
	}

	var tests struct {
		Tests []struct {
			People     int             `json:"people"`
			Rejected   int             `json:"rejected"`
			Rejections []rejectionView `json:"rejections"`
		} `json:"tests"`
	}
	code := dirsyncJSON(t, &tests, "test", "--no-read", "-c", filepath.Join(dir, "config.yaml"))
	if code != exitPartial || tests.Tests[0].People != 32 || tests.Tests[0].Rejected != 7 || len(tests.Tests[0].Rejections) != 7 {
		t.Errorf("test: exit code %d, %+v", code, tests)
	}
}
