package graphtest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"

	"dirsync/graph/graphtest"
)

func TestSmoke(t *testing.T) {
	tenant := &graphtest.Tenant{}
	tenant.Generate(450, 1)
	s, err := graphtest.Start(tenant)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := s.Client()
	id := tenant.Identity()
	resp, err := c.PostForm(s.URL+"/"+id.ID+"/oauth2/v2.0/token", url.Values{"client_id": {id.ClientID}, "client_secret": {id.Secret}, "grant_type": {"client_credentials"}, "scope": {"https://graph.microsoft.com/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	var tok struct {
		AccessToken string `json:"access_token"`
	}
	json.NewDecoder(resp.Body).Decode(&tok)
	resp.Body.Close()
	next := s.URL + "/v1.0/users/delta?$select=displayName"
	rows := 0
	for next != "" {
		req, _ := http.NewRequest("GET", next, nil)
		req.Header.Set("Authorization", "Bearer "+tok.AccessToken)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		var p struct {
			Value []json.RawMessage
			Next  string `json:"@odata.nextLink"`
			Delta string `json:"@odata.deltaLink"`
		}
		if err := json.Unmarshal(b, &p); err != nil || resp.StatusCode != 200 {
			t.Fatal(err, string(b))
		}
		rows += len(p.Value)
		next = p.Next
	}
	if rows != 450 {
		t.Fatal(rows)
	}
}
