package graph

import (
	"strconv"
	"strings"

	"dirsync"
)

// Blocked tells whether a person may not sign in: accountEnabled is there and false. A person of whom nothing is said
// is not blocked.
func Blocked(attrs dirsync.Attributes) bool {
	raw, _ := attrs.Get("accountEnabled")
	return string(raw) == "false"
}

// Catalogue lists the properties of a user that every tenant has, and those that cannot be mapped with the reason. It
// asks nobody. A property that is not listed, such as a directory extension, may be read all the same, if delta queries
// track it; see Source.Fields and AssumeExtensions.
//
// The names and types are those of the Graph document "user resource type"; what is refused is what it lists as not
// supported by delta queries.
func Catalogue() []dirsync.Field {
	var fields []dirsync.Field
	for _, group := range properties() {
		for name := range strings.FieldsSeq(group.names) {
			fields = append(fields, dirsync.Field{Name: name, Label: group.label, Type: group.typ, Refused: group.refused})
		}
	}
	for n := range 15 {
		number := strconv.Itoa(n + 1)
		fields = append(fields, dirsync.Field{Name: "onPremisesExtensionAttributes/extensionAttribute" + number,
			Label: "Extension attribute " + number, Type: dirsync.Text})
	}
	return fields
}

// property is one or more properties of one type.
type property struct {
	names, label string
	typ          dirsync.Type
	refused      string
}

func properties() []property {
	const (
		outside = "it is kept outside of the directory, so changes to it are not reported; "
		none    = outside + "no property of the directory stands in for it"
	)
	return []property{
		{"userPrincipalName", "User principal name", dirsync.Text, ""},
		{"displayName", "Display name", dirsync.Text, ""},
		{"givenName", "First name", dirsync.Text, ""},
		{"surname", "Last name", dirsync.Text, ""},
		{"mail", "E-mail", dirsync.Email, ""},
		{"mailNickname", "Mail nickname", dirsync.Text, ""},
		{"otherMails", "Other e-mail addresses", dirsync.TextList, ""},
		{"proxyAddresses", "Proxy addresses", dirsync.TextList, ""},
		{"imAddresses", "Instant message addresses", dirsync.TextList, ""},
		{"accountEnabled", "Account enabled", dirsync.Boolean, ""},
		{"jobTitle", "Job title", dirsync.Text, ""},
		{"department", "Department", dirsync.Text, ""},
		{"companyName", "Company", dirsync.Text, ""},
		{"manager", "Manager", dirsync.Reference, ""},
		{"employeeId", "Employee ID", dirsync.Text, ""},
		{"employeeType", "Employee type", dirsync.Text, ""},
		{"employeeHireDate", "Hire date", dirsync.DateTime, ""},
		{"employeeLeaveDateTime", "Leave date", dirsync.DateTime, ""},
		{"employeeOrgData/division", "Division", dirsync.Text, ""},
		{"employeeOrgData/costCenter", "Cost center", dirsync.Text, ""},
		{"mobilePhone", "Mobile phone", dirsync.Phone, ""},
		{"businessPhones", "Business phones", dirsync.TextList, ""},
		{"faxNumber", "Fax number", dirsync.Phone, ""},
		{"officeLocation", "Office", dirsync.Text, ""},
		{"streetAddress", "Street", dirsync.Text, ""},
		{"postalCode", "Postal code", dirsync.Text, ""},
		{"city", "City", dirsync.Text, ""},
		{"state", "State", dirsync.Text, ""},
		{"country", "Country", dirsync.Text, ""},
		{"usageLocation", "Usage location", dirsync.Text, ""},
		{"preferredLanguage", "Preferred language", dirsync.Text, ""},
		{"preferredDataLocation", "Preferred data location", dirsync.Text, ""},
		{"userType", "User type", dirsync.Text, ""},
		{"creationType", "Creation type", dirsync.Text, ""},
		{"externalUserState", "Invitation state", dirsync.Text, ""},
		{"externalUserStateChangeDateTime", "Invitation state changed", dirsync.DateTime, ""},
		{"createdDateTime", "Created", dirsync.DateTime, ""},
		{"lastPasswordChangeDateTime", "Password changed", dirsync.DateTime, ""},
		{"ageGroup", "Age group", dirsync.Text, ""},
		{"consentProvidedForMinor", "Consent for minor", dirsync.Text, ""},
		{"legalAgeGroupClassification", "Legal age group", dirsync.Text, ""},
		{"passwordPolicies", "Password policies", dirsync.Text, ""},
		{"securityIdentifier", "Security identifier", dirsync.Text, ""},
		{"showInAddressList", "Shown in address list", dirsync.Boolean, ""},
		{"onPremisesSyncEnabled", "Synchronized from on-premises", dirsync.Boolean, ""},
		{"onPremisesDistinguishedName", "On-premises distinguished name", dirsync.Text, ""},
		{"onPremisesDomainName", "On-premises domain", dirsync.Text, ""},
		{"onPremisesImmutableId", "On-premises immutable ID", dirsync.Text, ""},
		{"onPremisesLastSyncDateTime", "On-premises last synchronized", dirsync.DateTime, ""},
		{"onPremisesSamAccountName", "On-premises account name", dirsync.Text, ""},
		{"onPremisesSecurityIdentifier", "On-premises security identifier", dirsync.Text, ""},
		{"onPremisesUserPrincipalName", "On-premises user principal name", dirsync.Text, ""},

		{"hireDate", "", dirsync.DateTime, outside + "use employeeHireDate"},
		{"preferredName", "", dirsync.Text, outside + "use displayName or givenName"},
		{"mySite", "", dirsync.Text, outside + "use an extension attribute"},
		{"aboutMe", "", dirsync.Text, none},
		{"birthday", "", dirsync.DateTime, none},
		{"interests pastProjects responsibilities schools skills", "", dirsync.TextList, none},
		{"mailboxSettings", "", dirsync.Text, outside + "use preferredLanguage or usageLocation"},
		{"deviceEnrollmentLimit", "", dirsync.Number, none},
		{"cloudLicensing print", "", dirsync.Text, none},
		{"signInActivity", "", dirsync.Text, outside + "use accountEnabled to know who may sign in"},
		{"photo", "", dirsync.Text, "a photo cannot be selected, and changes to it are not reported"},
		{"licenseAssignmentStates", "", dirsync.Text, "changes to it are not reported"},
		{"memberOf transitiveMemberOf", "", dirsync.TextList, "changes to memberships are not reported with users"},
	}
}
