// Package realservers syncs people and groups to SCIM servers that this project did not write, in a test. There is no
// code in it but tests: it holds what a simulated application cannot, that package client gets on with what others made of
// the same documents.
//
// Each folder here is one server: package.json and package-lock.json fix its versions, server.mjs starts it on the
// loopback interface, and says nothing about SCIM itself. They need Node.js 20 and their packages, which are installed
// outside of the checkout:
//
//	.ci/run realservers
//
// or by hand
//
//	mkdir -p /tmp/real && cp -r scim/client/realservers/*/ /tmp/real
//	for d in /tmp/real/*; do (cd "$d" && npm ci --ignore-scripts --omit=optional); done
//	go test ./scim/client/realservers -realservers /tmp/real
//
// What they taught is found out by behaviour in package client, without a profile:
//
//   - SCIMMY keeps to the standard. But it makes somebody a member twice who is added twice, and answers a PATCH that
//     changes nothing with 204 and no body, so that who is in which group is read before anybody joins blindly.
//   - Polis counts at most fifty users, however many there are: the end of a list is where nothing follows. It answers
//     PATCH with 200 although it has not understood a path (extensions, the removal of an element), and shows the old
//     value: then PUT is used. It filters by the first e-mail address, whatever the filter asks for; shows externalId of
//     groups in lists only, and members never; and keeps a name taken that somebody had once, which is a conflict.
package realservers
