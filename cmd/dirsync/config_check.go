package main

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"dirsync"
	"dirsync/graph"
	"dirsync/sync/schedule"
)

func valueOf(pointer any) reflect.Value { return reflect.ValueOf(pointer).Elem() }

// check reports what each value by itself cannot know: what is missing, what contradicts, what refers to nothing.
func (d *decoder) check(c *Config) {
	if d.values == 1 && len(d.faults) > 0 {
		// The file holds no key that is known. That is reported, and everything else would follow from it.
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.Tenants)) {
		if path := join("tenants", name); !d.broken(path) {
			d.checkTenant(path, c.Tenants[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Applications)) {
		if path := join("applications", name); !d.broken(path) {
			d.checkApplication(path, c.Applications[name])
		}
	}
	if d.said("store.path") && c.Store.Path == "" && !d.failed("store.path") {
		d.faultAt("store.path", "is empty; write the path of the store's file, or remove the key")
	}
	d.checkHistory("store.history", c.Store.History)
	d.checkDirectory(c)
	if len(c.Syncs) == 0 && !d.failed("syncs") && (c.Directory.FedBy == "" || c.Directory.FedBy == FedBySyncs) {
		d.faultAt("syncs", "is missing; describe at least one sync")
	}
	d.checkServe(&c.Serve)
	d.checkFeed(c)
	d.checkNotify(c)
	names := slices.Sorted(maps.Keys(c.Syncs))
	slices.SortStableFunc(names, func(a, b string) int { return d.places[join("syncs", a)].Line - d.places[join("syncs", b)].Line })
	for _, name := range names {
		path, s := join("syncs", name), c.Syncs[name]
		if d.broken(path) {
			continue
		}
		d.checkSync(path, s, c)
	}
	d.checkCircles(c, slices.DeleteFunc(names, func(name string) bool { return d.broken(join("syncs", name)) }))
}

// required reports a text that is missing or empty.
func (d *decoder) required(path, value, example string) bool {
	if value != "" || d.failed(path) {
		return value != ""
	}
	d.faultAt(path, "is missing; write %s", example)
	return false
}

func (d *decoder) oneOf(path, value string, known ...string) bool {
	if slices.Contains(known, value) || d.failed(path) {
		return true
	}
	if near := d.nearest(value, known); near != "" {
		d.faultAt(path, "is %s, which is not known; did you mean %s?", quoted(value), near)
		return false
	}
	if len(known) < 4 {
		d.faultAt(path, "is %s; write %s", quoted(value), strings.Join(known, " or "))
	} else {
		d.faultAt(path, "is %s; write one of: %s", quoted(value), strings.Join(known, ", "))
	}
	return false
}

func (d *decoder) checkTenant(path string, t *Tenant) {
	const tenantID = "the tenant ID from the tenant's overview page: 6f89cf12-978b-4d23-ac18-9ef0c127cf87"
	switch {
	case t.ID != "":
		t.ID = d.checkGUID(path+".id", t.ID, tenantID)
	case !d.openIDs:
		d.required(path+".id", t.ID, tenantID+"; or let `dirsync connect` find it out")
	}
	if at := path + ".credential"; !d.meant(at+".managed_identity") && !d.meant(at+".azure_cli") {
		t.ClientID = d.checkGUID(path+".client_id", t.ClientID,
			"the Application (client) ID from the app registration's overview page: 00d88624-0b5a-4d4c-9b4f-0f3d2b1c8928")
	}
	clouds := make([]string, 0, len(graph.Clouds()))
	for _, cloud := range graph.Clouds() {
		clouds = append(clouds, string(cloud))
	}
	d.oneOf(path+".cloud", t.Cloud, clouds...)
	t.Authority = d.checkURL(path+".authority", t.Authority)
	t.Graph = d.checkURL(path+".graph", t.Graph)
	if !d.failed(path + ".cloud") {
		d.checkCloudAddress(path+".authority", t.Authority, t.Cloud)
		d.checkCloudAddress(path+".graph", t.Graph, t.Cloud)
	}
	if at := path + ".credential"; !d.failed(at) {
		d.checkCredential(at, t)
		if d.said(path+".client_id") && t.Credential.ownsClient() && !d.failed(at) {
			d.faultAt(path+".client_id", "has no effect, because this credential comes with an identity of its own; remove it")
		}
	}
}

// meant tells whether the file has a value at path, be it a faulty one or under a misspelt key.
func (d *decoder) meant(path string) bool { return d.said(path) || d.failed(path) }

// checkCloudAddress reports an address that belongs to another cloud than the tenant, where its tokens mean nothing.
func (d *decoder) checkCloudAddress(path, address, cloud string) {
	u, err := url.Parse(address)
	if address == "" || err != nil || d.failed(path) {
		return
	}
	var owners []string
	for _, c := range graph.Clouds() {
		authority, base := c.Addresses()
		for _, own := range []string{authority, base} {
			if o, err := url.Parse(own); err == nil && strings.EqualFold(o.Hostname(), u.Hostname()) {
				owners = append(owners, string(c))
			}
		}
	}
	if len(owners) > 0 && !slices.Contains(owners, cloud) {
		d.faultAt(path, "belongs to the cloud %s, and the tenant's cloud is %s; remove this, and write cloud: %s if the tenant lives there",
			strings.Join(owners, " or "), cloud, owners[0])
	}
}

func (d *decoder) checkCredential(path string, t *Tenant) {
	first := ""
	for _, kind := range []struct{ key, name string }{
		{"secret", "a secret"}, {"certificate", "a certificate"}, {"workload_identity", "a workload identity"},
		{"managed_identity", "a managed identity"}, {"azure_cli", "the Azure CLI"},
	} {
		switch {
		case !d.said(join(path, kind.key)):
		case first != "":
			d.faultAt(join(path, kind.key), "there is %s already; keep one of them", first)
		default:
			first = kind.name
		}
	}
	cr := &t.Credential
	switch {
	case first == "":
		d.faultAt(path, "is missing; write credential: { secret: file:/run/secrets/NAME } or { certificate: file:/path }, or "+
			"workload_identity: file:/path, managed_identity: system or azure_cli: true")
		return
	case cr.Password.IsSet() && !cr.Certificate.IsSet():
		d.faultAt(path+".password", "there is no certificate that it could open; remove it")
	}
	if d.said(path+".azure_cli") && !cr.AzureCLI {
		d.faultAt(path+".azure_cli", "is false, which is no way to sign in; remove it, or write true")
	}
	if d.said(path + ".managed_identity") {
		// What stands there is not repeated: it may be a secret in the wrong place.
		id := strings.ToLower(cr.ManagedIdentity)
		if id != graph.SystemAssigned && (!isGUID(id) || strings.Trim(id, "0-") == "") {
			d.faultAt(path+".managed_identity", "should be %s, for the identity of the machine, or the client id of a user-assigned "+
				"managed identity: 5d9a6c1e-7a52-4f0a-9a63-3d1d5a0b6c22", graph.SystemAssigned)
		}
		cr.ManagedIdentity = id
	}
}

func (d *decoder) checkGUID(path, s, want string) string {
	if !d.required(path, s, want) {
		return s
	}
	s = strings.ToLower(s)
	switch {
	case isGUID(s) && strings.Trim(s, "0-") == "":
		d.faultAt(path, "is all zeros; write %s", want)
	case !isGUID(s) && !d.failed(path):
		d.faultAt(path, "should be %s", want)
	}
	return s
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && !strings.Contains("0123456789abcdef", s[i:i+1]) {
			return false
		}
	}
	return true
}

// checkURL returns the base URL without a slash at its end. Secrets are sent there, so it is encrypted.
func (d *decoder) checkURL(path, s string) string {
	if !d.said(path) || d.failed(path) {
		return s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		d.faultAt(path, "should be a URL: https://graph.example.com/v1.0")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		d.faultAt(path, "should be a URL without a user, a question mark or a #")
	case u.Scheme == "http":
		d.faultAt(path, "would send secrets unencrypted; write https")
	default:
		return strings.TrimRight(s, "/")
	}
	return s
}

func (d *decoder) checkDirectory(c *Config) {
	first := map[string]int{}
	for i := range c.Directory.Fields {
		f, path := &c.Directory.Fields[i], join("directory.fields", strconv.Itoa(i+1))
		if d.broken(path) || !d.required(path+".name", f.Name, "the field's name: joining_date") {
			continue
		}
		switch line, twice := first[f.Name]; {
		case d.failed(path + ".name"):
		case !plainName(f.Name) || strings.Contains(f.Name, "-"):
			d.faultAt(path+".name", "a field's name has 1 to 63 characters: small letters, digits and _, and begins with a letter")
		case f.Name == dirsync.GroupsField:
			d.faultAt(path+".name", "every directory has this field for the groups that a user is in, and fills it itself; "+
				"give yours another name")
		case slices.Contains(mandatoryFields(), f.Name):
			d.faultAt(path+".name", "every directory has this field already; remove this entry")
		case twice:
			d.faultAt(path+".name", "is given twice; the first is in line %d. Keep one of them", line)
		default:
			first[f.Name] = d.places[path+".name"].Line
		}
		d.checkField(path, f)
	}
}

func (d *decoder) checkField(path string, f *DirectoryField) {
	if f.Label == "" {
		f.Label = defaultLabel(f.Name)
	}
	if f.Type == "" && !d.said(path+".type") {
		f.Type = dirsync.Text
	}
	if !d.oneOf(path+".type", string(f.Type), fieldTypes()...) || d.failed(path+".type") {
		return
	}
	if f.Type == dirsync.Choice && len(f.Options) == 0 && !d.failed(path+".options") {
		d.faultAt(path+".options", "is missing; list what may be chosen: options: [Berlin, Chennai]")
	}
	if f.Type != dirsync.Choice && d.said(path+".options") {
		d.faultAt(path+".options", "only a field of type choice has options; remove them, or write type: choice")
	}
	seen := map[string]bool{}
	for i, o := range f.Options {
		at := join(path+".options", strconv.Itoa(i+1))
		switch {
		case d.failed(at):
		case strings.TrimSpace(o) != o || o == "":
			d.faultAt(at, "is empty or has blanks around it")
		case seen[o]:
			d.faultAt(at, "is listed twice")
		}
		seen[o] = true
	}
	formatted := []dirsync.Type{dirsync.Date, dirsync.DateTime, dirsync.Number}
	if d.said(path+".format") && !slices.Contains(formatted, f.Type) {
		d.faultAt(path+".format", "only fields of type date, datetime and number have a format; remove it")
	}
	texts := []dirsync.Type{dirsync.Text, dirsync.Email, dirsync.Phone}
	if d.said(path+".length") && !d.failed(path+".length") {
		switch {
		case !slices.Contains(texts, f.Type):
			d.faultAt(path+".length", "only fields of type text, email and phone have a length; remove it")
		case f.Length == 0:
			d.faultAt(path+".length", "should be at least 1; remove it if there is no limit")
		}
	}
}

func mandatoryFields() []string {
	return []string{dirsync.FirstName, dirsync.LastName, dirsync.EmailAddress}
}

func (d *decoder) checkSync(path string, s *Sync, c *Config) {
	d.setEnds(path, s)
	d.checkMappings(path+".fields", s, c)
	d.checkLeaving(path, s)
	d.checkLimits(path+".limits", s)
	d.checkProtect(path+".protect", &s.Protect)
	d.checkJoin(path+".join", s, c)
	d.oneOf(path+".drift", string(s.Drift), string(RepairDrift), string(ReportDrift))
	d.checkRetry(path+".retry", s.Retry)
	d.checkGroups(path, s)
	d.checkEnds(path, s, c)
	if !s.Enabled {
		s.Schedule.Schedule = schedule.Schedule{} // nothing begins by itself
	}
	d.checkReadEvery(path+".read_every", s.ReadEvery)
	d.checkMail(path+".notify", s.Notify, c)
}

// unknownName reports a name that nothing in the file has.
func (d *decoder) unknownName(path, name, what string, known []string) {
	if near := d.nearest(name, known); near != "" {
		d.faultAt(path, "there is no %s %s; did you mean %s?", what, quoted(name), near)
		return
	}
	d.faultAt(path, "there is no %s %s; there are %s", what, quoted(name), strings.Join(known, ", "))
}

func (d *decoder) checkMappings(path string, s *Sync, c *Config) {
	if !d.said(path) {
		d.faultAt(path, "is missing; say at least how %s are filled", strings.Join(c.required(s), ", "))
		return
	}
	var known []string
	needed := c.required(s)
	for _, f := range c.targetFields(s) {
		if f.Refused == "" {
			known = append(known, f.Name)
		}
	}
	unsure := d.failed("directory") || d.failed("applications") || d.failed(around(path)+".to")
	for _, m := range s.Fields {
		at := join(path, m.Field)
		switch {
		case m.Field == dirsync.GroupsField:
			d.faultAt(d.at(at, m.Pos), "no mapping fills this field: it has the groups that a user is in; say with "+
				"from: { groups: … } which groups that are")
			continue
		case !slices.Contains(known, m.Field) && !unsure:
			d.unknownName(d.at(at, m.Pos), m.Field, s.To.fieldNoun(), known)
		}
		d.checkMapping(join(path, m.Field), m)
	}
	if d.broken(path) || unsure {
		return
	}
	for _, name := range needed {
		mapped := slices.ContainsFunc(s.Fields, func(m FieldMapping) bool { return m.Field == name })
		if !mapped && !d.failed(join(path, name)) {
			d.fault(d.places[path], join(path, name), "is missing; every user needs this field, so say what fills it")
		}
	}
}

// required are the fields that every user of a sync's target has.
func (c *Config) required(s *Sync) []string {
	var out []string
	for _, f := range c.targetFields(s) {
		if f.Required {
			out = append(out, f.Name)
		}
	}
	return out
}

// at makes path stand at p in the messages to come, and returns it.
func (d *decoder) at(path string, p Position) string {
	d.places[path] = p
	return path
}

func (d *decoder) checkMapping(path string, m FieldMapping) {
	if d.failed(path) {
		return
	}
	var forms []string
	for _, part := range []struct {
		key string
		set bool
	}{{"from", m.From != ""}, {"expr", m.Expr != ""}, {"entra", m.Entra != ""}, {"value", m.Value != nil}} {
		if part.set {
			forms = append(forms, part.key)
		} else if d.said(join(path, part.key)) {
			d.faultAt(join(path, part.key), "is empty; write what fills the field")
			return
		}
	}
	switch len(forms) {
	case 0:
		d.faultAt(path, "says nothing about where the value comes from; write from: PROPERTY, or expr:, entra: or value:")
	case 1:
	default:
		d.faultAt(join(path, forms[1]), "there is %s already; keep one of %s", forms[0], strings.Join(forms, ", "))
	}
	if m.WhenNull != "" || d.said(path+".when_null") {
		d.oneOf(path+".when_null", m.WhenNull, "keep", "clear", "default")
	}
	if m.WhenNull == "default" && m.Default == nil {
		d.faultAt(path+".when_null", "is default, but the field has no default; add default: VALUE")
	}
}
