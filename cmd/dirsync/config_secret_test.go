package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	yaml "go.yaml.in/yaml/v4"

	"dirsync/graph"
)

// TestSecretNeverPrints prints secrets in every way that anybody thought of, alone and inside other things, set and
// unset, and looks for their places and contents.
func TestSecretNeverPrints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "whereabouts")
	if err := os.WriteFile(path, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSecret(secretFile, path)
	if got, err := s.Reveal(); got != "hunter2" || err != nil {
		t.Fatalf("got %q %v", got, err)
	}
	credential := Credential{Secret: s, Certificate: s, Password: s}
	tenant := &Tenant{Credential: credential}
	config := &Config{Tenants: map[string]*Tenant{"contoso": tenant}}
	values := []any{s, &s, credential, &credential, *tenant, tenant, config, []Secret{s}, map[string]Secret{"a": s},
		struct{ S any }{s}, struct{ s Secret }{s}, [1]*Secret{&s}, any(s), Secret{}}

	check := func(how, out string) {
		t.Helper()
		if strings.Contains(out, "hunter2") || strings.Contains(out, "whereabouts") || strings.Contains(out, path) {
			t.Errorf("%s: %s", how, out)
		}
	}
	for _, v := range values {
		for verb := rune('A'); verb <= 'z'; verb++ {
			if verb > 'Z' && verb < 'a' || verb == 'p' {
				continue
			}
			for _, flags := range []string{"", "+", "#", "-", " ", "0", "20", ".3", "+#"} {
				format := "%" + flags + string(verb)
				check(format, fmt.Sprintf(format, v))
			}
		}
		check("print", fmt.Sprint(v)+fmt.Sprintln(v))
		check("error", fmt.Errorf("sign in: %v", v).Error())
		if b, err := json.Marshal(v); err == nil {
			check("json", string(b))
		}
		if b, err := yaml.Dump(v); err == nil {
			check("yaml", string(b))
		}
		if b, err := xml.Marshal(v); err == nil {
			check("xml", string(b))
		}
		var b bytes.Buffer
		log := zerolog.New(&b)
		log.Info().Interface("v", v).Any("w", v).Str("x", fmt.Sprint(v)).Msgf("%v", v)
		if st, ok := v.(fmt.Stringer); ok {
			log.Info().Stringer("s", st).Msg("")
		}
		slog.New(slog.NewTextHandler(&b, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("m", "v", v)
		check("log", b.String())
	}
	for how, got := range map[string]string{"%v": fmt.Sprintf("%v", s), "%#v": fmt.Sprintf("%#v", s), "%q": fmt.Sprintf("%q", s),
		"%x": fmt.Sprintf("%x", s), "String": s.String(), "GoString": s.GoString()} {
		if got != "***" {
			t.Errorf("%s: got %q, want ***", how, got)
		}
	}
}

func TestReveal(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("plain", "hunter2")
	write("newline", "hunter2\n")
	write("windows", "hunter2\r\n")
	write("two", "hunter2\n\n")
	write("blank", " hunter2 \n")
	write("empty", "")
	write("only", "\n")
	write("large", strings.Repeat("hunter2", 1<<18))
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	t.Setenv("DIRSYNC_TEST_SECRET", "hunter2")
	t.Setenv("DIRSYNC_TEST_EMPTY", "")
	file := func(name string) Secret { return newSecret(secretFile, filepath.Join(dir, name)) }
	tests := []struct {
		name    string
		secret  Secret
		want    string
		message string
	}{
		{"plain", file("plain"), "hunter2", ""},
		{"one line break goes", file("newline"), "hunter2", ""},
		{"one Windows line break goes", file("windows"), "hunter2", ""},
		{"the second stays", file("two"), "hunter2\n", ""},
		{"blanks stay", file("blank"), " hunter2 ", ""},
		{"environment", newSecret(secretEnv, "DIRSYNC_TEST_SECRET"), "hunter2", ""},
		{"credential", newSecret(secretCredential, "newline"), "hunter2", ""},
		{"unset", Secret{}, "", "read secret: none is configured"},
		{"empty", file("empty"), "", "read secret file:DIR/empty: it is empty"},
		{"only a line break", file("only"), "", "read secret file:DIR/only: it is empty"},
		{"missing", file("none"), "", "read secret file:DIR/none: there is no such file"},
		{"directory", file(""), "", "read secret file:DIR: it is a directory; name the file in it"},
		{"large", file("large"), "", "read secret file:DIR/large: the file is larger than 1 MB; is it the right one?"},
		{"no variable", newSecret(secretEnv, "DIRSYNC_TEST_NONE"), "",
			"read secret env:DIRSYNC_TEST_NONE: the environment has no variable of that name; set it for this process"},
		{"empty variable", newSecret(secretEnv, "DIRSYNC_TEST_EMPTY"), "", "read secret env:DIRSYNC_TEST_EMPTY: it is empty"},
		{"no credential", newSecret(secretCredential, "none"), "", "read secret cred:none: there is no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.secret.Reveal()
			message := ""
			if err != nil {
				message = strings.ReplaceAll(err.Error(), dir, "DIR")
			}
			if got != tt.want || message != tt.message {
				t.Errorf("got %q %q, want %q %q", got, message, tt.want, tt.message)
			}
			if strings.Contains(message, "hunter2") {
				t.Errorf("the error holds the secret: %s", message)
			}
		})
	}
}

func TestRevealWithoutSystemd(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	_, err := newSecret(secretCredential, "contoso").Reveal()
	want := "read secret cred:contoso: CREDENTIALS_DIRECTORY is not set; cred: works in a systemd unit with LoadCredential=, otherwise use file: or env:"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestSecretBytes keeps the last byte of a binary certificate, even if it looks like a line break.
func TestSecretBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cert.pfx")
	want := []byte{0x30, 0x82, 0x00, '\r', '\n'}
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := newSecret(secretFile, path).Bytes()
	if !bytes.Equal(got, want) || err != nil {
		t.Errorf("got %x %v, want %x", got, err, want)
	}
}

// TestSecretIsReadAnew picks up a secret that was rotated while the program runs.
func TestSecretIsReadAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	s := newSecret(secretFile, path)
	for _, want := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Reveal(); got != want || err != nil {
			t.Errorf("got %q %v, want %q", got, err, want)
		}
	}
}

// TestRevealCredential hands every kind of credential on in the words of package graph, and says which part cannot be
// read, without any other part's text.
func TestRevealCredential(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	there, gone := newSecret(secretFile, path), newSecret(secretFile, path+"-gone")
	tests := []struct {
		name    string
		in      Credential
		want    graph.Credential
		message string
	}{
		{"secret", Credential{Secret: there}, graph.Credential{Secret: "hunter2"}, ""},
		{"certificate", Credential{Certificate: there}, graph.Credential{Certificate: []byte("hunter2\n")}, ""},
		{"password", Credential{Certificate: there, Password: there}, graph.Credential{Certificate: []byte("hunter2\n"), Password: "hunter2"}, ""},
		{"workload identity", Credential{WorkloadIdentity: "/token"}, graph.Credential{WorkloadIdentity: "/token"}, ""},
		{"managed identity", Credential{ManagedIdentity: "system"}, graph.Credential{ManagedIdentity: graph.SystemAssigned}, ""},
		{"Azure CLI", Credential{AzureCLI: true}, graph.Credential{AzureCLI: true}, ""},
		{"no secret", Credential{Secret: gone}, graph.Credential{}, "read secret file:PATH-gone: there is no such file"},
		{"no certificate", Credential{Certificate: gone}, graph.Credential{}, "read secret file:PATH-gone: there is no such file"},
		{"no password", Credential{Certificate: there, Password: gone}, graph.Credential{}, "read secret file:PATH-gone: there is no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.in.reveal()
			message := ""
			if err != nil {
				message = strings.ReplaceAll(err.Error(), path, "PATH")
			}
			// The fields are compared one by one, because a graph.Credential prints as *** and nothing else.
			if !reflect.DeepEqual(got, tt.want) || message != tt.message {
				t.Errorf("got %v %q, want %v %q", got, message, tt.want, tt.message)
			}
		})
	}
}
