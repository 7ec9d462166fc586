// Package notifytest holds what every notify.Outbox and notify.Inbox must pass, and a Memory that is both. Stores run the
// suites in their own tests; the tests of package notify run against the Memory.
package notifytest
