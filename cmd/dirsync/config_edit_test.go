package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const newID = "6f89cf12-978b-4d23-ac18-9ef0c127cf87"

// restOfConfig is what makes a configuration of a tenant that is called contoso.
const restOfConfig = `
store: { path: dirsync.db }   # 保存
syncs:
  staff:
    from: { entra: contoso }
    to: directory
    fields: { first_name: givenName, last_name: surname, email: mail }
`

// TestSetTenantID changes one value in configurations of every layout, and shows each result.
func TestSetTenantID(t *testing.T) {
	const client = "client_id: 00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928"
	const credential = "credential: { secret: file:secret }"
	tests := []struct{ name, in, want string }{
		{"missing", "tenants:\n  contoso:\n    " + client + "\n    " + credential + "\n",
			"tenants:\n  contoso:\n    id: ID\n    " + client + "\n    " + credential + "\n"},
		{"remarks stay where they are", "tenants: # all\n  contoso:   # ours\n\n    # the application\n    " + client + "\n    " + credential + "\n",
			"tenants: # all\n  contoso:   # ours\n    id: ID\n\n    # the application\n    " + client + "\n    " + credential + "\n"},
		{"nothing behind the colon", "tenants:\n  contoso:\n    " + client + "\n    id:\n    " + credential + "\n",
			"tenants:\n  contoso:\n    " + client + "\n    id: ID\n    " + credential + "\n"},
		{"a remark behind the colon", "tenants:\n  contoso:\n    id:   # later\n    " + client + "\n    " + credential + "\n",
			"tenants:\n  contoso:\n    id: ID   # later\n    " + client + "\n    " + credential + "\n"},
		{"quotes", "tenants:\n  contoso:\n    id: \"\" # later\n    " + client + "\n    " + credential + "\n",
			"tenants:\n  contoso:\n    id: ID # later\n    " + client + "\n    " + credential + "\n"},
		{"single quotes", "tenants:\n  contoso:\n    'id': ''\n    " + client + "\n    " + credential + "\n",
			"tenants:\n  contoso:\n    'id': ID\n    " + client + "\n    " + credential + "\n"},
		{"a wave", "tenants:\n  contoso:\n    id: ~\n    " + client + "\n    " + credential + "\n",
			"tenants:\n  contoso:\n    id: ID\n    " + client + "\n    " + credential + "\n"},
		{"null", "tenants:\n  contoso:\n    id: null\n    " + client + "\n    " + credential + "\n",
			"tenants:\n  contoso:\n    id: ID\n    " + client + "\n    " + credential + "\n"},
		{"braces", "tenants: { contoso: { " + client + ", " + credential + " } }\n",
			"tenants: { contoso: { id: ID, " + client + ", " + credential + " } }\n"},
		{"braces with an empty id", "tenants:\n  contoso: {id: , " + client + ", " + credential + "}\n",
			"tenants:\n  contoso: {id: ID , " + client + ", " + credential + "}\n"},
		{"Windows", "\xef\xbb\xbftenants:\r\n  contoso:\r\n    " + client + "\r\n    " + credential + "\r\n",
			"\xef\xbb\xbftenants:\r\n  contoso:\r\n    id: ID\r\n    " + client + "\r\n    " + credential + "\r\n"},
		{"behind letters of several bytes", "# 李小龍 ü\ntenants: { \"contoso\": { id: \"\", " + client + ", " + credential + " } } # é\n",
			"# 李小龍 ü\ntenants: { \"contoso\": { id: ID, " + client + ", " + credential + " } } # é\n"},
		{"an alias", "tenants:\n  contoso: &t\n    " + client + "\n    " + credential + "\n  other: *t\n", ""},
		{"an alias inside", "tenants:\n  contoso:\n    id: &i \"\"\n    " + client + "\n    " + credential + "\n", ""},
		{"an anchor in a line of its own", "tenants:\n  contoso:\n    &t\n    " + client + "\n    " + credential + "\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := tt.in + restOfConfig
			if _, err := parse("c.yaml", []byte(in), true); err != nil {
				t.Fatal(err)
			}
			out, err := setTenantID([]byte(in), "contoso", newID)
			if tt.want == "" {
				if !errors.Is(err, errNoPlace) {
					t.Errorf("got %v\n%s", err, out)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(out), strings.ReplaceAll(tt.want, "ID", newID)+restOfConfig; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if c, err := parseConfig("c.yaml", out); err != nil || c.Tenants["contoso"].ID != newID {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestOpenConfig tolerates missing ids and nothing else.
func TestOpenConfig(t *testing.T) {
	const without = "tenants:\n  contoso: { id: , client_id: 00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928, credential: { azure_cli: true } }\n" +
		"  other: { id: \"\", client_id: x, credential: { secret: file:a } }\n  third: { id: x, credential: { azure_cli: true } }\n"
	_, err := parse("c.yaml", []byte(without+restOfConfig), true)
	want := "read configuration: 3 faults\n" +
		"c.yaml:2:31: tenants.contoso.client_id: has no effect, because this credential comes with an identity of its own; remove it\n" +
		"c.yaml:3:31: tenants.other.client_id: should be the Application (client) ID from the app registration's overview page: 00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928\n" +
		"c.yaml:4:16: tenants.third.id: should be the tenant ID from the tenant's overview page: 6f89cf12-978b-4d23-ac18-9ef0c127cf87"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// TestWriteTenantID writes into files, and leaves them alone whenever there is a doubt.
func TestWriteTenantID(t *testing.T) {
	const open = "tenants:\n  contoso:\n    credential: { azure_cli: true }\n"
	const otherID = "0c3c5d0e-3a53-4a0e-8d8a-6f2b7f0f7a11"
	tests := []struct {
		name, in, want string // want "" is: as it was
		written        bool
		message        string
	}{
		{"missing", open + restOfConfig, "tenants:\n  contoso:\n    id: " + newID + "\n    credential: { azure_cli: true }\n" + restOfConfig, true, ""},
		{"there already", strings.Replace(open, "    cred", "    id: "+strings.ToUpper(newID)+"\n    cred", 1) + restOfConfig, "", false, ""},
		{"another", strings.Replace(open, "    cred", "    id: "+otherID+"\n    cred", 1) + restOfConfig, "", false,
			"write FILE: the tenant contoso has the id " + otherID + " in it, and " + newID + " has answered"},
		{"gone", strings.ReplaceAll(open+restOfConfig, "contoso", "fabrikam"), "", false, "write FILE: the tenant contoso is no longer in it"},
		{"broken", open + "x: y\n" + restOfConfig, "", false, "read configuration: FILE:4:1: x: unknown key; the keys here are tenants, applications, store, directory, syncs, notify, serve"},
		{"no place", "tenants:\n  contoso: &t\n    credential: { azure_cli: true }\n  other: *t\n" + restOfConfig, "", false,
			"write FILE: the tenant is written in a way that cannot be changed safely; nothing was changed. Write id: " + newID +
				" under tenants.contoso yourself"},
		{"another tenant is without an id", "tenants:\n  other: { credential: { azure_cli: true } }\n  contoso: { credential: { azure_cli: true } }\n" + restOfConfig,
			"tenants:\n  other: { credential: { azure_cli: true } }\n  contoso: { id: " + newID + ", credential: { azure_cli: true } }\n" + restOfConfig, true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			real, path := filepath.Join(dir, "real.yaml"), filepath.Join(dir, "config.yaml")
			if err := os.WriteFile(real, []byte(tt.in), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("real.yaml", path); err != nil {
				t.Fatal(err)
			}
			written, err := writeTenantID(path, "contoso", newID)
			message := ""
			if err != nil {
				message = strings.ReplaceAll(err.Error(), path, "FILE")
			}
			if written != tt.written || message != tt.message {
				t.Errorf("got %v %q, want %v %q", written, message, tt.written, tt.message)
			}
			want := tt.want
			if want == "" {
				want = tt.in
			}
			got, err := os.ReadFile(real)
			if err != nil || string(got) != want {
				t.Errorf("got %v\n%s\nwant\n%s", err, got, want)
			}
			if info, err := os.Stat(real); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("got %v %v, want mode 0640", info, err)
			}
			if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
				t.Errorf("the link is no longer one: %v %v", info, err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 2 {
				t.Errorf("got %v, want no other file", entries)
			}
		})
	}
}

// TestReplaceFile leaves the old file and nothing else when the new one does not pass.
func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := replaceFile(path, []byte("new"), func(temp string) error {
		if got, err := os.ReadFile(temp); err != nil || string(got) != "new" {
			t.Errorf("got %q %v", got, err)
		}
		return errors.New("no")
	})
	got, _ := os.ReadFile(path)
	entries, _ := os.ReadDir(dir)
	if err == nil || err.Error() != "the changed file would not load: no" || string(got) != "old" || len(entries) != 1 {
		t.Errorf("got %v %q %v", err, got, entries)
	}
	if err := replaceFile(dir, []byte("new"), nil); err == nil || err.Error() != "it is no regular file" {
		t.Errorf("got %v", err)
	}
}

// FuzzSetTenantID changes any configuration that loads. What comes out is the old file with one piece put in or in the
// place of an empty value, and it loads with the same tenants.
func FuzzSetTenantID(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("tenants: { contoso: { id: \"\", credential: { azure_cli: true } } }" + restOfConfig))
	f.Add([]byte("tenants:\n  contoso:\n    id:\n    credential: { azure_cli: true }\n" + restOfConfig))
	f.Add([]byte("tenants:\r\n  contoso: # é\r\n\r\n    credential: { azure_cli: true }\r\n" + restOfConfig))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parse("c.yaml", data, true)
		if err != nil {
			return
		}
		for name, tenant := range c.Tenants {
			if tenant.ID != "" {
				continue
			}
			out, err := setTenantID(data, name, newID)
			if err != nil {
				continue
			}
			at := bytes.Index(out, []byte(newID))
			if at < 0 || !bytes.HasPrefix(data, bytes.TrimRight(bytes.TrimSuffix(bytes.TrimRight(out[:at], " "), []byte("id:")), " ")) {
				t.Fatalf("changed before the id:\n%q\n%q", data, out)
			}
			if len(out) > len(data)+len(newID)+200 || len(out) < len(data)+len(newID)-4 {
				t.Fatalf("changed too much:\n%q\n%q", data, out)
			}
			after, err := parse("c.yaml", out, true)
			if err != nil || after.Tenants[name].ID != newID || len(after.Tenants) != len(c.Tenants) {
				t.Fatalf("got %v\n%q", err, out)
			}
		}
	})
}
