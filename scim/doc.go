// Package scim is the language of SCIM 2.0 (RFC 7643, RFC 7644, RFC 9865): resources and the schemas that describe
// them, filters, paths, PATCH, projections and the protocol's messages. It is what a SCIM server and a SCIM client have
// in common. It does no I/O, has no clock, and knows nothing of where resources are kept.
//
// The parts, in the order in which a request meets them:
//
//   - Read turns bytes into values, within limits. A JSON object becomes an *Object, whose names ignore letter case.
//   - ResourceType says what resources look like: a core schema and extensions. Accept brings a resource that somebody
//     sent into the one form that is stored, or says what is wrong with it.
//   - ParseFilter and ResourceType.Compile decide which resources are meant; Project says which attributes are shown.
//   - ResourceType.ParsePatch brings every dialect of PATCH into one list of operations, Apply carries them out all or
//     none, and Diff goes the other way, from two resources to the patches between them.
//
// Servers must be forgiving towards clients that do not follow the standard, Microsoft Entra ID and Okta before all.
// Whatever is forgiven is reported as a Quirk, so that it can be logged. Whatever is refused is an *Error with the
// status and the scimType that belong on the wire. Neither ever holds a value that was sent, only names and positions,
// because values may be passwords.
//
// Values are shared, not copied: a function that returns a changed resource leaves the one it was given as it was, and
// the two share what did not change. Treat resources that are in use by others as read only, or Clone them.
package scim

// The schema URNs of RFC 7643 section 10 and of the messages of RFC 7644 section 8.
const (
	UserURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

	SchemaURN       = "urn:ietf:params:scim:schemas:core:2.0:Schema"
	ResourceTypeURN = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	ConfigURN       = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"

	ListURN         = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	SearchURN       = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	PatchURN        = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	BulkURN         = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
	BulkResponseURN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
	ErrorURN        = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// MediaType is the content type of every SCIM body (RFC 7644 section 8.1). Entra wants it without a charset.
const MediaType = "application/scim+json"
