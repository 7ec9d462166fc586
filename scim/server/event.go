package server

import (
	"time"

	"dirsync/scim"
)

// Event is what is remembered of one request. It holds names and ids, and no other value that was sent.
type Event struct {
	Time time.Time
	// Token is Principal.Name, empty when the request was not signed in.
	Token  string
	Method string
	// Resource is "User" or "Group", or else the endpoint, such as "Bulk" or "Schemas"; ID and Name are those of the
	// resource, as far as it is known. A list has neither.
	Resource, ID, Name string
	// Operation is the number of the operation within a bulk request, from 1; 0 for a request. The operations of a bulk
	// request have events of their own, before that of the request.
	Operation int
	// Status and SCIMType are what was answered, and Detail the sentence that an error says.
	Status           int
	SCIMType, Detail string
	Duration         time.Duration
	// Quirks are what was understood although the standard does not allow it, or left out: attributes that nobody knows
	// are here.
	Quirks []scim.Quirk
	// Changed are the names of the attributes that changed.
	Changed []string
	// Held is true when a Guard held the change back and the client was told that it is done.
	Held bool
}

// BroughtBack is the quirk of a creation by which somebody who was deleted, and is kept, got another externalId: the client
// may mean somebody else, who has got the name since then.
const BroughtBack scim.QuirkCode = "broughtBack"
