package graph

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"

	abs "github.com/microsoft/kiota-abstractions-go"
	"github.com/microsoftgraph/msgraph-sdk-go/directoryobjects"

	"dirsync"
)

// extended is what a Source has found out about the tenant's directory extensions. It asks once.
type extended struct {
	// busy is a lock that a waiting caller can give up on. It guards what follows.
	busy   chan struct{}
	known  bool
	fields []dirsync.Field
	notes  []string
}

func newExtended() extended { return extended{busy: make(chan struct{}, 1)} }

// Fields lists what can be mapped: Catalogue, and the directory extensions that are defined in the tenant, under the
// names extension_{application id without dashes}_{name}. The tenant is asked once, and the answer kept.
//
// An application that may not ask, for want of Application.Read.All, gets the catalogue alone, and Notes says so.
// Extensions can be read all the same; see AssumeExtensions. Any other error is an error of Fields. Of the zero Source
// the fields are the catalogue.
func (s *Source) Fields(ctx context.Context) ([]dirsync.Field, error) {
	if s.client == nil {
		return Catalogue(), nil
	}
	if err := s.extended.lock(ctx); err != nil {
		return nil, s.client.sendError(ctx, fieldsOp, err)
	}
	defer s.extended.unlock()
	if !s.extended.known {
		if err := s.discover(context.WithValue(ctx, counterKey{}, &s.sent)); err != nil {
			return nil, err
		}
	}
	return append(Catalogue(), s.extended.fields...), nil
}

// Notes are sentences about what Fields could not list, for people. They are empty before Fields was called, and when
// nothing is missing.
func (s *Source) Notes() []string {
	if s.client == nil || s.extended.lock(context.Background()) != nil {
		return nil
	}
	defer s.extended.unlock()
	return slices.Clone(s.extended.notes)
}

func (e *extended) lock(ctx context.Context) error {
	select {
	case e.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (e *extended) unlock() { <-e.busy }

const fieldsOp = "list the properties of users"

// discover asks for the definitions of directory extensions (Graph document "directoryObject:
// getAvailableExtensionProperties").
func (s *Source) discover(ctx context.Context) error {
	builder := directoryobjects.NewGetAvailableExtensionPropertiesRequestBuilderInternal(s.client.pathParameters(), s.client.adapter)
	// The body is empty, to ask for all of them, and too small to register the SDK's writers of JSON for.
	info := abs.NewRequestInformationWithMethodAndUrlTemplateAndPathParameters(abs.POST, builder.UrlTemplate, builder.PathParameters)
	info.Headers.TryAdd("Accept", "application/json")
	info.SetStreamContentAndContentType([]byte("{}"), "application/json")
	a, err := s.client.send(ctx, fieldsOp, info, nil)
	switch {
	case err != nil:
		return err
	case notPermitted(a):
		s.extended.known = true
		s.extended.notes = []string{"Directory extensions are not listed: the application has no Application.Read.All. They can be mapped by their full names all the same, as texts."}
		return nil
	case a.status != http.StatusOK:
		return s.client.graphError(fieldsOp, a)
	}
	fields, more, err := decodeExtensions(a.body)
	if err != nil {
		return s.client.decodeError(fieldsOp, a, err)
	}
	s.extended.known, s.extended.fields = true, fields
	if more {
		s.extended.notes = []string{"Not all directory extensions are listed: Microsoft Graph names more than fit into one answer. Those that are missing can be mapped by their full names, as texts."}
	}
	return nil
}

var (
	extensionForm  = regexp.MustCompile(`^extension_[0-9a-fA-F]{32}_[A-Za-z0-9_]{1,200}$`)
	extensionsText = regexp.MustCompile(`\bextension_[0-9a-fA-F]{32}_[A-Za-z0-9_]{1,200}`)
)

// decodeExtensions reads definitions of directory extensions. The second result says that there are more of them.
// Definitions for other kinds of object are left out, and so are those whose names no extension can have.
func decodeExtensions(body []byte) (fields []dirsync.Field, more bool, err error) {
	if _, err := document(body); err != nil {
		return nil, false, err
	}
	var doc struct {
		Next  string `json:"@odata.nextLink"`
		Value *[]struct {
			Name, DataType, AppDisplayName string
			IsMultiValued                  bool
			TargetObjects                  []string
		}
	}
	if err := json.Unmarshal(body, &doc); err != nil || doc.Value == nil {
		return nil, false, errors.New(`it has no list of extensions: "value" is missing or no array of definitions`)
	}
	listed := map[string]bool{}
	for _, e := range *doc.Value {
		user := slices.ContainsFunc(e.TargetObjects, func(target string) bool { return strings.EqualFold(target, "User") })
		if !user || listed[e.Name] || !extensionForm.MatchString(e.Name) {
			continue
		}
		listed[e.Name] = true
		f := dirsync.Field{Name: e.Name, Label: e.Name[len("extension_")+33:]}
		if app := clip(e.AppDisplayName); app != "" {
			f.Label += " (" + app + ")"
		}
		f.Type, f.Refused = extensionType(e.DataType, e.IsMultiValued)
		fields = append(fields, f)
	}
	slices.SortFunc(fields, func(a, b dirsync.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields, doc.Next != "", nil
}

// extensionType is the type of an extension, or the reason why it has none (Graph document "extensionProperty resource
// type").
func extensionType(dataType string, list bool) (typ dirsync.Type, refused string) {
	types := map[string]dirsync.Type{"string": dirsync.Text, "boolean": dirsync.Boolean, "datetime": dirsync.DateTime,
		"integer": dirsync.Number, "largeinteger": dirsync.Number}
	typ, known := types[strings.ToLower(dataType)]
	switch {
	case strings.EqualFold(dataType, "Binary"):
		return dirsync.Text, "it holds binary data, which no field can take"
	case !known:
		return dirsync.Text, "its data type " + clip(dataType) + " is not known"
	case list && typ == dirsync.Text:
		return dirsync.TextList, ""
	case list:
		return dirsync.TextList, "it holds a list, and of lists only those of texts can be mapped"
	}
	return typ, ""
}

// AssumeExtensions returns fields, and a field of type text for every directory extension that is named in texts, which
// are expressions and property names of a mapping, but that fields does not list. So an extension can be mapped by its
// full name, extension_{application id without dashes}_{name}, although nobody could ask the tenant for it. Whether it
// is there, and whether it is a text, shows when it is read.
func AssumeExtensions(fields []dirsync.Field, texts ...string) []dirsync.Field {
	listed := map[string]bool{}
	for _, f := range fields {
		listed[f.Name] = true
	}
	fields = slices.Clip(fields)
	for _, text := range texts {
		for _, name := range extensionsText.FindAllString(text, -1) {
			if !listed[name] {
				listed[name] = true
				fields = append(fields, dirsync.Field{Name: name, Label: name[len("extension_")+33:], Type: dirsync.Text})
			}
		}
	}
	return fields
}
