package graphtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

// listed follows a list to its end and returns a property of each row, and the count on the first page, -1 without one.
func (c *client) listed(path, property string) (values []string, count, pages int) {
	c.tb.Helper()
	count = -1
	for link := path; link != ""; pages++ {
		if pages > 1000 {
			c.tb.Fatal("the list does not end")
		}
		r := c.get(link)
		var p struct {
			Count *int   `json:"@odata.count"`
			Next  string `json:"@odata.nextLink"`
			Value []row
		}
		if err := json.Unmarshal(r.body, &p); err != nil || r.status != http.StatusOK {
			c.tb.Fatalf("GET %s: %d %s", link, r.status, r.body)
		}
		if p.Count != nil {
			if pages > 0 {
				c.tb.Errorf("GET %s: a count on page %d", link, pages+1)
			}
			count = *p.Count
		}
		for _, row := range p.Value {
			values = append(values, fmt.Sprint(row[property]))
		}
		link = p.Next
	}
	return values, count, pages
}

func users(options ...string) string { return "/v1.0/users?" + query(options...) }

// query encodes options, names and values alternating.
func query(options ...string) string {
	v := url.Values{}
	for i := 0; i < len(options); i += 2 {
		v.Set(options[i], options[i+1])
	}
	return v.Encode()
}

// eventually are the headers of an advanced query.
func eventually() map[string]string { return map[string]string{"ConsistencyLevel": "eventual"} }

func TestRangesOfCreationCoverEverybodyOnce(t *testing.T) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(2500, 3)
	tenant.Delete(tenant.IDs()[17])
	c := connect(t, tenant)
	c.headers = eventually()
	edges := []string{"1900-01-01T00:00:00Z", "2016-01-01T00:00:00Z", "2020-05-05T12:00:00Z", "2022-01-01T00:00:00Z", "2100-01-01T00:00:00Z"}
	var got []string
	for i := range len(edges) - 1 {
		filter := "createdDateTime ge " + edges[i] + " and createdDateTime lt " + edges[i+1]
		values, count, pages := c.listed(users("$filter", filter, "$select", "id", "$top", "999", "$count", "true"), "id")
		if count != len(values) || pages != max(1, (len(values)+998)/999) {
			t.Errorf("%s: %d people on %d pages, counted %d", filter, len(values), pages, count)
		}
		got = append(got, values...)
	}
	want := tenant.IDs()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("people: got %d, want %d", len(got), len(want))
	}
}

func TestListFilters(t *testing.T) {
	tenant := &graphtest.Tenant{}
	for i, name := range []string{"Anna O'Neil", "anton Berg", "Bo Ek", "Änne", "Zoe \"Z\" Li"} {
		tenant.Add(graphtest.User{"displayName": name, "userPrincipalName": fmt.Sprintf("u%d@contoso.com", i), "accountEnabled": i != 2,
			"createdDateTime": fmt.Sprintf("202%d-01-01T00:00:00Z", i), "mail": nil})
	}
	c := connect(t, tenant)
	for _, tt := range []struct {
		filter string
		want   string // who, in digits
		plain  bool
	}{
		{"startswith(displayName,'an')", "01", true},
		{"startswith(userPrincipalName,'U3')", "3", true},
		{"startsWith( displayName , 'anna o''n' )", "0", true},
		{"startswith(displayName,'x') or startswith(displayName,'b')", "2", true},
		{"displayName eq 'bo ek'", "2", true},
		{"accountEnabled eq false", "2", true},
		{"accountEnabled eq true and (displayName eq 'Änne' or displayName eq 'Bo Ek')", "3", true},
		{"mail eq null", "01234", true},
		{"endswith(displayName,'Li')", "4", false},
		{"not startswith(displayName,'an')", "234", false},
		{"displayName ne 'Änne'", "0124", false},
		{"createdDateTime ge 2021-01-01T00:00:00Z and createdDateTime lt 2023-01-01T00:00:00Z", "12", false},
		{"createdDateTime gt 2021-01-01T00:00:00Z and createdDateTime le 2023-01-01T00:00:00Z", "23", false},
		{"city eq 'Berlin'", "", false},
	} {
		path := users("$filter", tt.filter, "$select", "userPrincipalName")
		c.headers = eventually()
		who, count, _ := c.listed(path+"&$count=true", "userPrincipalName")
		var got strings.Builder
		for _, w := range who {
			got.WriteString(w[1:2])
		}
		if got.String() != tt.want || count != len(tt.want) {
			t.Errorf("%s: got %s (count %d), want %s", tt.filter, got.String(), count, tt.want)
		}
		for name, headers := range map[string]map[string]string{path: eventually(), path + "&$count=true": nil, path: nil} {
			c.headers = headers
			r := c.get(name)
			if plain := r.status == http.StatusOK; plain != tt.plain || !plain && r.code() != "Request_UnsupportedQuery" {
				t.Errorf("%s, not advanced: got %d %s", tt.filter, r.status, r.body)
			}
			if strings.Contains(string(r.body), "@odata.count") {
				t.Errorf("%s, not advanced: a count", tt.filter)
			}
		}
	}
	c.headers = eventually()
	for _, filter := range []string{"", "displayName", "displayName eq", "displayName eq 'a", "(displayName eq 'a'", "displayName eq 'a')",
		"nope eq 'a'", "manager eq 'a'", "startswith(displayName)", "startswith(displayName,'a'", "startswith(displayName,a)",
		"createdDateTime ge yesterday", "displayName gt 'a'", "displayName eq a", "displayName eq 'a' xor id eq 'b'",
		"otherMails/any(x:y eq 'a')", "displayName/any(x:x eq 'a')", strings.Repeat("(", 500), strings.Repeat("not ", 500), "''", ",", "not"} {
		if r := c.get(users("$filter", filter, "$count", "true")); r.status != http.StatusBadRequest {
			t.Errorf("%q: got %d %s", filter, r.status, r.body)
		}
	}
}

func TestAdvancedListsNeedTheirHeaderOnEveryPage(t *testing.T) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(250, 1)
	c := connect(t, tenant)
	path := users("$count", "true", "$top", "100", "$select", "id")
	if _, count, _ := c.listed(path, "id"); count != -1 {
		t.Errorf("without the header: counted %d", count)
	}
	c.headers = eventually()
	if got, count, pages := c.listed(path, "id"); len(got) != 250 || count != 250 || pages != 3 {
		t.Errorf("got %d people on %d pages, counted %d", len(got), pages, count)
	}
	next := c.page(path).Next
	c.headers = nil
	if r := c.get(next); r.status != http.StatusBadRequest || r.code() != "Directory_ExpiredPageToken" {
		t.Errorf("a page without the header: got %d %s", r.status, r.body)
	}
	if r := c.get("/v1.0/users/$count"); r.status != http.StatusBadRequest || r.code() != "Request_BadRequest" {
		t.Errorf("$count without the header: got %d %s", r.status, r.body)
	}
	c.headers = eventually()
	if r := c.get("/v1.0/users/$count?" + query("$filter", "accountEnabled ne true")); r.status != 200 || r.header.Get("Content-Type") != "text/plain" {
		t.Errorf("$count: got %d %q", r.status, r.body)
	}
	// A token of one list is no good for another.
	if r := c.get("/v1.0/directory/deletedItems/graph.user" + next[strings.Index(next, "?"):]); r.status != http.StatusBadRequest {
		t.Errorf("a token of another list: got %d", r.status)
	}
	if cost := c.get(path).header.Get("x-ms-resource-unit"); cost != "1" {
		t.Errorf("cost with $select: got %s, want 1", cost)
	}
}

func TestOrderAndSearch(t *testing.T) {
	tenant := &graphtest.Tenant{}
	for _, name := range []string{"Mia Berg", "adam", "Zoe Berger", "Bo", "bo"} {
		tenant.Add(graphtest.User{"displayName": name})
	}
	c := connect(t, tenant)
	for _, tt := range []struct {
		name, query string
		eventual    bool
		want        string // names, or the code of the error
	}{
		{"ordered", query("$orderby", "displayName", "$top", "2"), false, "adam|Bo|bo|Mia Berg|Zoe Berger"},
		{"descending", query("$orderby", "displayName desc", "$top", "3"), false, "Zoe Berger|Mia Berg|Bo|bo|adam"},
		{"filtered and ordered", query("$orderby", "displayName", "$filter", "startswith(displayName,'b')"), true, "Request_UnsupportedQuery"},
		{"the same, advanced", query("$orderby", "displayName", "$filter", "startswith(displayName,'b')", "$count", "true", "$top", "1"), true, "Bo|bo"},
		{"by something else", query("$orderby", "jobTitle"), false, "Request_UnsupportedQuery"},
		{"in a strange direction", query("$orderby", "displayName up"), false, "Request_UnsupportedQuery"},
		{"search", query("$search", `"displayName:berg"`, "$top", "1"), true, "Mia Berg|Zoe Berger"},
		{"search and filter", query("$search", `"displayName:ber"`, "$filter", "startswith(displayName,'z')", "$count", "true"), true, "Zoe Berger"},
		{"search without the header", query("$search", `"displayName:berg"`), false, "Request_UnsupportedQuery"},
		{"search without quotes", query("$search", "displayName:berg"), true, "BadRequest"},
		{"search of something else", query("$search", `"jobTitle:x"`), true, "Request_UnsupportedQuery"},
	} {
		c.headers = nil
		if tt.eventual {
			c.headers = eventually()
		}
		r := c.get("/v1.0/users?" + tt.query)
		got := r.code()
		if r.status == http.StatusOK {
			names, _, _ := c.listed("/v1.0/users?"+tt.query, "displayName")
			got = strings.Join(names, "|")
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestIndexLags asks for everybody in the plain way and from the index, which has not heard the latest.
func TestIndexLags(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now, Faults: graphtest.Faults{IndexLag: 10 * time.Minute}}
	all := tenant.Add(graphtest.User{"displayName": "A"}, graphtest.User{"displayName": "B"})
	clock.advance(time.Hour)
	c := connect(t, tenant)
	tenant.Update(all[0], map[string]any{"displayName": "A2"})
	tenant.Delete(all[1])
	tenant.Add(graphtest.User{"displayName": "C"})
	c.headers = eventually()
	ask := func() string {
		t.Helper()
		plain, _, _ := c.listed(users("$select", "displayName"), "displayName")
		indexed, count, _ := c.listed(users("$select", "displayName", "$count", "true"), "displayName")
		return fmt.Sprint(plain, indexed, count)
	}
	if got, want := ask(), "[A2 C] [A B] 2"; got != want {
		t.Errorf("at once: got %s, want %s", got, want)
	}
	clock.advance(10 * time.Minute)
	if got, want := ask(), "[A2 C] [A2 C] 2"; got != want {
		t.Errorf("later: got %s, want %s", got, want)
	}
}
