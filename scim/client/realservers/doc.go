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
// What they taught is in the profiles and in what package client finds out by behaviour:
//
//   - SCIMMY keeps to the standard. It lists users with their groups, and pages of twenty claim to be of twenty when one
//     is on them.
//   - Polis finds users by their first e-mail address alone, whatever the filter says; claims that the page is all there
//     is; answers PATCH with 200 although it has not understood the path; never shows a group's members; and keeps an
//     address taken that somebody had once.
package realservers
