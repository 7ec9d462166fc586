package graphtest_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"dirsync/graph/graphtest"
)

const authority = "https://tenant.example"

// signIn posts a form to the token endpoint of a tenant named so.
func signIn(tenant *graphtest.Tenant, name string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, authority+"/"+name+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	tenant.ServeHTTP(w, r)
	return w
}

// form is a good request with some parameters changed; an empty value leaves the parameter out.
func form(changes ...string) url.Values {
	f := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {graphtest.DefaultClientID},
		"client_secret": {graphtest.DefaultSecret},
		"scope":         {"https://graph.microsoft.com/.default openid offline_access profile"},
	}
	for i := 0; i < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			f.Del(changes[i])
		}
	}
	return f
}

func TestSignInErrors(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	id := graphtest.DefaultID
	for _, tt := range []struct {
		name, tenant string
		form         url.Values
		status       int
		short        string
		code         int
	}{
		{"good", id, form(), 200, "", 0},
		{"by domain", "contoso.com", form(), 200, "", 0},
		{"scope by id", id, form("scope", "00000003-0000-0000-c000-000000000000/.default"), 200, "", 0},
		{"scope by host", id, form("scope", authority+"/.default"), 200, "", 0},
		{"wrong secret", id, form("client_secret", "guess"), 401, "invalid_client", 7000215},
		{"no secret", id, form("client_secret", ""), 401, "invalid_client", 7000218},
		{"unknown application", id, form("client_id", "11111111-2222-3333-4444-555555555555"), 400, "unauthorized_client", 700016},
		{"no GUID", id, form("client_id", "app"), 400, "unauthorized_client", 700038},
		{"zero GUID", id, form("client_id", "00000000-0000-0000-0000-000000000000"), 400, "unauthorized_client", 700038},
		{"no application", id, form("client_id", ""), 400, "invalid_request", 900144},
		{"unknown tenant", "11111111-2222-3333-4444-555555555555", form(), 400, "invalid_tenant", 90002},
		{"unknown domain", "fabrikam.com", form(), 400, "invalid_tenant", 90002},
		{"no tenant", "nonsense", form(), 400, "invalid_request", 900023},
		{"common", "common", form(), 400, "invalid_request", 9001023},
		{"other cloud", id, form("scope", "https://graph.microsoft.us/.default"), 400, "invalid_resource", 500011},
		{"single permission", id, form("scope", "https://graph.microsoft.com/User.Read.All"), 400, "invalid_scope", 1002012},
		{"two resources", id, form("scope", "https://graph.microsoft.com/.default https://a.example/.default"), 400, "invalid_scope", 1002012},
		{"no scope", id, form("scope", ""), 400, "invalid_request", 900144},
		{"other grant", id, form("grant_type", "password"), 400, "unsupported_grant_type", 70003},
		{"no grant", id, form("grant_type", ""), 400, "invalid_request", 900144},
	} {
		w := signIn(tenant, tt.tenant, tt.form)
		checkSignIn(t, tt.name, w, tt.status, tt.short, tt.code)
	}
	for code, want := range map[int]string{7000222: "401 invalid_client", 7000112: "400 unauthorized_client", 53003: "400 invalid_grant",
		500011: "400 invalid_resource", 90055: "429 temporarily_unavailable", 65001: "400 invalid_grant", 50194: "400 invalid_request",
		700027: "401 invalid_client", 90038: "400 invalid_request", 50196: "400 invalid_grant", 650052: "400 invalid_client", 12345: "400 invalid_request"} {
		tenant.SetFaults(graphtest.Faults{SignIn: code})
		var status int
		var short string
		if _, err := fmt.Sscan(want, &status, &short); err != nil {
			t.Fatal(err)
		}
		checkSignIn(t, fmt.Sprint("forced ", code), signIn(tenant, id, form()), status, short, code)
	}
	tenant.SetFaults(graphtest.Faults{SecretFrom: clock.now().Add(20 * time.Second)})
	checkSignIn(t, "new secret", signIn(tenant, id, form()), 401, "invalid_client", 7000215)
	clock.advance(20 * time.Second)
	checkSignIn(t, "new secret, later", signIn(tenant, id, form()), 200, "", 0)
}

func checkSignIn(t *testing.T, name string, w *httptest.ResponseRecorder, status int, short string, code int) {
	t.Helper()
	var body struct {
		Error         string
		Description   string `json:"error_description"`
		Codes         []int  `json:"error_codes"`
		Timestamp     string
		TraceID       string `json:"trace_id"`
		CorrelationID string `json:"correlation_id"`
		ErrorURI      string `json:"error_uri"`
		AccessToken   string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%s: %v in %s", name, err, w.Body)
	}
	if strings.Contains(w.Body.String(), graphtest.DefaultSecret) {
		t.Errorf("%s: the answer holds the secret", name)
	}
	if code == 0 {
		if w.Code != status || body.AccessToken == "" {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
		return
	}
	if w.Code != status || body.Error != short || fmt.Sprint(body.Codes) != fmt.Sprint([]int{code}) {
		t.Errorf("%s: got %d %s, want %d %s %d", name, w.Code, w.Body, status, short, code)
	}
	if !strings.HasPrefix(body.Description, fmt.Sprintf("AADSTS%d: ", code)) || !strings.Contains(body.Description, " Trace ID: "+body.TraceID+" Correlation ID: ") {
		t.Errorf("%s: description: %s", name, body.Description)
	}
	if bare := code == 700038 || code == 70003; bare != (body.ErrorURI == "") {
		t.Errorf("%s: error_uri: %q", name, body.ErrorURI)
	}
}

func TestDiscovery(t *testing.T) {
	tenant := &graphtest.Tenant{}
	c := connect(t, tenant)
	c.token = ""
	path := "/v2.0/.well-known/openid-configuration"
	r := c.get("/" + graphtest.DefaultID + path)
	var doc map[string]any
	if err := json.Unmarshal(r.body, &doc); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"issuer":                 c.url + "/" + graphtest.DefaultID + "/v2.0",
		"token_endpoint":         c.url + "/" + graphtest.DefaultID + "/oauth2/v2.0/token",
		"authorization_endpoint": c.url + "/" + graphtest.DefaultID + "/oauth2/v2.0/authorize",
	} {
		if got := doc[name]; got != want {
			t.Errorf("%s: got %v, want %s", name, got, want)
		}
	}
	for name, want := range map[string]string{"fabrikam.com": "AADSTS90002", "what": "AADSTS900023"} {
		if r := c.get("/" + name + path); r.status != 400 || !strings.Contains(string(r.body), want) {
			t.Errorf("tenant %s: got %d %s", name, r.status, r.body)
		}
	}
}

func TestAccessToken(t *testing.T) {
	clock := newClock()
	tenant := &graphtest.Tenant{Now: clock.now}
	token := accessToken(t, tenant)
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || len(parts) != 3 {
		t.Fatalf("not a JWT: %s", token)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"tid": graphtest.DefaultID, "appid": graphtest.DefaultClientID, "ver": "1.0", "idtyp": "app",
		"iss": "https://sts.windows.net/" + graphtest.DefaultID + "/", "aud": "https://graph.microsoft.com",
		"exp": float64(clock.now().Add(3599 * time.Second).Unix()),
	} {
		if got := claims[name]; got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if got, want := fmt.Sprint(claims["roles"]), "[User.Read.All Organization.Read.All]"; got != want {
		t.Errorf("roles: got %s, want %s", got, want)
	}

	c := connect(t, tenant)
	forged := parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), "User.Read.All", "Directory.Read.All", 1))) + "." + parts[2]
	for _, tt := range []struct{ name, token, message string }{
		{"none", "", "Access token is empty."},
		{"garbage", "garbage", "CompactToken parsing failed with error code: 80049217"},
		{"garbage in three parts", "a.b.c", "CompactToken parsing failed with error code: 80049217"},
		{"forged", forged, "Invalid signature"},
	} {
		c.token = tt.token
		r := c.get("/v1.0/users/delta")
		if r.status != 401 || r.code() != "InvalidAuthenticationToken" || !strings.Contains(string(r.body), tt.message) || !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: got %d %s, %v", tt.name, r.status, r.body, r.header)
		}
	}
	c.token = token
	clock.advance(3598 * time.Second)
	if r := c.get("/v1.0/users/delta"); r.status != 200 {
		t.Errorf("just before it expires: got %d", r.status)
	}
	clock.advance(time.Second)
	if r := c.get("/v1.0/users/delta"); r.status != 401 || !strings.Contains(string(r.body), "Access token has expired or is not yet valid.") {
		t.Errorf("expired: got %d %s", r.status, r.body)
	}
	clock.advance(-2 * time.Hour)
	if r := c.get("/v1.0/users/delta"); r.status != 401 {
		t.Errorf("not yet valid: got %d", r.status)
	}
	tenant.SetFaults(graphtest.Faults{AccessLife: time.Minute})
	if w := signIn(tenant, graphtest.DefaultID, form()); !strings.Contains(w.Body.String(), `"expires_in":60`) {
		t.Errorf("a short life: got %s", w.Body)
	}
}

func TestClaimsChallenge(t *testing.T) {
	tenant := &graphtest.Tenant{Faults: graphtest.Faults{Challenge: true}}
	c := connect(t, tenant)
	r := c.get("/v1.0/users/delta")
	challenge := r.header.Get("WWW-Authenticate")
	_, claims, ok := strings.Cut(challenge, `error="insufficient_claims", claims="`)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(claims, `"`))
	if r.status != 401 || !ok || err != nil || !json.Valid(raw) {
		t.Fatalf("got %d, %s", r.status, challenge)
	}
	// What libraries always send does not answer the challenge.
	for wanted, status := range map[string]int{`{"access_token":{"xms_cc":{"values":["cp1"]}}}`: 401, string(raw): 200} {
		w := signIn(tenant, graphtest.DefaultID, form("claims", wanted))
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		c.token, _ = answer["access_token"].(string)
		if r := c.get("/v1.0/users/delta"); r.status != status {
			t.Errorf("a token asked for with %s: got %d, want %d", wanted, r.status, status)
		}
	}
}

func TestClientAssertion(t *testing.T) {
	clock := newClock()
	key, cert := selfSigned(t)
	other, _ := selfSigned(t)
	sum := sha256.Sum256(cert.Raw)
	now := clock.now().Unix()
	good := map[string]any{"aud": authority + "/" + graphtest.DefaultID + "/oauth2/v2.0/token", "iss": graphtest.DefaultClientID,
		"sub": graphtest.DefaultClientID, "nbf": now, "exp": now + 600, "jti": "1"}
	with := func(changes ...any) map[string]any {
		out := map[string]any{}
		for k, v := range good {
			out[k] = v
		}
		for i := 0; i < len(changes); i += 2 {
			out[changes[i].(string)] = changes[i+1]
		}
		return out
	}
	thumb := base64.RawURLEncoding.EncodeToString(sum[:])
	for _, tt := range []struct {
		name      string
		assertion string
		status    int
		short     string
		code      int
	}{
		{"PS256", sign(t, key, "PS256", thumb, good), 200, "", 0},
		{"RS256", sign(t, key, "RS256", thumb, good), 200, "", 0},
		{"no thumbprint", sign(t, key, "PS256", "", good), 200, "", 0},
		{"issuer as audience", sign(t, key, "PS256", thumb, with("aud", authority+"/"+graphtest.DefaultID+"/v2.0")), 200, "", 0},
		{"wrong key", sign(t, other, "PS256", thumb, good), 401, "invalid_client", 700027},
		{"wrong thumbprint", sign(t, key, "PS256", "AAAA", good), 401, "invalid_client", 700027},
		{"wrong algorithm", sign(t, key, "none", thumb, good), 401, "invalid_client", 700027},
		{"expired", sign(t, key, "PS256", thumb, with("exp", now-301)), 401, "invalid_client", 700024},
		{"clock a little behind", sign(t, key, "PS256", thumb, with("exp", now-200)), 200, "", 0},
		{"not yet valid", sign(t, key, "PS256", thumb, with("nbf", now+301)), 401, "invalid_client", 700024},
		{"other tenant", sign(t, key, "PS256", thumb, with("aud", authority+"/fabrikam.com/oauth2/v2.0/token")), 401, "invalid_client", 700023},
		{"other service", sign(t, key, "PS256", thumb, with("aud", "https://login.microsoftonline.com/x/oauth2/v2.0/token")), 401, "invalid_client", 700023},
		{"other application", sign(t, key, "PS256", thumb, with("iss", "x")), 400, "unauthorized_client", 700016},
		{"no JWT", "nonsense", 400, "invalid_request", 50027},
		{"broken signature", "e30.e30.%%", 400, "invalid_request", 50027},
	} {
		tenant := &graphtest.Tenant{Now: clock.now, Certificate: cert}
		f := form("client_secret", "", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", tt.assertion)
		checkSignIn(t, tt.name, signIn(tenant, graphtest.DefaultID, f), tt.status, tt.short, tt.code)
		if tt.code == 0 {
			tenant.Certificate = nil
			checkSignIn(t, tt.name+", no certificate registered", signIn(tenant, graphtest.DefaultID, f), 401, "invalid_client", 700027)
			f.Set("client_assertion_type", "x")
			checkSignIn(t, tt.name+", unknown type", signIn(tenant, graphtest.DefaultID, f), 401, "invalid_client", 7000218)
		}
	}
}

func selfSigned(t *testing.T) (*rsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dirsync"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func sign(t *testing.T, key *rsa.PrivateKey, alg, thumb string, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	head := map[string]any{"alg": alg, "typ": "JWT"}
	if thumb != "" {
		head["x5t#S256"] = thumb
	}
	signed := part(head) + "." + part(claims)
	sum := sha256.Sum256([]byte(signed))
	var sig []byte
	var err error
	if alg == "RS256" {
		sig, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	} else {
		sig, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestCompressedRequests(t *testing.T) {
	tenant := &graphtest.Tenant{}
	post := func(body []byte) int {
		r := httptest.NewRequest(http.MethodPost, authority+"/"+graphtest.DefaultID+"/oauth2/v2.0/token", bytes.NewReader(body))
		r.Header.Set("Content-Encoding", "gzip")
		w := httptest.NewRecorder()
		tenant.ServeHTTP(w, r)
		return w.Code
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(form().Encode())); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if got := post(b.Bytes()); got != 200 {
		t.Errorf("compressed: got %d, want 200", got)
	}
	if got := post([]byte("not compressed at all")); got != 400 {
		t.Errorf("not what it says: got %d, want 400", got)
	}
}

func TestConsent(t *testing.T) {
	const back = "https://dirsync.example/done?x=1"
	tenant := &graphtest.Tenant{Roles: []string{}, Redirects: []string{back}}
	open := func(path string, query ...string) (int, url.Values, string) {
		v := url.Values{}
		for i := 0; i < len(query); i += 2 {
			v.Set(query[i], query[i+1])
		}
		r := httptest.NewRequest(http.MethodGet, authority+path+"?"+v.Encode(), nil)
		w := httptest.NewRecorder()
		tenant.ServeHTTP(w, r)
		to, err := url.Parse(w.Header().Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, to.Query(), w.Body.String()
	}
	const scope = "https://graph.microsoft.com/.default"
	v2, v1 := "/"+graphtest.DefaultID+"/v2.0/adminconsent", "/common/adminconsent"
	tenant.SetFaults(graphtest.Faults{ConsentError: "consent_required"})
	status, q, _ := open(v2, "client_id", graphtest.DefaultClientID, "scope", scope, "redirect_uri", back, "state", "s1")
	if status != 302 || q.Get("admin_consent") != "True" || q.Get("error") != "consent_required" || q.Get("state") != "s1" || q.Get("tenant") != "" || !strings.HasPrefix(q.Get("error_description"), "AADSTS65004: ") {
		t.Errorf("declined: got %d %v", status, q)
	}
	c := connect(t, tenant)
	if r := c.get("/v1.0/users/delta"); r.status != 403 {
		t.Errorf("after it was declined: got %d", r.status)
	}
	tenant.SetFaults(graphtest.Faults{})
	for name, query := range map[string][]string{
		"unknown application": {"client_id", "x", "scope", scope, "redirect_uri", back},
		"no scope":            {"client_id", graphtest.DefaultClientID, "redirect_uri", back},
		"unknown redirect":    {"client_id", graphtest.DefaultClientID, "scope", scope, "redirect_uri", back + "<script>"},
	} {
		if status, q, page := open(v2, query...); status != 400 || len(q) != 0 || !strings.Contains(page, "AADSTS") || strings.Contains(page, "<script>") {
			t.Errorf("%s: got %d %v %s", name, status, q, page)
		}
	}
	for path, want := range map[string]string{v2: scope, v1: ""} {
		status, q, _ = open(path, "client_id", graphtest.DefaultClientID, "scope", scope, "redirect_uri", back, "state", "s2")
		if status != 302 || q.Get("error") != "" || q.Get("tenant") != graphtest.DefaultID || q.Get("scope") != want || q.Get("x") != "1" {
			t.Errorf("%s: got %d %v", path, status, q)
		}
	}
	if r := c.get("/v1.0/users/delta"); r.status != 403 {
		t.Errorf("the token of before: got %d, want 403", r.status)
	}
	c.token = accessToken(t, tenant)
	if r := c.get("/v1.0/users/delta"); r.status != 200 {
		t.Errorf("a token of after: got %d", r.status)
	}
	tenant.Set(func(t *graphtest.Tenant) { t.Redirects = nil })
	if status, _, page := open(v1, "client_id", graphtest.DefaultClientID); status != 200 || !strings.Contains(page, "granted") {
		t.Errorf("with nowhere to go: got %d %s", status, page)
	}
}
