package graphtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// verified are the names of the tenant's verified domains: the initial one, the default one, and the others.
func (t *Tenant) verified() []string {
	who := t.identity()
	initial, _, _ := strings.Cut(who.Domain, ".")
	out := []string{initial + ".onmicrosoft.com"}
	for _, name := range append([]string{who.Domain}, t.Domains...) {
		if !listedFold(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// authentication is where the people of a domain sign in.
func (t *Tenant) authentication(domain string) string {
	if listedFold(t.Federated, domain) {
		return "Federated"
	}
	return "Managed"
}

// domainOf refuses a user principal name outside the verified domains, and one in a federated domain without the id by
// which that is joined to a directory elsewhere.
func (q *request) domainOf(principal string, immutable json.RawMessage) *refusal {
	_, domain, _ := strings.Cut(principal, "@")
	if !listedFold(q.t.verified(), domain) {
		return aboutProperty("userPrincipalName", "InvalidValue",
			"The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in your organization.")
	}
	if s, ok := text(immutable); q.t.authentication(domain) == "Federated" && (!ok || strings.ContainsAny(s, "$_")) {
		return aboutProperty("onPremisesImmutableId", "MissingValue", "A value is required for property 'onPremisesImmutableId' of resource 'User'.")
	}
	return nil
}

// domains answers GET /domains and GET /domains/{name}.
func (q *request) domains() answer {
	who := q.t.identity()
	value := []any{}
	names := q.t.verified()
	for n, name := range names {
		value = append(value, map[string]any{
			"id": name, "authenticationType": q.t.authentication(name), "isAdminManaged": true, "isDefault": name == who.Domain,
			"isInitial": n == 0, "isRoot": true, "isVerified": true, "availabilityStatus": nil, "passwordNotificationWindowInDays": 14,
			"passwordValidityPeriodInDays": 90, "state": nil, "supportedServices": []string{"Email", "OfficeCommunicationsOnline"},
		})
	}
	if len(q.path) == 2 {
		return q.json(http.StatusOK, map[string]any{"@odata.context": q.base() + "/v1.0/$metadata#domains", "value": value})
	}
	at := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, q.path[2]) })
	if at < 0 {
		return q.notFound(q.path[2])
	}
	return q.json(http.StatusOK, value[at])
}
