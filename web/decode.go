package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of a request.
const (
	maxBody  = 1 << 20
	maxDepth = 8
	// maxPeople is how many people one request may name, maxText how long a name or an id may be, and maxReason a reason;
	// in characters.
	maxPeople = 10_000
	maxText   = 256
	maxReason = 1000
	// defaultLimit and maxLimit are rows of a page.
	defaultLimit = 50
	maxLimit     = 500
)

// decode reads the body of a request into a struct. It must be one JSON object whose fields are all known, spelled exactly
// so and given once; nowhere may be a null, because a list that is null by mistake must not mean "everybody".
func decode(w http.ResponseWriter, r *http.Request, into any) error {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset := params["charset"]; err != nil || media != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return &refusal{code: codeBadMediaType, detail: "the body must be JSON", hint: "Send the header Content-Type: application/json."}
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return &refusal{code: codeBadMediaType, detail: "the body must not be compressed", hint: "Leave out the header Content-Encoding."}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return &refusal{code: codeTooLarge, detail: "the body is larger than 1 MiB"}
	}
	if err != nil {
		return badRequest("the body ended early", "")
	}
	return decodeBody(body, into)
}

// decodeBody is decode without HTTP.
func decodeBody(body []byte, into any) error {
	if !utf8.Valid(body) {
		return badRequest("the body is not UTF-8", "")
	}
	if err := scan(body, fieldNames(reflect.TypeOf(into).Elem())); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return badRequest(fmt.Sprintf("the field %q may not be a %s", wrong.Field, wrong.Value), "docs/api.md says what it may be.")
		}
		return badRequest("the body does not fit: "+strings.TrimPrefix(err.Error(), "json: "), "docs/api.md says what the body may have.")
	}
	return nil
}

// fieldNames are the names of a struct's fields in JSON.
func fieldNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// scan refuses what encoding/json lets through: other spellings, repeated fields, nulls, depth, and a second value.
func scan(body []byte, known []string) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	first, err := dec.Token()
	if err != nil {
		return syntax(err)
	}
	if first != json.Delim('{') {
		return badRequest("the body is not a JSON object", `Send {} if there is nothing to say.`)
	}
	if err := scanObject(dec, known, 1); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badRequest("something follows the JSON object", "")
	}
	return nil
}

func scanObject(dec *json.Decoder, known []string, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return syntax(err)
		}
		name, _ := key.(string) // what More and Token deliver in an object
		switch {
		case known != nil && !slices.Contains(known, name):
			return badRequest(fmt.Sprintf("there is no field %q", short(name)), "The fields are: "+strings.Join(known, ", ")+".")
		case seen[name]:
			return badRequest(fmt.Sprintf("the field %q is there twice", short(name)), "")
		}
		seen[name] = true
		if err := scanValue(dec, name, depth); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return syntax(err)
}

func scanValue(dec *json.Decoder, name string, depth int) error {
	token, err := dec.Token()
	switch {
	case err != nil:
		return syntax(err)
	case token == nil:
		return badRequest(fmt.Sprintf("the field %q is null", short(name)), "Leave it out instead.")
	case depth >= maxDepth && (token == json.Delim('{') || token == json.Delim('[')):
		return badRequest("the body is nested too deeply", "")
	case token == json.Delim('{'):
		return scanObject(dec, nil, depth+1)
	case token == json.Delim('['):
		for dec.More() {
			if err := scanValue(dec, name, depth+1); err != nil {
				return err
			}
		}
		_, err := dec.Token()
		return syntax(err)
	}
	return nil
}

func syntax(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return badRequest("the body is empty or ends early", `Send {} if there is nothing to say.`)
	}
	return badRequest("the body is not JSON: "+err.Error(), "")
}

func short(name string) string {
	if runes := []rune(name); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return name
}

// line checks a text that becomes part of a record: one line of at most limit characters. Empty is fine.
func line(name, text string, limit int) error {
	if n := utf8.RuneCountInString(text); n > limit {
		return badRequest(fmt.Sprintf("%s has %d characters, more than %d", name, n, limit), "")
	}
	if strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError || r == 0x2028 || r == 0x2029 }) >= 0 {
		return badRequest(name+" has characters that are no text", "Write it in one line.")
	}
	return nil
}

// names checks a list of people or notes. One that is there and empty is refused: whoever has computed whom to decide about
// and found nobody must not decide about everybody.
func names(field string, list []string) error {
	switch {
	case list == nil:
		return nil
	case len(list) == 0:
		return badRequest(field+" is empty", "Leave it out to mean everybody.")
	case len(list) > maxPeople:
		return badRequest(fmt.Sprintf("%s has %d entries, more than %d", field, len(list), maxPeople), "Send several requests.")
	}
	for _, text := range list {
		if text == "" {
			return badRequest(field+" has an empty entry", "")
		}
		if err := line("an entry of "+field, text, maxText); err != nil {
			return err
		}
	}
	return nil
}

// query is a request's parameters, all of them known and given once.
type query struct{ values url.Values }

// parameters reads a request's query; whatever is not allowed is refused.
func parameters(r *http.Request, allowed ...string) (query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return query{}, badRequest("the query cannot be understood", "Escape what is not a letter or a digit.")
	}
	for name, given := range values {
		switch {
		case !slices.Contains(allowed, name) && len(allowed) == 0:
			return query{}, badRequest(fmt.Sprintf("there is no parameter %q", short(name)), "This path takes none.")
		case !slices.Contains(allowed, name):
			return query{}, badRequest(fmt.Sprintf("there is no parameter %q", short(name)), "The parameters are: "+strings.Join(allowed, ", ")+".")
		case len(given) > 1:
			return query{}, badRequest(fmt.Sprintf("the parameter %q is there twice", name), "")
		}
		if !utf8.ValidString(given[0]) {
			return query{}, badRequest(fmt.Sprintf("the parameter %q is not UTF-8", name), "")
		}
		if name != "after" {
			if err := line("the parameter "+name, given[0], maxText); err != nil {
				return query{}, err
			}
		}
	}
	return query{values}, nil
}

func (q query) get(name string) string { return q.values.Get(name) }

// required returns a parameter that must be there.
func (q query) required(name string) (string, error) {
	if v := q.get(name); v != "" {
		return v, nil
	}
	return "", badRequest(fmt.Sprintf("the parameter %q is missing", name), "")
}

// limit is the number of rows that are asked for.
func (q query) limit() (int, error) {
	text, given := q.get("limit"), q.values.Has("limit")
	if !given {
		return defaultLimit, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxLimit {
		return 0, badRequest("the parameter limit is not a number from 1 to "+strconv.Itoa(maxLimit), "")
	}
	return n, nil
}

// after reads a position that an earlier page has returned as its next.
func (q query) after(into any) error {
	text := q.get("after")
	if text == "" {
		if q.values.Has("after") {
			return badRequest("the parameter after is empty", "Leave it out to begin at the beginning.")
		}
		return nil
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		if err = dec.Decode(into); err == nil && dec.More() {
			err = errors.New("more follows")
		}
	}
	if err != nil || len(text) > 1024 {
		return badRequest("the parameter after is not what an earlier page returned", "Leave it out to begin at the beginning.")
	}
	return nil
}

// position writes what after reads. Its form is nobody's business but ours.
func position(key any) string {
	b, err := json.Marshal(key)
	if err != nil { // keys are numbers, words and times
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// cut makes a page of at most limit rows out of rows, of which one more was asked for to see whether there are any.
func cut[T any](rows []T, limit int, key func(T) any) ([]T, string) {
	if len(rows) <= limit {
		return rows, ""
	}
	rows = rows[:limit]
	return rows, position(key(rows[limit-1]))
}
