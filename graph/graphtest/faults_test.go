package graphtest_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

// follower is a client that does what Graph's documents ask of one: it puts rows by id, the last one winning, ignores
// tombstones of strangers, and keeps the delta link.
type follower struct {
	c     *client
	known map[string]row
	link  string
	pages int
	rows  int
}

func newFollower(c *client) *follower {
	return &follower{c: c, known: map[string]row{}, link: c.start("$select=displayName,jobTitle,mail")}
}

// round reads one round, and calls between after each page.
func (f *follower) round(between func()) {
	f.c.tb.Helper()
	for p := range f.c.round(f.link) {
		f.pages++
		for _, raw := range p.Value {
			f.rows++
			var r row
			if err := json.Unmarshal(raw, &r); err != nil {
				f.c.tb.Fatal(err)
			}
			if r.removed() != "" {
				delete(f.known, r.id())
				continue
			}
			merged := row{}
			for k, v := range f.known[r.id()] {
				merged[k] = v
			}
			for k, v := range r {
				merged[k] = v
			}
			f.known[r.id()] = merged
		}
		if p.Delta != "" {
			f.link = p.Delta
		}
		if between != nil {
			between()
		}
	}
}

// TestUnkindButTrue turns on many switches at once, by chance, changes people at every page, and demands that a client
// which follows the documents ends up with the truth.
func TestUnkindButTrue(t *testing.T) {
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			some := func(n int) int { return r.IntN(2) * (1 + r.IntN(n)) }
			clock := newClock()
			tenant := &graphtest.Tenant{Now: clock.now, Faults: graphtest.Faults{
				Seed: seed, PageSize: 1 + r.IntN(20), VaryPages: r.IntN(2) == 0, EmptyPages: r.IntN(2) * (2 + r.IntN(4)),
				Repeat: some(5), OlderFirst: r.IntN(2) == 0, Replay: some(9), Strangers: some(6), Shuffle: r.IntN(2) == 0,
				Extras: r.IntN(2) == 0, TokenPadding: some(4000), Lag: time.Duration(some(90)) * time.Second,
			}}
			tenant.Generate(60, seed)
			clock.advance(time.Hour)
			c := connect(t, tenant)
			c.token = accessToken(t, tenant)
			if r.IntN(3) == 0 {
				c.prefer = "return=minimal"
			}
			n := 0
			change := func() {
				if n++; n > 120 {
					return
				}
				clock.advance(time.Second)
				users := tenant.Users()
				id := users[r.IntN(len(users))]["id"].(string)
				switch r.IntN(8) {
				case 0:
					tenant.Delete(id)
				case 1:
					tenant.Purge(id)
				case 2:
					tenant.Add(graphtest.User{"displayName": fmt.Sprint("New ", n)})
				case 3:
					tenant.Delete(id)
					tenant.Restore(id)
				case 4:
					tenant.Update(id, map[string]any{"jobTitle": nil})
				default:
					tenant.Update(id, map[string]any{"jobTitle": fmt.Sprint("Job ", n), "displayName": fmt.Sprint("Name ", n%3)})
				}
			}
			f := newFollower(c)
			for range 6 {
				f.round(change)
				clock.advance(time.Second)
			}
			clock.advance(10 * time.Minute) // the lag is over
			f.round(nil)
			same(t, tenant, f.known)
		})
	}
}

func TestPageSwitches(t *testing.T) {
	count := func(f graphtest.Faults) (sizes []int) {
		tenant := &graphtest.Tenant{Faults: f}
		tenant.Generate(20, 1)
		c := connect(t, tenant)
		for p := range c.round(c.start("$select=id")) {
			sizes = append(sizes, len(p.Value))
		}
		return sizes
	}
	for _, tt := range []struct {
		name   string
		faults graphtest.Faults
		want   string
	}{
		{"small pages", graphtest.Faults{PageSize: 8}, "[8 8 4]"},
		{"no page above 200", graphtest.Faults{PageSize: 999}, "[20]"},
		{"empty pages", graphtest.Faults{PageSize: 8, EmptyPages: 2}, "[8 0 8 0 4]"},
		{"repeated rows", graphtest.Faults{PageSize: 8, Repeat: 5}, "[8 8 7 1]"},
		{"repeated last row", graphtest.Faults{Repeat: 20}, "[20 1]"},
		{"strangers", graphtest.Faults{PageSize: 8, Strangers: 5}, "[8 8 8 1]"},
	} {
		if got := fmt.Sprint(count(tt.faults)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	a, b := count(graphtest.Faults{VaryPages: true, PageSize: 6}), count(graphtest.Faults{VaryPages: true, PageSize: 6, Seed: 1})
	if slices.Max(a) > 6 || slices.Min(a[:len(a)-1]) == slices.Max(a) || slices.Equal(a, b) {
		t.Errorf("varying pages: got %v and, with another seed, %v", a, b)
	}
	if again := count(graphtest.Faults{VaryPages: true, PageSize: 6}); !slices.Equal(a, again) {
		t.Errorf("varying pages are not deterministic: %v and %v", a, again)
	}
}

func TestRepeatShowsTheOlderStateFirst(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{Repeat: 1, OlderFirst: true}}
	id := tenant.Add(graphtest.User{"displayName": "Old"})[0]
	tenant.Update(id, map[string]any{"displayName": "New"})
	c := connect(t, tenant)
	rows, link := c.drain(c.start("$select=displayName"))
	names := func() (out []any) {
		for _, r := range rows {
			out = append(out, r["displayName"])
		}
		return out
	}
	if got, want := fmt.Sprint(names()), "[Old New]"; got != want {
		t.Errorf("first round: got %s, want %s", got, want)
	}
	tenant.Update(id, map[string]any{"displayName": "Newer"})
	rows, _ = c.drain(link)
	if got, want := fmt.Sprint(names()), "[New Newer]"; got != want {
		t.Errorf("next round: got %s, want %s", got, want)
	}
	first := c.page(link)
	if len(first.Value) != 1 || first.Next == "" {
		t.Errorf("the two came on one page: %s", first.Value)
	}
}

// TestReplayIsNeverOlder has a round replay what an earlier one told while the first of two deliveries shows an older
// state, and begins the round again without the replay: nothing that was told before may have become older by it.
func TestReplayIsNeverOlder(t *testing.T) {
	tenant := &graphtest.Tenant{}
	all := tenant.Add(graphtest.User{"displayName": "A1"}, graphtest.User{"displayName": "B1"})
	c := connect(t, tenant)
	tenant.Update(all[0], map[string]any{"displayName": "A2"})
	_, link := c.drain(c.start("$select=displayName,jobTitle"))
	tenant.Update(all[1], map[string]any{"displayName": "B2"})
	tenant.SetFaults(graphtest.Faults{Replay: 3, Repeat: 1, OlderFirst: true, PageSize: 10})

	var got []string
	for _, raw := range c.page(link).Value { // the round is broken off after its first page
		var r row
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(r["displayName"]))
	}
	if want := []string{"A2", "B1"}; !slices.Equal(got, want) {
		t.Errorf("first deliveries: got %v, want %v: A was told as A2 before, B is of this round", got, want)
	}
	tenant.SetFaults(graphtest.Faults{})
	rows, _ := c.drain(link)
	if got, want := show(rows), `{"displayName":"B2","id":"`+all[1]+`"}`; got != want {
		t.Errorf("the round begun again: got %s, want %s", got, want)
	}
	// A property that changed before the round does not become older because another one changed in it.
	tenant.Update(all[0], map[string]any{"jobTitle": "Boss"})
	tenant.SetFaults(graphtest.Faults{Replay: 9, Repeat: 1, OlderFirst: true})
	rows, _ = c.drain(link)
	for _, r := range rows {
		if r.id() == all[0] && r["displayName"] != "A2" {
			t.Errorf("replayed beside a change: got %v", r)
		}
	}
}

func TestReplay(t *testing.T) {
	tenant := &graphtest.Tenant{}
	all := tenant.Add(graphtest.User{"displayName": "A"}, graphtest.User{"displayName": "B"}, graphtest.User{"displayName": "C"})
	tenant.Delete(all[0])
	c := connect(t, tenant)
	_, link := c.drain(c.start("$select=displayName"))
	tenant.SetFaults(graphtest.Faults{Replay: 2})
	rows, link := c.drain(link)
	if got, want := ids(rows), []string{all[2], all[0]}; !slices.Equal(got, want) {
		t.Errorf("replayed: got %v, want %v", got, want)
	}
	tenant.SetFaults(graphtest.Faults{Replay: 100})
	if rows, _ = c.drain(link); len(rows) != 3 {
		t.Errorf("replayed from the beginning: got %s", show(rows))
	}
}

func TestStrangersAndExtras(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{Strangers: 3, Extras: true}}
	id := tenant.Add(graphtest.User{"displayName": "A"})[0]
	c := connect(t, tenant)
	rows, link := c.drain(c.start("$select=displayName"))
	reasons := map[string]int{}
	for _, r := range rows {
		reasons[r.removed()]++
		if _, extra := r["previewOnly"]; r.id() == id && !extra {
			t.Errorf("no extra property in %v", r)
		}
	}
	if got, want := fmt.Sprint(reasons), "map[:1 changed:1 deleted:2]"; got != want {
		t.Errorf("rows by reason: got %s, want %s", got, want)
	}
	if rows[2].id() != id { // some before everybody, some after
		t.Errorf("order: got %v", ids(rows))
	}
	if rows, _ := c.drain(link); len(rows) != 0 {
		t.Errorf("the next round: got %s", show(rows))
	}
}

func TestShuffle(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{Shuffle: true, Seed: 5}}
	tenant.Generate(301, 1)
	c := connect(t, tenant)
	rows, _ := c.drain(c.start("$select=id"))
	got := ids(rows)
	var want []string
	for _, u := range tenant.Users() {
		want = append(want, u["id"].(string))
	}
	if slices.Equal(got, want) {
		t.Error("the order is that of creation")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Error("shuffled rows are not everybody once")
	}
}

func TestLag(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	id := tenant.Add(graphtest.User{"displayName": "Old"})[0]
	clock.advance(time.Minute)
	c := connect(t, tenant)
	_, link := c.drain(c.start("$select=displayName"))

	tenant.SetFaults(graphtest.Faults{Lag: 30 * time.Second})
	tenant.Update(id, map[string]any{"displayName": "New"})
	fresh := tenant.Add(graphtest.User{"displayName": "Fresh"})[0]
	rows, next := c.drain(link)
	if len(rows) != 0 {
		t.Errorf("at once: got %s", show(rows))
	}
	if r := c.get("/v1.0/users/" + fresh); r.status != http.StatusNotFound {
		t.Errorf("a user just made: got %d, want 404", r.status)
	}
	if r := c.get("/v1.0/users/" + id); !strings.Contains(string(r.body), `"displayName":"Old"`) {
		t.Errorf("a user just changed: got %s", r.body)
	}
	clock.advance(31 * time.Second)
	for name, link := range map[string]string{"the same link again": link, "the new link": next} {
		if rows, _ := c.drain(link); len(rows) != 2 {
			t.Errorf("%s, later: got %s", name, show(rows))
		}
	}

	_, link = c.drain(link)
	tenant.SetFaults(graphtest.Faults{LagRounds: 2})
	tenant.Delete(id)
	for n, want := range []int{0, 0, 1} {
		if rows, link = c.drain(link); len(rows) != want {
			t.Errorf("round %d after a deletion: got %s", n+1, show(rows))
		}
	}
}

// TestLagShowsOlderStates has a visible change of an object followed by hidden ones: the row shows the object between.
func TestLagShowsOlderStates(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	ids := tenant.Add(graphtest.User{"displayName": "A", "mail": "old"}, graphtest.User{"displayName": "B"}, graphtest.User{"displayName": "C"})
	c := connect(t, tenant)
	_, link := c.drain(c.start("$select=displayName,mail"))
	tenant.Update(ids[0], map[string]any{"displayName": "A1"})
	tenant.Delete(ids[1])
	tenant.Update(ids[2], map[string]any{"displayName": "C1"})
	clock.advance(time.Minute)
	tenant.SetFaults(graphtest.Faults{Lag: 30 * time.Second})
	tenant.Update(ids[0], map[string]any{"displayName": "A2", "mail": "a@contoso.com"})
	tenant.Restore(ids[1])
	tenant.Delete(ids[2])
	tenant.Purge(ids[2])
	for prefer, mail := range map[string]string{"": `,"mail":"old"`, "return=minimal": ""} {
		c.prefer = prefer
		rows, _ := c.drain(link)
		want := `{"displayName":"A1","id":"` + ids[0] + `"` + mail + `}
{"@removed":{"reason":"changed"},"id":"` + ids[1] + `"}
{"displayName":"C1","id":"` + ids[2] + `"}`
		if got := show(rows); got != want {
			t.Errorf("%s:\n got %s\nwant %s", prefer, got, want)
		}
	}
	for path, want := range map[string]int{"/v1.0/users/" + ids[1]: 404, "/v1.0/directory/deletedItems/" + ids[1]: 200, "/v1.0/users/" + ids[2]: 200} {
		if r := c.get(path); r.status != want {
			t.Errorf("%s: got %d, want %d", path, r.status, want)
		}
	}
	c.prefer = ""
	clock.advance(20 * time.Second)
	tenant.Delete(ids[1]) // hidden longer than the restore before it
	clock.advance(20 * time.Second)
	rows, _ := c.drain(link)
	want := `{"displayName":"A2","id":"` + ids[0] + `","mail":"a@contoso.com"}
{"displayName":"B","id":"` + ids[1] + `"}
{"@removed":{"reason":"deleted"},"id":"` + ids[2] + `"}`
	if got := show(rows); got != want {
		t.Errorf("later:\n got %s\nwant %s", got, want)
	}
}

// TestLagSetDuringARound must lose nobody, although the round's bounds were fixed when there was no lag.
func TestLagSetDuringARound(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now, Faults: graphtest.Faults{PageSize: 2}}
	tenant.Generate(7, 1)
	c := connect(t, tenant)
	first := c.page(c.start("$select=displayName"))
	tenant.SetFaults(graphtest.Faults{PageSize: 2, Lag: time.Hour})
	rows, link := c.drain(first.Next)
	if len(rows) != 5 {
		t.Errorf("the rest of the round: got %d rows, want 5", len(rows))
	}
	if rows, _ = c.drain(link); len(rows) != 0 {
		t.Errorf("the next round: got %s", show(rows))
	}
}

func TestLinks(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 3, TokenPadding: 6000}}
	tenant.Generate(10, 1)
	c := connect(t, tenant)
	p := c.page(c.start("$select=mail"))
	if len(p.Next) < 6000 {
		t.Errorf("a padded link has %d bytes", len(p.Next))
	}
	if rows, _ := c.drain(p.Next); len(rows) != 7 {
		t.Errorf("after a padded link: got %d rows, want 7", len(rows))
	}
	tenant.SetFaults(graphtest.Faults{PageSize: 3, Loop: 2})
	second := c.page(c.page(c.start("$select=mail")).Next)
	third := c.page(second.Next)
	fourth := c.page(third.Next)
	if second.Next == "" || second.Next != third.Next || third.Next != fourth.Next || fmt.Sprint(third.Value) != fmt.Sprint(fourth.Value) {
		t.Errorf("the links do not loop: %s, %s, %s", second.Next, third.Next, fourth.Next)
	}
	tenant.SetFaults(graphtest.Faults{PageSize: 3, ForeignLinks: "https://evil.example"})
	if p := c.page(c.start("$select=mail")); !strings.HasPrefix(p.Next, "https://evil.example/v1.0/users/delta?$skiptoken=") {
		t.Errorf("foreign link: got %s", p.Next)
	}
}

func TestExpiredDeltaTokens(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	all := tenant.Add(graphtest.User{"displayName": "A"}, graphtest.User{"displayName": "B"})
	c := connect(t, tenant)
	_, link := c.drain(c.start("$select=displayName"))

	clock.advance(7 * 24 * time.Hour)
	c.token = accessToken(t, tenant)
	if r := c.get(link); r.status != http.StatusOK {
		t.Errorf("after seven days: got %d %s", r.status, r.body)
	}
	clock.advance(time.Second)
	for _, tt := range []struct {
		shape    graphtest.Rejection
		status   int
		contains string
		location string
	}{
		{graphtest.BadRequest, 400, `"code":"syncStateNotFound"`, ""},
		{graphtest.Gone, 410, `"code":"syncStateNotFound"`, c.url + "/v1.0/users/delta?$deltatoken="},
		{graphtest.GoneResync, 410, `"code":"resyncRequired"`, c.url + "/v1.0/users/delta?$select=displayName%2Cid"},
		{graphtest.GoneNoLocation, 410, `"code":"SyncStateNotFound"`, ""},
		{graphtest.GoneNested, 410, `"innererror":{"code":"syncStateNotFound","innererror":{`, ""},
		{graphtest.UnsupportedQuery, 400, `"code":"Request_UnsupportedQuery","message":"DeltaLink older than 30 days is not supported."`, ""},
	} {
		tenant.SetFaults(graphtest.Faults{Rejection: tt.shape})
		r := c.get(link)
		if r.status != tt.status || !strings.Contains(string(r.body), tt.contains) || r.header.Get("Location") != tt.location {
			t.Errorf("shape %d: got %d %s, Location %q; want %d with %s, Location %q", tt.shape, r.status, r.body, r.header.Get("Location"), tt.status, tt.contains, tt.location)
		}
		if tt.location != "" {
			if rows, _ := c.drain(tt.location); len(rows) != 2 {
				t.Errorf("shape %d: at the location: got %s", tt.shape, show(rows))
			}
		}
	}
	tenant.SetFaults(graphtest.Faults{DeltaLife: 30 * 24 * time.Hour})
	if r := c.get(link); r.status != http.StatusOK {
		t.Errorf("with a longer life: got %d %s", r.status, r.body)
	}
	tenant.SetFaults(graphtest.Faults{RejectDelta: true})
	tenant.Delete(all[0])
	rows, fresh := c.drain(c.start("$select=displayName"))
	if got, want := ids(rows), all[1:]; !slices.Equal(got, want) {
		t.Errorf("the round after the gap: got %v, want %v", got, want)
	}
	if r := c.get(fresh); r.code() != "syncStateNotFound" {
		t.Errorf("every token refused: got %d %s", r.status, r.body)
	}
	tenant.SetFaults(graphtest.Faults{})
	if rows, _ := c.drain(fresh); len(rows) != 0 {
		t.Errorf("a deletion of the gap was told: %s", show(rows))
	}
}

// TestTokenOfAnEarlierLife uses the token of a tenant that had more history: nobody remembers what it stands for.
func TestTokenOfAnEarlierLife(t *testing.T) {
	before := &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 3}}
	before.Generate(10, 1)
	c := connect(t, before)
	first := c.page(c.start("$select=id"))
	_, link := c.drain(first.Next)
	after := connect(t, &graphtest.Tenant{})
	for link, want := range map[string]string{link: "syncStateNotFound", first.Next: "Directory_ExpiredPageToken"} {
		if r := after.get(strings.Replace(link, c.url, "", 1)); r.code() != want {
			t.Errorf("got %d %s, want %s", r.status, r.body, want)
		}
	}
	before.SetFaults(graphtest.Faults{PageSize: 3, Repeat: 1})
	first = c.page(c.start("$select=id"))
	short := &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 3}}
	only := short.Add(graphtest.User{"displayName": "0"})[0]
	for n := range 20 {
		short.Update(only, map[string]any{"displayName": fmt.Sprint(n + 1)})
	}
	connect(t, short).page(strings.Replace(first.Next, c.url, "", 1)) // anything but a panic will do
	other := connect(t, &graphtest.Tenant{ID: "11111111-2222-3333-4444-555555555555"})
	if r := other.get(strings.Replace(link, c.url, "", 1)); r.code() != "BadRequest" {
		t.Errorf("a token of another tenant: got %d %s", r.status, r.body)
	}
}

func TestExpiredPageTokens(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now, Faults: graphtest.Faults{PageSize: 3, PageLife: 5 * time.Minute}}
	tenant.Generate(10, 1)
	c := connect(t, tenant)
	next := c.page(c.start("$select=mail")).Next
	clock.advance(5*time.Minute + time.Second)
	if r := c.get(next); r.status != 400 || r.code() != "Directory_ExpiredPageToken" {
		t.Errorf("after its life: got %d %s", r.status, r.body)
	}
	tenant.SetFaults(graphtest.Faults{PageSize: 3, ExpirePage: 3, ExpirePageTimes: 2})
	for n, want := range []int{http.StatusBadRequest, http.StatusBadRequest, http.StatusOK} {
		third := c.page(c.page(c.start("$select=mail")).Next).Next
		if r := c.get(third); r.status != want {
			t.Errorf("third page, round %d: got %d, want %d", n+1, r.status, want)
		}
	}
}

func TestRules(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	tenant.Generate(3, 1)
	c := connect(t, tenant)
	statuses := func(n int) (out []int) {
		for range n {
			out = append(out, c.get(c.start("$select=id")).status)
		}
		return out
	}
	for _, tt := range []struct {
		name string
		rule graphtest.Rule
		want string
	}{
		{"every request", graphtest.Rule{}, "[503 503 503 503 503 503]"},
		{"every second", graphtest.Rule{Every: 2}, "[503 200 503 200 503 200]"},
		{"after two", graphtest.Rule{Skip: 2}, "[200 200 503 503 503 503]"},
		{"twice", graphtest.Rule{Times: 2}, "[503 503 200 200 200 200]"},
		{"the fourth", graphtest.Rule{Skip: 3, Times: 1}, "[200 200 200 503 200 200]"},
		{"other kind", graphtest.Rule{On: graphtest.Get}, "[200 200 200 200 200 200]"},
		{"this kind", graphtest.Rule{On: graphtest.Delta, Every: 5}, "[503 200 200 200 200 503]"},
		{"until", graphtest.Rule{Until: clock.now().Add(time.Minute)}, "[503 503 503 503 503 503]"},
		{"over", graphtest.Rule{Until: clock.now()}, "[200 200 200 200 200 200]"},
	} {
		tt.rule.Fault = graphtest.HTMLPage(http.StatusServiceUnavailable)
		tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{tt.rule}})
		if got := fmt.Sprint(statuses(6)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{Skip: 1, Every: 3, Fault: graphtest.Throttled("")}, {Every: 2, Fault: graphtest.Empty(504)}}})
	if got, want := fmt.Sprint(statuses(6)), "[504 429 504 200 429 200]"; got != want {
		t.Errorf("two rules: got %s, want %s", got, want)
	}
}

func TestKindsOfFault(t *testing.T) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(200, 1)
	c := connect(t, tenant)
	whole := string(c.get(c.start("$select=mail")).body)
	at := time.Date(2026, 3, 2, 6, 0, 10, 0, time.UTC)
	for _, tt := range []struct {
		name     string
		fault    graphtest.Fault
		status   int
		contains string
		header   string
		value    string
	}{
		{"throttled", graphtest.Throttled("10"), 429, `"code":"TooManyRequests"`, "Retry-After", "10"},
		{"throttled by a fraction", graphtest.Throttled("2.128"), 429, `"status":"429"`, "Retry-After", "2.128"},
		{"throttled without a word", graphtest.Throttled(""), 429, "", "Retry-After", ""},
		{"throttled to a date", graphtest.ThrottledUntil(at), 429, "", "Retry-After", "Mon, 02 Mar 2026 06:00:10 GMT"},
		{"throttled for ages", graphtest.Throttled("86400"), 429, "", "X-Ms-Throttle-Information", "ResourceUnitLimitExceeded"},
		{"gateway", graphtest.HTMLPage(504), 504, "<h2>Gateway Timeout</h2>", "Content-Type", "text/html; charset=us-ascii"},
		{"a portal's page", graphtest.HTMLPage(200), 200, "<HTML>", "Content-Type", "text/html; charset=us-ascii"},
		{"nothing", graphtest.Empty(503), 503, "", "Content-Length", "0"},
		{"no JSON", graphtest.BadJSON(), 200, `"a" "b"`, "OData-Version", "4.0"},
		{"bare error", graphtest.BareError(500), 500, `{"error":{}}`, "OData-Version", "4.0"},
		{"refused", graphtest.Refused(410, "resyncRequired"), 410, `{"error":{"code":"resyncRequired","message":`, "OData-Version", "4.0"},
		{"token expired", graphtest.AccessExpired(), 401, "InvalidAuthenticationToken", "Www-Authenticate", ""},
		{"header alone", graphtest.Fault{Header: http.Header{"x-ms-throttle-limit-percentage": {"0.9"}}}, 200, `"value":[`, "x-ms-throttle-limit-percentage", "0.9"},
		{"slow", graphtest.Fault{Delay: time.Millisecond}, 200, `"value":[`, "OData-Version", "4.0"},
	} {
		tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{Times: 1, Fault: tt.fault}}})
		r := c.get(c.start("$select=mail"))
		if r.status != tt.status || !strings.Contains(string(r.body), tt.contains) {
			t.Errorf("%s: got %d %.200s", tt.name, r.status, r.body)
		}
		if got := r.header.Get(tt.header); got != tt.value && tt.name != "token expired" {
			t.Errorf("%s: %s: got %q, want %q", tt.name, tt.header, got, tt.value)
		}
	}

	tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{Times: 1, Fault: graphtest.Fault{Truncate: true}}}})
	if r := c.get(c.start("$select=mail")); r.status != 200 || json.Valid(r.body) || len(r.body) < 1000 || len(r.body) >= len(whole) {
		t.Errorf("truncated: got %d and %d bytes of %d", r.status, len(r.body), len(whole))
	}
	tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{Fault: graphtest.Fault{Reset: true}}}})
	if r, err := c.try(c.start("$select=mail")); err == nil && r.err == nil {
		t.Errorf("reset: got %d and %d bytes without an error", r.status, len(r.body))
	}
}

func TestResetOverHTTP1(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Delta, Fault: graphtest.Fault{Reset: true}}}}}
	tenant.Generate(200, 1)
	c := connect(t, tenant)
	c.http.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	c.http.Transport.(*http.Transport).Protocols = new(http.Protocols)
	c.http.Transport.(*http.Transport).Protocols.SetHTTP1(true)
	r, err := c.try(c.start("$select=mail"))
	if err == nil && r.err == nil {
		t.Errorf("got %d and %d bytes without an error", r.status, len(r.body))
	}
	if err != nil || len(r.body) == 0 {
		t.Errorf("the connection broke before the middle of the body: %v, %d bytes", err, len(r.body))
	}
}

// TestHook lets a request fail after it took effect: a round begun that the client never heard of.
func TestHook(t *testing.T) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(1, 1)
	apply := false
	tenant.Hook = func(r *http.Request) graphtest.Fault {
		if !strings.Contains(r.URL.Path, "delta") {
			return graphtest.Fault{}
		}
		_ = tenant.Requests() // no lock is held
		return graphtest.Fault{Status: http.StatusGatewayTimeout, Apply: apply}
	}
	c := connect(t, tenant)
	tenant.SetFaults(graphtest.Faults{ExpirePage: 2, ExpirePageTimes: 1, PageSize: 1})
	for _, apply = range []bool{false, true} {
		if r := c.get(c.start("$select=id")); r.status != http.StatusGatewayTimeout || len(r.body) != 0 {
			t.Errorf("apply %v: got %d %s", apply, r.status, r.body)
		}
	}
	tenant.Set(func(t *graphtest.Tenant) { t.Hook = nil })
	if r := c.get(c.start("$select=id")); r.status != http.StatusOK {
		t.Errorf("without a hook: got %d", r.status)
	}
}

func TestRequestsAreCounted(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Organization, Fault: graphtest.Throttled("1")}}}}
	c := connect(t, tenant)
	for _, path := range []string{"/v1.0/users/delta", "/v1.0/users", "/v1.0/users/x", "/v1.0/organization", "/v1.0/nothing",
		"/v1.0/directory/deletedItems/x", "/v1.0/users/delta", "/" + graphtest.DefaultID + "/v2.0/.well-known/openid-configuration"} {
		c.get(path)
	}
	want := graphtest.Requests{Discovery: 1, Token: 1, Organization: 1, List: 1, Get: 1, Delta: 2, Deleted: 1, Other: 1, Total: 9, Throttled: 1}
	got := tenant.Requests()
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := got.Graph(), 7; got != want {
		t.Errorf("to Graph: got %d, want %d", got, want)
	}
	tenant.ResetRequests()
	if got := tenant.Requests(); got != (graphtest.Requests{}) {
		t.Errorf("after a reset: got %+v", got)
	}
}

func TestLimitedObjects(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{Limited: true}}
	id := tenant.Add(graphtest.User{"displayName": "A", "mail": "a@contoso.com"})[0]
	c := connect(t, tenant)
	rows, _ := c.drain(c.start("$select=displayName,mail"))
	want := `{"@odata.type":"#microsoft.graph.user","displayName":null,"id":"` + id + `","mail":null}`
	if got := show(rows); got != want {
		t.Errorf("delta: got %s, want %s", got, want)
	}
	for _, path := range []string{"/v1.0/users?$select=displayName,mail", "/v1.0/users/" + id + "?$select=displayName,mail"} {
		if r := c.get(path); r.status != 200 || !strings.Contains(string(r.body), `"displayName":null,"mail":null`) {
			t.Errorf("%s: got %d %s", path, r.status, r.body)
		}
	}
}

func TestPermissions(t *testing.T) {
	tenant := &graphtest.Tenant{Roles: []string{}}
	id := tenant.Add(graphtest.User{"displayName": "A"})[0]
	c := connect(t, tenant)
	paths := []string{"/v1.0/users/delta", "/v1.0/users", "/v1.0/users/" + id, "/v1.0/organization", "/v1.0/directory/deletedItems/" + id}
	for _, path := range paths {
		if r := c.get(path); r.status != 403 || r.code() != "Authorization_RequestDenied" {
			t.Errorf("without roles: %s: got %d %s", path, r.status, r.body)
		}
	}
	tenant.Set(func(t *graphtest.Tenant) { t.Roles = []string{"User.Read.All"} })
	if r := c.get("/v1.0/users/delta"); r.status != 403 {
		t.Errorf("an old token has new roles: got %d", r.status)
	}
	c.token = accessToken(t, tenant)
	for path, want := range map[string]int{"/v1.0/users/delta": 200, "/v1.0/organization": 403} {
		if r := c.get(path); r.status != want {
			t.Errorf("with User.Read.All: %s: got %d, want %d", path, r.status, want)
		}
	}
	tenant.SetFaults(graphtest.Faults{Denied: true})
	if r := c.get("/v1.0/users/delta"); r.code() != "Authorization_RequestDenied" {
		t.Errorf("denied: got %d %s", r.status, r.body)
	}
	tenant.SetFaults(graphtest.Faults{UnknownIdentity: true, NoMessage: true})
	r := c.get("/v1.0/users/delta")
	if r.status != 403 || r.code() != "Authorization_IdentityNotFound" || strings.Contains(string(r.body), "message") {
		t.Errorf("unknown identity, without a message: got %d %s", r.status, r.body)
	}
}

func TestErrorBodiesAndHeaders(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	c := connect(t, tenant)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url+"/v1.0/users/nobody", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("client-request-id", "mine")
	resp, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body struct {
		Error struct {
			Code, Message string
			InnerError    map[string]string `json:"innerError"`
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 404 || body.Error.Code != "Request_ResourceNotFound" || !strings.HasPrefix(body.Error.Message, "Resource 'nobody' does not exist") {
		t.Errorf("got %d %+v", resp.StatusCode, body)
	}
	if got, want := body.Error.InnerError["date"], "2026-03-02T06:00:00"; got != want {
		t.Errorf("date: got %s, want %s", got, want)
	}
	if body.Error.InnerError["client-request-id"] != "mine" || resp.Header.Get("client-request-id") != "mine" {
		t.Error("the client's id was not sent back")
	}
	if id := resp.Header.Get("request-id"); id == "" || id != body.Error.InnerError["request-id"] {
		t.Errorf("request-id: got %q", id)
	}
	if got, want := resp.Header.Get("Date"), "Mon, 02 Mar 2026 06:00:00 GMT"; got != want {
		t.Errorf("Date: got %s, want %s", got, want)
	}
	if resp.Header.Get("x-ms-ags-diagnostic") == "" {
		t.Error("no x-ms-ags-diagnostic")
	}
	if _, err := url.Parse(c.url); err != nil || !strings.HasPrefix(c.url, "https://127.0.0.1:") {
		t.Errorf("URL: %s", c.url)
	}
}
