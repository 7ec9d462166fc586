package graph_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dirsync"
	"dirsync/graph"
	"dirsync/graph/graphtest"
)

const certificatePassword = "open~sesame"

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "certificates", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fixtureCertificate is the one in most of the files.
func fixtureCertificate(t testing.TB) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(fixture(t, "plain.pem"))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestCertificateFiles(t *testing.T) {
	cert := fixtureCertificate(t)
	w := serve(t, &graphtest.Tenant{Certificate: cert, Now: time.Now})
	w.Generate(3, 1)
	for name, test := range map[string]struct{ file, password, want string }{
		"PEM":                          {"plain.pem", "", ""},
		"PEM with a needless password": {"plain.pem", "whatever", ""},
		"PEM, a chain":                 {"chain.pem", "", ""},
		"PEM, encrypted":               {"encrypted.pem", certificatePassword, ""},
		"PEM, encrypted with SHA-1":    {"encrypted-sha1.pem", certificatePassword, ""},
		"PKCS#12":                      {"old.pfx", certificatePassword, ""},
		"PKCS#12 without password":     {"old-open.pfx", "", ""},
		"PEM, no password":             {"encrypted.pem", "", "its private key has a password, which must be given"},
		"PEM, wrong password":          {"encrypted.pem", "sesame", "the password does not open its private key"},
		"PEM, another cipher":          {"encrypted-des.pem", certificatePassword, "its private key is encrypted in a way that is not understood: convert it with openssl pkcs8 -topk8 -v2 aes-256-cbc -in old.pem -out new.pem"},
		"PEM, encrypted of old":        {"encrypted-old.pem", certificatePassword, "its private key is encrypted in a way of old: convert it with openssl pkcs8 -topk8 -in old.pem -out new.pem"},
		"PKCS#12, no password":         {"old.pfx", "", "it has a password, which must be given"},
		"PKCS#12, wrong password":      {"old.pfx", "sesame", "the password does not open it"},
		"PKCS#12 of today":             {"new.pfx", certificatePassword, "it is a PKCS#12 file of a newer kind: convert it to PEM, with openssl pkcs12 -in file.pfx -out file.pem"},
		"somebody else's key":          {"mismatched.pem", "", "its private key belongs to none of its certificates"},
		"another kind of key":          {"elliptic.pem", "", "its private key is no RSA key"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := w.config
			cfg.Credential, cfg.Now = graph.Credential{Certificate: fixture(t, test.file), Password: test.password}, time.Now
			c, err := graph.New(cfg)
			if test.want != "" {
				want := "prepare the connection to Microsoft Graph: the certificate file cannot be used: " + test.want
				if err == nil || err.Error() != want || dirsync.KindOf(err) != dirsync.Invalid {
					t.Errorf("got %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			got := people{}
			got.read(t, c.Users(nil), "")
			checkPeople(t, w, got, nil)
			r, err := c.Check(t.Context())
			if err != nil || !r.CredentialExpires.Equal(cert.NotAfter) {
				t.Errorf("got %v, %v, want that the credential expires %v", r.CredentialExpires, err, cert.NotAfter)
			}
		})
	}
}

// When a secret ends is known where the application may look at its own registration.
func TestSecretExpires(t *testing.T) {
	secret, now := graphtest.DefaultSecret, newClock().now
	day := func(n int) string { return now.AddDate(0, 0, n).Format(time.RFC3339) }
	entry := func(hint, end string) string { return fmt.Sprintf(`{"hint":%s,"endDateTime":"%s"}`, hint, end) }
	mine := `"` + secret[:3] + `"`
	for name, test := range map[string]struct {
		status  int
		entries []string
		want    int // days from now; zero is unknown
	}{
		"the one":               {200, []string{entry(mine, day(30))}, 30},
		"another's hint":        {200, []string{entry(`"zzz"`, day(5)), entry(mine, day(30))}, 30},
		"two may be meant":      {200, []string{entry(mine, day(30)), entry(mine, day(20))}, 20},
		"no hint":               {200, []string{entry("null", day(9))}, 9},
		"ended ones cannot be":  {200, []string{entry(mine, day(-1)), entry(mine, day(20))}, 20},
		"only others":           {200, []string{entry(`"zzz"`, day(5))}, 0},
		"none":                  {200, nil, 0},
		"no date":               {200, []string{entry(mine, "soon")}, 0},
		"not permitted":         {403, nil, 0},
		"not in this directory": {404, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			w := serve(t, &graphtest.Tenant{Hook: func(r *http.Request) graphtest.Fault {
				if !strings.Contains(r.URL.Path, "applications") {
					return graphtest.Fault{}
				}
				asked = r.URL.Path + "?" + r.URL.RawQuery
				return graphtest.Fault{Status: test.status, Body: `{"passwordCredentials":[` + strings.Join(test.entries, ",") + `]}`}
			}})
			w.Generate(1, 1)
			r, err := w.client.Check(t.Context())
			want := time.Time{}
			if test.want != 0 {
				want = now.AddDate(0, 0, test.want)
			}
			if err != nil || !r.CredentialExpires.Equal(want) {
				t.Errorf("got %v, %v, want %v", r.CredentialExpires, err, want)
			}
			if want := "/v1.0/applications(appId='" + graphtest.DefaultClientID + "')?$select=passwordCredentials"; asked != want {
				t.Errorf("asked %s, want %s", asked, want)
			}
		})
	}
}

// assertion makes the token that a workload identity's platform would write into its file.
func assertion(t testing.TB, w *world, audience string) string {
	t.Helper()
	var key *rsa.PrivateKey
	for rest := fixture(t, "plain.pem"); key == nil; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			t.Fatal("no key")
		}
		if parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			key, _ = parsed.(*rsa.PrivateKey)
		}
	}
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	id := w.Identity().ClientID
	signed := part(map[string]any{"alg": "RS256", "typ": "JWT"}) + "." + part(map[string]any{"iss": id, "sub": id, "aud": audience,
		"nbf": w.clock.Now().Unix(), "exp": w.clock.Now().Add(time.Hour).Unix()})
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestWorkloadIdentity(t *testing.T) {
	w := serve(t, &graphtest.Tenant{Certificate: fixtureCertificate(t)})
	w.Generate(3, 1)
	file := filepath.Join(t.TempDir(), "token")
	cfg := w.config
	cfg.Credential = graph.Credential{WorkloadIdentity: file}
	c := w.connect(t, cfg)
	try := func(want string) {
		t.Helper()
		_, _, err := (people{}).try(c.Users(nil), "")
		if got := fmt.Sprint(err); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
		if err != nil && (dirsync.KindOf(err) != dirsync.Unauthorized || dirsync.HintOf(err) == "") {
			t.Errorf("got kind %v and hint %q", dirsync.KindOf(err), dirsync.HintOf(err))
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	try("read users: sign in: the federated token file " + file + " cannot be read: no such file or directory")
	write("\n")
	try("read users: sign in: the federated token file " + file + " is empty")
	write(assertion(t, w, "https://elsewhere.example"))
	try("read users: sign in: AADSTS700023")
	write(assertion(t, w, w.server.URL+"/"+graphtest.DefaultID+"/v2.0"))
	try("<nil>")
	// The file is read again when the next token is due.
	w.clock.pass(2 * time.Hour)
	write("x")
	try("read users: sign in: AADSTS50027")
	r, err := c.Check(t.Context())
	if err == nil || !r.CredentialExpires.IsZero() {
		t.Errorf("got %v, %v", r.CredentialExpires, err)
	}
}

// bearer gets a token as the platform's own endpoint would.
func bearer(t testing.TB, w *world) string {
	t.Helper()
	who := w.Identity()
	resp, err := w.server.Client().PostForm(w.server.URL+"/"+who.ID+"/oauth2/v2.0/token", url.Values{"grant_type": {"client_credentials"},
		"client_id": {who.ClientID}, "client_secret": {who.Secret}, "scope": {w.server.URL + "/.default"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.AccessToken == "" {
		t.Fatalf("no token: %v", err)
	}
	return got.AccessToken
}

func TestManagedIdentity(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	w.Generate(3, 1)
	token := bearer(t, w)
	var asked []string
	answer, status := "", 0
	endpoint := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("client_id")+" "+r.URL.Query().Get("resource")+" "+r.Header.Get("X-IDENTITY-HEADER"))
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(answer))
	}))
	t.Cleanup(endpoint.Close)
	t.Setenv("IDENTITY_ENDPOINT", endpoint.URL)
	t.Setenv("IDENTITY_HEADER", "secret-header")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	good := fmt.Sprintf(`{"access_token":"%s","expires_on":"%d","resource":"x","token_type":"Bearer"}`, token, time.Now().Add(time.Hour).Unix())
	connect := func(id string) *graph.Client {
		cfg := w.config
		cfg.ClientID, cfg.Credential = "", graph.Credential{ManagedIdentity: id}
		return w.connect(t, cfg)
	}
	status, answer = 200, good
	for _, id := range []string{graph.SystemAssigned, "11111111-2222-3333-4444-555555555555"} {
		asked = nil
		c := connect(id)
		got := people{}
		got.read(t, c.Users(nil), "")
		checkPeople(t, w, got, nil)
		// The library would serve a refused token again out of a cache that all identities share.
		w.SetFaults(graphtest.Faults{Rules: []graphtest.Rule{{On: graphtest.Delta, Times: 1, Fault: graphtest.AccessExpired()}}})
		got.read(t, c.Users(nil), "")
		w.SetFaults(graphtest.Faults{})
		want := strings.Replace(id, graph.SystemAssigned, "", 1) + " " + w.server.URL + " secret-header"
		if len(asked) != 2 || asked[0] != want || asked[1] != want {
			t.Errorf("the endpoint was asked %q, want %q twice", asked, want)
		}
		r, err := c.Check(t.Context())
		if err != nil || r.ConsentURL != "" || !r.CredentialExpires.IsZero() {
			t.Errorf("got %+v, %v", r, err)
		}
		w.SetFaults(graphtest.Faults{Denied: true})
		_, _, err = (people{}).try(c.Users(nil), "")
		if got, want := dirsync.HintOf(err), "Grant User.Read.All: have an administrator assign the permission to the identity, with New-MgServicePrincipalAppRoleAssignment. New permissions take effect within about an hour. So far it has been granted User.Read.All, Organization.Read.All."; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		w.SetFaults(graphtest.Faults{})
	}
	for name, test := range map[string]struct {
		status     int
		body, want string
		kind       dirsync.ErrorKind
	}{
		"not assigned": {400, `{"statusCode":400,"message":"No User Assigned or Delegated Managed Identity found for specified ClientId"}`,
			"the endpoint for managed identities answered HTTP 400: No User Assigned or Delegated Managed Identity found for specified ClientId", dirsync.Unauthorized},
		"not found":   {400, `{"error":"invalid_request","error_description":"Identity not found"}`, "the endpoint for managed identities answered HTTP 400, invalid_request: Identity not found", dirsync.Unauthorized},
		"wrong cloud": {400, `{"error":"invalid_resource","error_description":"AADSTS500011: The resource principal named x was not found."}`, "AADSTS500011: The resource principal named x was not found.", dirsync.Unauthorized},
		"throttled":   {429, "", "the endpoint for managed identities is asked too often", dirsync.Throttled},
		"starting":    {503, "", "the endpoint for managed identities answered HTTP 503", dirsync.Unavailable},
		"a web page":  {403, "<html>", "the endpoint for managed identities answered HTTP 403 with 6 bytes of text/html", dirsync.Unauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer = test.status, test.body
			_, _, err := (people{}).try(connect(graph.SystemAssigned).Users(nil), "")
			if want := "read users: sign in: " + test.want; err == nil || err.Error() != want || dirsync.KindOf(err) != test.kind || dirsync.HintOf(err) == "" {
				t.Errorf("got %v (%v), want %s (%v)", err, dirsync.KindOf(err), want, test.kind)
			}
		})
	}
	endpoint.Close()
	_, _, err := (people{}).try(connect(graph.SystemAssigned).Users(nil), "")
	want, hint := "read users: sign in: no endpoint for managed identities answers: ", "This machine is not in Azure, or has no managed identity. Enable one for it, or use another kind of credential."
	if err == nil || !strings.HasPrefix(err.Error(), want) || dirsync.KindOf(err) != dirsync.Unavailable || dirsync.HintOf(err) != hint {
		t.Errorf("got %v > %s", err, dirsync.HintOf(err))
	}
}

func TestAzureCLI(t *testing.T) {
	w := serve(t, &graphtest.Tenant{})
	w.Generate(3, 1)
	folder := t.TempDir()
	cfg := w.config
	cfg.ClientID, cfg.Credential = "", graph.Credential{AzureCLI: true}
	t.Setenv("PATH", folder)
	for name, test := range map[string]struct{ script, want, hint string }{
		"no program":    {"", "the Azure CLI gave no token: executable not found on path", "Install the Azure CLI, sign in with az login --tenant " + graphtest.DefaultID + ", and try again. For anything but trying out, use a certificate or another kind of credential."},
		"not signed in": {"echo 'ERROR: Please run az login to setup account.' >&2; exit 1", "the Azure CLI gave no token: ERROR: Please run az login to setup account", "Sign in with az login --tenant " + graphtest.DefaultID + " and try again."},
		"no JSON":       {"echo nothing", "the Azure CLI gave no token: ", "Sign in with az login --tenant " + graphtest.DefaultID + " and try again."},
		"signed in":     {fmt.Sprintf(`echo '{"accessToken":"%s","expires_on":%d}'`, bearer(t, w), time.Now().Add(time.Hour).Unix()), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(folder, "az")
			_ = os.Remove(program)
			if test.script != "" {
				if err := os.WriteFile(program, []byte("#!/bin/sh\n"+test.script+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			got := people{}
			_, _, err := got.try(w.connect(t, cfg).Users(nil), "")
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				checkPeople(t, w, got, nil)
				return
			}
			if err == nil || !strings.HasPrefix(err.Error(), "read users: sign in: "+test.want) || dirsync.HintOf(err) != test.hint || dirsync.KindOf(err) != dirsync.Unauthorized {
				t.Errorf("got %v\n> %s\nwant %s\n> %s", err, dirsync.HintOf(err), test.want, test.hint)
			}
		})
	}
}

func TestClouds(t *testing.T) {
	for cloud, want := range map[graph.Cloud][2]string{
		"":            {"https://login.microsoftonline.com", "https://graph.microsoft.com/v1.0"},
		graph.Global:  {"https://login.microsoftonline.com", "https://graph.microsoft.com/v1.0"},
		graph.USGovL4: {"https://login.microsoftonline.us", "https://graph.microsoft.us/v1.0"},
		graph.USGovL5: {"https://login.microsoftonline.us", "https://dod-graph.microsoft.us/v1.0"},
		graph.China:   {"https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn/v1.0"},
	} {
		var sent []string
		c, err := graph.New(graph.Config{Tenant: graphtest.DefaultID, ClientID: graphtest.DefaultClientID, Credential: graph.Credential{Secret: "x"}, Cloud: cloud,
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				sent = append(sent, r.URL.Scheme+"://"+r.URL.Host)
				return nil, x509.UnknownAuthorityError{}
			})})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = (people{}).try(c.Users(nil), "")
		if authority, base := cloud.Addresses(); authority != want[0] || base != want[1] || len(sent) != 1 || sent[0] != want[0] || err == nil {
			t.Errorf("%s: got %s, %s and requests to %v, want %v", cloud, authority, base, sent, want)
		}
	}
	for name, test := range map[string]struct {
		change func(*graph.Config)
		want   string
	}{
		"no such cloud":         {func(c *graph.Config) { c.Cloud = "germany" }, `there is no cloud "germany": the clouds are global, us-gov-l4, us-gov-l5, china`},
		"another's Graph":       {func(c *graph.Config) { c.BaseURL = "https://graph.microsoft.us" }, "the Graph address https://graph.microsoft.us/v1.0 belongs to the cloud us-gov-l4, but the cloud is global: set the cloud, and leave the addresses out"},
		"another's authority":   {func(c *graph.Config) { c.Cloud, c.Authority = graph.USGovL5, "https://login.microsoftonline.com" }, "the authority https://login.microsoftonline.com belongs to the cloud global, but the cloud is us-gov-l5: set the cloud, and leave the addresses out"},
		"shared authority":      {func(c *graph.Config) { c.Cloud, c.Authority = graph.USGovL5, "https://login.microsoftonline.us" }, ""},
		"China's older name":    {func(c *graph.Config) { c.Cloud, c.Authority = graph.China, "https://login.chinacloudapi.cn" }, ""},
		"private endpoint":      {func(c *graph.Config) { c.BaseURL = "https://graph.example/v1.0" }, ""},
		"three credentials":     {func(c *graph.Config) { c.Credential.AzureCLI, c.Credential.ManagedIdentity = true, "system" }, "the credential has a secret, a managed identity and the Azure CLI: keep one"},
		"password for nothing":  {func(c *graph.Config) { c.Credential.Password = "x" }, "the credential has a password, but no certificate that it could open"},
		"odd managed identity":  {func(c *graph.Config) { c.Credential = graph.Credential{ManagedIdentity: "mine"} }, `the managed identity "mine" is neither "system" nor a client id`},
		"workload without file": {func(c *graph.Config) { c.Credential = graph.Credential{WorkloadIdentity: "/nowhere"} }, ""},
	} {
		cfg := graph.Config{Tenant: graphtest.DefaultID, ClientID: graphtest.DefaultClientID, Credential: graph.Credential{Secret: "x"}}
		test.change(&cfg)
		_, err := graph.New(cfg)
		want := "prepare the connection to Microsoft Graph: " + test.want
		if test.want == "" && err != nil || test.want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

// roundTrip is a network made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
