// Package scimtest is a simulated application that people are provisioned to over SCIM 2.0: an http.Handler that keeps
// users and groups in memory and behaves like the applications that exist, their oddities first. Each oddity is a switch
// of Quirks; a Hook can make any request fail, fail having taken effect, or be slow; requests are counted, so that tests
// can assert on cost.
//
//	app := scimtest.New()
//	app.Quirks.PatchUnsupported = true
//	server := httptest.NewServer(app) // or app.Transport(), which touches no network and works in testing/synctest
//
// What it keeps is the language of package scim; what is special here is only how it answers. It does not import testing,
// so that a demonstration can run it.
package scimtest
