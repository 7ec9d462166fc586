package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"dirsync/graph/graphtest"
)

// looksLarge makes a tenant say that it has more people than it has, so that reading it in parallel is worth its while.
func looksLarge(tenant *graphtest.Tenant) {
	tenant.Set(func(t *graphtest.Tenant) {
		t.Hook = func(r *http.Request) graphtest.Fault {
			if strings.HasSuffix(r.URL.Path, "/users/$count") {
				return graphtest.Fault{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Body: "60000"}
			}
			return graphtest.Fault{}
		}
	})
}

// check prepares the first reading of a large tenant and says so; the reading then begins there.
func TestCheckPrimes(t *testing.T) {
	tenant, config := newTenant(t, 30)
	const prepared = "The first reading of staff is prepared"
	if out, errs, code := run(t, "check", "-c", config); code != 0 || strings.Contains(out, prepared) {
		t.Errorf("a small tenant: exit %d\n%s%s", code, out, errs)
	}
	looksLarge(tenant)
	for range 2 {
		if out, errs, code := run(t, "check", "-c", config); code != 0 || !strings.Contains(out, prepared) {
			t.Errorf("a large tenant: exit %d\n%s%s", code, out, errs)
		}
	}
	if out, _, code := run(t, "check", "-c", config, "-o", "json"); code != 0 || !strings.Contains(out, `"first_reading_primed": true`) {
		t.Errorf("as JSON: exit %d\n%s", code, out)
	}
	if n := tenant.Requests().Delta; n != 1 {
		t.Errorf("a beginning was asked for %d times, want once", n)
	}
	tenant.Set(func(t *graphtest.Tenant) { t.Hook = nil })
	tenant.ResetRequests()
	if out, errs, code := run(t, "read", "-c", config); code != 0 || !strings.Contains(out, "read 30 records") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	if n := tenant.Requests(); n.List == 0 {
		t.Errorf("people were not listed: %+v", n)
	}
	if out, errs, code := run(t, "check", "-c", config); code != 0 || strings.Contains(out, prepared) {
		t.Errorf("after the first reading: exit %d\n%s%s", code, out, errs)
	}
}

// The daemon prepares the first reading of a large tenant when it starts.
func TestServePrimes(t *testing.T) {
	tenant, config := newTenant(t, 30)
	manually(t, config)
	looksLarge(tenant)
	s := serving(t, config)
	s.await(0, `"message":"the first reading is prepared"`, `"sync":"staff"`)
	if code := s.stop(syscall.SIGTERM); code != 0 {
		t.Errorf("exit %d", code)
	}
}
