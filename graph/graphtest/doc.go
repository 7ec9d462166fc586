// Package graphtest is a simulated Microsoft Entra tenant: enough of the sign-in service and of Microsoft Graph to read
// people, as unkind as the service itself. Tests, benchmarks and the demo share it; nothing else here pretends to be
// Entra. It does not import testing, so that a program can run it in process.
//
// A Tenant is an http.Handler and its zero value is ready; Start serves it over TLS, because sign-in libraries accept
// nothing less. The authority is the server's URL and the base of Graph that URL with "/v1.0" appended. People are put
// in with Add, Generate or Load and changed with Update, Delete, Purge, Restore and SetManager while it is served.
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
// Of Graph v1.0 (the sources are Graph's delta query overview, "user: delta", "user resource", "throttling guidance"
// and reports of what the live service sends):
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
// # What is not simulated
//
// Groups, writing, $batch, advanced queries, sign-in of people, the links that a purged manager leaves behind, and the
// mangled names of deleted users. Budgets are not enforced: throttling comes from rules.
package graphtest
