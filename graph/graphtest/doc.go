// Package graphtest is a simulated Microsoft Entra tenant: enough of the sign-in service and of Microsoft Graph to read
// people as the real service lets itself be read, the awkward parts included.
package graphtest
