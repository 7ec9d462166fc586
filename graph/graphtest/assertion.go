package graphtest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t is the SHA-1 thumbprint by RFC 7515, section 4.1.7
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// clockSkew is how far a client's clock may be off.
const clockSkew = 5 * time.Minute

// checkAssertion verifies a client assertion (RFC 7523) against the registered certificate, by PS256, which Microsoft's
// library signs with, or RS256. It returns the AADSTS number of what is wrong, or zero.
func (q *request) checkAssertion(assertion string) (code int) {
	var head struct {
		Alg  string `json:"alg"`
		X5T  string `json:"x5t"`
		X256 string `json:"x5t#S256"`
	}
	var body struct {
		Aud string  `json:"aud"`
		Iss string  `json:"iss"`
		Sub string  `json:"sub"`
		Exp float64 `json:"exp"`
		Nbf float64 `json:"nbf"`
	}
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 || decodePart(parts[0], &head) != nil || decodePart(parts[1], &body) != nil {
		return 50027
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return 50027
	}
	cert := q.t.Certificate
	if cert == nil || !thumbprint(head.X5T, sha1sum(cert.Raw)) || !thumbprint(head.X256, sha256sum(cert.Raw)) {
		return 700027
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || verify(key, head.Alg, []byte(parts[0]+"."+parts[1]), signature) != nil {
		return 700027
	}
	who := q.t.identity()
	now := float64(q.now.Unix())
	switch {
	case !strings.EqualFold(body.Iss, who.ClientID), !strings.EqualFold(body.Sub, who.ClientID):
		return 700016
	case !q.isAudience(body.Aud):
		return 700023
	case now >= body.Exp+clockSkew.Seconds(), now < body.Nbf-clockSkew.Seconds():
		return 700024
	}
	return 0
}

// isAudience tells whether an assertion is meant for this tenant: for its token endpoint or its issuer.
func (q *request) isAudience(aud string) bool {
	rest, ok := strings.CutPrefix(aud, q.base()+"/")
	if !ok {
		return false
	}
	tenant, rest, _ := strings.Cut(rest, "/")
	who := q.t.identity()
	if !strings.EqualFold(tenant, who.ID) && !strings.EqualFold(tenant, who.Domain) {
		return false
	}
	return rest == "oauth2/v2.0/token" || rest == "v2.0" || rest == ""
}

func verify(key *rsa.PublicKey, alg string, signed, signature []byte) error {
	sum := sha256.Sum256(signed)
	switch alg {
	case "PS256":
		return rsa.VerifyPSS(key, crypto.SHA256, sum[:], signature, nil)
	case "RS256":
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	}
	return errors.New("algorithm not supported")
}

// thumbprint tells whether a header names this certificate; one that names none does not contradict. RFC 7515 wants the
// alphabet of base64 for URLs, but Microsoft's own library spells x5t#S256 in the plain one, so both are taken.
func thumbprint(header string, sum []byte) bool {
	if header == "" {
		return true
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(header, "="))
	got, err := base64.RawStdEncoding.DecodeString(plain)
	return err == nil && bytes.Equal(got, sum)
}

func sha1sum(b []byte) []byte   { s := sha1.Sum(b); return s[:] } //nolint:gosec // see the import
func sha256sum(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

// decodePart decodes the header or the claims of a JWT.
func decodePart(part string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
