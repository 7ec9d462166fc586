package graphtest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"unicode"

	"dirsync/graph/graphtest"
)

func text(v any) string {
	raw, ok := v.(json.RawMessage)
	if !ok {
		s, _ := v.(string)
		return s
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	return s
}

func TestGeneratedPeopleDoNotDependOnTheirNumber(t *testing.T) {
	people := func(n int, seed uint64) []graphtest.User {
		tenant := &graphtest.Tenant{}
		tenant.Generate(n, seed)
		return tenant.Users()
	}
	few, many, others := people(100, 7), people(600, 7), people(100, 8)
	if got, want := fmt.Sprint(many[:100]), fmt.Sprint(few); got != want {
		t.Error("the first hundred of 600 are not the same as those of 100")
	}
	if few[1]["id"].(string) == others[1]["id"].(string) || text(few[1]["displayName"])+text(few[2]["displayName"]) == text(others[1]["displayName"])+text(others[2]["displayName"]) {
		t.Error("another seed has made the same people")
	}
	grown := &graphtest.Tenant{}
	grown.Generate(100, 7)
	grown.Update(few[0]["id"].(string), map[string]any{"jobTitle": "Emeritus"})
	grown.Generate(600, 7)
	users := grown.Users()
	if len(users) != 600 || text(users[0]["jobTitle"]) != "Emeritus" || fmt.Sprint(users[1:]) != fmt.Sprint(many[1:]) {
		t.Error("a tenant that was grown is not the same as one made at once")
	}
}

func TestGeneratedPeopleAreBelievable(t *testing.T) {
	const n = 10_000
	tenant := &graphtest.Tenant{}
	tenant.Generate(n, 1)
	users := tenant.Users()
	byID := map[string]int{}
	upns, mails, scripts := map[string]bool{}, map[string][]string{}, map[string]int{}
	var guests, disabled, nameless, single, phones, hired, ext int
	for i, u := range users {
		for name, v := range u {
			if raw, ok := v.(json.RawMessage); ok && !json.Valid(raw) {
				t.Fatalf("person %d: %s is not JSON: %s", i, name, raw)
			}
		}
		id := u["id"].(string)
		if _, twice := byID[id]; twice || len(id) != 36 || id[14] != '4' {
			t.Fatalf("person %d: bad id %s", i, id)
		}
		byID[id] = i
		upn := strings.ToLower(text(u["userPrincipalName"]))
		if upns[upn] || !strings.HasSuffix(upn, "@contoso.com") || strings.ContainsFunc(upn, func(r rune) bool { return r > 127 || r == ' ' }) {
			t.Errorf("person %d: bad user principal name %q", i, upn)
		}
		upns[upn] = true
		if m := text(u["mail"]); m != "" {
			mails[strings.ToLower(m)] = append(mails[strings.ToLower(m)], m)
		}
		if text(u["userType"]) == "Guest" {
			guests++
			if !strings.Contains(upn, "#ext#@") {
				t.Errorf("guest %d: user principal name %s", i, upn)
			}
		}
		given, family := text(u["givenName"]), text(u["surname"])
		if text(u["accountEnabled"]) == "false" && given+family != "" {
			disabled++
		}
		switch {
		case given == "" && family == "":
			nameless++
		case given == "" || family == "":
			single++
		}
		if text(u["displayName"]) == "" {
			t.Errorf("person %d has no display name", i)
		}
		for _, script := range []string{"Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Han", "Hangul", "Hiragana", "Katakana"} {
			if strings.ContainsFunc(text(u["displayName"]), func(r rune) bool { return unicode.Is(unicode.Scripts[script], r) }) {
				scripts[script]++
			}
		}
		if text(u["mobilePhone"]) != "" {
			phones++
		}
		if strings.HasSuffix(text(u["employeeHireDate"]), "T00:00:00Z") {
			hired++
		}
		if _, ok := u["extension_"+graphtest.GeneratedExtension+"_costCentre"]; ok {
			ext++
		}
		if boss, ok := u["manager"]; ok {
			j, known := byID[boss.(string)]
			if !known || text(users[j]["userType"]) != "Member" || text(users[j]["surname"])+text(users[j]["displayName"]) == "" {
				t.Errorf("person %d has a bad manager, %v", i, boss)
			}
		}
	}
	between := func(name string, got, low, high int) {
		t.Helper()
		if got < low || got > high {
			t.Errorf("%s: got %d of %d, want %d to %d", name, got, n, low, high)
		}
	}
	between("guests", guests, 300, 500)
	between("disabled", disabled, 250, 450)
	between("without names", nameless, 100, 400)
	between("with one name", single, 40, 150)
	between("with a mobile phone", phones, 4000, 7000)
	between("with a date of hire", hired, 8000, 9900)
	between("with an extension", ext, 8000, 9900)
	for _, script := range []string{"Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Han", "Hangul", "Hiragana", "Katakana"} {
		if scripts[script] < 40 {
			t.Errorf("%s: only %d of %d names", script, scripts[script], n)
		}
	}
	pairs := 0
	for lower, as := range mails {
		switch {
		case len(as) == 1:
		case len(as) == 2 && as[0] != as[1]:
			pairs++
		default:
			t.Errorf("%s: %v", lower, as)
		}
	}
	if want := n / 500; pairs != want {
		t.Errorf("pairs with one address: got %d, want %d", pairs, want)
	}
}

const recorded = `{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#users","value":[
 {"businessPhones":[],"displayName":"Conf Room Adams","givenName":null,"mail":"Adams@contoso.com","userPrincipalName":"Adams@contoso.com","id":"6E7B768E-07e2-4810-8459-485f84f8f204"},
 {"businessPhones":["+1 425 555 0109"],"displayName":"Adele","accountEnabled":false,"userType":"Guest","manager@odata.bind":"x","id":"87d349ed-44d7-43e1-9a83-5f2406dee5bd"}]}`

func TestLoad(t *testing.T) {
	tenant := &graphtest.Tenant{}
	n, err := tenant.Load(strings.NewReader(recorded))
	if n != 2 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	c := connect(t, tenant)
	rows, _ := c.drain(c.start("$select=displayName,givenName,accountEnabled,userType,businessPhones,mail"))
	want := `{"accountEnabled":true,"businessPhones":[],"displayName":"Conf Room Adams","id":"6e7b768e-07e2-4810-8459-485f84f8f204","mail":"Adams@contoso.com","userType":"Member"}
{"accountEnabled":false,"businessPhones":["+1 425 555 0109"],"displayName":"Adele","id":"87d349ed-44d7-43e1-9a83-5f2406dee5bd","userType":"Guest"}`
	if got := show(rows); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for name, file := range map[string]string{
		"not JSON":     `{"value":[`,
		"no list":      `{"error":{}}`,
		"no id":        `{"value":[{"displayName":"A"}]}`,
		"id no string": `{"value":[{"id":7}]}`,
		"id twice":     `{"value":[{"id":"a"},{"id":"A"}]}`,
		"id taken":     `{"value":[{"id":"new"},{"id":"87d349ed-44d7-43e1-9a83-5f2406dee5bd"}]}`,
	} {
		if n, err := tenant.Load(strings.NewReader(file)); err == nil || n != 0 || !strings.HasPrefix(err.Error(), "load recorded users: ") {
			t.Errorf("%s: got %d, %v", name, n, err)
		}
	}
	if got := len(tenant.Users()); got != 2 {
		t.Errorf("after bad files there are %d people, want 2", got)
	}
}

func TestLoadGraphExplorer(t *testing.T) {
	f, err := os.Open("../../../shared/data/graph-explorer-users.json")
	if err != nil {
		t.Skip("the recorded users of Graph Explorer are not here: ", err)
	}
	defer f.Close()
	tenant := &graphtest.Tenant{}
	n, err := tenant.Load(f)
	if n != 32 || err != nil {
		t.Fatalf("got %d, %v, want 32", n, err)
	}
	nameless := 0
	for _, u := range tenant.Users() {
		if text(u["accountEnabled"]) != "true" {
			t.Errorf("%s may not sign in", text(u["displayName"]))
		}
		if u["givenName"] == nil {
			nameless++
		}
	}
	if nameless != 7 {
		t.Errorf("without a given name: got %d, want 7", nameless)
	}
}

func TestUserReturnsWhatWasSet(t *testing.T) {
	tenant := &graphtest.Tenant{}
	ids := tenant.Add(graphtest.User{"id": "ABCD", "displayName": "A<&>\u2028\"", "accountEnabled": nil, "age": 7}, graphtest.User{"displayName": "B"})
	if ids[0] != "abcd" {
		t.Errorf("id: got %s", ids[0])
	}
	tenant.SetManager("abcd", ids[1])
	u, ok := tenant.User("abcd")
	if _, has := u["accountEnabled"]; !ok || has || text(u["displayName"]) != "A<&>\u2028\"" || text(u["age"]) != "7" || u["manager"] != ids[1] {
		t.Errorf("got %v, %v", u, ok)
	}
	tenant.SetManager("abcd", "")
	tenant.Update("abcd", map[string]any{"age": nil})
	u, _ = tenant.User("abcd")
	if len(u) != 5 { // id, displayName, createdDateTime, userPrincipalName, userType
		t.Errorf("after clearing: got %v", u)
	}
	for name, f := range map[string]func(){
		"taken id":         func() { tenant.Add(graphtest.User{"id": "abcd"}) },
		"not JSON":         func() { tenant.Add(graphtest.User{"x": func() {}}) },
		"update nobody":    func() { tenant.Update("nobody", nil) },
		"delete nobody":    func() { tenant.Delete("nobody") },
		"restore present":  func() { tenant.Restore("abcd") },
		"purge nobody":     func() { tenant.Purge("nobody") },
		"unknown manager":  func() { tenant.SetManager("abcd", "nobody") },
		"update with junk": func() { tenant.Update("abcd", map[string]any{"x": make(chan int)}) },
	} {
		func() {
			defer func() {
				if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "graphtest: ") {
					t.Errorf("%s: no panic that says so", name)
				}
			}()
			f()
		}()
	}
	if len(tenant.Users()) != 2 {
		t.Error("a refused change took effect")
	}
}

// TestConcurrentUse is for the race detector: everything at once.
func TestConcurrentUse(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{PageSize: 20}}
	tenant.Generate(200, 1)
	ids := []string{}
	for _, u := range tenant.Users() {
		ids = append(ids, u["id"].(string))
	}
	c := connect(t, tenant)
	var readers, writers sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			f := newFollower(c)
			for range 3 {
				f.round(nil)
			}
		})
	}
	writers.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			id := ids[n%len(ids)]
			tenant.Update(id, map[string]any{"jobTitle": fmt.Sprint(n)})
			tenant.Delete(id)
			tenant.Restore(id)
			tenant.SetManager(id, ids[(n+1)%len(ids)])
			tenant.SetFaults(graphtest.Faults{PageSize: 20 + n%5})
			tenant.Set(func(t *graphtest.Tenant) { t.Name = fmt.Sprint(n) })
			tenant.User(id)
			tenant.Requests()
		}
	})
	readers.Wait()
	close(stop)
	writers.Wait()
	f := newFollower(c)
	f.round(nil)
	same(t, tenant, f.known)
}
