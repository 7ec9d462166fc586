package web

import (
	_ "embed"
	"net/http"
	"time"
)

//go:embed openapi.yaml
var openAPI string

// OpenAPI returns the description of the API: an OpenAPI 3.1 document in YAML.
func OpenAPI() string { return openAPI }

func (h *handler) openAPI(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/yaml")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout)) // a test's recorder has no deadlines
	_, _ = w.Write([]byte(openAPI))                                                  // whoever is gone is gone
	return nil
}
