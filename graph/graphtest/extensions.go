package graphtest

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Extension is one directory extension that an application, or the synchronization from a directory on premises, has
// defined in the tenant (Graph reference, extensionProperty resource). Values are set with Add and Update under the
// name that Property returns. A property of that form can be selected whether or not it is defined; its definition
// makes it known to whoever asks what there is, and gives it the data type by which delta queries send it.
type Extension struct {
	// Name is the short name, without the prefix that Property adds.
	Name string
	// AppID is the application that defined it, a GUID. Empty means the tenant's own ClientID.
	AppID string
	// AppName is that application's display name. Empty is what those synced from on premises have here: "".
	AppName string
	// DataType is "String", "Boolean", "DateTime", "Integer", "LargeInteger" or "Binary". Empty means "String".
	DataType string
	// MultiValued says that a value is a list, OnPremises that it is synced from on premises.
	MultiValued, OnPremises bool
	// Targets are the kinds of object that can have it. Nil means "User" alone.
	Targets []string
}

// Property returns the property's name in Graph, "extension_{AppID without dashes}_{Name}". For an extension without
// an AppID that is its name in a tenant whose ClientID is DefaultClientID.
func (e Extension) Property() string { return e.property(DefaultClientID) }

func (e Extension) property(client string) string {
	return "extension_" + strings.ReplaceAll(or(e.AppID, client), "-", "") + "_" + e.Name
}

// AddExtension defines directory extensions, which may be done while the tenant is served, and returns their
// properties' names in order.
func (t *Tenant) AddExtension(defined ...Extension) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Extensions = append(t.Extensions[:len(t.Extensions):len(t.Extensions)], defined...)
	names := make([]string, len(defined))
	for i, e := range defined {
		names[i] = e.property(t.identity().ClientID)
	}
	return names
}

// extensionRoles are the application permissions each of which suffices to ask which extensions there are (Graph
// reference, directoryObject: getAvailableExtensionProperties).
func extensionRoles() []string {
	return []string{"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
}

// extensions answers directoryObjects/getAvailableExtensionProperties, all of them on one page.
func (q *request) extensions() answer {
	var wanted struct {
		OnPremises *bool `json:"isSyncedFromOnPremises"`
	}
	if len(q.body) > 0 {
		if err := json.Unmarshal(q.body, &wanted); err != nil {
			return q.fail(http.StatusBadRequest, "Request_BadRequest", "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
		}
	}
	client := q.t.identity().ClientID
	value := []any{}
	for _, e := range q.t.Extensions {
		if wanted.OnPremises != nil && *wanted.OnPremises != e.OnPremises {
			continue
		}
		targets := e.Targets
		if targets == nil {
			targets = []string{"User"}
		}
		value = append(value, map[string]any{
			"id": guid(q.t.identity().ID, "extension", e.property(client)), "deletedDateTime": nil,
			"appDisplayName": e.AppName, "dataType": or(e.DataType, "String"), "isMultiValued": e.MultiValued,
			"isSyncedFromOnPremises": e.OnPremises, "name": e.property(client), "targetObjects": targets,
		})
	}
	return q.json(http.StatusOK, map[string]any{
		"@odata.context": q.base() + "/v1.0/$metadata#directoryObjects", "value": value,
	})
}

// extensionTypes are the data types of the extensions that are defined, by the names of their properties.
func (t *Tenant) extensionTypes() map[string]string {
	if len(t.Extensions) == 0 {
		return nil
	}
	client := t.identity().ClientID
	types := make(map[string]string, len(t.Extensions))
	for _, e := range t.Extensions {
		types[e.property(client)] = or(e.DataType, "String")
	}
	return types
}
