package graphtest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

// twelve is the $select of a typical sync.
const twelve = "displayName,givenName,surname,mail,userPrincipalName,accountEnabled,department,jobTitle,officeLocation,employeeId,employeeHireDate,mobilePhone"

// BenchmarkDelta measures how fast a first round of pages of 200 is made, without the network.
func BenchmarkDelta(b *testing.B) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(100_000, 1)
	token := accessToken(b, tenant)
	b.ReportAllocs()
	rows := 0
	url := "https://tenant.example/v1.0/users/delta?$select=" + twelve
	for b.Loop() {
		r := httptest.NewRequest(http.MethodGet, url, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		tenant.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body.String())
		}
		rows += 200
		body := w.Body.String()
		i := strings.LastIndex(body, `"@odata.nextLink":"`)
		if i < 0 {
			url = "https://tenant.example/v1.0/users/delta?$select=" + twelve
			continue
		}
		url = strings.TrimSuffix(body[i+len(`"@odata.nextLink":"`):], `"}`)
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "users/s")
}

// BenchmarkDeltaTLS measures the same with a server, and a client beside it that only looks for the links.
func BenchmarkDeltaTLS(b *testing.B) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(100_000, 1)
	c := connect(b, tenant)
	rows := 0
	url := c.start("$select=" + twelve)
	for b.Loop() {
		r := c.get(url)
		if r.status != http.StatusOK {
			b.Fatal(string(r.body))
		}
		rows += 200
		_, link, ok := strings.Cut(string(r.body[max(0, len(r.body)-2000):]), `"@odata.nextLink":"`)
		if url = strings.TrimSuffix(link, `"}`); !ok {
			url = c.start("$select=" + twelve)
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "users/s")
}

// BenchmarkGenerate measures how fast people are made and what they weigh.
func BenchmarkGenerate(b *testing.B) {
	const n = 100_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var tenant *graphtest.Tenant
	start := time.Now()
	made := 0
	for b.Loop() {
		tenant = &graphtest.Tenant{}
		tenant.Generate(n, 1)
		made += n
	}
	took := time.Since(start)
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(made)/took.Seconds(), "users/s")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/user")
	runtime.KeepAlive(tenant)
}

func accessToken(tb testing.TB, tenant *graphtest.Tenant) string {
	tb.Helper()
	who := tenant.Identity()
	form := "grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default&client_id=" + who.ClientID + "&client_secret=" + who.Secret
	r := httptest.NewRequest(http.MethodPost, "https://tenant.example/"+who.ID+"/oauth2/v2.0/token", strings.NewReader(form))
	w := httptest.NewRecorder()
	tenant.ServeHTTP(w, r)
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.AccessToken == "" {
		tb.Fatalf("no token: %s", w.Body)
	}
	return answer.AccessToken
}

// BenchmarkMembers reads a group of 100,000 to its end, in the three ways in which it can be read.
func BenchmarkMembers(b *testing.B) {
	tenant := granted()
	tenant.Generate(100_000, 1)
	group := tenant.AddGroup(graphtest.Group{})[0]
	tenant.AddMembers(group, tenant.IDs()...)
	token := accessToken(b, tenant)
	for name, path := range map[string]string{
		"direct":     "/v1.0/groups/" + group + "/members?$select=id&$top=999",
		"transitive": "/v1.0/groups/" + group + "/transitiveMembers/graph.user?$select=id&$top=999",
		"delta":      "/v1.0/groups/delta?$select=members",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for url := "https://tenant.example" + path; url != ""; {
					r := httptest.NewRequest(http.MethodGet, url, nil)
					r.Header.Set("Authorization", "Bearer "+token)
					w := httptest.NewRecorder()
					tenant.ServeHTTP(w, r)
					if w.Code != http.StatusOK {
						b.Fatal(w.Body.String())
					}
					_, url, _ = strings.Cut(w.Body.String(), `"@odata.nextLink":"`)
					url = strings.TrimSuffix(url, `"}`)
				}
			}
			b.ReportMetric(float64(100_000*b.N)/b.Elapsed().Seconds(), "members/s")
		})
	}
}

// BenchmarkWrites measures batches of twenty creations, of updates and of questions for names in a tenant of many, without
// the network.
func BenchmarkWrites(b *testing.B) {
	for name, request := range map[string]func(n int, id string) string{
		"create": func(n int, _ string) string {
			return wrapped(itoa(n%20), "POST", "/users", newUser("new"+itoa(n), `"mail":"new`+itoa(n)+`@contoso.com"`))
		},
		"update": func(n int, id string) string {
			return wrapped(itoa(n%20), "PATCH", "/users/"+id, `{"jobTitle":"`+itoa(n)+`","mail":"mail`+itoa(n)+`@contoso.com"}`)
		},
		"find": func(n int, _ string) string {
			return bare(itoa(n%20), "GET", "/users?$select=id&$filter=userPrincipalName%20eq%20'new"+itoa(n)+"@contoso.com'")
		},
	} {
		b.Run(name, func(b *testing.B) {
			tenant := &graphtest.Tenant{Roles: []string{"User.ReadWrite.All"}}
			tenant.Generate(100_000, 1)
			ids, token, n := tenant.IDs(), accessToken(b, tenant), 0
			send := func(requests ...string) {
				r := httptest.NewRequest(http.MethodPost, "https://tenant.example/v1.0/$batch", strings.NewReader(`{"requests":[`+strings.Join(requests, ",")+`]}`))
				r.Header.Set("Authorization", "Bearer "+token)
				w := httptest.NewRecorder()
				if tenant.ServeHTTP(w, r); w.Code != http.StatusOK || strings.Contains(w.Body.String(), `"error"`) {
					b.Fatal(w.Code, w.Body.String())
				}
			}
			send(wrapped("first", "POST", "/users", newUser("first", ""))) // from here on it is known who has which name
			for b.Loop() {
				requests := make([]string, 20)
				for i := range requests {
					requests[i] = request(n, ids[n%len(ids)])
					n++
				}
				send(requests...)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
