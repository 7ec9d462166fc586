package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"dirsync"
)

// refusal is what Graph says of a write that it does not take (Graph document "Microsoft Graph error responses and
// resource types"): an error body with details, of which any part may be missing.
type refusal struct {
	graphFault
	details []refusalDetail
}

type refusalDetail struct{ code, message, target string }

func parseRefusal(body []byte) refusal {
	r := refusal{graphFault: parseGraphError(body)}
	var doc struct {
		Error struct {
			Details []struct{ Code, Message, Target json.RawMessage }
		}
	}
	if json.Unmarshal(body, &doc) != nil {
		return r
	}
	for _, d := range doc.Error.Details {
		r.details = append(r.details, refusalDetail{plain(d.Code), plain(d.Message), plain(d.Target)})
	}
	return r
}

// mentions tells whether the message says something. Where Graph has one code for many reasons, the message is all there
// is; nothing but advice and the name of a property depends on it, and how often a new account is tried.
func (r refusal) mentions(texts ...string) bool {
	all := strings.ToLower(r.message)
	for _, d := range r.details {
		all += "\n" + strings.ToLower(d.message)
	}
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(all, text) })
}

func (r refusal) detail(code string) *refusalDetail {
	i := slices.IndexFunc(r.details, func(d refusalDetail) bool { return strings.EqualFold(d.code, code) })
	if i < 0 {
		return nil
	}
	return &r.details[i]
}

// duplicate tells that somebody else has what must be unique. Graph says so with 400 and a detail, or in words alone.
func (r refusal) duplicate() bool {
	return r.detail("ObjectConflict") != nil || r.mentions("another object with the same value for property", "a conflicting object with one or more")
}

func (r refusal) aboutPassword() bool {
	d := r.detail("PasswordComplexity")
	return d != nil || r.mentions("password complexity", "password does not comply", "password cannot contain", "specified password")
}

var (
	propertyNamed = regexp.MustCompile(`(?i)\bpropert(?:y|ies):? '?([A-Za-z][A-Za-z0-9_]*)`)
	propertyFirst = regexp.MustCompile(`(?i)\b([A-Za-z][A-Za-z0-9_]*) property\b`)
)

// property is the one that a refusal is about, "" if it does not say.
func (r refusal) property() string {
	if d := r.detail("ObjectConflict"); d != nil && d.target != "" {
		return d.target
	}
	for _, d := range r.details {
		if isProperty(d.target) {
			return d.target
		}
	}
	for _, form := range []*regexp.Regexp{propertyNamed, propertyFirst} {
		for _, m := range form.FindAllStringSubmatch(r.message, 8) {
			if isProperty(m[1]) { // and not a word of the sentence
				return m[1]
			}
		}
	}
	return ""
}

func isProperty(name string) bool {
	return extensionForm.MatchString(name) || slices.ContainsFunc(writables(), func(f writable) bool {
		outer, _ := f.path()
		return strings.EqualFold(outer, name)
	})
}

// holder is the account that a refusal names as the one with which it conflicts, "" if it names none.
func (r refusal) holder() string {
	d := r.detail("ConflictingObjects")
	if d == nil {
		return ""
	}
	_, id, _ := strings.Cut(d.target, "_")
	if !isGUID(id) {
		return ""
	}
	return strings.ToLower(id)
}

// refused words an answer for the person whom it is about. values are those that were sent, and account is where to, empty
// for a new one.
func (k *work) refused(a answer, values dirsync.Values, account string) error {
	r := parseRefusal(a.body)
	base, ok := errors.AsType[*dirsync.Error](k.w.client.graphError(k.p.op, a))
	if !ok {
		base = &dirsync.Error{Kind: dirsync.Unavailable}
	}
	if other, ok := errors.AsType[*permissionError](base.Err); ok {
		base.Err = other.err // the permission to read users is not what is needed here
	}
	e := k.fault(base.Kind, errors.New(k.secret.hide(base.Err.Error())))
	e.RetryAt, e.Hint = base.RetryAt, base.Hint
	switch {
	case r.duplicate() && (a.status == http.StatusBadRequest || a.status == http.StatusConflict):
		return k.conflict(e, r, values, account)
	case a.status == http.StatusForbidden && !r.is("Authorization_IdentityNotFound"):
		k.notAllowed(e)
	case isNowhere(a):
		e.Hint = ""
	case a.status == http.StatusBadRequest || a.status == http.StatusConflict || a.status == http.StatusUnprocessableEntity:
		e.Kind = dirsync.Invalid
		k.advise(e, r, values)
	}
	return e
}

// conflict says who has what the person needs.
func (k *work) conflict(e *dirsync.Error, r refusal, values dirsync.Values, account string) error {
	field := r.property()
	if _, said := values.Get(field); !said {
		field = principalName
		if _, said := values.Get(mailName); said && (r.property() == "proxyAddresses" || r.mentions("proxyaddresses")) {
			field = mailName
		}
	}
	v, _ := values.Get(field)
	other := r.holder()
	if other == account {
		other = ""
	}
	if other == "" && !v.IsNull() {
		var err error
		if other, err = k.holder(field, v.Text, account); err != nil {
			other = "" // who it is says less than that there is somebody
		}
	}
	return k.heldBy(field, v.Text, other, e.Err)
}

func (k *work) heldBy(field, value, other string, because error) error {
	e := k.fault(dirsync.Conflict, fmt.Errorf("%s %s belongs to account %s", field, value, other))
	e.Field, e.Value, e.Other = field, value, other
	e.Hint = "Join the account if it is this person's, by naming " + field + " under join; otherwise give one of the two another value."
	if other == "" {
		e.Err, e.Other = fmt.Errorf("%s %s is taken: %w", field, value, because), "an account that Microsoft Graph does not show"
		e.Hint = "Look for the value among groups, contacts and deleted accounts, too."
	}
	return e
}

// holder looks for the account that has a value.
func (k *work) holder(field, value, not string) (string, error) {
	if field == principalName {
		r, there, err := k.w.get(k.p, value)
		if err == nil && there && string(r.ID) != not {
			return string(r.ID), nil
		}
		if err != nil {
			return "", err
		}
	}
	for _, question := range []struct {
		filter string
		index  bool
	}{
		{anyOf(mailName, []string{value}), false},
		{anyOf(principalName, []string{value}), false},
		// An address that somebody had before stays with them.
		{"proxyAddresses/any(x:x eq 'smtp:" + strings.ReplaceAll(value, "'", "''") + "')", true},
	} {
		records, err := k.w.filtered(k.p, question.filter, question.index)
		if err != nil {
			return "", err
		}
		for _, r := range records {
			if string(r.ID) != not {
				return string(r.ID), nil
			}
		}
	}
	return "", nil
}

// leastFor is the least permission that a kind of change takes.
func leastFor(kind dirsync.ChangeKind) string {
	switch kind {
	case dirsync.Create:
		return "User.Create"
	case dirsync.Delete:
		return "User.DeleteRestore.All"
	case dirsync.Deactivate, dirsync.Reactivate:
		return "User.EnableDisableAccount.All"
	}
	return "User.ReadUpdate.All"
}

// notAllowed tells an application without a permission from an account that takes more than that.
func (k *work) notAllowed(e *dirsync.Error) {
	c := k.w.client
	e.Kind = dirsync.Permission
	var roles []string
	if last := c.tokens.roles.Load(); last != nil {
		roles = *last
	}
	enough := []string{writePermission, leastFor(k.ch.Kind)}
	if k.ch.Kind != dirsync.Delete {
		enough = append(enough, "Directory.ReadWrite.All")
	}
	if !slices.ContainsFunc(enough, func(name string) bool { return slices.Contains(roles, name) }) {
		e.Err = needed(writePermission, e.Err)
		e.Hint = c.grantOf(writePermission, "and change the users") + " " + leastFor(k.ch.Kind) + " is the least that this change takes." + c.tokens.granted()
		return
	}
	e.Err = fmt.Errorf("the account takes more than the application may, as an administrator's does: %w", e.Err)
	e.Hint = "The application may write users in general, so it is this account: only an application that holds a higher role itself, such as " +
		"Privileged Authentication Administrator, may change an administrator's user principal name, phone numbers, other addresses, and whether they can sign in, or delete them. Leave this person out, or give the application that role." + c.tokens.granted()
}

// advise says what can be done about values that are refused, and which one it is, as far as the refusal says.
func (k *work) advise(e *dirsync.Error, r refusal, values dirsync.Values) {
	if name := r.property(); name != "" {
		for _, v := range values {
			outer, inner, _ := strings.Cut(v.Field, "/")
			if strings.EqualFold(name, v.Field) || strings.EqualFold(name, outer) || inner != "" && strings.EqualFold(name, inner) {
				e.Field, e.Value = v.Field, v.Value.Text
				break
			}
		}
	}
	e.Hint = "Microsoft Entra ID does not take these values; the message says why."
	switch {
	case r.aboutPassword():
		e.Err = fmt.Errorf("the tenant refuses every first password that was made up: %w", e.Err)
		e.Hint = "Look at the tenant's password protection, and make passwords longer."
	case r.mentions("on-premises mastered", "directory sync objects", "undergoing migration"):
		e.Err = fmt.Errorf("the account is synchronised from an on-premises directory, which alone may change this: %w", e.Err)
		e.Hint = "Change these properties there, or do not write them for this person."
	case r.mentions("domain portion", "verified domain"):
		v, _ := values.Get(principalName)
		e.Field, e.Value = principalName, v.Text
		which := ""
		if domains := k.w.verified(k.p); len(domains) > 0 {
			which = ", which are " + clip(strings.Join(domains, ", "))
		}
		e.Err = fmt.Errorf("is in none of the tenant's verified domains%s: %w", which, e.Err)
		e.Hint = "Map a user principal name in one of these domains, or have the domain verified in the tenant."
	case e.Field != "":
		e.Hint = "Change " + e.Field + " at the source or in the mapping."
	}
}

// domainList is what is known of the tenant's verified domains, for a while: it serves advice alone.
type domainList struct {
	mu    sync.Mutex
	names []string
	at    time.Time
}

// verified returns the tenant's verified domains, or none if they cannot be learned.
func (w *Writer) verified(p *post) []string {
	now := w.client.cfg.Now()
	w.domains.mu.Lock()
	names, known := w.domains.names, !w.domains.at.IsZero() && within(w.domains.at, now)
	w.domains.mu.Unlock()
	if known {
		return names
	}
	names = nil
	a, err := p.ask(&parcel{method: http.MethodGet, path: "/organization" + query("$select", "id,verifiedDomains")})
	var doc struct {
		Value []struct{ VerifiedDomains []struct{ Name string } }
	}
	if err == nil && a.status == http.StatusOK && json.Unmarshal(a.body, &doc) == nil {
		for _, organization := range doc.Value {
			for _, d := range organization.VerifiedDomains {
				names = append(names, d.Name)
			}
		}
	}
	w.domains.mu.Lock()
	w.domains.names, w.domains.at = names, now
	w.domains.mu.Unlock()
	return names
}
