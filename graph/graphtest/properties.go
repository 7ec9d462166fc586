package graphtest

import (
	"slices"
	"strings"
)

// defaultProperties are what Graph sends of a user when nothing is selected, besides the id. Neither accountEnabled nor
// userType is among them (Graph reference, user resource).
func defaultProperties() []string {
	return []string{"businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
		"preferredLanguage", "surname", "userPrincipalName"}
}

// untrackable are the properties that live outside the directory's store, so that delta queries refuse to select them
// (Graph reference, user resource).
func untrackable(name string) bool {
	switch name {
	case "aboutMe", "birthday", "cloudLicensing", "deviceEnrollmentLimit", "hireDate", "interests", "mailboxSettings",
		"mySite", "pastProjects", "preferredName", "print", "responsibilities", "schools", "signInActivity", "skills",
		// Relations and the photo are not properties of the directory object at all.
		"directReports", "licenseDetails", "memberOf", "ownedObjects", "photo", "transitiveMemberOf":
		return true
	}
	return false
}

// known are the other properties of a user in Graph v1.0. A property that somebody was given is known as well, and so
// is every directory extension.
func known(name string) bool {
	switch name {
	case "accountEnabled", "ageGroup", "assignedLicenses", "assignedPlans", "authorizationInfo", "businessPhones", "city",
		"companyName", "consentProvidedForMinor", "country", "createdDateTime", "creationType", "customSecurityAttributes",
		"deletedDateTime", "department", "displayName", "employeeHireDate", "employeeId", "employeeLeaveDateTime",
		"employeeOrgData", "employeeType", "externalUserState", "externalUserStateChangeDateTime", "faxNumber", "givenName",
		"id", "identities", "identityParentId", "imAddresses", "isManagementRestricted", "isResourceAccount", "jobTitle",
		"lastPasswordChangeDateTime", "legalAgeGroupClassification", "licenseAssignmentStates", "mail", "mailNickname",
		managerProperty, "mobilePhone", "officeLocation", "onPremisesDistinguishedName", "onPremisesDomainName",
		"onPremisesExtensionAttributes", "onPremisesImmutableId", "onPremisesLastSyncDateTime",
		"onPremisesProvisioningErrors", "onPremisesSamAccountName", "onPremisesSecurityIdentifier", "onPremisesSyncEnabled",
		"onPremisesUserPrincipalName", "otherMails", "passwordPolicies", "passwordProfile", "postalCode",
		"preferredDataLocation", "preferredLanguage", "provisionedPlans", "proxyAddresses", "securityIdentifier",
		"serviceProvisioningErrors", "showInAddressList", "signInSessionsValidFromDateTime", "state", "streetAddress",
		"surname", "usageLocation", "userPrincipalName", "userType":
		return true
	}
	return isExtension(name)
}

// isExtension tells a directory extension, "extension_{application id without dashes}_{name}".
func isExtension(name string) bool {
	rest, ok := strings.CutPrefix(name, "extension_")
	return ok && len(rest) > 33 && rest[32] == '_'
}

// isCollection tells the properties that are an empty list rather than null when they were never set.
func isCollection(name string) bool {
	switch name {
	case "assignedLicenses", "assignedPlans", "businessPhones", "identities", "imAddresses", "otherMails",
		"provisionedPlans", "proxyAddresses":
		return true
	}
	return false
}

// selection is what a request asks for, ready for rendering.
type selection struct {
	// names are the properties asked for, without id; def says that nothing was selected and these are the defaults.
	names []string
	def   bool
	// want tells by a property's number whether it is asked for. Numbers made later are not.
	want    []bool
	manager bool
	// members says that links to a group's members are asked for, and set is what @odata.context calls such objects.
	members bool
	set     string
	// expand is what to show of the manager in plain reads; nil is not to.
	expand *selection
}

// choose makes a selection; nil names are the defaults. In delta rounds the manager is among the defaults.
func (d *directory) choose(names []string, delta bool) selection {
	s := selection{set: d.set(), names: names, def: names == nil, want: make([]bool, len(d.names))}
	if s.def {
		s.names, s.manager, s.members = d.defaults(), delta && d.members == nil, delta && d.members != nil
	}
	for _, name := range s.names {
		switch n, ok := d.numbers[name]; {
		case name == managerProperty && d.members == nil:
			s.manager = true
		case name == membersProperty && d.members != nil:
			s.members = true
		case ok:
			s.want[n] = true
		}
	}
	return s
}

// wants tells whether a property is asked for.
func (s *selection) wants(d *directory, prop int) bool {
	if d.names[prop] == managerProperty && d.members == nil {
		return s.manager
	}
	return prop < len(s.want) && s.want[prop]
}

// context is the fragment of @odata.context that names what was selected.
func (s *selection) context() string {
	if s.def {
		return s.set
	}
	return s.set + "(" + strings.Join(append(slices.Clone(s.names), "id"), ",") + ")"
}
