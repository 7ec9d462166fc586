package scim

// User returns the schema of RFC 7643 section 8.7.1.
func User() *Schema {
	return &Schema{ID: UserURN, Name: "User", Description: "User Account", Attributes: []Attribute{
		{Name: "userName", Required: true, Uniqueness: UniqueServer,
			Description: "Unique identifier for the User, typically used by the user to directly authenticate to the service provider."},
		{Name: "name", Type: Complex, Description: "The components of the user's real name.", SubAttributes: []Attribute{
			{Name: "formatted", Description: "The full name, formatted for display."},
			{Name: "familyName", Description: "The family name of the User."},
			{Name: "givenName", Description: "The given name of the User."},
			{Name: "middleName", Description: "The middle name(s) of the User."},
			{Name: "honorificPrefix", Description: "The honorific prefix(es) of the User, or title."},
			{Name: "honorificSuffix", Description: "The honorific suffix(es) of the User."},
		}},
		{Name: "displayName", Description: "The name of the User, suitable for display to end-users."},
		{Name: "nickName", Description: "The casual way to address the user in real life."},
		{Name: "profileUrl", Type: Reference, ReferenceTypes: []string{"external"}, Description: "The location of the User's online profile."},
		{Name: "title", Description: "The user's title, such as \"Vice President\"."},
		{Name: "userType", Description: "The relationship between the organization and the user."},
		{Name: "preferredLanguage", Description: "The User's preferred written or spoken language."},
		{Name: "locale", Description: "The User's default location for purposes of localizing items such as currency and dates."},
		{Name: "timezone", Description: "The User's time zone in the \"Olson\" time zone database format."},
		{Name: "active", Type: Boolean, Description: "The User's administrative status."},
		{Name: "password", Mutability: WriteOnly, Returned: Never, Description: "The User's cleartext password."},
		plural("emails", "Email addresses for the user.", Attribute{}, "work", "home", "other"),
		plural("phoneNumbers", "Phone numbers for the User.", Attribute{}, "work", "home", "mobile", "fax", "pager", "other"),
		plural("ims", "Instant messaging addresses for the User.", Attribute{}, "aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"),
		plural("photos", "URLs of photos of the User.", Attribute{Type: Reference, ReferenceTypes: []string{"external"}}, "photo", "thumbnail"),
		{Name: "addresses", Type: Complex, MultiValued: true, Description: "A physical mailing address for this User.", SubAttributes: []Attribute{
			{Name: "formatted", Description: "The full mailing address, formatted for display."},
			{Name: "streetAddress", Description: "The full street address component."},
			{Name: "locality", Description: "The city or locality component."},
			{Name: "region", Description: "The state or region component."},
			{Name: "postalCode", Description: "The zip code or postal code component."},
			{Name: "country", Description: "The country name component."},
			{Name: "type", CanonicalValues: []string{"work", "home", "other"}, Description: "A label indicating the attribute's function."},
		}},
		{Name: "groups", Type: Complex, MultiValued: true, Mutability: ReadOnly, Description: "A list of groups to which the user belongs.",
			SubAttributes: []Attribute{
				{Name: "value", Mutability: ReadOnly, Description: "The identifier of the User's group."},
				{Name: "$ref", Type: Reference, ReferenceTypes: []string{"User", "Group"}, Mutability: ReadOnly, Description: "The URI of the corresponding Group resource."},
				{Name: "display", Mutability: ReadOnly, Description: "A human-readable name."},
				{Name: "type", CanonicalValues: []string{"direct", "indirect"}, Mutability: ReadOnly, Description: "A label indicating the attribute's function."},
			}},
		plural("entitlements", "A list of entitlements for the User that represent a thing the User has.", Attribute{}),
		plural("roles", "A list of roles for the User that collectively represent who the User is.", Attribute{}),
		plural("x509Certificates", "A list of certificates issued to the User.", Attribute{Type: Binary}),
	}}
}

// plural is a multi-valued attribute with the usual sub-attributes.
func plural(name, description string, value Attribute, types ...string) Attribute {
	value.Name, value.Description = "value", "The significant value."
	return Attribute{Name: name, Type: Complex, MultiValued: true, Description: description, SubAttributes: []Attribute{
		value,
		{Name: "display", Description: "A human-readable name, primarily used for display purposes."},
		{Name: "type", CanonicalValues: types, Description: "A label indicating the attribute's function."},
		{Name: "primary", Type: Boolean, Description: "Whether this is the preferred value. True appears no more than once."},
	}}
}

// EnterpriseUser returns the extension of RFC 7643 section 8.7.1.
func EnterpriseUser() *Schema {
	return &Schema{ID: EnterpriseURN, Name: "EnterpriseUser", Description: "Enterprise User", Attributes: []Attribute{
		{Name: "employeeNumber", Description: "Numeric or alphanumeric identifier assigned to a person by the organization."},
		{Name: "costCenter", Description: "Identifies the name of a cost center."},
		{Name: "organization", Description: "Identifies the name of an organization."},
		{Name: "division", Description: "Identifies the name of a division."},
		{Name: "department", Description: "Identifies the name of a department."},
		{Name: "manager", Type: Complex, Description: "The User's manager.", SubAttributes: []Attribute{
			{Name: "value", Description: "The id of the SCIM resource representing the User's manager."},
			{Name: "$ref", Type: Reference, ReferenceTypes: []string{"User"}, Description: "The URI of the SCIM resource representing the User's manager."},
			{Name: "displayName", Mutability: ReadOnly, Description: "The displayName of the User's manager."},
		}},
	}}
}

// Group returns the schema of RFC 7643 section 8.7.1. As there, displayName is not required; a server that requires it
// sets that.
func Group() *Schema {
	return &Schema{ID: GroupURN, Name: "Group", Description: "Group", Attributes: []Attribute{
		{Name: "displayName", Description: "A human-readable name for the Group."},
		{Name: "members", Type: Complex, MultiValued: true, Description: "A list of members of the Group.", SubAttributes: []Attribute{
			{Name: "value", Mutability: Immutable, Description: "Identifier of the member of this Group."},
			{Name: "$ref", Type: Reference, ReferenceTypes: []string{"User", "Group"}, Mutability: Immutable, Description: "The URI of the member."},
			{Name: "type", CanonicalValues: []string{"User", "Group"}, Mutability: Immutable, Description: "A label indicating the type of resource."},
		}},
	}}
}

// commonAttributes are the ones that every resource has (RFC 7643 section 3.1), and schemas.
func commonAttributes() []Attribute {
	return []Attribute{
		{Name: "schemas", Type: Reference, MultiValued: true, CaseExact: true, Mutability: ReadOnly, Returned: Always},
		{Name: "id", CaseExact: true, Mutability: ReadOnly, Returned: Always, Uniqueness: UniqueServer},
		{Name: "externalId", CaseExact: true},
		{Name: "meta", Type: Complex, Mutability: ReadOnly, SubAttributes: []Attribute{
			{Name: "resourceType", CaseExact: true, Mutability: ReadOnly},
			{Name: "created", Type: DateTime, Mutability: ReadOnly},
			{Name: "lastModified", Type: DateTime, Mutability: ReadOnly},
			{Name: "location", Type: Reference, CaseExact: true, Mutability: ReadOnly},
			{Name: "version", CaseExact: true, Mutability: ReadOnly},
		}},
	}
}
