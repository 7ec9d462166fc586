package graph

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Credential proves to be the application. Exactly one of Secret, Certificate, WorkloadIdentity, ManagedIdentity and
// AzureCLI is set. It prints as *** in every format.
type Credential struct {
	// Secret is the value of a client secret, not its id.
	Secret string
	// Certificate is a PEM or PKCS#12 file that holds a certificate and its RSA private key. Of PKCS#12 only the older
	// form is understood, with a digest by SHA-1; PEM keys may be encrypted as PKCS#8 is (RFC 8018, PBES2 with AES).
	Certificate []byte
	// Password opens the private key in Certificate. Empty means that the file has none.
	Password string
	// WorkloadIdentity is the path of a file with a federated token, which somebody else keeps fresh: in Kubernetes the
	// one that AZURE_FEDERATED_TOKEN_FILE names. It is read at each sign-in.
	WorkloadIdentity string
	// ManagedIdentity is SystemAssigned, or the client id of a user-assigned managed identity, for programs that run in
	// Azure. Config.ClientID is not used then.
	ManagedIdentity string
	// AzureCLI signs in as whoever is signed in to the Azure CLI (az) on this machine, for trying things out. What may
	// be read is what that person may read. Config.ClientID is not used then.
	AzureCLI bool
}

// SystemAssigned is the ManagedIdentity that the machine itself has.
const SystemAssigned = "system"

// Format prints *** for every verb, so that a credential inside any printed value stays secret.
func (Credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("***")) }

// MarshalText returns ***, which covers JSON and every other text form.
func (Credential) MarshalText() ([]byte, error) { return []byte("***"), nil }

// ownsClient tells the kinds of credential that come with an identity of their own, so that no client id is needed, and
// nobody can consent to it by a link.
func (c Credential) ownsClient() bool { return c.ManagedIdentity != "" || c.AzureCLI }

// check says what is wrong with the form of a credential.
func (c Credential) check() []error {
	var kinds []string
	for _, k := range []struct {
		set  bool
		name string
	}{
		{c.Secret != "", "a secret"}, {len(c.Certificate) > 0, "a certificate"}, {c.WorkloadIdentity != "", "a workload identity"},
		{c.ManagedIdentity != "", "a managed identity"}, {c.AzureCLI, "the Azure CLI"},
	} {
		if k.set {
			kinds = append(kinds, k.name)
		}
	}
	var faults []error
	switch n := len(kinds); {
	case n == 0:
		faults = append(faults, errors.New("the credential is missing: give a client secret, a certificate, a workload identity or a managed identity"))
	case n == 2:
		faults = append(faults, fmt.Errorf("the credential has both %s and %s: keep one", kinds[0], kinds[1]))
	case n > 2:
		faults = append(faults, fmt.Errorf("the credential has %s and %s: keep one", strings.Join(kinds[:n-1], ", "), kinds[n-1]))
	}
	if c.Password != "" && len(c.Certificate) == 0 {
		faults = append(faults, errors.New("the credential has a password, but no certificate that it could open"))
	}
	if id := c.ManagedIdentity; id != "" && id != SystemAssigned && !isGUID(id) {
		faults = append(faults, fmt.Errorf("the managed identity %q is neither %q nor a client id", id, SystemAssigned))
	}
	return faults
}

// keyPair is a certificate with its private key.
type keyPair struct {
	certs []*x509.Certificate
	key   crypto.PrivateKey
	// expires is when the certificate does.
	expires time.Time
}

// errCertificate wraps nothing of what a parser says, because that may quote what it could not parse: a private key.
var errCertificate = errors.New("it must hold a certificate and its RSA private key, as PEM or PKCS#12")

// parseCertificate reads a certificate file. Its errors are reasons that can follow "the certificate file cannot be
// used: ".
func parseCertificate(file []byte, password string) (keyPair, error) {
	file, isPEM, err := openPEM(file, password)
	if err != nil {
		return keyPair{}, err
	}
	secret := []byte(password)
	if isPEM {
		secret = nil // it has opened what there was to open
	}
	certs, key, err := azidentity.ParseCertificates(file, secret)
	switch {
	case err == nil:
	case isPEM:
		return keyPair{}, errCertificate
	case strings.Contains(err.Error(), "password incorrect") && password == "":
		return keyPair{}, errors.New("it has a password, which must be given")
	case strings.Contains(err.Error(), "password incorrect"):
		return keyPair{}, errors.New("the password does not open it")
	case strings.HasPrefix(err.Error(), "pkcs12: unknown") || strings.HasPrefix(err.Error(), "pkcs12: algorithm"):
		return keyPair{}, errors.New("it is a PKCS#12 file of a newer kind: convert it to PEM, with openssl pkcs12 -in file.pfx -out file.pem")
	default:
		return keyPair{}, errCertificate
	}
	pair := keyPair{certs: certs, key: key}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return keyPair{}, errors.New("its private key is no RSA key")
	}
	for i, cert := range certs {
		if private.PublicKey.Equal(cert.PublicKey) {
			// The library signs in with the first.
			certs[0], certs[i] = certs[i], certs[0]
			pair.expires = cert.NotAfter
			return pair, nil
		}
	}
	return keyPair{}, errors.New("its private key belongs to none of its certificates")
}

// credential makes what signs in. It asks nobody.
func (t *tokens) credential() (azcore.TokenCredential, error) {
	client := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: t.cfg.Authority + "/"},
		Transport: t,
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{ApplicationID: "dirsync"},
	}
	// Instance discovery asks login.microsoftonline.com whether it knows the authority. It knows no private one, and
	// about its own it need not be asked.
	switch cred := t.cfg.Credential; {
	case cred.AzureCLI:
		return azidentity.NewAzureCLICredential(&azidentity.AzureCLICredentialOptions{TenantID: t.cfg.Tenant})
	case cred.ManagedIdentity != "":
		options := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: client}
		if cred.ManagedIdentity != SystemAssigned {
			options.ID = azidentity.ClientID(cred.ManagedIdentity)
		}
		return azidentity.NewManagedIdentityCredential(options)
	case cred.WorkloadIdentity != "":
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: client,
			TenantID: t.cfg.Tenant, ClientID: t.cfg.ClientID, TokenFilePath: cred.WorkloadIdentity, DisableInstanceDiscovery: true})
	case t.pair.key != nil:
		return azidentity.NewClientCertificateCredential(t.cfg.Tenant, t.cfg.ClientID, t.pair.certs, t.pair.key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: client, DisableInstanceDiscovery: true})
	default:
		return azidentity.NewClientSecretCredential(t.cfg.Tenant, t.cfg.ClientID, cred.Secret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: client, DisableInstanceDiscovery: true})
	}
}

// checkFederated looks at the file of a workload identity, of which the library would only say that something failed.
func (c Credential) checkFederated() error {
	if c.WorkloadIdentity == "" {
		return nil
	}
	token, err := os.ReadFile(c.WorkloadIdentity)
	var at *os.PathError
	switch {
	case errors.As(err, &at):
		return fmt.Errorf("the federated token file %s cannot be read: %w", c.WorkloadIdentity, at.Err)
	case err != nil:
		return err
	case len(strings.TrimSpace(string(token))) == 0:
		return fmt.Errorf("the federated token file %s is empty", c.WorkloadIdentity)
	}
	return nil
}
