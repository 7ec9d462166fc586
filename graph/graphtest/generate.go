package graphtest

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Generate adds n believable people. Person i depends on i and seed alone, so that a larger tenant of the same seed
// begins with the same people.
func (t *Tenant) Generate(n int, seed uint64) {
	t.mu.Lock()
	domain := t.identity().Domain
	t.mu.Unlock()
	for i := range n {
		name := fmt.Sprintf("person%d.%d", seed, i)
		t.Add(User{"displayName": name, "givenName": "Person", "surname": fmt.Sprint(i), "mail": name + "@" + domain, "userPrincipalName": name + "@" + domain})
	}
}

// Load adds the users of a recorded answer of Graph, {"value":[...]}, and returns how many they are. What was recorded
// as null was never set. Properties that Graph left out get the defaults of Add: in particular a recorded person without
// accountEnabled may sign in. It adds all of them or none.
func (t *Tenant) Load(r io.Reader) (int, error) {
	var page struct {
		Value []map[string]json.RawMessage `json:"value"`
	}
	if err := json.NewDecoder(r).Decode(&page); err != nil {
		return 0, fmt.Errorf("load recorded users: %w", err)
	}
	for _, rec := range page.Value {
		u := User{}
		for k, v := range rec {
			if strings.HasPrefix(k, "@") || isNull(v) {
				continue
			}
			u[k] = v
		}
		var id string
		if err := json.Unmarshal(rec["id"], &id); err == nil {
			u["id"] = id
		}
		t.Add(u)
	}
	return len(page.Value), nil
}
