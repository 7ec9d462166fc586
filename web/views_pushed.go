package web

import (
	"encoding/json"
	"time"
)

// SCIMStatus says how the SCIM server over the embedded directory stands.
type SCIMStatus struct {
	// Listen is where it listens, Listening whether it does; the base URL is what clients are given.
	Listen    string `json:"listen"`
	Listening bool   `json:"listening"`
	URL       string `json:"url"`
	// FedBy says who fills the directory: "scim" or "syncs". While syncs do, clients can only read.
	FedBy string `json:"fed_by"`
	// CertificateExpires is when nobody can connect any more; absent when the server has no certificate of its own.
	CertificateExpires time.Time `json:"certificate_expires,omitzero"`
	// Users and Groups are in the directory.
	Users  int `json:"users"`
	Groups int `json:"groups"`
	// OpenHolds are lists of what clients have taken away and nobody has decided about, Held how many users and groups are on
	// them. What was held within the last minute may not be counted yet.
	OpenHolds int `json:"open_holds"`
	Held      int `json:"held"`
	// Answered counts the requests since the start of the daemon; absent when none runs.
	Answered *SCIMAnswered `json:"answered,omitempty"`
	Tokens   []SCIMToken   `json:"tokens"`
}

// SCIMAnswered counts requests of SCIM clients by the class of what was answered.
type SCIMAnswered struct {
	Since time.Time `json:"since"`
	// Done were answered with 2xx, Unchanged with 3xx, Refused with 4xx and Failed with 5xx.
	Done      int `json:"done"`
	Unchanged int `json:"unchanged"`
	Refused   int `json:"refused"`
	Failed    int `json:"failed"`
	// TurnedAway had wrong tokens, and came from addresses from which too many of these had come. They are in no other figure.
	TurnedAway int `json:"turned_away"`
}

// SCIMToken is somebody who may use the SCIM server.
type SCIMToken struct {
	Name string `json:"name"`
	// LastUsed is to the minute; absent when it never was. Expires is when it ends; absent when it does not.
	LastUsed time.Time `json:"last_used,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Expired  bool      `json:"expired"`
	// LastRequest is the latest that is remembered.
	LastRequest *SCIMRequest `json:"last_request,omitempty"`
}

// SCIMRequest is one request of a SCIM client. It holds names and ids, and no other value that was sent.
type SCIMRequest struct {
	Time time.Time `json:"time"`
	// Token is the name of the token.
	Token  string `json:"token,omitempty"`
	Method string `json:"method"`
	// Resource is "User" or "Group", or else the endpoint; ID and Name are those of the resource, as far as they are known.
	Resource string `json:"resource,omitempty"`
	ID       string `json:"id,omitempty"`
	Name     string `json:"name,omitempty"`
	// Operation is the number of the operation within a bulk request, from 1.
	Operation int `json:"operation,omitempty"`
	Status    int `json:"status"`
	// SCIMType and Detail say why it was refused.
	SCIMType string `json:"scim_type,omitempty"`
	Detail   string `json:"detail,omitempty"`
	// Changed are the attributes that have changed; Held says that the client was told so, and that it waits for approval.
	Changed []string `json:"changed,omitempty"`
	Held    bool     `json:"held,omitempty"`
	// Quirks are what was understood although it is odd, or left out.
	Quirks []SCIMQuirk `json:"quirks,omitempty"`
}

// SCIMQuirk is something odd in a request: a code for programs, and a sentence.
type SCIMQuirk struct {
	Code string `json:"code"`
	Text string `json:"text"`
}

// Pushed is what is known of one user or group of the directory that SCIM clients push, rather than a sync.
type Pushed struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	// UserName is a user's userName and a group's displayName.
	UserName    string `json:"user_name"`
	DisplayName string `json:"display_name,omitempty"`
	ExternalID  string `json:"external_id,omitempty"`
	// Status is "active", "inactive" or, for whom only the history still knows, "gone".
	Status string `json:"status"`
	// Because says in a sentence where they come from, and From which token made them; it is absent when that is not
	// remembered. Source is the object id of the person whose account it is, if it is a sync's.
	Because string `json:"because"`
	From    string `json:"from,omitempty"`
	Source  string `json:"source,omitempty"`
	// Pending is what waits for approval, and Hold the name of the hold in which it does.
	Pending string          `json:"pending,omitempty"`
	Hold    string          `json:"hold,omitempty"`
	Emails  []string        `json:"emails,omitempty"`
	Groups  []string        `json:"groups,omitempty"`
	Created time.Time       `json:"created,omitzero"`
	Updated time.Time       `json:"updated,omitzero"`
	Values  json.RawMessage `json:"values,omitempty"`
	// LastChange is the latest request that has changed something, LastRequest the latest that was no mere look, and Requests
	// are the latest ten of these, newest first. They are remembered for thirty days.
	LastChange  *SCIMRequest  `json:"last_change,omitempty"`
	LastRequest *SCIMRequest  `json:"last_request,omitempty"`
	Requests    []SCIMRequest `json:"requests"`
}

// PushedPeople are all users and groups that go by a name.
type PushedPeople struct {
	Pushed []Pushed `json:"pushed"`
}
