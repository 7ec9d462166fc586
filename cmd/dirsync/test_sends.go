package main

import (
	"bytes"
	"encoding/json"
)

// printSends shows what the target would be sent, as it would be sent.
func (a *app) printSends(v traceView) {
	if v.SendFault != "" {
		a.printf("\nThe target would not be asked: %s\n", clean(v.SendFault))
	}
	for _, s := range v.Sends {
		a.printf("\n%s %s\n", s.Method, clean(s.Path))
		var body bytes.Buffer
		if len(s.Body) > 0 && json.Indent(&body, s.Body, "", "  ") == nil {
			a.printf("%s\n", body.String())
		}
	}
}
