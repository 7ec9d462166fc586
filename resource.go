package dirsync

import (
	"context"
	"time"
)

// Resource is a user or a group of the embedded directory as a provisioning client keeps it there: the directory's typed
// values, and beside them the client's own document. It is another view of an Account, with the same id; what one view
// writes the other one shows.
type Resource struct {
	// ID is the directory's id, Kind what the resource is.
	ID   string
	Kind Kind
	// Version is another one after every change of the resource, and never one that it had before. Changes of a group's
	// members are changes of the group.
	Version uint64
	// Created and Updated are set by the store.
	Created, Updated time.Time
	// Name is a user's userName and a group's displayName: no two resources of a kind have the same, by Fold. It is never
	// empty; for an account that no client has written yet, it is the e-mail address, and for a group its name.
	Name string
	// Display is a user's displayName, ExternalID the client's own id of the resource. Both may be empty, and several
	// resources may have the same.
	Display, ExternalID string
	// Emails are all addresses of a user, by which they can be found. Several users may have the same, the Unique field
	// e-mail aside.
	Emails []string
	// Active is false for a user who may not sign in.
	Active bool
	// Values are the directory's fields, with the exception of GroupsField. What the schema requires may be missing:
	// clients push people of whom they know a name only. A Reference is the id of another user of the directory, also where
	// a sync wrote the id that they have at its source; it has no value as long as nobody was made or joined for that id,
	// and the resource has changed when somebody is.
	Values Values
	// Document is whatever else the client has said, in a form of its own; the store does not look into it.
	Document []byte
	// Pending is Delete or Deactivate for a resource of which a client was told that this has happened, while it waits for
	// a person's approval. Until then the account stays as it is.
	Pending ChangeKind
	// Source is the object id of the person that a sync made or joined the account for, empty for accounts of clients. A
	// client may not write an account that belongs to a sync.
	Source ID
}

// ResourceKey is what resources can be found by without looking at all of them. Texts are compared by Fold, but for
// ByExternalID, which is exact.
type ResourceKey uint8

// The keys of resources.
const (
	ByName ResourceKey = iota + 1
	ByDisplay
	ByExternalID
	ByEmail
)

// ResourceEdit is what a client's request makes of a resource.
type ResourceEdit struct {
	// Resource replaces what there was. ID, Kind, Version, Created, Updated and Source are not looked at.
	Resource Resource
	// Add and Remove are the ids of users who join or leave a group; Only takes out everybody who is not in Add. Whoever is
	// in a group already is not added twice; an id of no user is an *Error of kind Invalid.
	Add, Remove []string
	Only        bool
	// Delete removes the resource instead, and keeps it as the directory keeps deleted accounts.
	Delete bool
}

// ResourceStore keeps resources. Every change is durable when the method returns, and happens in whole or not at all; many
// callers at once are committed together. Errors are *Error: NotFound, Conflict (with Field "userName", "displayName" of
// a group, or the directory's unique field; Value; and Other, the id of who has it), Invalid, and those of the file.
//
// What is pending is not hidden: it is for the caller to decide what a client sees of it.
type ResourceStore interface {
	// Resource returns one by its id.
	Resource(ctx context.Context, kind Kind, id string) (Resource, error)
	// FindResources returns all resources of a kind that have a value in a key, in the order of their ids, at most limit.
	FindResources(ctx context.Context, kind Kind, key ResourceKey, value string, limit int) ([]Resource, error)
	// Resources returns up to limit resources of a kind in the order in which they were made, those after an id; the empty
	// id begins. Skip passes over so many of them, at little cost.
	Resources(ctx context.Context, kind Kind, after string, skip, limit int) ([]Resource, error)
	// CountResources counts the resources of a kind, pending deletions included.
	CountResources(ctx context.Context, kind Kind) (int, error)
	// CreateResource makes a resource of r's ID-less content, and gives a group its members.
	CreateResource(ctx context.Context, r Resource, members []string) (Resource, error)
	// EditResource changes one resource as fn says. fn sees it as it is and runs while nobody else changes it; it may run
	// more than once, must not call the store, and its error is returned as it is with nothing changed. An edit that changes nothing keeps
	// Version and Updated. It returns what is kept then, or, for a Delete, what was kept.
	EditResource(ctx context.Context, kind Kind, id string, fn func(Resource) (ResourceEdit, error)) (Resource, error)
	// ResourceMembers returns up to limit members of a group in the order of their ids, those after an id.
	ResourceMembers(ctx context.Context, group, after string, limit int) ([]ResourceMember, error)
	// IsMember tells, for each user, whether they are a member of the group.
	IsMember(ctx context.Context, group string, users []string) ([]bool, error)
	// ResourceGroups returns the groups that a user is a direct member of, at most limit.
	ResourceGroups(ctx context.Context, user string, limit int) ([]ResourceMember, error)
}

// MemberCounter is a ResourceStore that knows how many members a group has without looking at them.
type MemberCounter interface {
	// CountMembers counts the members of a group. A group that is not there is an *Error of kind NotFound.
	CountMembers(ctx context.Context, group string) (int, error)
}

// ResourceMember names a member of a group, or a group of a member.
type ResourceMember struct {
	ID string
	// Name is the display name, or else the name.
	Name string
}
