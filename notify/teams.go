package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"dirsync"
)

// Teams is a workflow of Microsoft Teams that begins "when a Teams webhook request is received".
type Teams struct {
	// Address is that of the workflow. Whoever has it can post, so it is a Secret.
	Address Secret
	// Transport replaces the way out; nil for the usual one.
	Transport http.RoundTripper
}

type teams struct{ poster }

// NewTeams returns a Sender for t. It posts a bare Adaptive Card, version 1.4, because workflows refuse anything else.
func NewTeams(t Teams) (Sender, error) {
	if t.Address == nil {
		return nil, fault("teams", dirsync.Invalid, "", errors.New("a workflow needs an address"))
	}
	return teams{newPoster("post to Teams", t.Address, false, false, t.Transport)}, nil
}

func (t teams) Send(ctx context.Context, m Message) (string, error) {
	body, err := adaptiveCard(m.News)
	if err != nil {
		return "", fault(t.op, dirsync.Invalid, "", safe(err))
	}
	return t.post(ctx, body, func(http.Header) error { return nil })
}

// adaptiveCard shows news without names, as chatText does. Text from outside stands in text runs alone: a text block
// would read Markdown in it, links included.
func adaptiveCard(news []News) ([]byte, error) {
	type object map[string]any
	paragraph := func(text string, with object) object {
		run := object{"type": "TextRun", "text": text}
		for k, v := range with {
			run[k] = v
		}
		return object{"type": "RichTextBlock", "inlines": []object{run}}
	}
	var body, actions []object
	s := show(news)
	for i, n := range s.News {
		body = append(body, paragraph(n.Title, object{"weight": "Bolder", "size": "Medium"}))
		body = append(body, paragraph(n.What, nil))
		for _, text := range append([]string{n.Since, n.Reason}, n.Lines...) {
			if text != "" {
				body = append(body, paragraph(text, nil))
			}
		}
		// Cards show six actions.
		if n.Link != "" && len(actions) < 6 {
			name := "Open"
			if len(s.News) > 1 {
				name = fmt.Sprintf("Open %d", i+1)
			}
			actions = append(actions, object{"type": "Action.OpenUrl", "title": name, "url": n.Link})
		}
	}
	if s.More > 0 {
		body = append(body, paragraph(fmt.Sprintf("And %d more messages.", s.More), nil))
	}
	card := object{"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": body}
	if len(actions) > 0 {
		card["actions"] = actions
	}
	return json.Marshal(card)
}
