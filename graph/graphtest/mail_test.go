package graphtest_test

import (
	"net/http"
	"strings"
	"testing"

	"dirsync/graph/graphtest"
)

// Mail goes by the rules of Exchange: who may send, from where, and what a message must have.
func TestSendMail(t *testing.T) {
	const body = `{"message":{"subject":"s","body":{"contentType":"html","content":"<p>"},"toRecipients":[{"emailAddress":{"address":"it@example.com"}}]},"saveToSentItems":"false"}`
	const from = "/v1.0/users/dirsync@contoso.com/sendMail"
	for name, test := range map[string]struct {
		roles      []string
		path, body string
		status     int
		code       string
		sent       int
	}{
		"accepted":           {path: from, body: body, status: 202, sent: 1},
		"its full name":      {path: strings.Replace(from, "sendMail", "microsoft.graph.sendMail", 1), body: body, status: 202, sent: 1},
		"no role":            {roles: []string{"User.Read.All"}, path: from, body: body, status: 403, code: "ErrorAccessDenied"},
		"another domain":     {path: "/v1.0/users/x@example.com/sendMail", body: body, status: 404, code: "ErrorInvalidUser"},
		"no mailbox":         {path: "/v1.0/users/x@contoso.com/sendMail", body: body, status: 404, code: "MailboxNotEnabledForRESTAPI"},
		"no message":         {path: from, body: `{}`, status: 400, code: "RequestBodyRead"},
		"no JSON":            {path: from, body: `{`, status: 400, code: "RequestBodyRead"},
		"a header of others": {path: from, body: strings.Replace(body, `"toRec`, `"internetMessageHeaders":[{"name":"Message-ID","value":"x"}],"toRec`, 1), status: 400, code: "InvalidInternetMessageHeader"},
		"nobody":             {path: from, body: strings.Replace(body, `{"emailAddress":{"address":"it@example.com"}}`, "", 1), status: 400, code: "ErrorInvalidRecipients"},
		"no address":         {path: from, body: strings.Replace(body, "it@example.com", "it", 1), status: 400, code: "ErrorInvalidRecipients"},
	} {
		t.Run(name, func(t *testing.T) {
			tenant := &graphtest.Tenant{Roles: test.roles, Mailboxes: []string{"DirSync@contoso.com"}}
			if test.roles == nil {
				tenant.Roles = []string{"Mail.Send"}
			}
			c := connect(t, tenant)
			if r := c.post(test.path, test.body); r.status != test.status || test.code != "" && r.code() != test.code {
				t.Errorf("got %d %s, want %d %s", r.status, r.body, test.status, test.code)
			}
			if r := c.get(test.path); r.status != http.StatusMethodNotAllowed {
				t.Errorf("GET: got %d %s", r.status, r.body)
			}
			if got := tenant.Mails(); len(got) != test.sent || test.sent > 0 && (got[0].Saved || got[0].HTML != "<p>" || got[0].To[0].Address != "it@example.com") {
				t.Errorf("got %+v", got)
			}
		})
	}
}
