package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dirsync"
)

// goldenUpdate writes what is got as what is wanted from now on: go test ./cmd/dirsync -run Config -update.
var goldenUpdate = flag.Bool("update", false, "rewrite the golden files")

// example is the configuration that every installation starts from.
const example = "../../config.example.yaml"

// golden compares got with a file, or rewrites the file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *goldenUpdate {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update to make it", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestBadConfig holds the message for every mistake: one file each in testdata/config, named for the mistake.
func TestBadConfig(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("found %d files, want at least 50", len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			c, err := LoadConfig(file)
			if err == nil {
				t.Fatalf("loaded %+v, want an error", c)
			}
			text := err.Error()
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", text+"\n")
			for _, no := range []string{"main.", "libyaml", "go-yaml", "!!", "reflect", "hunter2", "hunt"} {
				if strings.Contains(text, no) {
					t.Errorf("the message contains %q:\n%s", no, text)
				}
			}
			var ce *ConfigError
			if !errors.As(err, &ce) {
				t.Fatalf("got %T, want *ConfigError", err)
			}
			sorted := slices.IsSortedFunc(ce.Faults, func(a, b ConfigFault) int {
				return (a.Line-b.Line)*100000 + a.Column - b.Column
			})
			if !sorted {
				t.Errorf("the faults are not in the order of the file:\n%s", text)
			}
		})
	}
}

// TestConfigBytes covers mistakes that a text file in a repository cannot hold well.
func TestConfigBytes(t *testing.T) {
	bomb := "a: &a [x]\n"
	for c := 'b'; c < 'k'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+p+", ", 9), ", ") + "]\n"
	}
	tests := []struct{ name, text, want string }{
		{"empty", "", "c.yaml: the file is empty; config.example.yaml shows what a configuration looks like"},
		{"blank", " \n\t\n", "c.yaml: the file is empty; config.example.yaml shows what a configuration looks like"},
		{"comment", "# nothing\n", "c.yaml: the file is empty; config.example.yaml shows what a configuration looks like"},
		{"byte order mark only", "\xef\xbb\xbf", "c.yaml: the file is empty; config.example.yaml shows what a configuration looks like"},
		{"Latin-1", "tenants:\n  m\xfcller: {}\n", "c.yaml:2:4: the file is not UTF-8 from here on; save it as UTF-8"},
		{"UTF-16", "\xff\xfet\x00", "c.yaml:1:1: the file is UTF-16; save it as UTF-8"},
		{"zero byte", "tenants:\n  a\x00: {}\n", "c.yaml:2:4: control character U+0000; remove it"},
		{"escape", "tenants:\n  # \x1b[2J\n", "c.yaml:2:5: control character U+001B; remove it"},
		{"C1 control", "tenants:\n  # \u0085\u009b2J\n", "c.yaml:2:5: control character U+0085; remove it"},
		{"no character", "tenants:\n  # \uffff\n", "c.yaml:2:5: control character U+FFFF; remove it"},
		{"mark in the middle", "tenants:\n  a\ufeff: {}\n", "c.yaml:2:3: tenants.a\\ufeff: a name has 1 to 63"},
		{"second document after Windows line ends", "a: 1\r\n---\r\nb: 2\r\n", "c.yaml:2:1: a second document begins here"},
		{"long value", "tenants: {a: {cloud: " + strings.Repeat("x", 1000) + "}}\nsyncs: {}\n", `xxx…"; write one of: global, us-gov-l4, us-gov-l5, china`},
		{"column counts letters", "tenants:\n  ü: 李小龍\n  é: [*x]\n", "c.yaml:3:7: an alias"},
		{"ten megabytes", strings.Repeat("# filling\n", 1<<20),
			"c.yaml: the file is larger than 1 MB, which no configuration is; is it the right file?"},
		{"deep", strings.Repeat("[", 20000), "c.yaml:1:10001: nested too deeply"},
		{"bomb", bomb, "c.yaml:1:1: a: unknown key; the keys here are tenants, applications, store, directory, syncs"},
		{"itself", "tenants: &t\n  a: *t\n", "c.yaml:2:3: tenants.a.a: unknown key; did you mean ca?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseConfig("c.yaml", []byte(tt.text))
			if err == nil {
				t.Fatal("got no error")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %s\nwant %s", err, tt.want)
			}
		})
	}
}

// TestConfigAliasBomb reads a small file whose aliases would amount to ten million values.
func TestConfigAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("directory:\n  fields:\n    - { name: a, type: choice, options: &o [")
	for range 2000 {
		b.WriteString("x, ")
	}
	b.WriteString("y] }\n")
	for range 5000 {
		b.WriteString("    - { name: a, type: choice, options: *o }\n")
	}
	_, err := parseConfig("c.yaml", []byte(b.String()))
	if err == nil || !strings.Contains(err.Error(), "the file amounts to more than 100000 values; use fewer aliases (*name)") &&
		!strings.Contains(err.Error(), "too many aliases (*name)") {
		t.Errorf("got %.300v", err)
	}
}

func TestUnreadableConfig(t *testing.T) {
	dir := t.TempDir()
	t.Run("missing", func(t *testing.T) {
		_, err := LoadConfig(filepath.Join(dir, "none.yaml"))
		if got, want := err.Error(), "read configuration: "+dir+"/none.yaml: there is no such file"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Error("the cause is not in the chain")
		}
	})
	t.Run("directory", func(t *testing.T) {
		_, err := LoadConfig(dir)
		if got, want := err.Error(), "read configuration: "+dir+": it is a directory; name the file in it"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("not permitted", func(t *testing.T) {
		// Made by hand, because root may read every file and the tests often run as root.
		err := unreadable("c.yaml", &fs.PathError{Op: "open", Path: "c.yaml", Err: fs.ErrPermission})
		if got := err.Error(); !strings.HasPrefix(got, "read configuration: c.yaml: this user may not read the file; give uid ") {
			t.Errorf("got %q", got)
		}
	})
}

// good is a configuration that uses every key.
const good = `
tenants:
  contoso:
    id: 6F89CF12-978B-4D23-AC18-9EF0C127CF87
    client_id: 00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928
    credential: { secret: file:secrets/contoso }
    cloud: global
    authority: https://login.example.com/
    graph: https://127.0.0.1:8080/v1.0
    ca: file:/etc/ca.pem
  fabrikam:
    id: 7f89cf12-978b-4d23-ac18-9ef0c127cf87
    client_id: 00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928
    credential: { certificate: file:/etc/cert.pfx, password: env:CERT_PASSWORD }
    cloud: us-gov-l5
  northwind:
    id: 8f89cf12-978b-4d23-ac18-9ef0c127cf87
    client_id: 00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928
    credential: { workload_identity: file:token }
  litware:
    id: 9f89cf12-978b-4d23-ac18-9ef0c127cf87
    credential: { managed_identity: 5D9A6C1E-7A52-4f0a-9a63-3d1d5a0b6c22 }
  adatum:
    id: af89cf12-978b-4d23-ac18-9ef0c127cf87
    credential: { managed_identity: system }
  wingtip:
    id: bf89cf12-978b-4d23-ac18-9ef0c127cf87
    credential: { azure_cli: true }
store: { path: data/dirsync.db, history: { runs: 50, keep: 90d } }
directory:
  fields:
    - { name: joining_date, label: Joined, type: date, format: DD/MM/YYYY, required: true }
    - { name: office, type: choice, options: [Berlin, 2024, yes] }
    - { name: badge, unique: true, length: 8 }
syncs:
  staff:
    from: { entra: contoso }
    to: directory
    fields:
      last_name: surname
      first_name: &first givenName
      email: { expr: "user.mail ?? user.userPrincipalName" }
      joining_date: { from: employeeHireDate, sync_updates: false, format: YYYY-MM-DD }
      office:
        entra: |
          Switch([officeLocation],
            "Redmond")
        when_null: default
        default: Berlin
      badge: { value: "" , when_null: keep }
    when_deleted: delete
    grace: 1d12h
    limits: { deletes: { count: 10, share: 2.5%, floor: 0 }, deactivations: { count: 3, per_week: { count: 4 } } }
  guests:
    from: { entra: fabrikam, users: { groups: [Sales, 8D2C1F30-5B7A-4E0E-9C57-0A1B2C3D4E5F], nested: false }, groups: [Berlin, sales] }
    to: directory
    fields: { first_name: *first, last_name: surname, email: mail, joining_date: employeeHireDate, badge: employeeId }
    limits: { groups: { count: 2 }, removals: { count: 9, per_day: { share: 1%, floor: 2 } } }
    read_every: 2d
    when_out_of_scope: keep
    protect: { people: [Ana@Contoso.com, 8D2C1F30-5B7A-4E0E-9C57-0A1B2C3D4E5F], where: 'user.jobTitle == "CEO"' }
    join: [badge, email]
    drift: report
    retry: [5m, 1h]
`

func TestGoodConfig(t *testing.T) {
	got, err := parseConfig("/etc/dirsync/config.yaml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) *string { return &s }
	no := false
	budget := func(count int, share Share, floor int) Budget {
		return Budget{Count: count, Share: share, Floor: floor, PerDay: &Limit{count, share, floor}, PerWeek: &Limit{count, share, floor}}
	}
	standard := budget(500, 0.05, 5)
	retry := []Duration{Duration(15 * time.Minute), Duration(time.Hour), Duration(6 * time.Hour), Duration(24 * time.Hour)}
	leavers := budget(3, 0.05, 3)
	leavers.PerWeek.Count = 4
	removals := budget(9, 0.05, 5)
	removals.PerDay = &Limit{9, 0.01, 2}
	want := &Config{
		Path: "/etc/dirsync/config.yaml", Notify: defaultNotify(), Serve: defaultServe(),
		Tenants: map[string]*Tenant{
			"contoso": {
				ID: "6f89cf12-978b-4d23-ac18-9ef0c127cf87", ClientID: "00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928",
				Credential: Credential{Secret: newSecret("file", "/etc/dirsync/secrets/contoso")},
				Cloud:      "global", Authority: "https://login.example.com", Graph: "https://127.0.0.1:8080/v1.0", CA: "/etc/ca.pem",
			},
			"fabrikam": {
				ID: "7f89cf12-978b-4d23-ac18-9ef0c127cf87", ClientID: "00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928",
				Credential: Credential{Certificate: newSecret("file", "/etc/cert.pfx"), Password: newSecret("env", "CERT_PASSWORD")},
				Cloud:      "us-gov-l5",
			},
			"northwind": {
				ID: "8f89cf12-978b-4d23-ac18-9ef0c127cf87", ClientID: "00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928",
				Credential: Credential{WorkloadIdentity: "/etc/dirsync/token"}, Cloud: "global",
			},
			"litware": {
				ID: "9f89cf12-978b-4d23-ac18-9ef0c127cf87", Cloud: "global",
				Credential: Credential{ManagedIdentity: "5d9a6c1e-7a52-4f0a-9a63-3d1d5a0b6c22"},
			},
			"adatum": {
				ID: "af89cf12-978b-4d23-ac18-9ef0c127cf87", Cloud: "global", Credential: Credential{ManagedIdentity: "system"},
			},
			"wingtip": {
				ID: "bf89cf12-978b-4d23-ac18-9ef0c127cf87", Cloud: "global", Credential: Credential{AzureCLI: true},
			},
		},
		Store: StoreConfig{Path: "/etc/dirsync/data/dirsync.db", History: HistoryConfig{Runs: 50, Keep: Duration(90 * 24 * time.Hour)}},
		Directory: DirectoryConfig{Fields: []DirectoryField{
			{Name: "joining_date", Label: "Joined", Type: dirsync.Date, Format: "DD/MM/YYYY", Required: true},
			{Name: "office", Label: "Office", Type: dirsync.Choice, Options: []string{"Berlin", "2024", "yes"}},
			{Name: "badge", Label: "Badge", Type: dirsync.Text, Unique: true, Length: 8},
		}},
		Syncs: map[string]*Sync{
			"staff": {
				From:    From{Entra: "contoso", Users: UserScope{Nested: true}, Groups: GroupSelection{Which: NoGroups}},
				Enabled: true, To: To{Directory: true}, WhenBlocked: DeactivateBlocked, WhenDeleted: DeleteDeleted, Grace: Duration(36 * time.Hour), ReadEvery: DefaultReadEvery,
				WhenOutOfScope: DeleteOutOfScope, Join: []string{"email"}, Drift: RepairDrift, Retry: retry, Schedule: defaultSchedule(),
				Limits: Limits{Deletes: budget(10, 0.025, 0), Deactivations: leavers, Removals: standard, Blankings: standard,
					Groups: budget(10, 0.05, 1)},
				Fields: FieldMappings{
					{Field: "last_name", From: "surname", Pos: Position{40, 7}, FromPos: Position{40, 18}},
					{Field: "first_name", From: "givenName", Pos: Position{41, 7}, FromPos: Position{41, 19}},
					{Field: "email", Expr: "user.mail ?? user.userPrincipalName", Pos: Position{42, 7}, ExprPos: Position{42, 23}},
					{Field: "joining_date", From: "employeeHireDate", SyncUpdates: &no, Format: "YYYY-MM-DD",
						Pos: Position{43, 7}, FromPos: Position{43, 29}, FormatPos: Position{43, 76}},
					{Field: "office", Entra: "Switch([officeLocation],\n  \"Redmond\")\n", WhenNull: "default", Default: text("Berlin"),
						Pos: Position{44, 7}, EntraPos: Position{46, 11},
						WhenNullPos: Position{48, 20}, DefaultPos: Position{49, 18}},
					{Field: "badge", Value: text(""), WhenNull: "keep", Pos: Position{50, 7}, ValuePos: Position{50, 24},
						WhenNullPos: Position{50, 39}},
				},
			},
			"guests": {
				From: From{Entra: "fabrikam", Users: UserScope{Groups: []string{"Sales", "8d2c1f30-5b7a-4e0e-9c57-0a1b2c3d4e5f"}},
					Groups: GroupSelection{Which: ListedGroups, Names: []string{"Berlin", "Sales"}}},
				Enabled: true, To: To{Directory: true}, WhenBlocked: DeactivateBlocked, WhenDeleted: DeactivateDeleted, ReadEvery: Duration(48 * time.Hour),
				WhenOutOfScope: KeepOutOfScope, Join: []string{"badge", "email"}, Drift: ReportDrift, Schedule: defaultSchedule(),
				Retry: []Duration{Duration(5 * time.Minute), Duration(time.Hour)},
				Protect: Protect{People: []string{"Ana@Contoso.com", "8d2c1f30-5b7a-4e0e-9c57-0a1b2c3d4e5f"},
					Where: WhereExpression{Text: `user.jobTitle == "CEO"`, Pos: Position{61, 89}}},
				Limits: Limits{Deletes: standard, Deactivations: standard, Removals: removals, Blankings: standard, Groups: budget(2, 0.05, 1)},
				Fields: FieldMappings{
					{Field: "first_name", From: "givenName", Pos: Position{57, 15}, FromPos: Position{41, 19}},
					{Field: "last_name", From: "surname", Pos: Position{57, 35}, FromPos: Position{57, 46}},
					{Field: "email", From: "mail", Pos: Position{57, 55}, FromPos: Position{57, 62}},
					{Field: "joining_date", From: "employeeHireDate", Pos: Position{57, 68}, FromPos: Position{57, 82}},
					{Field: "badge", From: "employeeId", Pos: Position{57, 100}, FromPos: Position{57, 107}},
				},
			},
		},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(sameSecret), cmp.Comparer(sameSchedule)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantField := dirsync.Field{Name: "badge", Label: "Badge", Type: dirsync.Text, Unique: true, MaxLength: 8}
	if diff := cmp.Diff(wantField, got.Directory.FieldList()[2]); diff != "" {
		t.Errorf("field (-want +got):\n%s", diff)
	}
}

// TestWindowsLineEnds reads a file that was saved by an editor of Windows.
func TestWindowsLineEnds(t *testing.T) {
	c, err := parseConfig("c.yaml", []byte("\xef\xbb\xbf"+strings.ReplaceAll(good, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	office := c.Syncs["staff"].Fields[4]
	if got, want := office.EntraPos, (Position{46, 11}); got != want || strings.Contains(office.Entra, "\r") {
		t.Errorf("got %v %q, want %v", got, office.Entra, want)
	}
}

// TestManyFaults tells the first hundred faults and counts the others.
func TestManyFaults(t *testing.T) {
	var b strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&b, "key%d: x\n", i)
	}
	_, err := parseConfig("c.yaml", []byte(b.String()))
	if err == nil || !strings.HasPrefix(err.Error(), "read configuration: 40000 faults\n") ||
		!strings.HasSuffix(err.Error(), "\nand 39900 more") {
		t.Errorf("got %.200v", err)
	}
}

// TestExampleConfig holds the example complete and true: it loads as it is, and every key that exists occurs in it.
func sameSecret(a, b Secret) bool {
	return a.IsSet() == b.IsSet() && (!a.IsSet() || a.describe() == b.describe())
}

func sameSchedule(a, b ScheduleConfig) bool { return a.words() == b.words() }

func (s ScheduleConfig) words() string {
	return fmt.Sprint(s.Schedule, "|", s.Schedule.Zone(), "|", s.Policy.Missed, "|", s.Policy.Jitter, "|", s.Policy.Blackouts)
}

// TestServingConfig reads everything that only the daemon looks at.
func TestServingConfig(t *testing.T) {
	head, _, _ := strings.Cut(good, "syncs:")
	got, err := parseConfig("/etc/dirsync/config.yaml", []byte(head+`
syncs:
  staff:
    from: { entra: contoso }
    to: directory
    fields: { first_name: givenName, last_name: surname, email: mail, joining_date: employeeHireDate }
    schedule:
      at: weekdays at 07:00
      zone: Europe/Berlin
      missed: next slot
      jitter: 10m
      not_during: ["fri 12:00-14:00", 2026-12-24..2026-12-27 America/New_York]
    notify: [it@contoso.com, { name: Ann, user: 7c1f }]
  guests:
    from: { entra: fabrikam }
    to: directory
    fields: { first_name: givenName, last_name: surname, email: mail, joining_date: employeeHireDate }
    schedule: every 6 hours
notify:
  smtp: { host: smtp.contoso.com, port: 2525, tls: implicit, auth: login, username: dirsync, password: file:smtp, from: dirsync@contoso.com, ca: file:ca.pem }
  recipients: [ { name: Ann, address: ann@contoso.com } ]
  teams: [ { name: it-channel, url: file:teams } ]
  chat: [ { name: ops, url: env:SLACK, syncs: [staff] } ]
  webhooks: [ { name: siem, url: "https://siem.contoso.com/hook", secrets: [file:new, file:/old], private: true } ]
  repeat: [1d]
  window: 0s
serve:
  listen: "[::]:9469"
  tls: { certificate: file:tls.pem, key: file:/tls.key }
  tokens: [ { name: ci, token: file:ci, read_only: true } ]
  metrics: 127.0.0.1:9470
  stop_within: 1m
  log: json
  overdue: 2d
`))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"staff":  "weekdays at 07:00|Europe/Berlin|next slot|10m0s|[fri 12:00-14:00 2026-12-24..2026-12-27 America/New_York]",
		"guests": "every 6 hours|UTC|run now|0s|[]",
	} {
		if got := got.Syncs[name].Schedule.words(); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	file := func(name string) Secret { return newSecret("file", "/etc/dirsync/"+name) }
	wantNotify := NotifyConfig{
		SMTP: SMTPConfig{Host: "smtp.contoso.com", Port: 2525, TLS: "implicit", Auth: "login", Username: "dirsync", Password: file("smtp"),
			From: "dirsync@contoso.com", CA: "/etc/dirsync/ca.pem"},
		Recipients: Recipients{{Name: "Ann", Address: "ann@contoso.com"}},
		Teams:      []PlaceConfig{{Name: "it-channel", URL: file("teams")}},
		Chat:       []PlaceConfig{{Name: "ops", URL: newSecret("env", "SLACK"), Syncs: []string{"staff"}}},
		Webhooks: []WebhookConfig{{Name: "siem", URL: WebAddress{text: "https://siem.contoso.com/hook"},
			Secrets: []Secret{file("new"), newSecret("file", "/old")}, Private: true}},
		Repeat: []Duration{Duration(24 * time.Hour)},
	}
	addresses := cmp.Comparer(func(a, b WebAddress) bool { return a.text == b.text && sameSecret(a.secret, b.secret) })
	if diff := cmp.Diff(wantNotify, got.Notify, cmp.Comparer(sameSecret), addresses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantServe := ServeConfig{Listen: "[::]:9469", TLS: TLSConfig{"/etc/dirsync/tls.pem", "/tls.key"},
		Tokens: []TokenConfig{{Name: "ci", Token: file("ci"), ReadOnly: true}}, Metrics: "127.0.0.1:9470",
		StopWithin: Duration(time.Minute), Log: "json", Overdue: Duration(48 * time.Hour)}
	if diff := cmp.Diff(wantServe, got.Serve, cmp.Comparer(sameSecret)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := got.Syncs["staff"].Notify, (Recipients{{Address: "it@contoso.com"}, {Name: "Ann", User: "7c1f"}}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestExampleConfig(t *testing.T) {
	c, err := LoadConfig(example)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Tenants) == 0 || len(c.Syncs) == 0 {
		t.Errorf("the example has no tenant or no sync: %+v", c)
	}
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range allKeys(reflect.TypeFor[Config](), map[reflect.Type]bool{}) {
		found := false
		for line := range strings.Lines(string(data)) {
			for word := range strings.FieldsFuncSeq(line, func(r rune) bool { return strings.ContainsRune(" {},#\n", r) }) {
				found = found || word == key+":"
			}
		}
		if !found {
			t.Errorf("config.example.yaml does not mention the key %q; show it there, in a comment if it is off by default", key)
		}
	}
	for _, value := range []string{DefaultStorePath, "500", DefaultLimitShare.String(), "5"} {
		if !strings.Contains(string(data), value) {
			t.Errorf("config.example.yaml does not mention the default %s", value)
		}
	}
}

// TestExampleComments takes the comment sign from every line that is a setting, and expects a configuration that loads.
func TestExampleComments(t *testing.T) {
	data, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	var on strings.Builder
	settings := 0
	for line := range strings.Lines(string(data)) {
		// A commented setting is written "#key: …" without a blank; a remark has one.
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		if rest, ok := strings.CutPrefix(line[len(indent):], "#"); ok && rest != "\n" && rest[0] != ' ' {
			line = indent + rest
			settings++
		}
		on.WriteString(line)
	}
	if settings == 0 {
		t.Fatal("no commented setting found")
	}
	if _, err := parseConfig("example", []byte(on.String())); err != nil {
		t.Errorf("with its commented settings on, the example has faults: %v", err)
	}
}

func allKeys(t reflect.Type, seen map[reflect.Type]bool) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return allKeys(t.Elem(), seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[t] {
		return nil
	}
	seen[t] = true
	keys := keysOf(t)
	for i := range t.NumField() {
		keys = append(keys, allKeys(t.Field(i).Type, seen)...)
	}
	return keys
}

// TestGroupDefaults says which groups a target gets when the file does not.
func TestGroupDefaults(t *testing.T) {
	tests := []struct {
		from  string
		which WhichGroups
		users int
		has   bool
	}{
		{"{ entra: contoso }", NoGroups, 0, false},
		{"{ entra: contoso, users: all }", NoGroups, 0, false},
		{"{ entra: contoso, users: all, groups: none }", NoGroups, 0, false},
		{"{ entra: contoso, groups: all }", AllGroups, 0, true},
		{"{ entra: contoso, groups: [Sales] }", ListedGroups, 0, true},
		{"{ entra: contoso, users: { groups: [Sales] } }", ChosenGroups, 1, true},
		{"{ entra: contoso, users: { groups: [Sales, all] }, groups: none }", NoGroups, 2, true},
		{"{ entra: contoso, users: { groups: [Sales] }, groups: all }", AllGroups, 1, true},
		{"{ entra: contoso, users: { groups: [2024, yes] }, groups: [chosen, none] }", ListedGroups, 2, true},
	}
	for _, tt := range tests {
		c, err := parseConfig("c.yaml", []byte(strings.Replace(good, "from: { entra: contoso }", "from: "+tt.from, 1)))
		if err != nil {
			t.Errorf("%s: %v", tt.from, err)
			continue
		}
		from := c.Syncs["staff"].From
		if from.Groups.Which != tt.which || len(from.Users.Groups) != tt.users || from.HasGroups() != tt.has || !from.Users.Nested {
			t.Errorf("%s: got %+v", tt.from, from)
		}
	}
}

func TestDuration(t *testing.T) {
	tests := []struct {
		in   string
		want time.Duration
		out  string // "" when the text is refused
	}{
		{"30d", 720 * time.Hour, "30d"},
		{"24h", 24 * time.Hour, "1d"},
		{"1d12h", 36 * time.Hour, "1d12h"},
		{"90m", 90 * time.Minute, "1h30m"},
		{"0d", 0, "0s"},
		{"1d1h1m1s", 25*time.Hour + 61*time.Second, "1d1h1m1s"},
		{"36500d", 36500 * 24 * time.Hour, "36500d"},
		{"36501d", 0, ""},
		{"36500d1s", 0, ""},
		{"999999999d", 0, ""},
		{"99999999999999999999h", 0, ""},
		{"30", 0, ""}, {"d", 0, ""}, {"", 0, ""}, {"-1d", 0, ""}, {"1.5h", 0, ""}, {"1h1d", 0, ""}, {"1d1d", 0, ""},
		{"30 d", 0, ""}, {"1D", 0, ""}, {"30days", 0, ""}, {"1w", 0, ""}, {"٣d", 0, ""},
	}
	for _, tt := range tests {
		got, ok := parseDuration(tt.in)
		if ok != (tt.out != "") || ok && (time.Duration(got) != tt.want || got.String() != tt.out) {
			t.Errorf("%q: got %v %s, want %v %s", tt.in, ok, got, tt.want, tt.out)
		}
	}
	if got := Duration(-time.Hour).String(); got != "-1h" {
		t.Errorf("got %s, want -1h", got)
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// FuzzConfig feeds anything to the reader. It must not panic, must say where every fault is, and must not repeat an
// inline secret.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(good))
	files, _ := filepath.Glob("testdata/config/*.yaml")
	for _, file := range append(files, example) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig("c.yaml", data)
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v, want exactly one", c, err)
		}
		if err == nil {
			for _, s := range c.Syncs {
				ends := func(entra, scim string, directory bool) bool {
					return one(c.Tenants[entra] != nil)+one(c.Applications[scim] != nil)+one(directory) == 1
				}
				if !ends(s.From.Entra, s.From.SCIM, s.From.Directory) || !ends(s.To.Entra, s.To.SCIM, s.To.Directory) ||
					s.Limits.Deletes.Count < 0 || len(s.Fields) < len(c.required(s)) || s.From.Groups.Which == "" ||
					s.From.Groups.Which == ChosenGroups && len(s.From.Users.Groups) == 0 || s.ReadEvery < MinReadEvery || s.ReadEvery > MaxReadEvery {
					t.Fatalf("accepted a sync with faults: %+v", s)
				}
			}
			return
		}
		var ce *ConfigError
		if !errors.As(err, &ce) || len(ce.Faults) == 0 {
			t.Fatalf("got %T %v", err, err)
		}
		if strings.ContainsFunc(err.Error(), func(r rune) bool { return r != '\n' && unprintable(r) }) {
			t.Fatalf("unprintable: %q", err)
		}
	})
}
