//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

// terminalCommand needs terminals as Linux has them.
func terminalCommand(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Fatalf("terminal: there are terminals on Linux only; skip the script elsewhere")
}
