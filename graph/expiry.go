package graph

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/microsoftgraph/msgraph-sdk-go/applicationswithappid"
)

// credentialExpires is when the credential does, or the zero time when that cannot be known. A certificate says so
// itself. Of a secret only the app registration knows, which the application may read with Application.Read.All;
// whatever goes wrong with asking, the answer is that it is not known, because nothing depends on it.
func (c *Client) credentialExpires(ctx context.Context) time.Time {
	if c.tokens.pair.key != nil {
		return c.tokens.pair.expires
	}
	secret := c.cfg.Credential.Secret
	if secret == "" {
		return time.Time{}
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	params := applicationswithappid.ApplicationsWithAppIdRequestBuilderGetQueryParameters{Select: []string{"passwordCredentials"}}
	builder := applicationswithappid.NewApplicationsWithAppIdRequestBuilderInternal(c.pathParameters(), c.adapter, &c.cfg.ClientID)
	info, err := builder.ToGetRequestInformation(ctx, &applicationswithappid.ApplicationsWithAppIdRequestBuilderGetRequestConfiguration{QueryParameters: &params})
	a, err := c.send(ctx, "ask when the secret expires", info, err)
	if err != nil || a.status != http.StatusOK {
		return time.Time{}
	}
	return secretExpires(a.body, secret, c.cfg.Now())
}

// secretExpires finds the secret in an app registration (Graph document "passwordCredential resource type"). Its hint is
// the first three characters. Where several may be meant, the one that ends first is assumed, because a warning that
// comes too early does less harm; one that has ended already cannot be the one that signs in.
func secretExpires(body []byte, secret string, now time.Time) time.Time {
	var app struct {
		PasswordCredentials []struct {
			Hint        string
			EndDateTime time.Time
		}
	}
	if json.Unmarshal(body, &app) != nil {
		return time.Time{}
	}
	var first time.Time
	for _, p := range app.PasswordCredentials {
		hinted := p.Hint == "" || strings.HasPrefix(secret, p.Hint)
		if hinted && p.EndDateTime.After(now) && (first.IsZero() || p.EndDateTime.Before(first)) {
			first = p.EndDateTime
		}
	}
	return first
}
