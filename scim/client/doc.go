// Package client provisions users and groups to any application that speaks SCIM 2.0 (RFC 7643, RFC 7644, RFC 9865), and
// reads them from there.
//
// A Client is the dirsync.Target of an application's users; Client.Groups is that of its groups, and Client.Source reads
// them. All share one gate, which keeps the pace that the application bears, and one memory of who is there:
//
//   - Matching. Accounts are found by externalId, which is the source's object id, from one listing that is remembered as
//     hashes (some hundred bytes an account), or with filters where that costs fewer requests and was seen to work.
//   - Writing. One POST for somebody new, one PATCH of what differs for somebody changed, memberships gathered for each
//     group. Nothing is asked before a write.
//   - Losing answers. A POST whose answer was lost is looked for before it is sent again. All other requests can be
//     repeated.
//   - Quirks. What can be found out by behaviour is found out, whatever the discovery endpoints say: PATCH or PUT, filters
//     or none, pages by number or cursor, totals that are none, 400 for 404 and for 409, a PATCH that says yes and does
//     nothing. What cannot is in a Profile.
//   - Groups without PATCH. They are written as a whole, and only if it is known who is in them: what a PUT leaves out goes.
//   - Absence. A list is complete when it shows as many as it counts and nothing follows; whatever is no SCIM, such as a
//     page of HTML, says nothing about anybody, with status 200 or 404.
//
// Secrets are in headers and the token request's body only. What a target writes into its errors is searched for them.
package client
