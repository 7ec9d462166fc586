package graph

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"dirsync"
)

const (
	enabledName  = "accountEnabled"
	nicknameName = "mailNickname"
	mailName     = "mail"
	displayName  = "displayName"
	onPremises   = "onPremisesExtensionAttributes"
	lifeCycle    = "employeeLeaveDateTime"
)

// WriteCatalogue lists the properties of a user that can be written in every tenant, and those that cannot with the
// reason. It asks nobody. Directory extensions can be written as well; see Writer.Fields and AssumeExtensions.
//
// Names, lengths and what can be cleared are those of the Graph documents "user resource type" and "Update user". Phone
// numbers are texts here: the tenant keeps them as they are written, and takes any form.
func WriteCatalogue() []dirsync.Field {
	all := writables()
	fields := make([]dirsync.Field, len(all))
	for i, f := range all {
		fields[i] = f.Field
	}
	return fields
}

// writable is a property as it is written.
type writable struct {
	dirsync.Field
	// fixed says that it can be changed, but not cleared; most is how many entries a list has, zero meaning any number.
	fixed bool
	most  int
}

// path returns the outer property, and the one inside of it, which is empty for most.
func (f *writable) path() (outer, inner string) {
	outer, inner, _ = strings.Cut(f.Name, "/")
	return outer, inner
}

func writables() []writable {
	const managed = "it is kept by the service; write "
	text := func(name, label string, length int) writable {
		return writable{Field: dirsync.Field{Name: name, Label: label, Type: dirsync.Text, MaxLength: length}}
	}
	typed := func(name, label string, typ dirsync.Type, options ...string) writable {
		return writable{Field: dirsync.Field{Name: name, Label: label, Type: typ, Options: options}}
	}
	refused := func(name string, typ dirsync.Type, why string) writable {
		return writable{Field: dirsync.Field{Name: name, Type: typ, Refused: why}}
	}
	all := []writable{
		{Field: dirsync.Field{Name: displayName, Label: "Display name", Type: dirsync.Text, Required: true, MaxLength: 256}},
		{Field: dirsync.Field{Name: principalName, Label: "User principal name", Type: dirsync.Email, Required: true, Unique: true, MaxLength: 113}},
		{Field: dirsync.Field{Name: mailName, Label: "E-mail", Type: dirsync.Email, Unique: true}, fixed: true},
		{Field: dirsync.Field{Name: nicknameName, Label: "Mail nickname", Type: dirsync.Text, MaxLength: 64}, fixed: true},
		{Field: dirsync.Field{Name: "usageLocation", Label: "Usage location", Type: dirsync.Text, MaxLength: 2}, fixed: true},
		text("givenName", "First name", 64), text("surname", "Last name", 64),
		text("jobTitle", "Job title", 128), text("department", "Department", 64), text("companyName", "Company", 64),
		text("employeeId", "Employee ID", 16), text("employeeType", "Employee type", 0),
		typed("employeeHireDate", "Hire date", dirsync.DateTime), typed(lifeCycle, "Leave date", dirsync.DateTime),
		text("employeeOrgData/division", "Division", 0), text("employeeOrgData/costCenter", "Cost center", 0),
		typed(managerName, "Manager", dirsync.Reference),
		text("mobilePhone", "Mobile phone", 64), text("faxNumber", "Fax number", 64),
		{Field: dirsync.Field{Name: "businessPhones", Label: "Business phones", Type: dirsync.TextList}, most: 1},
		{Field: dirsync.Field{Name: "otherMails", Label: "Other e-mail addresses", Type: dirsync.TextList}, most: 250},
		text("officeLocation", "Office", 128), text("streetAddress", "Street", 1024), text("postalCode", "Postal code", 40),
		text("city", "City", 128), text("state", "State", 128), text("country", "Country", 128),
		text("preferredLanguage", "Preferred language", 0), text("preferredDataLocation", "Preferred data location", 0),
		typed("userType", "User type", dirsync.Choice, "Member", "Guest"),
		typed("ageGroup", "Age group", dirsync.Choice, "Minor", "NotAdult", "Adult"),
		typed("consentProvidedForMinor", "Consent for minor", dirsync.Choice, "Granted", "Denied", "NotRequired"),
		text("passwordPolicies", "Password policies", 0),
		text("onPremisesImmutableId", "On-premises immutable ID", 0),
	}
	for n := range 15 {
		number := strconv.Itoa(n + 1)
		all = append(all, text(onPremises+"/extensionAttribute"+number, "Extension attribute "+number, 1024))
	}
	return append(all,
		refused(enabledName, dirsync.Boolean, "accounts are enabled when they are made or come back, and blocked when people leave"),
		refused("passwordProfile", dirsync.Text, "the first password of an account is made up at random"),
		refused("id", dirsync.Text, "the tenant makes it up; keep the id of the source in the anchor"),
		refused("proxyAddresses", dirsync.TextList, managed+mailName),
		refused("imAddresses", dirsync.TextList, managed+mailName),
		refused("identities", dirsync.TextList, managed+principalName),
		refused("createdDateTime", dirsync.DateTime, "it is kept by the service"),
		refused("creationType", dirsync.Text, "it is kept by the service"),
		refused("assignedLicenses", dirsync.TextList, "licences are assigned by groups; put people into one"),
		refused("onPremisesSyncEnabled", dirsync.Boolean, "only Microsoft Entra Connect writes it"),
		refused("onPremisesSamAccountName", dirsync.Text, "only Microsoft Entra Connect writes it"),
		refused("hireDate", dirsync.DateTime, "it is kept outside of the directory; use employeeHireDate"),
		refused("preferredName", dirsync.Text, "it is kept outside of the directory; use displayName or givenName"),
		refused("aboutMe", dirsync.Text, "it is kept outside of the directory, and only people themselves may write it"),
		refused("birthday", dirsync.DateTime, "it is kept outside of the directory, and only people themselves may write it"),
		refused("photo", dirsync.Text, "photos are not synced"),
	)
}

// longestExtension is how long a text in a directory extension can be (Graph document "Add custom data to resources by
// using extensions").
const longestExtension = 256

// assumed is a directory extension of which nobody has told the type; see AssumeExtensions.
func assumed(name string) writable {
	return writable{Field: dirsync.Field{Name: name, Label: name[len("extension_")+33:], Type: dirsync.Text, MaxLength: longestExtension}}
}

// Fields lists what can be written: WriteCatalogue, and the directory extensions that are defined in the tenant. The
// tenant is asked once; an application that may not ask gets the catalogue alone, and Notes says so. The anchor is not
// among what can be used, and without an anchor neither is the manager.
func (w *Writer) Fields(ctx context.Context) ([]dirsync.Field, error) {
	extensions, err := w.extensions(ctx)
	if err != nil {
		return nil, err
	}
	fields := append(WriteCatalogue(), extensions...)
	for i := range fields {
		switch {
		case fields[i].Name == w.cfg.Anchor:
			fields[i].Refused = "it is the anchor, which keeps the id of the source"
		case fields[i].Name == managerName && w.cfg.Anchor == "":
			fields[i].Refused = noAnchorForManager
		}
	}
	return fields, nil
}

// extensions are the directory extensions that are defined in the tenant, as far as it may be asked for them.
func (w *Writer) extensions(ctx context.Context) ([]dirsync.Field, error) {
	known, err := w.source.Fields(ctx)
	if err != nil {
		return nil, err
	}
	var fields []dirsync.Field
	for _, f := range known {
		if !extensionForm.MatchString(f.Name) {
			continue
		}
		if f.Type == dirsync.Text {
			f.MaxLength = longestExtension
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// shape makes sure that the types of the directory extensions that are written are known.
func (w *Writer) shape(ctx context.Context) error {
	w.shaping.Lock()
	defer w.shaping.Unlock()
	if w.shaped {
		return nil
	}
	extensions, err := w.extensions(ctx)
	if err != nil {
		return err
	}
	fields := slices.Clone(w.all())
	for i := range fields {
		if at := slices.IndexFunc(extensions, func(f dirsync.Field) bool { return f.Name == fields[i].Name }); at >= 0 {
			fields[i].Field = extensions[at]
		}
	}
	w.fields.Store(&fields)
	w.shaped = true
	return nil
}

const noAnchorForManager = "without an anchor it is not known whose account is whose; name one"

// Notes says what Fields could not find out, in sentences.
func (w *Writer) Notes() []string { return w.source.Notes() }

// field finds a property that this Writer writes; nil if it is none.
func (w *Writer) field(name string) *writable {
	fields := w.all()
	i, ok := slices.BinarySearchFunc(fields, name, func(f writable, name string) int { return strings.Compare(f.Name, name) })
	if !ok {
		return nil
	}
	return &fields[i]
}

// all are the properties that this Writer writes, sorted by name. Nobody may change them.
func (w *Writer) all() []writable { return *w.fields.Load() }

// fault says why a value cannot be written, as a phrase that follows the property's name, or returns "".
func (f *writable) fault(v dirsync.Value) string {
	switch {
	case v.IsNull() && f.Required:
		return "is required"
	case v.IsNull():
		return ""
	case f.Type != "" && v.Type != f.Type:
		return fmt.Sprintf("is a %s, not a %s", v.Type, f.Type)
	case f.Type == dirsync.Choice && !slices.Contains(f.Options, v.Text):
		return "is none of " + strings.Join(f.Options, ", ")
	case v.Type == dirsync.TextList:
		return f.listFault(v.List())
	case f.MaxLength > 0 && utf8.RuneCountInString(v.Text) > f.MaxLength:
		return fmt.Sprintf("is longer than %d characters", f.MaxLength)
	}
	switch f.Name {
	case principalName:
		return principalFault(v.Text)
	case nicknameName:
		if at := strings.IndexFunc(v.Text, func(r rune) bool { return r > '~' || strings.ContainsRune(`@()\[]";:<>, `, r) }); at >= 0 {
			return "holds the character " + firstOf(v.Text[at:]) + ", which a nickname cannot have"
		}
	case "usageLocation":
		if len(v.Text) != 2 || strings.ContainsFunc(v.Text, func(r rune) bool { return r < 'A' || r > 'Z' }) {
			return "is no country code of two capital letters (ISO 3166), such as DE"
		}
	}
	return ""
}

func (f *writable) listFault(list []string) string {
	switch {
	case list == nil:
		return "is no list of texts"
	case f.most > 0 && len(list) > f.most:
		return fmt.Sprintf("has %d entries, and %d at the most are kept", len(list), f.most)
	}
	return ""
}

// principalFault says why a text is no user principal name (Graph document "user resource type", userPrincipalName): the
// characters, at most 64 of them before the @ and 48 after it.
func principalFault(name string) string {
	local, domain, ok := strings.Cut(name, "@")
	switch {
	case !ok || local == "" || domain == "" || strings.Contains(domain, "@"):
		return "is no name with a domain, such as ada@contoso.com"
	case len(local) > 64:
		return "has more than 64 characters before the @"
	case len(domain) > 48:
		return "has more than 48 characters after the @"
	case strings.HasSuffix(local, "."):
		return "has a dot before the @"
	}
	if at := strings.IndexFunc(local, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("'.-_!#^~", r)
	}); at >= 0 {
		return "holds the character " + firstOf(local[at:]) + ", which a user principal name cannot have"
	}
	return ""
}

// firstOf is the first character of a text, in quotes.
func firstOf(text string) string {
	r, _ := utf8.DecodeRuneInString(text)
	return strconv.QuoteRune(r)
}
