// Package graph reads people and groups out of a Microsoft Entra ID tenant through Microsoft Graph.
//
// A Client signs in with an application's own credential (OAuth 2.0 client credentials), proves which tenant it talks
// to, and makes Sources. Consent has an administrator grant the permissions that this takes. A Source walks Graph's delta
// query for users, reads large tenants for the first time in parallel, and looks up users by id, one or many at a time. A
// GroupSource walks the delta queries for groups, fifty groups each, and lists who is in a group. Requests are
// built by the Graph SDK's request builders and sent through its adapter, but answers are decoded here from their raw
// JSON: the SDK's models cannot tell a property that was cleared from one that was not sent, and that difference
// decides whether somebody's data is kept or erased.
//
// The package never decides what an answer means for anybody's account. It reports: records and tombstones that the
// service stated, ErrCursorExpired and ErrPageExpired when reading must begin again, and for everything else a
// *dirsync.Error with a kind, a moment to come back, and a sentence of advice. An answer that was not understood in
// full is never reported as data.
//
// There is one layer of retries, in this package, for sign-in and Graph alike; the retries of the libraries are off.
// Secrets, tokens and links are kept out of errors and logs.
package graph
