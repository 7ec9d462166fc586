package graphtest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

// ids are the ids of rows, in order.
func ids(rows []row) []string {
	out := []string{}
	for _, r := range rows {
		out = append(out, r.id())
	}
	return out
}

// show writes rows in a form that is easy to compare: keys in order.
func show(rows []row) string {
	var b strings.Builder
	for _, r := range rows {
		raw, _ := json.Marshal(r)
		b.Write(raw)
		b.WriteByte('\n')
	}
	return strings.TrimSpace(b.String())
}

func TestFirstRoundDeliversEverybodyInPagesOf200(t *testing.T) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(450, 1)
	c := connect(t, tenant)
	var sizes []int
	seen := map[string]bool{}
	for p := range c.round(c.start("$select=displayName&$top=3")) {
		sizes = append(sizes, len(p.Value))
		for _, raw := range p.Value {
			var r row
			if err := json.Unmarshal(raw, &r); err != nil {
				t.Fatal(err)
			}
			seen[r.id()] = true
		}
		if want := c.url + "/v1.0/$metadata#users(displayName,id)"; p.Context != want {
			t.Errorf("context: got %s, want %s", p.Context, want)
		}
	}
	if got, want := fmt.Sprint(sizes), "[200 200 50]"; got != want {
		t.Errorf("page sizes, $top given: got %s, want %s", got, want)
	}
	if len(seen) != 450 {
		t.Errorf("people: got %d, want 450", len(seen))
	}
}

func TestSpellingsOfDelta(t *testing.T) {
	tenant := &graphtest.Tenant{}
	tenant.Add(graphtest.User{"displayName": "Ada"})
	c := connect(t, tenant)
	for _, path := range []string{
		"/v1.0/users/delta?$select=displayName",
		"/v1.0/users/delta()?%24select=displayName",
		"/v1.0/users/delta/?$select=displayName",
		"/v1.0/users/microsoft.graph.delta?$select=displayName,id",
		"/v1.0/users/microsoft.graph.delta()?$SELECT=displayName",
	} {
		p := c.page(path)
		if len(p.Value) != 1 || !strings.Contains(string(p.Value[0]), `"displayName":"Ada"`) || strings.Contains(string(p.Value[0]), "accountEnabled") {
			t.Errorf("%s: got %s", path, p.Value)
		}
		if !strings.HasPrefix(p.Delta, c.url+"/v1.0/users/delta?$deltatoken=") {
			t.Errorf("%s: delta link: got %s", path, p.Delta)
		}
	}
}

// TestValues holds the table of omitted, null and repeated values: never set is omitted, cleared is null, and a changed
// object repeats what was selected.
func TestValues(t *testing.T) {
	tenant := &graphtest.Tenant{}
	id := tenant.Add(graphtest.User{"displayName": "Ada", "givenName": "Ada", "jobTitle": "Countess", "surname": nil})[0]
	c := connect(t, tenant)
	q := "$select=displayName,givenName,surname,jobTitle"

	rows, link := c.drain(c.start(q))
	if got, want := show(rows), `{"displayName":"Ada","givenName":"Ada","id":"`+id+`","jobTitle":"Countess"}`; got != want {
		t.Errorf("first round:\n got %s\nwant %s", got, want)
	}
	tenant.Update(id, map[string]any{"jobTitle": nil, "surname": "Lovelace"})
	rows, next := c.drain(link)
	if got, want := show(rows), `{"displayName":"Ada","givenName":"Ada","id":"`+id+`","jobTitle":null,"surname":"Lovelace"}`; got != want {
		t.Errorf("after a change:\n got %s\nwant %s", got, want)
	}
	c.prefer = "return=minimal"
	rows, _ = c.drain(link)
	if got, want := show(rows), `{"id":"`+id+`","jobTitle":null,"surname":"Lovelace"}`; got != want {
		t.Errorf("after a change, minimal:\n got %s\nwant %s", got, want)
	}
	if rows, _ = c.drain(next); len(rows) != 0 {
		t.Errorf("after nothing: got %s", show(rows))
	}
	c.prefer = ""
	rows, _ = c.drain(c.start(q))
	if got, want := show(rows), `{"displayName":"Ada","givenName":"Ada","id":"`+id+`","jobTitle":null,"surname":"Lovelace"}`; got != want {
		t.Errorf("a new first round:\n got %s\nwant %s", got, want)
	}
}

func TestDefaultsWithoutSelect(t *testing.T) {
	tenant := &graphtest.Tenant{}
	boss := tenant.Add(graphtest.User{"displayName": "Boss", "userPrincipalName": "boss@contoso.com", "department": "Top"})[0]
	id := tenant.Add(graphtest.User{"displayName": "Ada", "userPrincipalName": "ada@contoso.com"})[0]
	tenant.SetManager(id, boss)
	c := connect(t, tenant)
	p := c.page("/v1.0/users/delta")
	if want := c.url + "/v1.0/$metadata#users"; p.Context != want {
		t.Errorf("context: got %s, want %s", p.Context, want)
	}
	rows, link := c.drain("/v1.0/users/delta")
	want := `{"displayName":"Boss","id":"` + boss + `","userPrincipalName":"boss@contoso.com"}
{"displayName":"Ada","id":"` + id + `","manager@delta":[{"@odata.type":"#microsoft.graph.user","id":"` + boss + `"}],"userPrincipalName":"ada@contoso.com"}`
	if got := show(rows); got != want {
		t.Errorf("rows:\n got %s\nwant %s", got, want)
	}
	tenant.Update(id, map[string]any{"accountEnabled": false, "department": "Sums"})
	if rows, _ = c.drain(link); len(rows) != 0 {
		t.Errorf("a change of what is no default surfaced %s", show(rows))
	}
}

func TestOnlySelectedPropertiesSurface(t *testing.T) {
	tenant := &graphtest.Tenant{}
	id := tenant.Add(graphtest.User{"displayName": "Ada", "mail": "ada@contoso.com"})[0]
	c := connect(t, tenant)
	_, names := c.drain(c.start("$select=displayName"))
	_, mails := c.drain(c.start("$select=displayName,mail"))
	_, none := c.drain(c.start("$select=id"))
	tenant.Update(id, map[string]any{"mail": "countess@contoso.com"})
	tenant.Update(id, map[string]any{"mail": "countess@contoso.com"}) // the same value is no change
	for _, tt := range []struct {
		name, link string
		want       int
	}{{"not selected", names, 0}, {"selected", mails, 1}, {"nothing but the id", none, 0}} {
		if rows, _ := c.drain(tt.link); len(rows) != tt.want {
			t.Errorf("%s: got %s, want %d rows", tt.name, show(rows), tt.want)
		}
	}
	tenant.Delete(id)
	if rows, _ := c.drain(none); len(rows) != 1 || rows[0].removed() != "changed" {
		t.Errorf("a deletion with nothing selected: got %s", show(rows))
	}
}

func TestDeletionRestoreAndPurge(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	all := tenant.Add(graphtest.User{"displayName": "A"}, graphtest.User{"displayName": "B"}, graphtest.User{"displayName": "C"}, graphtest.User{"displayName": "D"})
	a, b, cc, d := all[0], all[1], all[2], all[3]
	tenant.Delete(d) // before the initial request: never heard of
	c := connect(t, tenant)
	rows, link := c.drain(c.start("$select=displayName"))
	if got, want := ids(rows), []string{a, b, cc}; !slices.Equal(got, want) {
		t.Fatalf("first round: got %v, want %v", got, want)
	}
	step := func(name, want string) {
		t.Helper()
		var rows []row
		rows, link = c.drain(link)
		if got := show(rows); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	tombstone := func(id, reason string) string {
		return `{"@removed":{"reason":"` + reason + `"},"id":"` + id + `"}`
	}
	tenant.Delete(a)
	step("deleted", tombstone(a, "changed"))
	step("nothing", "")
	tenant.Restore(a)
	step("restored", `{"displayName":"A","id":"`+a+`"}`)
	tenant.Delete(a)
	tenant.Restore(a)
	step("deleted and restored", `{"displayName":"A","id":"`+a+`"}`)
	tenant.Delete(b)
	tenant.Purge(b)
	step("deleted for good", tombstone(b, "deleted"))
	tenant.Delete(a)
	step("deleted again", tombstone(a, "changed"))
	clock.advance(3 * 24 * time.Hour)
	c.token = accessToken(t, tenant)
	tenant.Purge(cc)
	step("purged while present", tombstone(cc, "deleted"))
	var late []string
	for range 10 { // the link must not grow too old on the way
		clock.advance(3 * 24 * time.Hour)
		c.token = accessToken(t, tenant)
		var rows []row
		rows, link = c.drain(link)
		for _, r := range rows {
			late = append(late, r.id()+" "+r.removed())
		}
	}
	// The end of D, of whom the client never heard, is told all the same.
	want := []string{a + " deleted", d + " deleted"}
	slices.Sort(want)
	if slices.Sort(late); !slices.Equal(late, want) {
		t.Errorf("after thirty days: got %v, want %v", late, want)
	}
	if _, ok := tenant.User(a); ok {
		t.Error("a purged user is present")
	}
}

// TestChangesDuringARound makes changes between the pages of a first round: each must be seen in this round or the next.
func TestChangesDuringARound(t *testing.T) {
	for _, shuffle := range []bool{false, true} {
		tenant := &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 7, Shuffle: shuffle, Seed: 3}}
		tenant.Generate(50, 1)
		c := connect(t, tenant)
		known := map[string]row{}
		apply := func(raw json.RawMessage) {
			var r row
			if err := json.Unmarshal(raw, &r); err != nil {
				t.Fatal(err)
			}
			if r.removed() != "" {
				delete(known, r.id())
				return
			}
			known[r.id()] = r
		}
		link, n := "", 0
		for p := range c.round(c.start("$select=displayName,jobTitle")) {
			for _, raw := range p.Value {
				apply(raw)
			}
			if n++; n <= 5 { // one of the delivered, one of those to come, and somebody new
				users := tenant.Users()
				tenant.Delete(users[0]["id"].(string))
				tenant.Update(users[3]["id"].(string), map[string]any{"jobTitle": fmt.Sprint("first ", n)})
				tenant.Delete(users[len(users)-1]["id"].(string))
				tenant.Update(users[len(users)-2]["id"].(string), map[string]any{"jobTitle": fmt.Sprint("last ", n)})
				tenant.Add(graphtest.User{"displayName": fmt.Sprint("New ", n)})
			}
			link = p.Delta
		}
		rows, link := c.drain(link)
		for _, r := range rows {
			raw, _ := json.Marshal(r)
			apply(raw)
		}
		if rows, _ := c.drain(link); len(rows) != 0 {
			t.Errorf("shuffle %v: the third round has %d rows", shuffle, len(rows))
		}
		same(t, tenant, known)
	}
}

// same compares what a client knows, by displayName and jobTitle, with the truth.
func same(t *testing.T, tenant *graphtest.Tenant, known map[string]row) {
	t.Helper()
	users := tenant.Users()
	if len(known) != len(users) {
		t.Errorf("people: got %d, want %d", len(known), len(users))
	}
	for _, u := range users {
		r, ok := known[u["id"].(string)]
		if !ok {
			t.Errorf("missing: %v", u["id"])
			continue
		}
		for _, name := range []string{"displayName", "jobTitle"} {
			got, _ := json.Marshal(r[name])
			want, _ := json.Marshal(u[name])
			var w any
			_ = json.Unmarshal(want, &w)
			want, _ = json.Marshal(w)
			if string(got) != string(want) {
				t.Errorf("%v %s: got %s, want %s", u["id"], name, got, want)
			}
		}
	}
}

func TestManager(t *testing.T) {
	tenant := &graphtest.Tenant{}
	all := tenant.Add(graphtest.User{"displayName": "A"}, graphtest.User{"displayName": "B"}, graphtest.User{"displayName": "C"})
	tenant.SetManager(all[0], all[1])
	c := connect(t, tenant)
	rows, link := c.drain(c.start("$select=manager"))
	user := func(id string) string { return `{"@odata.type":"#microsoft.graph.user","id":"` + id + `"}` }
	gone := func(id string) string {
		return `{"@odata.type":"#microsoft.graph.user","@removed":{"reason":"deleted"},"id":"` + id + `"}`
	}
	line := func(links ...string) string {
		return `{"id":"` + all[0] + `","manager@delta":[` + strings.Join(links, ",") + `]}`
	}
	if got, want := show(rows[:1]), line(user(all[1])); got != want {
		t.Errorf("first round: got %s, want %s", got, want)
	}
	step := func(name, want string) {
		t.Helper()
		var rows []row
		rows, link = c.drain(link)
		if got := show(rows); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	tenant.SetManager(all[0], all[2])
	step("another manager", line(gone(all[1]), user(all[2])))
	tenant.SetManager(all[0], "")
	step("no manager", line(gone(all[2])))
	tenant.SetManager(all[0], "")
	step("no manager, again", "")
	tenant.Update(all[0], map[string]any{"displayName": "AA"})
	step("not selected", "")
}

// TestManagerBesideOtherChanges changes something else: the link is repeated, and left out where less is preferred.
func TestManagerBesideOtherChanges(t *testing.T) {
	tenant := &graphtest.Tenant{}
	all := tenant.Add(graphtest.User{"displayName": "A"}, graphtest.User{"displayName": "B"}, graphtest.User{"displayName": "C"})
	tenant.SetManager(all[0], all[1])
	tenant.SetManager(all[2], all[1])
	tenant.SetManager(all[2], "")
	c := connect(t, tenant)
	_, link := c.drain(c.start("$select=displayName,manager"))
	tenant.Update(all[0], map[string]any{"displayName": "AA"})
	tenant.Update(all[2], map[string]any{"displayName": "CC"})
	for prefer, manager := range map[string]string{"": `,"manager@delta":[{"@odata.type":"#microsoft.graph.user","id":"` + all[1] + `"}]`, "return=minimal": ""} {
		c.prefer = prefer
		rows, _ := c.drain(link)
		want := `{"displayName":"AA","id":"` + all[0] + `"` + manager + `}
{"displayName":"CC","id":"` + all[2] + `"}`
		if got := show(rows); got != want {
			t.Errorf("%s:\n got %s\nwant %s", prefer, got, want)
		}
	}
	tenant.Delete(all[0])
	tenant.Restore(all[0])
	rows, _ := c.drain(link)
	if len(rows) != 2 || len(rows[1]) != 3 { // whole, the manager included, even in minimal mode
		t.Errorf("restored: got %s", show(rows))
	}
}

func TestLatest(t *testing.T) {
	tenant := &graphtest.Tenant{}
	id := tenant.Add(graphtest.User{"displayName": "A"}, graphtest.User{"displayName": "B"})[1]
	c := connect(t, tenant)
	for _, option := range []string{"$deltatoken=latest", "$deltaToken=latest"} {
		rows, link := c.drain(c.start("$select=displayName&" + option))
		if len(rows) != 0 {
			t.Errorf("%s: got %s", option, show(rows))
		}
		tenant.Update(id, map[string]any{"displayName": option, "jobTitle": "x"})
		rows, _ = c.drain(link)
		if got, want := show(rows), `{"displayName":"`+option+`","id":"`+id+`"}`; got != want {
			t.Errorf("%s: got %s, want %s", option, got, want)
		}
	}
}

func TestFilter(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 1}}
	var all []string
	for i := range 60 {
		all = append(all, tenant.Add(graphtest.User{"displayName": fmt.Sprint(i)})...)
	}
	c := connect(t, tenant)
	filter := func(ids ...string) string {
		var terms []string
		for _, id := range ids {
			terms = append(terms, "id eq '"+id+"'")
		}
		return "$select=displayName&$filter=" + url.QueryEscape(strings.Join(terms, " or "))
	}
	rows, link := c.drain(c.start(filter(all[5], all[3], strings.ToUpper(all[9]))))
	if got, want := ids(rows), []string{all[3], all[5], all[9]}; !slices.Equal(got, want) {
		t.Errorf("filtered: got %v, want %v", got, want)
	}
	tenant.Update(all[4], map[string]any{"displayName": "x"})
	tenant.Update(all[5], map[string]any{"displayName": "y"})
	tenant.Delete(all[3])
	rows, _ = c.drain(link)
	if got, want := ids(rows), []string{all[5], all[3]}; !slices.Equal(got, want) {
		t.Errorf("filtered changes: got %v, want %v", got, want)
	}
	// Somebody of the filter who comes only during the round is seen in the next, and pushes nobody out of this one.
	late := c.page(c.start(filter(all[0], all[59], "ffffffff-0000-4000-8000-000000000000")))
	tenant.Add(graphtest.User{"id": "ffffffff-0000-4000-8000-000000000000", "displayName": "late"})
	rows, link = c.drain(late.Next)
	if got, want := ids(rows), all[59:]; !slices.Equal(got, want) {
		t.Errorf("the rest of a filtered round: got %v, want %v", got, want)
	}
	if rows, _ = c.drain(link); len(rows) != 1 || rows[0]["displayName"] != "late" {
		t.Errorf("the round after it: got %s", show(rows))
	}
	if rows, _ := c.drain(c.start(filter(all[:50]...))); len(rows) != 49 {
		t.Errorf("fifty: got %d rows, want 49", len(rows))
	}
	if r := c.get(c.start(filter(all[:51]...))); r.status != http.StatusBadRequest {
		t.Errorf("fifty-one: got %d, want 400", r.status)
	}
}

func TestRefusedQueries(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 1}}
	tenant.Add(graphtest.User{"displayName": "A"}, graphtest.User{"displayName": "B"})
	c := connect(t, tenant)
	first := c.page(c.start("$select=displayName"))
	_, link := c.drain(first.Next)
	skip, _ := url.Parse(first.Next)
	last, _ := url.Parse(link)
	for _, tt := range []struct{ name, query, code, message string }{
		{"untrackable", "$select=displayName,signInActivity,skills", "BadRequest", "not supported for the following properties: signInActivity,skills"},
		{"unknown property", "$select=displayNam", "BadRequest", "Could not find a property named 'displayNam'"},
		{"empty property", "$select=displayName,", "BadRequest", "not valid"},
		{"orderby", "$orderby=displayName", "Request_UnsupportedQuery", "$orderby"},
		{"expand", "$expand=manager", "Request_UnsupportedQuery", "$expand"},
		{"search", "$search=x", "Request_UnsupportedQuery", "$search"},
		{"count", "$count=true", "Request_UnsupportedQuery", "$count"},
		{"other filter", "$filter=startswith(displayName,'a')", "Request_UnsupportedQuery", "filter"},
		{"filter by and", "$filter=id%20eq%20'a'%20and%20id%20eq%20'b'", "Request_UnsupportedQuery", "filter"},
		{"option twice", "$select=id&$select=mail", "BadRequest", "more than once"},
		{"both tokens", skip.RawQuery + "&" + last.RawQuery, "BadRequest", "not both"},
		{"select beside a page token", skip.RawQuery + "&$select=mail", "BadRequest", "part of the token"},
		{"select beside a delta token", last.RawQuery + "&$select=mail", "BadRequest", "part of the token"},
		{"page token as delta token", strings.Replace(skip.RawQuery, "skip", "delta", 1), "BadRequest", "badly formed"},
		{"delta token as page token", strings.Replace(last.RawQuery, "delta", "skip", 1), "BadRequest", "badly formed"},
		{"token cut short", last.RawQuery[:len(last.RawQuery)-3], "BadRequest", "badly formed"},
		{"no token at all", "$skiptoken=", "BadRequest", "empty"},
		{"broken escape", "$select=%zz", "BadRequest", "malformed"},
	} {
		r := c.get("/v1.0/users/delta?" + tt.query)
		if r.status != http.StatusBadRequest || r.code() != tt.code || !strings.Contains(string(r.body), tt.message) {
			t.Errorf("%s: got %d %s, want 400 %s with %q", tt.name, r.status, r.body, tt.code, tt.message)
		}
	}
}

func TestPrefer(t *testing.T) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(450, 1)
	c := connect(t, tenant)
	for _, tt := range []struct {
		prefer, applied string
		rows            int
	}{
		{"odata.maxpagesize=50", "odata.maxpagesize=50", 50},
		{"maxpagesize=999, return=minimal", "odata.maxpagesize=200,return=minimal", 200},
		{"odata.maxpagesize=nonsense", "", 200},
	} {
		c.prefer = tt.prefer
		r := c.get(c.start("$select=id"))
		var p page
		if err := json.Unmarshal(r.body, &p); err != nil {
			t.Fatal(err)
		}
		if len(p.Value) != tt.rows || r.header.Get("Preference-Applied") != tt.applied {
			t.Errorf("%s: got %d rows and %q, want %d and %q", tt.prefer, len(p.Value), r.header.Get("Preference-Applied"), tt.rows, tt.applied)
		}
		// Headers are not in the token: without the preference the next page is as long as any.
		c.prefer = ""
		if next := c.page(p.Next); len(next.Value) != 200 {
			t.Errorf("%s: the next page has %d rows, want 200", tt.prefer, len(next.Value))
		}
	}
}

func TestMinimalSendsExtensionsOfOneTypeTogether(t *testing.T) {
	tenant := &graphtest.Tenant{}
	ext := func(name string) string { return "extension_" + graphtest.GeneratedExtension + "_" + name }
	id := tenant.Add(graphtest.User{"displayName": "A", ext("a"): "1", ext("b"): "2", ext("n"): 3})[0]
	c := connect(t, tenant)
	_, link := c.drain(c.start("$select=displayName," + ext("a") + "," + ext("b") + "," + ext("n")))
	tenant.Update(id, map[string]any{ext("a"): "9"})
	c.prefer = "return=minimal"
	rows, _ := c.drain(link)
	if len(rows) != 1 {
		t.Fatalf("got %s", show(rows))
	}
	got := slices.Sorted(maps.Keys(rows[0]))
	want := []string{ext("a"), ext("b"), "id"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEveryRoundEndsWithANewLink(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	tenant.Generate(3, 1)
	c := connect(t, tenant)
	_, link := c.drain(c.start("$select=mail"))
	clock.advance(time.Minute)
	_, next := c.drain(link)
	if next == link {
		t.Error("an empty round has given the same link again")
	}
}

// TestLongValuesAndManyProperties goes beyond what fits into one byte of length or number.
func TestLongValuesAndManyProperties(t *testing.T) {
	tenant := &graphtest.Tenant{}
	u := graphtest.User{"aboutThem": strings.Repeat("Grüße, ", 5000), "mail": strings.Repeat("x", 125)}
	for n := range 300 {
		u[fmt.Sprintf("extension_%s_p%03d", graphtest.GeneratedExtension, n)] = n
	}
	id := tenant.Add(u, graphtest.User{"displayName": "B"})[0]
	tenant.Update(id, map[string]any{"mail": strings.Repeat("y", 130), "extension_" + graphtest.GeneratedExtension + "_p299": "last"})
	c := connect(t, tenant)
	rows, _ := c.drain(c.start("$select=aboutThem,mail,extension_" + graphtest.GeneratedExtension + "_p299,extension_" + graphtest.GeneratedExtension + "_p150"))
	if len(rows) != 2 {
		t.Fatalf("got %d rows", len(rows))
	}
	r := rows[0]
	if r["aboutThem"] != u["aboutThem"] || r["mail"] != strings.Repeat("y", 130) || r["extension_"+graphtest.GeneratedExtension+"_p150"] != 150.0 || r["extension_"+graphtest.GeneratedExtension+"_p299"] != "last" || len(r) != 5 {
		t.Errorf("got %.300s", show(rows[:1]))
	}
	if got, want := tenant.IDs(), ids(rows); !slices.Equal(got, want) {
		t.Errorf("IDs: got %v, want %v", got, want)
	}
}

// TestManagerWhoWentIsToldInAReplay has a round begin before its own base, where there was no manager yet: the end of
// the link that was told since is news all the same.
func TestManagerWhoWentIsToldInAReplay(t *testing.T) {
	tenant := &graphtest.Tenant{}
	all := tenant.Add(graphtest.User{"displayName": "A"}, graphtest.User{"displayName": "B"})
	c := connect(t, tenant)
	_, link := c.drain(c.start("$select=manager"))
	tenant.SetManager(all[0], all[1])
	_, link = c.drain(link)
	tenant.SetManager(all[0], "")
	tenant.SetFaults(graphtest.Faults{Replay: 1})
	rows, _ := c.drain(link)
	if got, want := show(rows), `{"id":"`+all[0]+`","manager@delta":[{"@odata.type":"#microsoft.graph.user","@removed":{"reason":"deleted"},"id":"`+all[1]+`"}]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
