package client_test

import (
	"io"
	"net/http"
	"strings"

	"github.com/rs/zerolog"
)

// roundTrip is a transport made of a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

func logTo(w io.Writer) zerolog.Logger { return zerolog.New(w).Level(zerolog.DebugLevel) }

// read is the body of an answer.
func read(r *http.Response) string {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
