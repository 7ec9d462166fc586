package graphtest

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// rule is what the service demands of the value of a property.
type rule struct {
	kind form
	// max is how many characters a text has at most, or a list elements; zero is no limit that is documented.
	max int
	// must says that null is refused.
	must bool
	// of are the only texts that are allowed, nil for any.
	of []string
}

// form is the form of a value.
type form uint8

const (
	readOnly   form = iota // written by the service alone
	elsewhere              // kept outside the directory, where applications cannot write it
	word                   // a text
	flag                   // true or false
	moment                 // a time with date and zone
	phones                 // a list of telephone numbers
	address                // a mail address
	addresses              // a list of them
	principal              // a user principal name
	nickname               // a mail nickname
	attributes             // extensionAttribute1 to extensionAttribute15
	employment             // costCenter and division
	credential             // a password and what is to become of it
	letters                // two letters
	words                  // a list of texts
	list                   // a list of anything
)

// userRule is the rule of a property of users (Graph reference, user resource, for lengths and what can be cleared).
func userRule(name string) rule {
	switch name {
	case "accountEnabled":
		return rule{kind: flag, must: true}
	case "displayName":
		return rule{kind: word, max: 256, must: true}
	case "givenName", "surname", "department", "companyName", "mobilePhone", "faxNumber":
		return rule{kind: word, max: 64}
	case "jobTitle", "officeLocation", "city", "country", "state":
		return rule{kind: word, max: 128}
	case "postalCode":
		return rule{kind: word, max: 40}
	case "streetAddress":
		return rule{kind: word, max: 1024}
	case "employeeId":
		return rule{kind: word, max: 16}
	case "employeeType", "preferredLanguage", "preferredDataLocation", "passwordPolicies":
		return rule{kind: word}
	case "onPremisesImmutableId":
		return rule{kind: word, max: 256}
	case "userType":
		return rule{kind: word, of: []string{"Member", "Guest"}}
	case "ageGroup":
		return rule{kind: word, of: []string{"Minor", "NotAdult", "Adult"}}
	case "consentProvidedForMinor":
		return rule{kind: word, of: []string{"Granted", "Denied", "NotRequired"}}
	case "usageLocation":
		return rule{kind: letters, must: true}
	case "userPrincipalName":
		return rule{kind: principal, must: true}
	case "mailNickname":
		return rule{kind: nickname, max: 64, must: true}
	case "mail":
		return rule{kind: address, must: true}
	case "otherMails":
		return rule{kind: addresses, max: 250}
	case "businessPhones":
		return rule{kind: phones, max: 1}
	case "employeeHireDate", "employeeLeaveDateTime":
		return rule{kind: moment}
	case "showInAddressList":
		return rule{kind: flag}
	case "employeeOrgData":
		return rule{kind: employment}
	case "onPremisesExtensionAttributes":
		return rule{kind: attributes, max: 1024, must: true}
	case "passwordProfile":
		return rule{kind: credential, must: true}
	case "identities":
		return rule{kind: list, max: 10}
	case "aboutMe", "birthday", "hireDate", "interests", "mySite", "pastProjects", "preferredName", "responsibilities", "schools", "skills":
		return rule{kind: elsewhere}
	}
	return rule{}
}

// groupRule is the rule of a property of groups (Graph reference, group resource).
func groupRule(name string) rule {
	switch name {
	case "displayName":
		return rule{kind: word, max: 256, must: true}
	case "description":
		return rule{kind: word, max: 1024}
	case "mailNickname":
		return rule{kind: nickname, max: 64, must: true}
	case "mailEnabled", "securityEnabled", "isAssignableToRole":
		return rule{kind: flag, must: true}
	case "groupTypes":
		return rule{kind: words, max: 2, must: true}
	case "visibility":
		return rule{kind: word, of: []string{"Public", "Private", "HiddenMembership"}}
	case "membershipRule":
		return rule{kind: word, max: 3072}
	case "membershipRuleProcessingState":
		return rule{kind: word, of: []string{"On", "Paused"}}
	case "classification", "preferredDataLocation", "preferredLanguage", "theme":
		return rule{kind: word}
	case "uniqueName":
		return rule{kind: word, max: 256}
	}
	return rule{}
}

// normal checks a value against a rule and returns it as it is kept; false is a value that is refused. Before is the
// value that there is, or nil.
func (r rule) normal(raw, before json.RawMessage) (json.RawMessage, bool) {
	if isNull(raw) {
		isList := r.kind == phones || r.kind == addresses || r.kind == words || r.kind == list
		return raw, !r.must && !isList // a list is emptied by an empty one
	}
	switch r.kind {
	case flag:
		return raw, string(raw) == "true" || string(raw) == "false"
	case phones, addresses, words, list:
		return r.elements(raw)
	case attributes:
		return r.merged(raw, before)
	case employment:
		var both map[string]*string
		err := json.Unmarshal(raw, &both)
		_, centre := both["costCenter"]
		_, division := both["division"]
		return raw, err == nil && centre && division && len(both) == 2
	case credential:
		return raw, true // it is read elsewhere and never kept
	}
	s, ok := text(raw)
	if !ok || s == "" || r.max > 0 && utf8.RuneCountInString(s) > r.max {
		return nil, false
	}
	switch r.kind {
	case moment:
		at, err := time.Parse(time.RFC3339, s)
		return appendString(nil, at.UTC().Format(time.RFC3339Nano)), err == nil
	case address:
		return raw, isAddress(s)
	case principal:
		return raw, isPrincipal(s)
	case nickname:
		return raw, isASCII(s) && !strings.ContainsAny(s, `@()\[]";:<>, `)
	case letters:
		return raw, len(s) == 2 && strings.Trim(strings.ToUpper(s), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
	}
	return raw, r.of == nil || slices.Contains(r.of, s)
}

// elements checks the elements of a list.
func (r rule) elements(raw json.RawMessage) (json.RawMessage, bool) {
	var all []json.RawMessage
	if json.Unmarshal(raw, &all) != nil || all == nil || len(all) > r.max {
		return nil, false
	}
	for _, e := range all {
		s, ok := text(e)
		switch r.kind {
		case phones:
			ok = ok && s != "" && utf8.RuneCountInString(s) <= 64
		case addresses:
			ok = ok && isAddress(s)
		case list:
			ok = true
		}
		if !ok {
			return nil, false
		}
	}
	return raw, true
}

// merged puts some of the fifteen extension attributes over those that there are.
func (r rule) merged(raw, before json.RawMessage) (json.RawMessage, bool) {
	all := make(map[string]*string, 15)
	for n := range 15 {
		all["extensionAttribute"+itoa(n+1)] = nil
	}
	var was, given map[string]*string
	if json.Unmarshal(raw, &given) != nil || before != nil && json.Unmarshal(before, &was) != nil {
		return nil, false
	}
	for name, v := range was {
		all[name] = v
	}
	for name, v := range given {
		if _, ok := all[name]; !ok || v != nil && (*v == "" || utf8.RuneCountInString(*v) > r.max) {
			return nil, false
		}
		all[name] = v
	}
	out, err := marshal(all)
	return out, err == nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c < ' ' || c > '~' }) < 0
}

// isAddress tells what can be a mail address: without accents, with one sign and a domain.
func isAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && len(s) <= 320 && isASCII(s) && !strings.ContainsAny(s, ` "(),:;<>[\]`) &&
		!strings.Contains(domain, "@") && !strings.HasPrefix(domain, ".") && !strings.HasSuffix(domain, ".")
}

// isPrincipal tells what can be a user principal name: at most 64 characters and 48 of the domain, of letters, digits and
// ' . - _ ! # ^ ~ without accents, and no full stop before the sign (Graph reference, user resource).
func isPrincipal(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	allowed := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("'.-_!#^~", c)
	}
	return ok && local != "" && domain != "" && len(local) <= 64 && len(domain) <= 48 && !strings.HasSuffix(local, ".") &&
		strings.IndexFunc(local, func(c rune) bool { return !allowed(c) }) < 0 && !strings.Contains(domain, "@")
}

// extensionValue checks the value of a directory extension against its definition (Graph reference, extensionProperty
// resource).
func (e Extension) extensionValue(raw json.RawMessage) bool {
	if isNull(raw) {
		return true
	}
	if !e.MultiValued {
		return e.element(raw)
	}
	var values []json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		return false
	}
	return !slices.ContainsFunc(values, func(v json.RawMessage) bool { return !e.element(v) })
}

func (e Extension) element(raw json.RawMessage) bool {
	s, isText := text(raw)
	var n int64
	switch or(e.DataType, "String") {
	case "Boolean":
		return string(raw) == "true" || string(raw) == "false"
	case "Integer":
		return json.Unmarshal(raw, &n) == nil && !isNull(raw) && int64(int32(n)) == n
	case "LargeInteger":
		return json.Unmarshal(raw, &n) == nil && !isNull(raw)
	case "DateTime":
		_, err := time.Parse(time.RFC3339, s)
		return isText && err == nil
	case "Binary":
		b, err := base64.StdEncoding.DecodeString(s)
		return isText && err == nil && len(b) <= 256
	default:
		return isText && s != "" && utf8.RuneCountInString(s) <= 256
	}
}
