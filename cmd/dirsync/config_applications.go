package main

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"dirsync"
	"dirsync/mapping"
	"dirsync/scim/client"
)

// Application is one application that speaks SCIM 2.0, which people are provisioned to or imported from.
type Application struct {
	// Profile says what is special about it: one of client.ProfileNames, by default "generic".
	Profile string `yaml:"profile"`
	// URL is what is in front of /Users, without a trailing slash.
	URL string `yaml:"url"`
	// Token is a bearer token; OAuth signs in with client credentials instead. Exactly one is set.
	Token Secret    `yaml:"token"`
	OAuth *AppOAuth `yaml:"oauth"`
	// CA is a file of PEM certificates that are trusted instead of the system's. It may be unset.
	CA FilePath `yaml:"ca"`
	// Fields are the fields beyond first_name, last_name and email, or other places for those, in the order of the file.
	Fields []AppField `yaml:"fields"`
	// Operations switch kinds of change off that the profile has on.
	Operations Operations `yaml:"operations"`
	// Miscounts says that the application counts resources that it never shows, so that its lists always seem short.
	Miscounts bool `yaml:"miscounts"`
	// Limits are the pace; nil: the profile's.
	Limits *AppLimits `yaml:"limits"`
}

// AppOAuth signs in to an application with client credentials.
type AppOAuth struct {
	TokenURL string `yaml:"token_url"`
	ClientID string `yaml:"client_id"`
	Secret   Secret `yaml:"secret"`
	Scope    string `yaml:"scope"`
	// InBody sends id and secret in the form of the token request instead of its header.
	InBody bool `yaml:"in_body"`
}

// AppField is one field of an application, and where it is kept.
type AppField struct {
	Name     string       `yaml:"name"`
	Label    string       `yaml:"label"`
	Type     dirsync.Type `yaml:"type"`
	Required bool         `yaml:"required"`
	Unique   bool         `yaml:"unique"`
	Options  []string     `yaml:"options"`
	Format   string       `yaml:"format"`
	Length   int          `yaml:"length"`
	// Path is a SCIM path: "title", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department".
	Path string `yaml:"path"`
	// AsText writes a number or a boolean as a text.
	AsText bool `yaml:"as_text"`
}

// Operations say which kinds of change an application takes. nil: as its profile says.
type Operations struct {
	Create *bool `yaml:"create"`
	Update *bool `yaml:"update"`
	Delete *bool `yaml:"delete"`
	Groups *bool `yaml:"groups"`
}

// AppLimits are ceilings; zero: the profile's.
type AppLimits struct {
	PerSecond   int `yaml:"per_second"`
	Concurrency int `yaml:"concurrency"`
}

func (a *Application) setDefaults() { a.Profile = "generic" }

// profile is the application's profile with what the file says laid over it.
func (a *Application) profile() client.Profile {
	p, _ := client.ProfileNamed(a.Profile)
	for _, op := range []struct {
		said *bool
		off  *bool
	}{{a.Operations.Create, &p.NoCreate}, {a.Operations.Update, &p.NoUpdate}, {a.Operations.Delete, &p.NoDelete}, {a.Operations.Groups, &p.NoGroups}} {
		if op.said != nil {
			*op.off = !*op.said
		}
	}
	p.Miscounts = p.Miscounts || a.Miscounts
	if a.Limits != nil {
		if a.Limits.PerSecond > 0 {
			p.PerSecond = float64(a.Limits.PerSecond)
		}
		if a.Limits.Concurrency > 0 {
			p.Concurrency = a.Limits.Concurrency
		}
	}
	return p
}

// paths are the application's fields and their places. A place that the file gives to a field is no other field's.
func (a *Application) paths() []client.FieldPath {
	var out []client.FieldPath
	for _, d := range client.DefaultFields() {
		taken := slices.ContainsFunc(a.Fields, func(f AppField) bool { return f.Name == d.Field.Name || strings.EqualFold(f.Path, d.Path) })
		if !taken {
			out = append(out, d)
		}
	}
	for _, f := range a.Fields {
		field := f.directory().Field()
		for _, d := range mapping.Mandatory() {
			if d.Name == f.Name {
				field.Required, field.Unique, field.Type = true, d.Unique, d.Type
			}
		}
		out = append(out, client.FieldPath{Field: field, Path: f.Path, AsText: f.AsText})
	}
	return out
}

// fields are the application's fields, each once.
func (a *Application) fields() []dirsync.Field {
	var out []dirsync.Field
	for _, p := range a.paths() {
		if !slices.ContainsFunc(out, func(f dirsync.Field) bool { return f.Name == p.Field.Name }) {
			out = append(out, p.Field)
		}
	}
	return out
}

// properties are what an import reads beside the usual attributes.
func (a *Application) properties() []client.FieldPath {
	var out []client.FieldPath
	for _, p := range a.paths() {
		if slices.ContainsFunc(a.Fields, func(f AppField) bool { return f.Name == p.Field.Name }) {
			out = append(out, p)
		}
	}
	return out
}

// sourceFields lists what an import's mapping may use.
func (a *Application) sourceFields() ([]dirsync.Field, error) {
	c, err := client.New(client.Config{Name: "x", BaseURL: a.URL, Token: "nobody"})
	if err != nil {
		return nil, err
	}
	s, err := c.Source(a.properties()...)
	if err != nil {
		return nil, err
	}
	return s.Fields(context.Background())
}

// directory is f without its place.
func (f AppField) directory() *DirectoryField {
	return &DirectoryField{Name: f.Name, Label: f.Label, Type: f.Type, Required: f.Required, Unique: f.Unique, Options: f.Options,
		Format: f.Format, Length: f.Length}
}

// checkApplication checks an application by itself.
func (d *decoder) checkApplication(path string, a *Application) {
	d.oneOf(path+".profile", a.Profile, client.ProfileNames()...)
	if d.required(path+".url", a.URL, "what is in front of /Users: https://app.example.com/scim/v2") {
		a.URL = d.checkAppURL(path+".url", a.URL, "https://app.example.com/scim/v2")
	}
	token, oauth := d.meant(path+".token"), d.meant(path+".oauth")
	switch {
	case token && oauth:
		d.faultAt(path+".oauth", "there is a token already; keep one of them")
	case !token && !oauth:
		d.faultAt(path+".token", "is missing; write token: file:/run/secrets/NAME, or oauth: with token_url, client_id and secret")
	case oauth && a.OAuth != nil && !d.broken(path+".oauth"):
		d.required(path+".oauth.token_url", a.OAuth.TokenURL, "the address of the token endpoint: https://app.example.com/oauth/token")
		a.OAuth.TokenURL = d.checkAppURL(path+".oauth.token_url", a.OAuth.TokenURL, "https://app.example.com/oauth/token")
		d.required(path+".oauth.client_id", a.OAuth.ClientID, "the client id that the application has given you")
		if !a.OAuth.Secret.IsSet() && !d.failed(path+".oauth.secret") {
			d.faultAt(path+".oauth.secret", "is missing; write secret: file:/run/secrets/NAME")
		}
	}
	if l := a.Limits; l != nil && l.PerSecond == 0 && l.Concurrency == 0 && !d.failed(path+".limits") {
		d.faultAt(path+".limits", "limits nothing; write per_second: 10 or concurrency: 4, or remove it")
	}
	d.checkAppFields(path, a)
	if d.failed(path) {
		return
	}
	_, err := client.New(client.Config{Name: "x", BaseURL: "https://app.example.com", Token: "x", Profile: a.profile(), Fields: a.paths()})
	if err != nil {
		d.faultAt(path+".fields", "cannot be used: %s", err)
	}
}

// checkAppURL is checkURL, but on this machine secrets may be sent unencrypted.
func (d *decoder) checkAppURL(path, s, example string) string {
	u, err := url.Parse(s)
	if d.said(path) && !d.failed(path) && (err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http") {
		d.faultAt(path, "should be a URL: %s", example)
		return s
	}
	if err == nil && u.Scheme == "http" && u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsLoopback() {
			return strings.TrimRight(s, "/")
		}
	}
	return d.checkURL(path, s)
}

func (d *decoder) checkAppFields(path string, a *Application) {
	first := map[string]int{}
	for i := range a.Fields {
		f, at := &a.Fields[i], join(path+".fields", strconv.Itoa(i+1))
		if d.broken(at) || !d.required(at+".name", f.Name, "the field's name: department") {
			continue
		}
		switch line, twice := first[f.Name]; {
		case d.failed(at + ".name"):
		case !plainName(f.Name) || strings.Contains(f.Name, "-"):
			d.faultAt(at+".name", "a field's name has 1 to 63 characters: small letters, digits and _, and begins with a letter")
		case f.Name == dirsync.GroupsField:
			d.faultAt(at+".name", "the groups that a user is in are written as groups; give this field another name")
		case twice:
			d.faultAt(at+".name", "is given twice; the first is in line %d. Keep one of them", line)
		default:
			first[f.Name] = d.places[at+".name"].Line
		}
		d.required(at+".path", f.Path, "where the application keeps it: title, or urn:…:User:department")
		if slices.Contains(mandatoryFields(), f.Name) && !d.said(at+".type") {
			f.Type = dirsync.Text
			if f.Name == dirsync.EmailAddress {
				f.Type = dirsync.Email
			}
		}
		field := f.directory()
		d.checkField(at, field)
		f.Label, f.Type = field.Label, field.Type
		if d.said(at+".as_text") && f.Type != dirsync.Number && f.Type != dirsync.Boolean {
			d.faultAt(at+".as_text", "only numbers and booleans are written in another way; remove it")
		}
	}
}
