// Package graphtest is a simulated Microsoft Entra tenant: enough of the sign-in service and of Microsoft Graph to read
// and write people and groups, as unkind as the service itself. Tests, benchmarks and the demo share it; nothing else here pretends to be
// Entra. It does not import testing, so that a program can run it in process.
//
// A Tenant is an http.Handler and its zero value is ready; Start serves it over TLS, because sign-in libraries accept
// nothing less. The authority is the server's URL and the base of Graph that URL with "/v1.0" appended. People are put
// in with Add, Generate or Load and changed with Update, Delete, Purge, Restore and SetManager while it is served,
// groups with AddGroup and changed with UpdateGroup, DeleteGroup, PurgeGroup, RestoreGroup, AddMembers, RemoveMembers
// and SetMembers. Groups, Members and TransitiveUsers tell the truth that a client should arrive at. What requests write
// is seen by rounds, lists and look-ups in the same way as what these methods do.
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
//   - Writing users: POST and PATCH with the lengths, forms and characters of the user resource, verified domains, the
//     rules of passwords, and values that nobody else may have, refused as 400 with a detail ObjectConflict; PATCH
//     answers 204, null clears what can be cleared, extension attributes are merged and a new mail goes before the
//     proxy addresses. manager/$ref; DELETE, the bin with its mangled names, restore under the old name or a new one, and
//     deletion for good. Passwords are kept as hashes; SignsIn tells whether one is right.
//   - Writing groups: POST, PATCH and DELETE of security and Microsoft 365 groups, members@odata.bind for up to twenty
//     members, members/$ref one by one, and the deletion of the person where that last segment is forgotten.
//   - Each of the permissions that suffice for a write, down to single properties; sensitive actions on Administrators;
//     what is mastered on premises; groups with a rule, of Exchange, and for administrators' roles.
//   - Writes meet the lag of replicas as reads do: what is not visible yet is not found, and what is gone already not
//     either. Names and addresses are taken and free at once.
//   - $batch with up to twenty requests of any kind, dependsOn and 424: each is counted, throttled, asked about and
//     made to fail by itself, in an order of the service's own.
//   - domains, and the verified domains of the organization.
//   - The cost of each request in x-ms-resource-unit and, when it is switched on, the budget of an application in a
//     tenant, in units and in writes: 429 with Retry-After, x-ms-throttle-scope, x-ms-throttle-information and x-ms-throttle-limit-percentage.
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
// Of writes: the texts of most refusals and whether InvalidValue, MissingValue and ReadOnly are the codes of their
// details; which permissions two properties at once take (those of each); that a null list is refused, that both
// parts of employeeOrgData must be given, and that extension attributes cannot be cleared all at once; which properties of
// somebody synchronized are the cloud's own; that taking away a manager who is not there is 404; that the password of a
// profile must be changed unless it says otherwise; the words that passwords must not be made of; in which order the
// requests of a batch are made (any that dependsOn allows), how dependencies may be arranged (in any way but a circle),
// and that a request with a body but without Content-Type, or one that writes without a body, spoils the whole batch.
//
// # What is not simulated
//
// Sign-in of people, and the links that a purged manager leaves behind. Owners of groups (those of a new group must exist,
// and that is all), memberOf, membership rules (SetMembers does what an edited rule does), filters of members,
// the budgets of an application over all tenants, and filters with lambda all or $expand. Invitations, licences, photos,
// schema extensions and custom security attributes. Which two letters are a country, and what Exchange makes of addresses.
package graphtest
