package main

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	yaml "go.yaml.in/yaml/v4"

	"dirsync/graph"
)

// decodeNode reads "30d", "24h", "1d12h".
func (t *Duration) decodeNode(d *decoder, n *yaml.Node, path string) {
	if n.Kind != yaml.ScalarNode {
		d.wrongKind(n, path, "a length of time: 30d or 24h")
		return
	}
	v, ok := parseDuration(n.Value)
	if !ok {
		d.fault(position(n), path, "should be a length of time in days, hours, minutes or seconds: 30d, 24h, 1d12h")
		return
	}
	*t = v
}

// maxDuration is a hundred years of 365 days. More is a slip of the pen.
const maxDuration = 100 * 365 * 24 * time.Hour

func parseDuration(s string) (Duration, bool) {
	units := []struct {
		letter byte
		length time.Duration
	}{{'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}
	var total time.Duration
	parts := 0
	for _, u := range units {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		if digits == 0 || digits > 9 || digits >= len(s) || s[digits] != u.letter {
			continue
		}
		n, err := strconv.Atoi(s[:digits])
		if err != nil || time.Duration(n) > maxDuration/u.length {
			return 0, false
		}
		total, s, parts = total+time.Duration(n)*u.length, s[digits+1:], parts+1
	}
	return Duration(total), parts > 0 && s == "" && total <= maxDuration
}

// String writes t as the configuration does, in the largest units that are exact: "30d", "1d12h", "0s".
func (t Duration) String() string {
	rest, s := time.Duration(t), ""
	if rest < 0 {
		rest, s = -rest, "-"
	}
	empty := s
	for _, u := range []struct {
		letter string
		length time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := rest / u.length; n > 0 {
			s += strconv.FormatInt(int64(n), 10) + u.letter
			rest %= u.length
		}
	}
	if s == empty {
		return "0s"
	}
	return s
}

// decodeNode reads "5%" or "0.5%".
func (p *Share) decodeNode(d *decoder, n *yaml.Node, path string) {
	if n.Kind != yaml.ScalarNode {
		d.wrongKind(n, path, "a percentage: 5%")
		return
	}
	digits, ok := strings.CutSuffix(n.Value, "%")
	v, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || strings.Trim(digits, "0123456789.") != "" || v <= 0 || v > 100 {
		d.fault(position(n), path, "should be a percentage above 0%% and up to 100%%, with its sign: 5%%")
		return
	}
	*p = Share(v / 100)
}

// String writes p as the configuration does: "5%".
func (p Share) String() string {
	// Six digits of a per cent hide what the division by a hundred did to the last bit.
	return strconv.FormatFloat(math.Round(float64(p)*1e8)/1e6, 'f', -1, 64) + "%"
}

// decodeNode reads a secret's place. Whatever is no place may be the secret itself, so nothing of it is repeated.
func (s *Secret) decodeNode(d *decoder, n *yaml.Node, path string) {
	const want = "the place of the secret: file:/path, env:NAME or cred:NAME"
	if n.Kind != yaml.ScalarNode {
		d.wrongKind(n, path, want)
		return
	}
	kind, name, ok := strings.Cut(n.Value, ":")
	if !ok || kind != secretFile && kind != secretEnv && kind != secretCredential {
		d.fault(position(n), path, "a secret does not belong into this file; write it to a file that only this service can read, "+
			"and put file:/path/to/it here (or env:NAME, or cred:NAME for a systemd credential)")
		return
	}
	if why := badSecretName(kind, name); why != "" {
		d.fault(position(n), path, "%s", why)
		return
	}
	*s = newSecret(kind, name)
}

// badSecretName says what is wrong with the part after the colon. It does not repeat it: "env:" may well be followed
// by the variable's value.
func badSecretName(kind, name string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
	switch kind {
	case secretFile:
		if strings.TrimSpace(name) != name || name == "" || strings.ContainsAny(name, "\n\t") {
			return "file: is followed by the path of a file, without blanks around it: file:/run/secrets/contoso"
		}
		if strings.HasPrefix(name, "//") {
			return "file: is followed by a path and not by a URL; write file:/run/secrets/contoso"
		}
	case secretEnv:
		if name == "" || strings.Trim(name, letters) != "" || name[0] >= '0' && name[0] <= '9' {
			return "env: is followed by the name of an environment variable, and not by its value: env:CONTOSO_SECRET"
		}
	case secretCredential:
		if name == "" || name == "." || name == ".." || strings.Trim(name, letters+".-") != "" {
			return "cred: is followed by the name that LoadCredential= gives the credential, without a path: cred:contoso"
		}
	}
	return ""
}

// decodeNode reads "file:/path".
func (p *FilePath) decodeNode(d *decoder, n *yaml.Node, path string) {
	const want = "a file, with its path behind the word file and a colon: file:/path/to/it"
	if n.Kind != yaml.ScalarNode {
		d.wrongKind(n, path, want)
		return
	}
	name, ok := strings.CutPrefix(n.Value, "file:")
	if !ok || badSecretName(secretFile, name) != "" {
		d.fault(position(n), path, "should be %s", want)
		return
	}
	*p = FilePath(name)
}

// decodeNode reads the mappings of a sync and keeps their order.
func (ms *FieldMappings) decodeNode(d *decoder, n *yaml.Node, path string) {
	for key, value := range d.pairs(n, path, "target fields, each followed by a colon and the source property it is filled from") {
		if !fieldName(key.Value) {
			d.fault(position(key), join(path, d.quotable(key.Value)), "a field has a name of letters, digits, _ and /, and begins with a letter")
			continue
		}
		m := FieldMapping{Field: key.Value, Pos: position(key)}
		at := join(path, key.Value)
		text := value
		if text.Kind == yaml.AliasNode {
			text = text.Alias
		}
		if text.Kind == yaml.MappingNode {
			d.decode(value, at, valueOf((*plainMapping)(&m)))
			d.placeParts(&m, text)
		} else {
			// The short form: a text is the property's name, and a list or a null is reported as for any text.
			d.decode(value, at, valueOf(&m.From))
			m.FromPos = d.textStart(text)
		}
		*ms = append(*ms, m)
	}
}

// fieldName tells what can be the name of a target's field: those of Entra have capitals, and a slash where they are inside
// of another one.
func fieldName(s string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return s != "" && len(s) <= 128 && strings.Contains(letters, s[:1]) && strings.Trim(s, letters+"0123456789_/") == ""
}

// plainMapping is a FieldMapping in its long form.
type plainMapping FieldMapping

// placeParts notes where the texts of the long form begin, so that a fault within an expression can be pointed at.
func (d *decoder) placeParts(m *FieldMapping, n *yaml.Node) {
	parts := map[string]*Position{"from": &m.FromPos, "expr": &m.ExprPos, "entra": &m.EntraPos, "value": &m.ValuePos,
		"default": &m.DefaultPos, "when_null": &m.WhenNullPos, "format": &m.FormatPos}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if p, ok := parts[n.Content[i].Value]; ok {
			*p = d.textStart(n.Content[i+1])
		}
	}
}

// textStart is where the text of a scalar begins: behind its quote, or, for a block, in the line below its marker.
func (d *decoder) textStart(n *yaml.Node) Position {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	p := position(n)
	switch {
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		p.Column++
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		for line := p.Line + 1; line <= len(d.lines); line++ {
			text := d.line(line)
			if trimmed := strings.TrimLeft(text, " "); strings.TrimSpace(trimmed) != "" {
				return Position{Line: line, Column: len(text) - len(trimmed) + 1}
			}
		}
	}
	return p
}

// decodeNode reads an expression and notes where it begins.
func (w *WhereExpression) decodeNode(d *decoder, n *yaml.Node, path string) {
	if text, ok := d.text(n, path); ok {
		*w = WhereExpression{Text: text, Pos: d.textStart(n)}
	}
}

// resolvePaths makes relative paths relative to dir.
func (c *Config) resolvePaths(dir string) {
	abs := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(dir, p)
	}
	c.Store.Path = abs(c.Store.Path)
	c.resolveServing(abs)
	c.resolveApplications(abs)
	for _, t := range c.Tenants {
		t.CA = FilePath(abs(string(t.CA)))
		cr := &t.Credential
		cr.WorkloadIdentity = FilePath(abs(string(cr.WorkloadIdentity)))
		for _, s := range []*Secret{&cr.Secret, &cr.Certificate, &cr.Password} {
			if s.IsSet() && s.place().kind == secretFile {
				*s = newSecret(secretFile, abs(s.place().name))
			}
		}
	}
}

// resolveApplications makes the relative paths of applications absolute.
func (c *Config) resolveApplications(abs func(string) string) {
	for _, s := range c.Syncs {
		s.To.Passwords = FilePath(abs(string(s.To.Passwords)))
	}
	for _, a := range c.Applications {
		a.CA = FilePath(abs(string(a.CA)))
		secrets := []*Secret{&a.Token}
		if a.OAuth != nil {
			secrets = append(secrets, &a.OAuth.Secret)
		}
		for _, s := range secrets {
			if s.IsSet() && s.place().kind == secretFile {
				*s = newSecret(secretFile, abs(s.place().name))
			}
		}
	}
}

// defaultConfig is the configuration of an empty file. The defaults of one tenant or sync are set by their setDefaults.
func defaultConfig() *Config {
	return &Config{Store: StoreConfig{Path: DefaultStorePath, History: HistoryConfig{DefaultHistoryRuns, DefaultHistoryKeep}}, Notify: defaultNotify(), Serve: defaultServe()}
}

func (t *Tenant) setDefaults() { t.Cloud = string(graph.Global) }

// defaultLabel makes a label of a field's name: "Joining date" of "joining_date".
func defaultLabel(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf("%s%s", strings.ToUpper(name[:1]), strings.ReplaceAll(name[1:], "_", " "))
}
