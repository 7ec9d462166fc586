package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"dirsync"
)

// WebhookVersion is the version of the body. It grows when something in it changes its meaning or goes away; what is
// added does not change it.
const WebhookVersion = 1

// Webhook is an address that gets every message as JSON, signed as Standard Webhooks 1.0 says
// (github.com/standard-webhooks/standard-webhooks): webhook-id is the same for every attempt, webhook-timestamp that of
// the attempt, and webhook-signature holds a signature for each of Secrets.
type Webhook struct {
	// Address may hold a token, so it is a Secret.
	Address Secret
	// Secrets are one or, while the receiver changes to a new one, two signing secrets: "whsec_" and base64 of 24 to 64
	// bytes.
	Secrets []Secret
	// Private allows http and addresses in private networks.
	Private bool
	// Transport replaces the way out, and with it the check of addresses; nil for the usual one.
	Transport http.RoundTripper
}

type webhook struct {
	poster
	secrets []Secret
}

// NewWebhook returns a Sender for w.
func NewWebhook(w Webhook) (Sender, error) {
	if w.Address == nil || len(w.Secrets) == 0 || len(w.Secrets) > 4 {
		return nil, fault("webhook", dirsync.Invalid, "", errors.New("a webhook needs an address and one to four signing secrets"))
	}
	return webhook{newPoster("call the webhook", w.Address, w.Private, true, w.Transport), w.Secrets}, nil
}

// Repeatable says that the receiver knows a repetition by its webhook-id.
func (webhook) Repeatable() bool { return true }

func (w webhook) Send(ctx context.Context, m Message) (string, error) {
	body, err := webhookBody(m)
	if err != nil {
		return "", fault(w.op, dirsync.Invalid, "", safe(err))
	}
	at := time.Now()
	return w.post(ctx, body, func(h http.Header) error {
		var signatures []string
		for _, secret := range w.secrets {
			s, err := secret(ctx)
			if err != nil {
				return fault(w.op, dirsync.Unavailable, "Look whether the signing secret can be read.", fmt.Errorf("read the signing secret: %w", safe(err)))
			}
			key, err := signingKey(s)
			if err != nil {
				return fault(w.op, dirsync.Unauthorized, "Make one with: echo whsec_$(openssl rand -base64 32)", err)
			}
			signatures = append(signatures, sign(key, m.ID, at, body))
		}
		h.Set("webhook-id", m.ID)
		h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
		h.Set("webhook-signature", strings.Join(signatures, " "))
		return nil
	})
}

// signingKey reads a secret. Its error says nothing of it but its length.
func signingKey(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(secret), "whsec_")
	if !ok {
		return nil, errors.New("the signing secret does not begin with whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("the signing secret is not base64 after whsec_")
	}
	if len(key) < 24 || len(key) > 64 {
		return nil, fmt.Errorf("the signing secret has %d bytes, and must have 24 to 64", len(key))
	}
	return key, nil
}

// sign makes one signature by Standard Webhooks 1.0, symmetric scheme v1: HMAC-SHA256 of id, timestamp and body, joined by
// full stops.
func sign(key []byte, id string, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%d.%s", id, at.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// webhookBody is what receivers read. Names never change within a version.
func webhookBody(m Message) ([]byte, error) {
	type counts struct {
		Read        int `json:"read"`
		Created     int `json:"created"`
		Updated     int `json:"updated"`
		Deactivated int `json:"deactivated"`
		Reactivated int `json:"reactivated"`
		Deleted     int `json:"deleted"`
		Unchanged   int `json:"unchanged"`
		Rejected    int `json:"rejected"`
		Held        int `json:"held"`
		Failed      int `json:"failed"`
	}
	type item struct {
		Kind     Kind      `json:"kind"`
		Headline string    `json:"headline"`
		Sync     string    `json:"sync,omitempty"`
		Run      uint64    `json:"run,omitempty"`
		At       time.Time `json:"at"`
		Since    time.Time `json:"since,omitzero"`
		Reminder int       `json:"reminder,omitempty"`
		Reason   string    `json:"reason,omitempty"`
		Ends     []Kind    `json:"ends,omitempty"`
		People   []Row     `json:"people,omitempty"`
		Total    int       `json:"total,omitempty"`
		Link     string    `json:"link,omitempty"`
		Counts   *counts   `json:"counts,omitempty"`
	}
	var items []item
	for _, n := range m.News {
		i := item{Kind: n.Kind, Headline: n.Headline(), Sync: n.Sync, Run: uint64(n.Run), At: n.At, Since: n.Since,
			Reminder: n.Reminder, Reason: n.Reason, Ends: n.Ends, People: n.Table, Total: n.Total, Link: webLink(n.Link)}
		if n.Counts != (dirsync.Counts{}) {
			c := counts(n.Counts)
			i.Counts = &c
		}
		items = append(items, i)
	}
	return json.Marshal(struct {
		Type      string    `json:"type"`
		Version   int       `json:"version"`
		Timestamp time.Time `json:"timestamp"`
		Data      any       `json:"data"`
	}{"dirsync.news", WebhookVersion, m.Created, map[string]any{"news": items}})
}
