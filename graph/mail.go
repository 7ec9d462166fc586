package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	netmail "net/mail"
	"strings"
	"sync/atomic"

	abs "github.com/microsoft/kiota-abstractions-go"

	"dirsync"
)

// Mail is one e-mail that a mailbox of the tenant sends.
type Mail struct {
	// ID tells this mail from every other and is the same whenever it is sent again: up to 200 visible characters of
	// ASCII. It travels in the header x-dirsync-message-id, because Exchange makes the Message-ID itself and takes from
	// others no headers but those that begin with x- (Graph document "internetMessageHeader resource type").
	ID string
	// Subject is one line; HTML is the body.
	Subject, HTML string
	// To are those who get it, one at least.
	To []MailAddress
}

// MailAddress is an e-mail address, and the name that is shown with it, which may be empty.
type MailAddress struct{ Name, Address string }

// ErrMailUnsure says that a mail may have been sent although nobody said so. It is wrapped by the *dirsync.Error, of kind
// Unavailable, that SendMail returns then.
var ErrMailUnsure = errors.New("the mail may have been sent")

// MailPermission is what SendMail needs.
const MailPermission = "Mail.Send"

const mailOp = "send mail through Microsoft Graph"

// SendMail sends m from the mailbox of from, an e-mail address, user principal name or object id, once (Graph document
// "user: sendMail"). Nothing is kept in the mailbox's Sent Items. Nil means that Exchange Online has accepted the mail,
// which is not yet that it was delivered.
//
// Unlike everything else that a Client asks for, a mail cannot be sent again without harm. It is tried again within the
// call only where it was certainly not taken: when no connection was made, or when the service says that there are too
// many. A mail that may have been taken and of which nothing came back is ErrMailUnsure; so are the answers 502 and 504,
// by which a gateway says that it does not know. Of the other errors, all *dirsync.Error, the mail was not taken:
// Permission without Mail.Send or outside of the mailboxes that the application may use, NotFound for a mailbox that is
// not there, Invalid for a mail or recipient that is refused, Throttled and Unavailable for what may pass.
func (c *Client) SendMail(ctx context.Context, from string, m Mail) error {
	if err := m.check(from); err != nil {
		return &dirsync.Error{Op: mailOp, Kind: dirsync.Invalid, Err: err}
	}
	body, err := json.Marshal(m.message())
	if err != nil {
		return &dirsync.Error{Op: mailOp, Kind: dirsync.Invalid, Err: err}
	}
	parameters := c.pathParameters()
	parameters["user%2Did"] = from
	info := abs.NewRequestInformationWithMethodAndUrlTemplateAndPathParameters(abs.POST, "{+baseurl}/users/{user%2Did}/sendMail", parameters)
	info.Headers.TryAdd("Accept", "application/json")
	info.SetStreamContentAndContentType(body, "application/json")
	shot := new(oneShot)
	a, err := c.send(context.WithValue(ctx, oneShotKey{}, shot), mailOp, info, nil)
	switch {
	case err != nil && shot.lost.Load():
		return mailUnsure(err)
	case err != nil:
		return err
	case a.status == http.StatusAccepted:
		return nil
	}
	return c.mailError(from, a)
}

// check refuses what would certainly be refused, before anything is sent.
func (m Mail) check(from string) error {
	if from == "" || clip(from) != from || strings.ContainsAny(from, "/\\?% ") {
		return fmt.Errorf("%q names no mailbox; give its e-mail address", clip(from))
	}
	if m.ID == "" || len(m.ID) > 200 || strings.ContainsFunc(m.ID, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the mail's id is not 1 to 200 visible characters of ASCII")
	}
	if len(m.To) == 0 {
		return errors.New("the mail has no recipient")
	}
	for _, to := range m.To {
		if a, err := netmail.ParseAddress(to.Address); err != nil || a.Name != "" || a.Address != to.Address {
			return fmt.Errorf("the recipient %q is no e-mail address", clip(to.Address))
		}
	}
	return nil
}

// message is the body of the request, as the Graph documents "user: sendMail" and "message resource type" have it.
func (m Mail) message() any {
	type object = map[string]any
	var to []object
	for _, r := range m.To {
		address := object{"address": r.Address}
		if r.Name != "" {
			address["name"] = clip(r.Name)
		}
		to = append(to, object{"emailAddress": address})
	}
	return object{
		"message": object{
			"subject": clip(m.Subject), "body": object{"contentType": "HTML", "content": m.HTML}, "toRecipients": to,
			"internetMessageHeaders": []object{{"name": "x-dirsync-message-id", "value": m.ID}},
		},
		"saveToSentItems": false,
	}
}

// mailUnsure says of an error that the mail may have been sent all the same.
func mailUnsure(err error) error {
	e := &dirsync.Error{Op: mailOp, Kind: dirsync.Unavailable,
		Hint: "Look whether the mail has arrived before it is sent again. If this happens every time, check the proxy and firewall."}
	if inner, ok := errors.AsType[*dirsync.Error](err); ok {
		e.RetryAt, err = inner.RetryAt, inner.Err
	}
	e.Err = fmt.Errorf("%w: %w", ErrMailUnsure, err)
	return e
}

// mailError classifies an answer that is not that the mail was accepted. What Graph says of reading users is replaced by
// what helps with mail.
func (c *Client) mailError(from string, a answer) error {
	err := c.graphError(mailOp, a)
	e, ok := errors.AsType[*dirsync.Error](err)
	if !ok {
		return err
	}
	if other, ok := errors.AsType[*permissionError](e.Err); ok {
		e.Err = other.err // the permission to read users is not what is needed here
	}
	fault := parseGraphError(a.body)
	switch status := a.status; {
	case status == http.StatusForbidden && !fault.is("Authorization_IdentityNotFound"):
		e.Err = needed(MailPermission, e.Err)
		e.Hint = fmt.Sprintf("Let the application send as %s: grant it %s of Microsoft Graph, for this mailbox alone by RBAC for applications in Exchange Online, or for all; where an application access policy restricts it, this mailbox must be in its group. Changes take up to two hours.", clip(from), MailPermission) + c.tokens.granted()
	case status == http.StatusNotFound:
		e.Hint = fmt.Sprintf("Check that %s is in the tenant and has a mailbox in Exchange Online. A mailbox that was just made takes a quarter of an hour or more to be known; a shared mailbox needs no licence.", clip(from))
	case status == http.StatusTooManyRequests:
		e.Hint = "Exchange Online limits how much one mailbox sends: 30 messages a minute, and 10,000 recipients a day."
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge:
		e.Kind, e.Hint = dirsync.Invalid, "Exchange Online refuses the mail or its recipient; the message says why."
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout || status >= 200 && status < 300:
		return mailUnsure(e)
	case e.Kind == dirsync.Unavailable && status >= 500:
		e.Hint = "Microsoft Graph is not available at the moment. The mail was not sent."
	}
	return e
}

// oneShot marks, in a context, a request that must not be sent again once it may have been taken.
type oneShot struct {
	// lost says that it may have been taken, and that its answer did not come in full.
	lost atomic.Bool
}

type oneShotKey struct{}
