package main

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	yaml "go.yaml.in/yaml/v4"

	"dirsync/sync/schedule"
)

// ServeConfig is how the daemon serves, beside running the syncs.
type ServeConfig struct {
	// Listen is the address of the API over TCP: an IP address and a port. Empty: none, and only the socket beside the
	// store answers.
	Listen string `yaml:"listen"`
	// TLS is the certificate of Listen. An address that other machines can reach has one.
	TLS TLSConfig `yaml:"tls"`
	// Tokens are who may use the API over TCP. With Listen there is at least one.
	Tokens []TokenConfig `yaml:"tokens"`
	// Metrics is another address, for metrics and signs of life alone, without a token. Empty: none.
	Metrics string `yaml:"metrics"`
	// StopWithin is how long the daemon may take to stop, by default DefaultStopWithin. What is under way then is cut
	// off, and the next start makes certain of it.
	StopWithin Duration `yaml:"stop_within"`
	// Log is "json" or "console". Empty: console on a terminal and json elsewhere.
	Log string `yaml:"log"`
	// Overdue is how long a sync may be without a success before that is told, by default DefaultOverdue. A sync that runs
	// less often has a day more than the distance between its runs.
	Overdue Duration `yaml:"overdue"`
	// SCIM is a server over the embedded directory; nil: none.
	SCIM *SCIMConfig `yaml:"scim"`
}

// TLSConfig is a certificate with its private key, both PEM.
type TLSConfig struct {
	Certificate FilePath `yaml:"certificate"`
	Key         FilePath `yaml:"key"`
}

// IsSet tells a certificate from none.
func (t TLSConfig) IsSet() bool { return t.Certificate != "" }

// TokenConfig is somebody who may use the API over TCP.
type TokenConfig struct {
	// Name says who it is, in the log and as the author of decisions.
	Name  string `yaml:"name"`
	Token Secret `yaml:"token"`
	// ReadOnly lets the token look and not change.
	ReadOnly bool `yaml:"read_only"`
}

// The defaults of ServeConfig, and the bounds of StopWithin.
const (
	DefaultStopWithin = Duration(30 * time.Second)
	MinStopWithin     = Duration(time.Second)
	MaxStopWithin     = Duration(time.Hour)
	DefaultOverdue    = Duration(8 * 24 * time.Hour)
	MinOverdue        = Duration(time.Hour)
)

// The forms of the log.
const (
	jsonLog    = "json"
	consoleLog = "console"
)

// DefaultSchedule is when a sync runs whose schedule the file does not say.
const DefaultSchedule = "weekly on sunday at 02:00"

// ScheduleConfig says when a sync runs. In the file it is the schedule itself, or the keys.
type ScheduleConfig struct {
	Schedule schedule.Schedule
	Policy   schedule.Policy
}

// scheduleKeys are the keys of a ScheduleConfig in its long form.
type scheduleKeys struct {
	At string `yaml:"at"`
	// Zone counts where At or NotDuring name none.
	Zone string `yaml:"zone"`
	// Missed is one of the words of schedule.Missed.
	Missed    string   `yaml:"missed"`
	Jitter    Duration `yaml:"jitter"`
	NotDuring []string `yaml:"not_during"`
}

// decodeNode reads a schedule, or the keys.
func (s *ScheduleConfig) decodeNode(d *decoder, n *yaml.Node, path string) {
	const want = "a schedule, such as weekly on sunday at 02:00, or { at: SCHEDULE, zone: Europe/Berlin }"
	switch n.Kind {
	case yaml.ScalarNode:
		s.Schedule = d.schedule(n, path, nil)
	case yaml.MappingNode:
		keys := scheduleKeys{At: DefaultSchedule}
		d.decode(n, path, valueOf(&keys))
		s.fill(d, n, path, keys)
	default:
		d.wrongKind(n, path, want)
	}
}

// fill takes the long form over.
func (s *ScheduleConfig) fill(d *decoder, n *yaml.Node, path string, keys scheduleKeys) {
	var zone *time.Location
	if at := path + ".zone"; d.said(at) && !d.failed(at) {
		var err error
		if zone, err = time.LoadLocation(keys.Zone); err != nil || keys.Zone == "" || keys.Zone == "Local" {
			d.faultAt(at, "is %s, which is no time zone; write one of the IANA names: Europe/Berlin, America/New_York, UTC", quoted(keys.Zone))
			zone = nil
		}
	}
	if value := valueAt(n, "at"); value != nil && !d.failed(path+".at") {
		s.Schedule = d.schedule(value, path+".at", zone)
	} else if parsed, err := schedule.Parse(DefaultSchedule, zone); err == nil {
		s.Schedule = parsed
	}
	if at := path + ".missed"; d.said(at) && d.oneOf(at, keys.Missed, schedule.RunNow.String(), schedule.NextSlot.String()) && !d.failed(at) {
		if err := s.Policy.Missed.UnmarshalText([]byte(keys.Missed)); err != nil {
			d.faultAt(at, "%s", err)
		}
	}
	s.Policy.Jitter = time.Duration(keys.Jitter)
	list := valueAt(n, "not_during")
	for i, text := range keys.NotDuring {
		at := join(path+".not_during", strconv.Itoa(i+1))
		if d.failed(at) {
			continue
		}
		w, err := schedule.ParseWindow(text, zone)
		if err != nil {
			d.scheduleFault(list.Content[i], at, err)
			continue
		}
		s.Policy.Blackouts = append(s.Policy.Blackouts, w)
	}
	if err := s.Policy.Check(time.Now()); err != nil && !d.failed(path) {
		d.faultAt(path+".not_during", "%s", err)
	}
}

// schedule reads one schedule.
func (d *decoder) schedule(n *yaml.Node, path string, zone *time.Location) schedule.Schedule {
	text, ok := d.text(n, path)
	if !ok {
		return schedule.Schedule{}
	}
	s, err := schedule.Parse(text, zone)
	if err != nil {
		d.scheduleFault(n, path, err)
	}
	return s
}

// scheduleFault points at the word that is wrong.
func (d *decoder) scheduleFault(n *yaml.Node, path string, err error) {
	at := d.textStart(n)
	e, ok := errors.AsType[*schedule.ParseError](err)
	if !ok {
		d.fault(at, path, "%s", err)
		return
	}
	if n.Kind == yaml.ScalarNode && !strings.Contains(n.Value, "\n") && utf8.RuneCountInString(n.Value) >= e.Column-1 {
		at.Column += e.Column - 1
	}
	message := e.Message
	if e.Hint != "" {
		message += "; " + e.Hint
	}
	d.fault(at, path, "%s", message)
}

// valueAt is the value of a key; nil if there is none.
func valueAt(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != key {
			continue
		}
		if value := n.Content[i+1]; value.Kind == yaml.AliasNode {
			return value.Alias
		}
		return n.Content[i+1]
	}
	return nil
}

func defaultSchedule() ScheduleConfig {
	s, err := schedule.Parse(DefaultSchedule, nil)
	if err != nil { // a test reads it
		return ScheduleConfig{}
	}
	return ScheduleConfig{Schedule: s}
}

func defaultServe() ServeConfig {
	return ServeConfig{StopWithin: DefaultStopWithin, Overdue: DefaultOverdue}
}

// checkServe checks how the daemon serves.
func (d *decoder) checkServe(c *ServeConfig) {
	const path = "serve"
	if d.broken(path) {
		return
	}
	if d.said(path + ".log") {
		d.oneOf(path+".log", c.Log, jsonLog, consoleLog)
	}
	if at := path + ".stop_within"; !d.failed(at) && (c.StopWithin < MinStopWithin || c.StopWithin > MaxStopWithin) {
		d.faultAt(at, "is %s; write between %s and %s", c.StopWithin, MinStopWithin, MaxStopWithin)
	}
	if at := path + ".overdue"; !d.failed(at) && c.Overdue < MinOverdue {
		d.faultAt(at, "is %s; write at least %s", c.Overdue, MinOverdue)
	}
	local := d.checkAddress(path+".listen", c.Listen)
	d.checkAddress(path+".metrics", c.Metrics)
	listens := d.said(path+".listen") && !d.failed(path+".listen")
	tls := path + ".tls"
	switch {
	case d.failed(tls):
	case d.said(tls) && (c.TLS.Certificate == "" || c.TLS.Key == ""):
		d.faultAt(tls, "needs both a certificate and its key: { certificate: file:/path, key: file:/path }")
	case d.said(tls) && !d.meant(path+".listen"):
		d.faultAt(tls, "has no effect without listen; remove it, or write listen: 127.0.0.1:9469")
	case listens && !local && !c.TLS.IsSet():
		d.faultAt(path+".listen", "can be reached by other machines, so it needs a certificate; write tls: { certificate: file:/path, key: file:/path }, "+
			"or listen on 127.0.0.1")
	}
	d.checkTokens(path+".tokens", c.Tokens, listens)
}

func (d *decoder) checkTokens(path string, tokens []TokenConfig, listens bool) {
	switch {
	case listens && len(tokens) == 0 && !d.failed(path):
		d.faultAt(path, "is missing; say who may use the API over TCP: tokens: [ { name: ci, token: file:/run/secrets/ci } ]")
	case len(tokens) > 0 && !d.meant("serve.listen"):
		d.faultAt(path, "has no effect without listen; remove it, or write listen: 127.0.0.1:9469")
	}
	seen := map[string]bool{}
	for i, t := range tokens {
		at := join(path, strconv.Itoa(i+1))
		if d.failed(at) {
			continue
		}
		switch {
		case !plainName(t.Name):
			d.faultAt(at+".name", "should be the name of whoever has the token: 1 to 63 characters, small letters, digits, - and _, beginning with a letter")
		case seen[t.Name]:
			d.faultAt(at+".name", "is given twice; every token has a name of its own")
		case !t.Token.IsSet():
			d.faultAt(at+".token", "is missing; write the place of the token: file:/run/secrets/NAME")
		}
		seen[t.Name] = true
	}
}

// checkAddress checks an address to listen on, and tells whether only this machine can reach it.
func (d *decoder) checkAddress(path, address string) (local bool) {
	if !d.said(path) || d.failed(path) {
		return true
	}
	host, port, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	n, portErr := strconv.Atoi(port)
	if err != nil || ip == nil && host != "localhost" || portErr != nil || n < 0 || n > 65535 || strconv.Itoa(n) != port {
		d.faultAt(path, "should be an IP address and a port: 127.0.0.1:9469, or [::]:9469 for every address of this machine")
		return true
	}
	return host == "localhost" || ip.IsLoopback()
}
