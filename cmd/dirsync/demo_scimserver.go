package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"dirsync/scim/server"
)

// demoSCIM is the configuration of a demonstration of the SCIM server. Its limits are low, so that a flood need not be large.
const demoSCIM = `# Made by dirsync demo --scim-server.
store: { path: dirsync.db }

directory:
  fed_by: scim
  fields:
    - { name: department, label: Department }
    - { name: joining_date, label: Joining date, type: date, format: DD/MM/YYYY }

serve:
  log: console
  scim:
    listen: 127.0.0.1:0
    fields:
      department: urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department
      joining_date: urn:contoso:scim:schemas:extension:people:2:User:JoiningDate
    limits:
      deletes: { count: 2, floor: 2 }
      deactivations: { count: 2, floor: 2 }
`

// demoTokenFile is where a demonstration leaves its token, in the form in which identity providers take it.
const demoTokenFile = "token.json"

// scimServer runs the daemon with a SCIM server on this machine's loopback address, until somebody stops it, and shows how to
// talk to it.
func (d *demo) scimServer(ctx context.Context) (err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, daemonSignals()...)
	defer signal.Stop(signals)
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "dirsync-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	d.configPath = filepath.Join(d.dir, "config.yaml")
	if err := os.WriteFile(d.configPath, []byte(demoSCIM), 0o600); err != nil {
		return err
	}
	problem := make(chan error, 1)
	err = d.serve(context.WithoutCancel(ctx), signals, func(service *daemon) {
		if err := d.showSCIM(ctx, service); err != nil {
			problem <- err
			signals <- os.Interrupt
		}
	})
	select {
	case other := <-problem:
		err = errors.Join(other, err)
	default:
	}
	return err
}

// showSCIM makes a token, and says what can be done with it.
func (d *demo) showSCIM(ctx context.Context, service *daemon) error {
	tokens := service.pushing.tokens
	if findToken(tokens.list(), "demo") >= 0 { // of an earlier demonstration in the same folder
		if err := tokens.revoke(ctx, "demo"); err != nil {
			return err
		}
	}
	text, err := tokens.create(ctx, scimToken{Name: "demo", By: "the demonstration", Scopes: server.Scopes()})
	if err != nil {
		return err
	}
	url := service.scimURL(service.config())
	view, err := json.MarshalIndent(newTokenView{url, text}, "", "  ")
	if err != nil {
		return err
	}
	// Under another name first, so that whoever waits for it never reads half of it.
	name := filepath.Join(d.dir, demoTokenFile)
	if err := os.WriteFile(name+".new", append(view, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	config, here := clean(d.configPath), strings.NewReplacer("dirsync ", clean(itself())+" ", "CONFIG", clean(shellWord(d.configPath)))
	d.printf("A SCIM server over an empty directory answers on this machine alone. Try it, in another terminal:\n\n")
	d.printf("  export SCIM=%s TOKEN=%s\n\n", url, text)
	for _, s := range demoRequests() {
		d.printf("%s\n\n  %s\n\n", s.title, here.Replace(s.command))
	}
	d.printf(demoEntra, config)
	return nil
}

// demoRequest is something to try.
type demoRequest struct{ title, command string }

// demoRequests are things to try, in their order.
func demoRequests() []demoRequest {
	const curl = `curl -sS -w ' %{http_code}\n' -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/scim+json' `
	return []demoRequest{
		{"Create a user, as Entra does:", curl + `"$SCIM/Users" -d '{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],` +
			`"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"adele@contoso.com","active":true,"displayName":"Adele Vance",` +
			`"emails":[{"primary":true,"type":"work","value":"adele@contoso.com"}],"name":{"familyName":"Vance","givenName":"Adele"},` +
			`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Sales"},` +
			`"urn:contoso:scim:schemas:extension:people:2:User":{"JoiningDate":"06/06/2019"}}'`},
		{"Find them, in another letter case:", curl + `-G "$SCIM/Users" --data-urlencode 'filter=userName eq "ADELE@contoso.com"'`},
		{"Change them in the dialect of Entra, with a capital letter, a text for a boolean, and an attribute that nobody knows:",
			curl + `-X PATCH "$SCIM/Users/u00000001" -d '{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[` +
				`{"op":"Replace","path":"active","value":"True"},{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"Legal"},` +
				`{"op":"Add","path":"facsimileTelephoneNumber","value":"1"}]}'`},
		{"What came of it, and what was odd:", "dirsync users list -c CONFIG; dirsync requests -c CONFIG; dirsync explain adele@contoso.com -c CONFIG"},
		{"Delete them:", curl + `-X DELETE "$SCIM/Users/u00000001"`},
		{"A flood: five people are created and deleted. What is above the limit is answered as done, and held:",
			`for i in 1 2 3 4 5; do ` + curl + `"$SCIM/Users" -o /dev/null -d "{\"userName\":\"flood$i@contoso.com\"}"; done; ` +
				`for i in 2 3 4 5 6; do ` + curl + `-X DELETE "$SCIM/Users/u0000000$i"; done; dirsync holds -c CONFIG`},
		{"Then decide about them, by the name that the hold has there. One stays, the others go:",
			`HOLD=$(dirsync holds -c CONFIG | awk '/^[0-9]/ {print $1}'); dirsync holds "$HOLD" -c CONFIG; ` +
				`dirsync reject "$HOLD" flood5@contoso.com --reason 'still works here' -c CONFIG; ` +
				`HOLD=$(dirsync holds -c CONFIG | awk '/^[0-9]/ {print $1}'); dirsync approve "$HOLD" -c CONFIG; dirsync status -c CONFIG`},
	}
}

// demoEntra are the steps to the real thing.
const demoEntra = `To connect Microsoft Entra ID, which has to reach the server from outside:

  1. In a configuration (this one is %s), write the address, the certificate and the URL:

       serve:
         scim:
           listen: 0.0.0.0:8443
           tls: { certificate: file:/etc/dirsync/tls.pem, key: file:/etc/dirsync/tls.key }
           url: https://people.example/scim/v2

     or let a proxy do TLS, with listen: 127.0.0.1:8443 and behind_proxy: true instead of tls.
  2. dirsync check shows where each field is kept; dirsync serve, or the service, starts it; dirsync token create entra
     prints the base URL and the token.
  3. In the Entra admin centre: Enterprise applications, New application, Create your own application, Non-gallery.
     Provisioning, Automatic: Tenant URL is the base URL, Secret Token the token; Test Connection; Save.
  4. Mappings: the defaults work. Better is objectId instead of mailNickname for externalId, of users.
  5. Users and groups: assign who is to be pushed. Provision on demand tries it with one of them; then Start provisioning.

docs/scim-server.md has every step and every attribute. Ctrl-C stops the demonstration.

`

// checkSCIMFlags refuses flags that mean nothing for a demonstration of the SCIM server.
func checkSCIMFlags(changed func(string) bool) error {
	for _, flag := range []string{"tenant", "users", "once", "serve", "every", "target", "flow"} {
		if changed(flag) {
			return usageError("--%s is about the simulated tenant, and --scim-server has none", flag)
		}
	}
	return nil
}
