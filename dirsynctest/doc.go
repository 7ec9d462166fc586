// Package dirsynctest holds what the tests of sources, targets and stores have in common: for each of the interfaces a
// conformance suite that every implementation must pass, and a fake that lives in memory, passes the same suite, and
// can be told to fail.
package dirsynctest
