//go:build unix

package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"dirsync/scim"
	"dirsync/scim/server"
)

// sink is a ResponseWriter that keeps nothing, so that what is measured is the server.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header { return s.header }
func (s *sink) WriteHeader(n int)   { s.status = n }
func (s *sink) Write(b []byte) (int, error) {
	s.bytes += len(b)
	return len(b), nil
}

// person is a user as Entra creates one.
func person(n int) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
 "externalId":"0a21f0f2-8d2a-4f8e-bf98-%012d","userName":"Test_User_%d@contoso.com","active":true,
 "displayName":"Test User %d","title":"Engineer","preferredLanguage":"en",
 "addresses":[{"type":"work","streetAddress":"Unter den Linden 1","locality":"Berlin","country":"DE"}],
 "emails":[{"primary":true,"type":"work","value":"Test_User_%d@contoso.com"}],
 "phoneNumbers":[{"type":"work","value":"+49 30 901820"}],
 "meta":{"resourceType":"User"},
 "name":{"formatted":"givenName familyName","familyName":"familyName","givenName":"givenName"},"roles":[],
 "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Sales","employeeNumber":"%d"}}`, n, n, n, n, n)
}

func benchRig(b *testing.B, users int) *rig {
	r := newRig(b, func(c *server.Config) { c.Observe = nil })
	r.store.twice = false
	for n := range users {
		r.do("POST", "/Users", person(n)).want(201)
	}
	return r
}

func (r *rig) bench(b *testing.B, request func(n int) *http.Request, want int) {
	b.ReportAllocs()
	n, used := 0, processor()
	for b.Loop() {
		w := &sink{header: http.Header{}}
		req := request(n)
		req.Header.Set("Authorization", "Bearer all")
		r.server.ServeHTTP(w, req)
		if w.status != want {
			b.Fatalf("status %d, want %d", w.status, want)
		}
		n++
	}
	// The machine may be shared, so what counts is the processor's time.
	b.ReportMetric(float64(b.N)/(processor()-used).Seconds(), "requests/cpu-s")
}

// processor is the processor time that this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkGet(b *testing.B) {
	r := benchRig(b, 1000)
	r.bench(b, func(n int) *http.Request {
		return httptest.NewRequest("GET", fmt.Sprintf("%s/Users/u%08d", base, n%1000+1), nil)
	}, 200)
}

func BenchmarkFilterUserName(b *testing.B) {
	r := benchRig(b, 1000)
	r.bench(b, func(n int) *http.Request {
		return httptest.NewRequest("GET", fmt.Sprintf("%s/Users?filter=userName+eq+%%22test_user_%d%%40contoso.com%%22", base, n%1000), nil)
	}, 200)
}

func BenchmarkPost(b *testing.B) {
	r := benchRig(b, 0)
	r.bench(b, func(n int) *http.Request {
		req := httptest.NewRequest("POST", base+"/Users", strings.NewReader(person(n)))
		req.Header.Set("Content-Type", scim.MediaType)
		return req
	}, 201)
}

func BenchmarkPatchUser(b *testing.B) {
	r := benchRig(b, 1000)
	r.bench(b, func(n int) *http.Request {
		body := fmt.Sprintf(`{"schemas":["%s"],"Operations":[{"op":"Replace","path":"title","value":"t%d"}]}`, scim.PatchURN, n)
		return httptest.NewRequest("PATCH", fmt.Sprintf("%s/Users/u%08d", base, n%1000+1), strings.NewReader(body))
	}, 200)
}

// BenchmarkPatchMember adds one member to a group of 50,000, and takes it out again.
func BenchmarkPatchMember(b *testing.B) {
	r := benchRig(b, 0)
	var members []string
	for n := range 50_000 {
		members = append(members, r.store.add(resourceOf(n)).ID)
	}
	group := r.group("big", members[1:]...)
	r.store.members = 0
	r.bench(b, func(n int) *http.Request {
		op := [2]string{"Add", "Remove"}[n%2]
		body := fmt.Sprintf(`{"schemas":["%s"],"Operations":[{"op":"%s","path":"members","value":[{"$ref":null,"value":"%s"}]}]}`, scim.PatchURN, op, members[0])
		return httptest.NewRequest("PATCH", base+"/Groups/"+group+"?excludedAttributes=members", strings.NewReader(body))
	}, 200)
	if r.store.members != 0 {
		b.Errorf("%d members were read", r.store.members)
	}
}

// BenchmarkScan is a filter that no index answers, over 10,000 users.
func BenchmarkScan(b *testing.B) {
	r := benchRig(b, 10_000)
	r.bench(b, func(int) *http.Request {
		return httptest.NewRequest("GET", base+"/Users?filter=title+sw+%22Nobody%22", nil)
	}, 200)
}
