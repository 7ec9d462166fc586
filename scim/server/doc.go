// Package server is a SCIM 2.0 server (RFC 7643, RFC 7644, RFC 9865) over the embedded directory: an http.Handler to which
// Microsoft Entra ID, Okta and others push users and groups.
//
//	s, err := server.New(server.Config{Store: directory, Authenticate: check})
//	mux.Handle("/scim/v2/", s)
//
// What is kept of a resource has two halves. The names by which it is found and the directory's typed fields are columns
// of a dirsync.Resource, which the rest of the program reads and a sync may write, too. Everything else that the standard
// knows, and every value in the very spelling in which it was sent, is in Resource.Document. An answer is the document as
// long as the columns are as they were when it was written; what somebody else has changed since then is laid over it.
//
// The language itself (dialects of PATCH, filters, schemas) is package scim; here is only what needs a store, a clock and
// HTTP. Equality of an indexed attribute is looked up; any other filter reads everybody, within a time. Members of a group
// are never all in memory: a PATCH becomes who joins and who leaves, and a GET streams.
//
// Nothing that a client sends ends in a log, in an Event or in the detail of an error, but for names and ids.
package server
