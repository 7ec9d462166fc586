package main

import (
	"encoding/json"
	"syscall"
	"testing"
)

// TestCursorsGoOn: whoever reads a long list by cursor goes on where it was after a reload, and after a restart.
func TestCursorsGoOn(t *testing.T) {
	config := pushConfigIn(t, t.TempDir(), unlimited)
	s := serving(t, config)
	p := pushTo(t, s, 0)
	for _, name := range []string{"a", "b", "c", "d"} {
		p.want(201, "POST", "/Users", `{'userName':'`+name+`'}`)
	}
	next := func(cursor, want string) string {
		t.Helper()
		var page struct{ NextCursor string }
		if err := json.Unmarshal([]byte(p.want(200, "GET", "/Users?count=1&cursor="+cursor, "", `"userName":"`+want+`"`)), &page); err != nil {
			t.Fatal(err)
		}
		return page.NextCursor
	}
	cursor := next(next("", "a"), "b")
	from := s.said()
	s.signal(syscall.SIGHUP)
	s.await(from, "the configuration was reloaded")
	cursor = next(cursor, "c")
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit %d", code)
	}
	token := p.token
	p = pushTo(t, serving(t, config), 0)
	p.token = token
	if last := next(cursor, "d"); last != "" {
		t.Errorf("behind the last one is %q", last)
	}
}
