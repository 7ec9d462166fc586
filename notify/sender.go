package notify

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"dirsync"
)

// Sender brings messages to one place: SMTP, Teams, Chat and Webhook are Senders, and so is anything else that can send
// mail, Microsoft Graph's sendMail for instance.
type Sender interface {
	// Send delivers m once, within the life of ctx, and returns what the other side answered, for people.
	//
	// Errors are *dirsync.Error, and their kind decides what happens next: Unauthorized and Permission stop the channel,
	// because they would meet every message; Invalid and NotFound mean that this message or recipient is refused;
	// everything else is temporary, and RetryAt is obeyed. An error that is ErrUnsure says that the message may have
	// arrived. No error holds a secret.
	Send(ctx context.Context, m Message) (answer string, err error)
}

// Repeatable is a Sender whose receiver recognises a message that comes twice, so that one that may have arrived can be
// sent again without harm.
type Repeatable interface{ Repeatable() bool }

// ErrUnsure says that a message may have arrived although no answer came.
var ErrUnsure = errors.New("no answer came, so it may or may not have arrived")

// Secret returns a password, a token or a key when it is needed, so that one that changes is read anew. Being a function,
// it cannot be printed by accident. Its error must not hold the secret.
type Secret func(ctx context.Context) (string, error)

// FixedSecret returns a Secret that never changes.
func FixedSecret(s string) Secret {
	return func(context.Context) (string, error) { return s, nil }
}

// fault makes an error of a channel.
func fault(op string, kind dirsync.ErrorKind, hint string, err error) *dirsync.Error {
	return &dirsync.Error{Op: op, Kind: kind, Hint: hint, Err: err}
}

// safe makes an error whose text is one line, at most 400 characters long and without any of the secrets, whatever form
// they take in it. Of the original only ErrUnsure survives, because a chain can be printed.
func safe(err error, secrets ...string) error {
	text := hide(err.Error(), secrets...)
	if rest := strings.TrimPrefix(text, ErrUnsure.Error()); errors.Is(err, ErrUnsure) {
		return &unsureError{strings.TrimPrefix(rest, ": ")}
	}
	return errors.New(text)
}

type unsureError struct{ text string }

func (e *unsureError) Error() string {
	if e.text == "" {
		return ErrUnsure.Error()
	}
	return ErrUnsure.Error() + ": " + e.text
}

func (e *unsureError) Is(target error) bool { return target == ErrUnsure }

// hide replaces secrets, and their common encodings, by stars, and every address on the web, which may hold one, by a
// word. Secrets of fewer than four characters are hidden only as whole texts, or they would eat every word.
func hide(text string, secrets ...string) string {
	var forms []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		if len(s) < 4 {
			if strings.TrimSpace(text) == s {
				text = "***"
			}
			continue
		}
		forms = append(forms, s, url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s)),
			base64.URLEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)))
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	for _, f := range forms {
		text = strings.ReplaceAll(text, f, "***")
	}
	return clean(webAddress.ReplaceAllString(text, "(address)"), 400)
}

var webAddress = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>]+`)

// webLink returns link if a browser can follow it, and otherwise nothing.
func webLink(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	return u.String()
}
