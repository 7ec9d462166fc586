package graph

import (
	"net/url"
	"strings"
	"testing"

	"dirsync"
)

func cursorSource(t testing.TB) *Source {
	t.Helper()
	c, err := New(Config{Tenant: "6f89cf12-978b-4d23-ac18-9ef0c127cf87", ClientID: "00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928", Credential: Credential{Secret: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	return c.Users(nil)
}

const (
	homeDelta = "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=x"
	homeList  = "https://graph.microsoft.com/v1.0/users?$skiptoken=x"
)

// A cursor from within a first round is gone on from only where every link in it leads home.
func TestCursorsOfFirstRounds(t *testing.T) {
	s := cursorSource(t)
	for name, test := range map[string]struct {
		round firstRound
		link  string
		good  bool
	}{
		"listing":                 {firstRound{Phase: phaseList, Then: homeDelta, Open: []part{{To: "a"}, {From: "b", To: "c", Link: homeList}}}, "", true},
		"all is listed":           {firstRound{Phase: phaseList, Then: homeDelta}, "", true},
		"catching up":             {firstRound{Phase: phaseCatch}, homeDelta, true},
		"walking":                 {firstRound{Phase: phasePlain, Then: homeDelta}, homeDelta, true},
		"beginning to walk":       {firstRound{Phase: phasePlain, Then: homeDelta}, "", true},
		"no phase":                {firstRound{Then: homeDelta}, homeDelta, false},
		"no way on":               {firstRound{Phase: phaseList}, "", false},
		"catching up from abroad": {firstRound{Phase: phaseCatch}, "https://evil.example/v1.0/users/delta?$deltatoken=x", false},
		"catching up from a list": {firstRound{Phase: phaseCatch}, homeList, false},
		"walking abroad":          {firstRound{Phase: phasePlain, Then: homeDelta}, "https://evil.example/v1.0/users/delta", false},
		"then abroad":             {firstRound{Phase: phasePlain, Then: "https://evil.example/v1.0/users/delta"}, homeDelta, false},
		"a list abroad":           {firstRound{Phase: phaseList, Then: homeDelta, Open: []part{{To: "a", Link: "https://evil.example/v1.0/users"}}}, "", false},
		"a list of groups":        {firstRound{Phase: phaseList, Then: homeDelta, Open: []part{{To: "a", Link: "https://graph.microsoft.com/v1.0/groups"}}}, "", false},
		"a list of one":           {firstRound{Phase: phaseList, Then: homeDelta, Open: []part{{To: "a", Link: homeList[:38] + "/x"}}}, "", false},
		"another part":            {firstRound{Phase: phaseList, Then: homeDelta, Open: []part{{From: "a'b"}}}, "", false},
		"two ways on":             {firstRound{Phase: phaseCatch, Walked: true, Last: homeDelta}, homeDelta, true},
		"the last way abroad":     {firstRound{Phase: phaseCatch, Walked: true, Last: "https://evil.example/v1.0/users/delta"}, homeDelta, false},
	} {
		m := mark{Tenant: s.client.cfg.Tenant, Select: s.selected, Link: test.link, First: &test.round, Inside: true}
		got, err := s.parseCursor(m.cursor())
		if (err == nil) != test.good || test.good && got.First.Phase != test.round.Phase {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

// Whatever is kept as a position, what is accepted of it leads home.
func FuzzFirstCursor(f *testing.F) {
	s := cursorSource(f)
	m := mark{Tenant: s.client.cfg.Tenant, Select: s.selected, Link: homeDelta}
	f.Add(string(m.cursor()))
	m.First = &firstRound{Phase: phaseList, Then: homeDelta, Open: []part{{To: "a", Link: homeList}}}
	f.Add(string(m.cursor()))
	m.First = &firstRound{Phase: phasePlain, Then: homeDelta}
	f.Add(string(m.cursor()))
	f.Add(`{"v":1,"f":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := s.parseCursor(dirsync.Cursor(text))
		if err != nil || text == "" {
			return
		}
		links := []string{m.Link}
		if m.First != nil {
			links = append(links, m.First.Then, m.First.Last)
			for _, p := range m.First.Open {
				links = append(links, p.Link)
			}
		}
		for _, link := range links {
			u, err := url.Parse(link)
			home := link == "" && m.First != nil || err == nil && u.Scheme == "https" && strings.EqualFold(hostPort(u), "graph.microsoft.com:443") && u.User == nil
			if !home && (m.First == nil || link != m.First.Then || m.First.Phase != phaseCatch) {
				t.Errorf("%q leads to %s", text, link)
			}
		}
	})
}
