package main

import (
	"context"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"dirsync/notify"
)

// NotifyConfig says who is told what happens, and how it gets there.
type NotifyConfig struct {
	// SMTP and Graph send e-mail; at most one of them is set.
	SMTP  SMTPConfig      `yaml:"smtp"`
	Graph GraphMailConfig `yaml:"graph"`
	// Recipients are told of every sync; Sync.Notify adds those who are told of one.
	Recipients Recipients      `yaml:"recipients"`
	Teams      []PlaceConfig   `yaml:"teams"`
	Chat       []PlaceConfig   `yaml:"chat"`
	Webhooks   []WebhookConfig `yaml:"webhooks"`
	// Repeat and Window are as in notify.Policy; the defaults are those of notify.DefaultPolicy.
	Repeat []Duration `yaml:"repeat"`
	Window Duration   `yaml:"window"`
}

// SMTPConfig is the mail server. Its zero value sends no mail.
type SMTPConfig struct {
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
	TLS  string `yaml:"tls"`
	Auth string `yaml:"auth"`
	// Username and Password sign in; neither: nobody does.
	Username string `yaml:"username"`
	Password Secret `yaml:"password"`
	From     string `yaml:"from"`
	// CA is a file of PEM certificates that are trusted instead of the system's.
	CA FilePath `yaml:"ca"`
}

// PlaceConfig is a chat, or a channel of Teams.
type PlaceConfig struct {
	Name string `yaml:"name"`
	// URL is where to post. Whoever knows it can post there too, so it is a secret.
	URL Secret `yaml:"url"`
	// Syncs are those whose news goes there; empty means all.
	Syncs []string `yaml:"syncs"`
}

// WebhookConfig is an address that is called.
type WebhookConfig struct {
	Name string     `yaml:"name"`
	URL  WebAddress `yaml:"url"`
	// Secrets sign what is sent: one, or two while the receiver changes to the new one.
	Secrets []Secret `yaml:"secrets"`
	// Private allows http and private networks.
	Private bool     `yaml:"private"`
	Syncs   []string `yaml:"syncs"`
}

// Recipients are people who are told, in the order of the file.
type Recipients []RecipientConfig

// RecipientConfig is one of them: an e-mail address, the user principal name or id of an account of the directory, or
// both.
type RecipientConfig struct {
	Name    string `yaml:"name"`
	Address string `yaml:"address"`
	// User is whose inbox is used: the id of an account of the directory.
	User string `yaml:"user"`
}

// recipient returns r in the words of package notify.
func (r RecipientConfig) recipient() notify.Recipient {
	return notify.Recipient{Name: r.Name, Address: r.Address, User: r.User}
}

// plainRecipient is a RecipientConfig that is read key by key.
type plainRecipient RecipientConfig

// decodeNode reads an e-mail address, or the keys.
func (r *RecipientConfig) decodeNode(d *decoder, n *yaml.Node, path string) {
	switch n.Kind {
	case yaml.ScalarNode:
		if text, ok := d.text(n, path); ok {
			r.Address = text
			if !isAddress(text) {
				d.fault(position(n), path, "is %s, which is no e-mail address; write name@example.com, or { user: ID } for the inbox of an account of the directory", quoted(text))
			}
		}
	case yaml.MappingNode:
		d.decode(n, path, valueOf((*plainRecipient)(r)))
		switch {
		case d.failed(path):
		case r.Address == "" && r.User == "":
			d.fault(position(n), path, "has neither an address nor a user; write { address: ann@example.com }, or { user: ID } for the inbox of an account of the directory")
		case r.Address != "" && !isAddress(r.Address):
			d.faultAt(path+".address", "is %s, which is no e-mail address; write name@example.com", quoted(r.Address))
		}
	default:
		d.wrongKind(n, path, "an e-mail address, or { name: Ann, address: ann@example.com, user: ID }")
	}
}

func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Name == "" && a.Address == s && !strings.ContainsAny(s, " \t\n")
}

// WebAddress is an address on the web: as it is, or, because it may hold a token, the place of a secret.
type WebAddress struct {
	secret Secret
	text   string
}

// decodeNode reads https://…, or a secret's place. Nothing of it is repeated.
func (a *WebAddress) decodeNode(d *decoder, n *yaml.Node, path string) {
	if n.Kind == yaml.ScalarNode && (strings.HasPrefix(n.Value, "https://") || strings.HasPrefix(n.Value, "http://")) {
		if u, err := url.Parse(n.Value); err != nil || u.Hostname() == "" || u.User != nil {
			d.fault(position(n), path, "should be a URL without a user: https://example.com/hooks/dirsync")
			return
		}
		a.text = n.Value
		return
	}
	d.decode(n, path, valueOf(&a.secret))
}

// IsSet tells an address from none.
func (a WebAddress) IsSet() bool { return a.text != "" || a.secret.IsSet() }

// Format prints "***" for every verb and flag of package fmt.
func (a WebAddress) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// reveal returns the address in the words of package notify.
func (a WebAddress) reveal() notify.Secret {
	if a.text != "" {
		return notify.FixedSecret(a.text)
	}
	return a.secret.whenUsed()
}

// whenUsed returns the secret in the words of package notify: read anew each time.
func (s Secret) whenUsed() notify.Secret {
	return func(context.Context) (string, error) { return s.Reveal() }
}

func defaultNotify() NotifyConfig {
	p := notify.DefaultPolicy()
	c := NotifyConfig{Window: Duration(p.Window)}
	for _, d := range p.Repeat {
		c.Repeat = append(c.Repeat, Duration(d))
	}
	return c
}

// checkNotify checks who is told, and how.
func (d *decoder) checkNotify(c *Config) {
	n := &c.Notify
	if d.broken("notify") {
		return
	}
	d.checkSMTP("notify.smtp", n.SMTP)
	d.checkGraphMail("notify.graph", n.Graph, c)
	names := map[string]bool{notify.EmailChannel: true, notify.InboxChannel: true}
	for _, list := range []struct {
		key    string
		places []PlaceConfig
	}{{"teams", n.Teams}, {"chat", n.Chat}} {
		for i, p := range list.places {
			at := join("notify."+list.key, strconv.Itoa(i+1))
			d.checkChannel(at, p.Name, p.Syncs, names, c)
			if !p.URL.IsSet() && !d.failed(at) {
				d.faultAt(at+".url", "is missing; whoever knows the address can post there, so write its place: file:/run/secrets/%s", list.key)
			}
		}
	}
	for i, w := range n.Webhooks {
		at := join("notify.webhooks", strconv.Itoa(i+1))
		d.checkChannel(at, w.Name, w.Syncs, names, c)
		switch {
		case d.failed(at):
		case !w.URL.IsSet():
			d.faultAt(at+".url", "is missing; write https://example.com/hooks/dirsync, or the place of an address that is secret: file:/run/secrets/hook")
		case strings.HasPrefix(w.URL.text, "http://") && !w.Private:
			d.faultAt(at+".url", "is not encrypted; write https, or private: true for a network that nobody else is in")
		case len(w.Secrets) == 0:
			d.faultAt(at+".secrets", "is missing; write the place of what signs the calls: secrets: [file:/run/secrets/hook]")
		case len(w.Secrets) > 4:
			d.faultAt(at+".secrets", "has more than four; keep the new one and the old one")
		}
	}
	for i, r := range n.Repeat {
		if r < Duration(time.Minute) {
			d.faultAt(join("notify.repeat", strconv.Itoa(i+1)), "is %s; write at least 1m", r)
		}
	}
	if n.Window > Duration(24*time.Hour) {
		d.faultAt("notify.window", "is %s; write at most 1d", n.Window)
	}
	d.checkMail("notify.recipients", n.Recipients, c)
}

// checkMail reports people who are to get mail that nothing can send.
func (d *decoder) checkMail(path string, list Recipients, c *Config) {
	for i, r := range list {
		at := join(path, strconv.Itoa(i+1))
		if r.Address != "" && !d.meant("notify.smtp") && !d.meant("notify.graph") && !d.failed(at) {
			d.faultAt(at, "is to get e-mail, but nothing sends any; describe the mail server: notify: { smtp: { host: smtp.example.com, from: dirsync@example.com } }, or name the mailbox of a tenant: notify: { graph: { tenant: contoso, from: dirsync@example.com } }")
			return
		}
	}
}

func (d *decoder) checkSMTP(path string, c SMTPConfig) {
	if !d.said(path) || d.broken(path) {
		return
	}
	d.required(path+".host", c.Host, "the name of the mail server: smtp.example.com")
	if d.required(path+".from", c.From, "the address that mail comes from: dirsync <dirsync@example.com>") {
		if _, err := mail.ParseAddress(c.From); err != nil && !d.failed(path+".from") {
			d.faultAt(path+".from", "is no e-mail address; write dirsync <dirsync@example.com>")
		}
	}
	if d.said(path + ".tls") {
		d.oneOf(path+".tls", c.TLS, string(notify.STARTTLS), string(notify.Implicit), string(notify.Opportunistic), string(notify.Unencrypted))
	}
	if d.said(path + ".auth") {
		d.oneOf(path+".auth", c.Auth, string(notify.Plain), string(notify.Login), string(notify.CRAMMD5), string(notify.XOAUTH2))
	}
	if (c.Username == "") != !c.Password.IsSet() && !d.failed(path) {
		d.faultAt(path, "has only one of username and password; signing in needs both")
	}
	if d.failed(path) {
		return
	}
	settings := c.settings()
	if _, err := notify.NewSMTP(settings); err != nil {
		d.faultAt(path, "cannot be used: %s", strings.TrimPrefix(err.Error(), "smtp: "))
	}
}

// settings returns c in the words of package notify.
func (c SMTPConfig) settings() notify.SMTP {
	s := notify.SMTP{Host: c.Host, Port: c.Port, TLS: notify.Encryption(c.TLS), Username: c.Username, Auth: notify.Mechanism(c.Auth), From: c.From}
	if c.Password.IsSet() {
		s.Secret = c.Password.whenUsed()
	}
	return s
}

// checkChannel checks what all channels have.
func (d *decoder) checkChannel(path, name string, syncs []string, taken map[string]bool, c *Config) {
	switch at := path + ".name"; {
	case d.failed(path):
	case !plainName(name):
		d.faultAt(at, "should be a name of 1 to 63 characters: small letters, digits, - and _, beginning with a letter")
	case taken[name]:
		d.faultAt(at, "is %s, which another channel has already; names are unique", quoted(name))
	}
	taken[name] = true
	for i, s := range syncs {
		if at := join(path+".syncs", strconv.Itoa(i+1)); c.Syncs[s] == nil && !d.failed(at) && !d.failed("syncs") {
			var known []string
			for name := range c.Syncs {
				known = append(known, name)
			}
			slices.Sort(known)
			d.unknownName(at, s, "sync", known)
		}
	}
}

// resolveNotify makes the paths under notify and serve absolute.
func (c *Config) resolveServing(abs func(string) string) {
	secret := func(s *Secret) {
		if s.IsSet() && s.place().kind == secretFile {
			*s = newSecret(secretFile, abs(s.place().name))
		}
	}
	secret(&c.Notify.SMTP.Password)
	c.Notify.SMTP.CA = FilePath(abs(string(c.Notify.SMTP.CA)))
	for _, list := range [][]PlaceConfig{c.Notify.Teams, c.Notify.Chat} {
		for i := range list {
			secret(&list[i].URL)
		}
	}
	for i := range c.Notify.Webhooks {
		w := &c.Notify.Webhooks[i]
		secret(&w.URL.secret)
		for j := range w.Secrets {
			secret(&w.Secrets[j])
		}
	}
	for i := range c.Serve.Tokens {
		secret(&c.Serve.Tokens[i].Token)
	}
	doors := []*TLSConfig{&c.Serve.TLS}
	if c.Serve.SCIM != nil {
		doors = append(doors, &c.Serve.SCIM.TLS)
	}
	for _, t := range doors {
		t.Certificate, t.Key = FilePath(abs(string(t.Certificate))), FilePath(abs(string(t.Key)))
	}
}
