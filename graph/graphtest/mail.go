package graphtest

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Mail is one e-mail that the tenant has accepted. Nobody gets it.
type Mail struct {
	// From is the mailbox as it was named in the request.
	From string
	// Subject and HTML are as they were sent; To are addresses, in order.
	Subject, HTML string
	To            []MailAddress
	// Headers are by their names in lower case.
	Headers map[string]string
	// Saved says that it is kept in Sent Items.
	Saved bool
	// At is the tenant's time.
	At time.Time
}

// MailAddress is a recipient. The name may be empty.
type MailAddress struct{ Name, Address string }

// Mails returns what was accepted since the tenant was made, oldest first.
func (t *Tenant) Mails() []Mail {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.mails)
}

// mailRole is the application permission to send mail as anybody (Graph reference, user: sendMail).
const mailRole = "Mail.Send"

// sentMail is the body of the request.
type sentMail struct {
	Message *struct {
		Subject string
		Body    struct{ ContentType, Content string }
		To      []struct {
			EmailAddress struct{ Name, Address string }
		} `json:"toRecipients"`
		Headers []struct{ Name, Value string } `json:"internetMessageHeaders"`
	}
	// Save is a boolean, or a boolean in quotes as in the reference's own example.
	Save any `json:"saveToSentItems"`
}

// sendMail answers users/{id}/sendMail. Exchange answers it, not the directory, so that its error codes are others: they
// begin with Error, and a missing permission is one of them.
func (q *request) sendMail() answer {
	from := q.path[2]
	if !slices.Contains(q.roles, mailRole) || q.t.Faults.Denied || q.t.Senders != nil && !listedFold(q.t.Senders, from) {
		return q.fail(http.StatusForbidden, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
	}
	_, domain, isAddress := strings.Cut(from, "@")
	switch {
	case !isAddress || !strings.EqualFold(domain, q.t.identity().Domain):
		return q.fail(http.StatusNotFound, "ErrorInvalidUser", "The requested user '"+from+"' is invalid.")
	case q.t.Mailboxes != nil && !listedFold(q.t.Mailboxes, from):
		return q.fail(http.StatusNotFound, "MailboxNotEnabledForRESTAPI", "The mailbox is either inactive, soft-deleted, or is hosted on-premise.")
	}
	var sent sentMail
	if err := json.Unmarshal(q.body, &sent); err != nil || sent.Message == nil {
		return q.fail(http.StatusBadRequest, "RequestBodyRead", "The request body cannot be read as the parameters of sendMail.")
	}
	m := Mail{From: from, Subject: sent.Message.Subject, HTML: sent.Message.Body.Content, Headers: map[string]string{}, Saved: true, At: q.now}
	if !strings.EqualFold(sent.Message.Body.ContentType, "HTML") {
		return q.fail(http.StatusBadRequest, "RequestBodyRead", "Only bodies of HTML are known here.")
	}
	switch save := sent.Save.(type) {
	case bool:
		m.Saved = save
	case string:
		m.Saved = !strings.EqualFold(save, "false")
	}
	for _, h := range sent.Message.Headers {
		name := strings.ToLower(h.Name)
		if !strings.HasPrefix(name, "x-") {
			return q.fail(http.StatusBadRequest, "InvalidInternetMessageHeader", "The internet message header name '"+h.Name+"' should start with 'x-' or 'X-'.")
		}
		m.Headers[name] = h.Value
	}
	for _, to := range sent.Message.To {
		m.To = append(m.To, MailAddress(to.EmailAddress))
		if name, domain, ok := strings.Cut(to.EmailAddress.Address, "@"); !ok || name == "" || domain == "" {
			return q.fail(http.StatusBadRequest, "ErrorInvalidRecipients", "At least one recipient is not valid.")
		}
	}
	if len(m.To) == 0 {
		return q.fail(http.StatusBadRequest, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
	}
	q.t.mails = append(q.t.mails, m)
	return answer{status: http.StatusAccepted}
}

func listedFold(list []string, s string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return strings.EqualFold(x, s) })
}
