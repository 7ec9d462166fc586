package server_test

import (
	"testing"

	"dirsync"
	"dirsync/scim"
	"dirsync/scim/server"
)

// TestStatusIsNotGuessed: whoever is inactive stays so until a client says true. Identity providers send null, "" and
// removals when a mapping of theirs has no value, and that must not bring leavers back.
func TestStatusIsNotGuessed(t *testing.T) {
	const off = `{'op':'Replace','path':'active','value':'False'}`
	nothing := map[string]string{
		"remove":        `{'op':'remove','path':'active'}`,
		"null":          `{'op':'Replace','path':'active','value':null}`,
		"empty text":    `{'op':'Replace','path':'active','value':''}`,
		"without path":  `{'op':'replace','value':{'active':null}}`,
		"qualified":     `{'op':'Replace','path':'` + scim.UserURN + `:active','value':null}`,
		"off, then not": off + `,{'op':'remove','path':'active'}`,
	}
	for name, op := range nothing {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			id := r.user("anna")
			r.do("PATCH", "/Users/"+id, patch(off)).want(200).has("active", "false")
			before := r.do("GET", "/Users/"+id, "").header.Get("ETag")
			r.do("PATCH", "/Users/"+id, patch(op)).want(200).has("active", "false")
			if kept, _ := r.store.get(dirsync.KindUser, id); kept.Active {
				t.Error("the account is active again")
			}
			if e := r.last(); len(e.Changed) != 0 {
				t.Errorf("changed %v, want nothing", e.Changed)
			}
			r.do("PATCH", "/Users/"+id, patch(op+`,{'op':'Add','path':'title','value':'T'}`)).want(200).has("active", "false").has("title", "'T'")
			r.do("PUT", "/Users/"+id, `{'userName':'anna','active':null}`).want(200).has("active", "false")
			if after := r.do("GET", "/Users/"+id, "").header.Get("ETag"); after == before {
				t.Errorf("the version is still %s", after)
			}
			r.do("PATCH", "/Users/"+id, patch(`{'op':'Replace','path':'active','value':'True'}`)).want(200).has("active", "true")
			// Nor does it deactivate anybody.
			r.do("PATCH", "/Users/"+id, patch(`{'op':'remove','path':'active'}`)).want(200).has("active", "true")
		})
	}
	t.Run("brought back", func(t *testing.T) {
		// A POST is about a new user, and new users are active.
		verdict, asked := server.Deactivate, []string{}
		r := guarded(t, &verdict, &asked)
		id := r.user("anna")
		r.do("DELETE", "/Users/"+id, "").want(204)
		r.do("POST", "/Users", `{'userName':'anna'}`).want(201).has("id", "'"+id+"'").has("active", "true")
		r.do("DELETE", "/Users/"+id, "").want(204)
		r.do("POST", "/Users", `{'userName':'anna','active':false}`).want(201).has("id", "'"+id+"'").has("active", "false")
	})
}
