package graph

import (
	"os"
	"strings"
	"testing"
)

// A certificate file comes from outside: whatever is in it, it is opened or refused, and never quoted.
func FuzzParseCertificate(f *testing.F) {
	for _, name := range []string{"plain.pem", "chain.pem", "encrypted.pem", "encrypted-des.pem", "encrypted-old.pem", "old.pfx", "new.pfx"} {
		file, err := os.ReadFile("testdata/certificates/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file, "open~sesame")
		f.Add(file[:len(file)/2], "")
	}
	f.Add([]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), "x")
	f.Fuzz(func(t *testing.T, file []byte, password string) {
		if len(file) > 1<<16 {
			return
		}
		pair, err := parseCertificate(file, password)
		switch {
		case err == nil && (len(pair.certs) == 0 || pair.key == nil || pair.expires.IsZero()):
			t.Errorf("got %d certificates, expires %v", len(pair.certs), pair.expires)
		case err != nil && len(password) > 7 && strings.Contains(err.Error(), password):
			t.Errorf("the password is in %q", err)
		}
	})
}
