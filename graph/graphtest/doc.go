// Package graphtest is a simulated Microsoft Entra tenant: enough of the sign-in service and of Microsoft Graph to read
// people and groups, as unkind as the service itself. Tests, benchmarks and the demo share it; nothing else here pretends to be
// Entra. It does not import testing, so that a program can run it in process.
//
// A Tenant is an http.Handler and its zero value is ready; Start serves it over TLS, because sign-in libraries accept
// nothing less. The authority is the server's URL and the base of Graph that URL with "/v1.0" appended. People are put
// in with Add, Generate or Load and changed with Update, Delete, Purge, Restore and SetManager while it is served,
// groups with AddGroup and changed with UpdateGroup, DeleteGroup, PurgeGroup, RestoreGroup, AddMembers, RemoveMembers
// and SetMembers. Groups, Members and TransitiveUsers tell the truth that a client should arrive at.
//
// # What is simulated
//
// Of the sign-in service:
//
//   - the OpenID configuration, whose issuer has the server's own host, and AADSTS90002 for an unknown tenant there;
//   - the token endpoint for client credentials, by secret or by an assertion signed with PS256 or RS256 (RFC 7523),
//     with the refusals of Microsoft's list of AADSTS errors in their real envelope, 401 where the service says 401;
//   - access tokens in the form of version 1.0, without roles when nothing was consented to, that expire by the clock;
//   - both forms of administrators' consent, the redirect of which says admin_consent=True when it was declined, too.
//
// Of Graph v1.0 (the sources are Graph's delta query overview, "user: delta", "group: delta", "user resource", "group
// resource", "advanced query capabilities on directory objects", "list group members", "limited information returned for
// inaccessible member objects" of the permissions reference, "user: checkMemberGroups", "directoryObject:
// getAvailableExtensionProperties", "throttling guidance" with the limits of the identity service, and reports of what
// the live service sends):
//
//   - users/delta in every spelling. $select decides what is sent and what is tracked; $filter takes up to fifty ids;
//     $top is ignored; $deltatoken=latest gives only the link; anything else is refused, and so is a property that
//     cannot be tracked. Pages hold 200 rows at most, whatever Prefer asks for.
//   - Values: never set is absent, cleared is null, and a changed object repeats what was selected, unless
//     return=minimal is preferred. Without $select the default properties and the manager are sent. manager@delta is a
//     list, in which a link that went is a tombstone with reason "deleted".
//   - Rounds have no snapshot: a row shows its object at the moment of the page. A change during a round is seen in that
//     round or the next. Somebody deleted is a tombstone with reason "changed", and once more with "deleted" when the
//     thirty days are over or they are purged, even for a client that never heard of them. Somebody restored comes
//     whole. Nobody who was gone before the first request is mentioned by it, and a deletion that falls into the
//     gap after an expired token is never reported.
//   - Tokens are opaque: sealed, of this tenant alone, and refused when they are changed. Delta tokens live seven days.
//   - users, users/{id or name}, users/{id}/manager, $expand=manager, directory/deletedItems and organization, with
//     nulls for what was selected and is not set, and accountEnabled only when it is asked for.
//   - groups/delta in every spelling, with all of the above and the members, which are sent without $select, too:
//     direct ones alone, users, groups, devices, service principals and contacts, at most 500 links on a page, so that a
//     large group comes in parts on several. A member who went is a tombstone with reason "deleted" whether they exist or
//     not, a group without members has no members@delta, somebody soft-deleted stays a member, and a restored group
//     comes whole. Microsoft 365 groups are deleted softly, others for good.
//   - groups, groups/{id}, groups(uniqueName='{name}'), members and transitiveMembers with both spellings of casts, in
//     pages of up to 999 and at the cost that Graph puts on them; users/{id}/checkMemberGroups for up to 20 groups; the
//     bin. Members of a kind that the application may not read are a type and an id, and the rest null; hidden
//     membership takes Member.Read.Hidden.
//   - Lists of users and groups with $top up to 999, $filter, $search, $orderby, $count and /$count. What only advanced
//     queries answer, such as ranges of createdDateTime, needs ConsistencyLevel: eventual beside $count=true, on the
//     pages that follow as well. Their index can be made to lag.
//   - directoryObjects/getByIds for up to 1,000 ids of any kind: who is not there is left out without a word, and whom the
//     application may not read is a type, an id and nulls. $select is obeyed and its price that of the document of
//     limits, although the document of getByIds does not know it; whether User.Read.All suffices, as here, or a permission
//     for the directory is needed, as that document says, is a switch.
//   - directoryObjects/getAvailableExtensionProperties, for which the roles of a new tenant do not suffice.
//   - The cost of each request in x-ms-resource-unit and, when it is switched on, the budget of an application in a
//     tenant: 429 with Retry-After, x-ms-throttle-scope, x-ms-throttle-information and x-ms-throttle-limit-percentage.
//   - Graph's errors, with a date without zone in innerError, request ids, the challenge in WWW-Authenticate, 403
//     without a role that suffices, and compressed request bodies.
//
// Everything that can go wrong is a switch of Faults, a Rule or the Hook. All are off at first, they can be combined,
// and what looks random in them follows from a seed.
//
// # Where the service is not known
//
// Some answers are guesses: the error for a token that is not one (400 BadRequest here), for options that delta queries
// do not support (400 Request_UnsupportedQuery), for options beside a token (refused, although the documents allow
// $select beside some delta tokens), the life of page tokens (an hour), and whether a first round shows a cleared
// property as null (it does here).
//
// Of groups it is not known, and guessed: what becomes of a member who left and joined again within a round (a link, as
// if they had joined), of one who joined and left (a tombstone), and of links to somebody soft-deleted in a first round
// (they are sent); what is shown of hidden membership without the permission (403 for its members, nothing in a round or
// in transitive members, and no from checkMemberGroups); how many links a page has when nothing is preferred (500), and
// that odata.maxpagesize bounds objects and links each; whether a group in a circle is its own transitive member (it is
// not); that transitive members come in an order that changes do not disturb. Of lists: which properties can be filtered
// without an advanced query beyond the common ones (plain filters here are equality of those, and startswith, ge and
// le of displayName and userPrincipalName), by what order texts are compared (of characters here, letter case
// disregarded), that createdDateTime can be compared with lt and gt, which the documents do not name, and that a cast
// needs no advanced query. Of budgets: that a request which is throttled costs nothing, as do those
// answered with 400 and 403.
//
// # What is not simulated
//
// Writing, $batch, sign-in of people, the links that a purged manager leaves behind, and the mangled names of deleted
// users. Owners of groups, memberOf, membership rules (SetMembers does what an edited rule does), filters of members,
// the budgets of an application over all tenants and of writes, and filters with lambda all or $expand.
package graphtest
