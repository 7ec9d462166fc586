// Package web is the HTTP side of the daemon: the control API, its client, the signs of life and the metrics.
//
// It decides nothing. Whatever it is asked goes to a Daemon, an interface over the plain structs of this package, which
// are the API: their JSON is what openapi.yaml describes, and a test holds the two together. Client speaks the same API
// from the other end and is itself a Daemon, so that a command does the same whether the daemon runs or not.
//
// # Doors
//
// The API has two doors. One is a Unix socket beside the store, which only the daemon's own user and root can open (mode
// 0600); whoever can open it could as well open the store. It alone carries Exec, by which whole command lines are run by
// the daemon. The other is TCP, if configured: always with bearer tokens, and with TLS unless it is the loopback
// interface. A third door, for metrics and signs of life alone, asks for no token.
//
// # What is refused
//
// Every request is taken to be hostile. A wrong token is compared in constant time, as SHA-256 hashes, and whoever sends
// too many is refused for a while. Requests of browsers on behalf of another site are refused by their Origin and
// Sec-Fetch-Site headers, and names that the daemon does not go by are refused, because a name that suddenly means
// 127.0.0.1 is how a browser is led past its same-origin policy. Bodies are JSON of at most 1 MiB, without unknown or
// repeated fields and without null; query parameters are as strict. Nobody may send or read slowly, except that streams
// may be long. Answers to all of that are problem details (RFC 9457) with a stable code. No token, and no query, reaches
// a log or an error.
//
// What is accepted cannot fail half-way in silence: approving and undoing name the digest of the list that was seen.
package web
