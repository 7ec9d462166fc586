package graphtest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"dirsync/graph/graphtest"
)

// A tenant is filled, served, signed in to and read like the real one.
func Example() {
	tenant := &graphtest.Tenant{}
	tenant.Add(graphtest.User{"displayName": "Ada Lovelace", "id": "5bde3e51-d13b-4db1-9948-fe4b109d11a7"})
	server, err := graphtest.Start(tenant)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	client := server.Client()

	who := tenant.Identity()
	answer, err := client.PostForm(server.URL+"/"+who.ID+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {who.ClientID}, "client_secret": {who.Secret},
		"scope": {"https://graph.microsoft.com/.default"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&token); err != nil {
		fmt.Println(err)
		return
	}

	// The first request is throttled, as it would be on a busy day.
	tenant.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{Times: 1, Fault: graphtest.Throttled("2")}}})
	for range 2 {
		req, err := http.NewRequest(http.MethodGet, server.URL+"/v1.0/users/delta?$select=displayName", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+token.AccessToken)
		page, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		var body struct{ Value []json.RawMessage }
		_ = json.NewDecoder(page.Body).Decode(&body)
		page.Body.Close()
		fmt.Println(page.StatusCode, page.Header.Get("Retry-After"), fmt.Sprintf("%s", body.Value))
	}
	fmt.Println(tenant.Requests().Delta, "delta requests")
	// Output:
	// 429 2 []
	// 200  [{"displayName":"Ada Lovelace","id":"5bde3e51-d13b-4db1-9948-fe4b109d11a7"}]
	// 2 delta requests
}
