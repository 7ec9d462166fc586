package graphtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Load adds the users of a recorded answer of Graph, {"value":[...]}, and returns how many they are. What was recorded
// as null was never set. What Graph left out gets the defaults of Add: in particular a recorded person without
// accountEnabled may sign in. Annotations are dropped. It adds all of them or, with an error, none.
func (t *Tenant) Load(r io.Reader) (int, error) {
	var page struct {
		Value []map[string]json.RawMessage `json:"value"`
	}
	dec := json.NewDecoder(r)
	if err := dec.Decode(&page); err != nil {
		return 0, fmt.Errorf("load recorded users: %w", err)
	}
	if page.Value == nil {
		return 0, errors.New(`load recorded users: there is no list "value" in the file`)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	users := make([]User, 0, len(page.Value))
	seen := make(map[string]bool)
	for n, record := range page.Value {
		u := User{}
		for name, raw := range record {
			if !strings.Contains(name, "@") && !isNull(raw) {
				u[name] = raw
			}
		}
		var id string
		if raw, ok := record["id"]; ok {
			if err := json.Unmarshal(raw, &id); err != nil {
				return 0, fmt.Errorf("load recorded users: user %d: id: %w", n+1, err)
			}
		}
		if id = strings.ToLower(id); id == "" {
			return 0, fmt.Errorf("load recorded users: user %d has no id", n+1)
		}
		if t.taken(id) || seen[id] {
			return 0, fmt.Errorf("load recorded users: user %d: the id %s is taken", n+1, id)
		}
		seen[id] = true
		u["id"] = id
		users = append(users, u)
	}
	for n, u := range users {
		if _, err := t.add(u); err != nil {
			return n, fmt.Errorf("load recorded users: user %d: %w", n+1, err)
		}
	}
	return len(users), nil
}
