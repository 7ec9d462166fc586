package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"dirsync/graph"
)

// Secret names a secret that lives outside the configuration: in a file, in the environment, or among the credentials
// that systemd hands to a service. It holds the secret's place and never the secret itself, and however it is printed
// it prints as "***". The zero Secret is unset.
type Secret struct {
	// place is a function, because package fmt prints the insides of unexported fields without asking the value's own
	// methods, and of a function it prints the address.
	place func() secretPlace
}

// secretPlace is where a secret lives.
type secretPlace struct{ kind, name string }

// The kinds of places a secret may live in, as they are written before the colon.
const (
	secretFile       = "file"
	secretEnv        = "env"
	secretCredential = "cred"
)

// maxSecretSize is more than any client secret or certificate needs, and little enough to survive a wrong path.
const maxSecretSize = 1 << 20

// masked is what every Secret prints as.
const masked = "***"

func newSecret(kind, name string) Secret {
	return Secret{place: func() secretPlace { return secretPlace{kind, name} }}
}

// IsSet tells a secret that the configuration names from one that it leaves out.
func (s Secret) IsSet() bool { return s.place != nil }

// Reveal reads the secret from its place, anew each time, so that a rotated secret is picked up. One line break at the
// end is not part of it, because editors and echo add one. Its errors name the place and never hold the secret.
func (s Secret) Reveal() (string, error) {
	b, err := s.Bytes()
	if err != nil {
		return "", err
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" {
		return "", fmt.Errorf("read secret %s: it is empty", s.describe())
	}
	return text, nil
}

// Bytes is Reveal for certificates: it returns every byte as it is, because a binary certificate may well end in one
// that looks like a line break.
func (s Secret) Bytes() ([]byte, error) {
	if s.place == nil {
		return nil, errors.New("read secret: none is configured")
	}
	b, err := s.place().read()
	if err != nil {
		return nil, fmt.Errorf("read secret %s: %w", s.describe(), err)
	}
	if len(b) == 0 {
		return nil, fmt.Errorf("read secret %s: it is empty", s.describe())
	}
	return b, nil
}

// describe names the place, for errors only.
func (s Secret) describe() string { return s.place().kind + ":" + s.place().name }

func (p secretPlace) read() ([]byte, error) {
	switch p.kind {
	case secretEnv:
		v, ok := os.LookupEnv(p.name)
		if !ok {
			return nil, errors.New("the environment has no variable of that name; set it for this process")
		}
		return []byte(v), nil
	case secretCredential:
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, errors.New("CREDENTIALS_DIRECTORY is not set; cred: works in a systemd unit with " +
				"LoadCredential=, otherwise use file: or env:")
		}
		return readSecretFile(filepath.Join(dir, p.name))
	default:
		return readSecretFile(p.name)
	}
}

func readSecretFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, plainFileError(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretSize+1))
	if err != nil {
		return nil, plainFileError(err)
	}
	if len(b) > maxSecretSize {
		return nil, errors.New("the file is larger than 1 MB; is it the right one?")
	}
	return b, nil
}

// Format prints "***" for every verb and flag of package fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// String returns "***".
func (s Secret) String() string { return masked }

// GoString returns "***".
func (s Secret) GoString() string { return masked }

// MarshalText writes "***", for JSON, XML, zerolog and everything else that asks for text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// MarshalYAML writes "***".
func (s Secret) MarshalYAML() (any, error) { return masked, nil }

// reveal reads the credential from its places, in the words of package graph.
func (c Credential) reveal() (graph.Credential, error) {
	out := graph.Credential{WorkloadIdentity: string(c.WorkloadIdentity), ManagedIdentity: c.ManagedIdentity, AzureCLI: c.AzureCLI}
	var err error
	if c.Secret.IsSet() {
		if out.Secret, err = c.Secret.Reveal(); err != nil {
			return graph.Credential{}, err
		}
	}
	if c.Certificate.IsSet() {
		if out.Certificate, err = c.Certificate.Bytes(); err != nil {
			return graph.Credential{}, err
		}
	}
	if c.Password.IsSet() {
		if out.Password, err = c.Password.Reveal(); err != nil {
			return graph.Credential{}, err
		}
	}
	return out, nil
}

// FilePath is a file that is not secret, written as "file:/path" in the configuration. A relative path is taken from
// the configuration file's directory. The zero FilePath is unset.
type FilePath string
