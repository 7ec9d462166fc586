package notify

import (
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"strings"
	"text/template"
	"time"
)

// maxTold is how many pieces of news one message shows in full; the others are counted.
const maxTold = 10

// subject is one line for all news of a message: "dirsync: staff failed".
func subject(news []News) string {
	const limit = 120
	var heads []string
	for _, n := range news {
		heads = append(heads, title(n))
	}
	if len(heads) == 1 {
		return clean("dirsync: "+heads[0], limit)
	}
	return clean(fmt.Sprintf("dirsync: %d messages: %s", len(heads), strings.Join(heads, "; ")), limit)
}

// title is the headline, and that it is a reminder.
func title(n News) string {
	if n.Reminder > 0 {
		return "still: " + n.Headline()
	}
	return n.Headline()
}

// shown is what the templates show.
type shown struct {
	Subject string
	News    []shownNews
	More    int
}

type shownNews struct {
	Title, What, Reason string
	Since               string
	Lines               []string
	Table               []Row
	HasWhat             bool
	// More says how many rows are left out, and Command how to see them.
	More, Link, Command string
}

func show(news []News) shown {
	s := shown{Subject: subject(news), More: max(0, len(news)-maxTold)}
	for _, n := range news[:len(news)-s.More] {
		s.News = append(s.News, showNews(n))
	}
	return s
}

func showNews(n News) shownNews {
	s := shownNews{Title: title(n), What: explain(n), Reason: clean(n.Reason, MaxReason), Link: webLink(n.Link)}
	if n.Reminder > 0 && !n.Since.IsZero() {
		s.Since = fmt.Sprintf("This was first reported on %s and has not ended. It was told %s before.", written(n.Since), times(n.Reminder))
	}
	if n.Kind == Recovered && !n.Since.IsZero() {
		s.Since = fmt.Sprintf("The trouble was first reported on %s.", written(n.Since))
	}
	s.Lines = counts(n)
	for _, r := range n.Table[:min(len(n.Table), MaxRows)] {
		r = Row{clean(r.Who, MaxCell), clean(r.What, MaxCell), clean(r.Why, MaxCell)}
		s.HasWhat = s.HasWhat || r.What != ""
		s.Table = append(s.Table, r)
	}
	if n.Run != 0 {
		s.Command = fmt.Sprintf("dirsync show %d", n.Run)
	}
	if more := n.Total - len(s.Table); more > 0 {
		s.More = fmt.Sprintf("and %d more", more)
		if s.Command != "" {
			s.More += ": " + s.Command
		}
	}
	return s
}

// explain says in a sentence what the kind means.
func explain(n News) string {
	at := written(n.At)
	run := "The run"
	if n.Run != 0 {
		run = fmt.Sprintf("Run %d", n.Run)
	}
	switch n.Kind {
	case RunFailed:
		return fmt.Sprintf("%s ended on %s as a failure. The next run tries again.", run, at)
	case PartialSuccess:
		return fmt.Sprintf("%s ended on %s. These people were left as they were; everybody else is in step.", run, at)
	case ChangesHeld:
		return fmt.Sprintf("%s ended on %s. It kept back changes that need somebody's approval.", run, at)
	case Overdue:
		return fmt.Sprintf("No run has succeeded for too long. This was noticed on %s.", at)
	case CredentialExpiring:
		return "When the credential has expired, nothing can be read from the tenant any more."
	case ConsentWithdrawn:
		return fmt.Sprintf("The tenant no longer allows what was granted. This was noticed on %s.", at)
	case Recovered:
		return fmt.Sprintf("All is well again since %s.", at)
	case Test:
		return fmt.Sprintf("Somebody sent this on %s to see whether it arrives. It did, and nothing else has happened.", at)
	default:
		return fmt.Sprintf("This happened on %s.", at)
	}
}

// counts are a run's figures, the zero ones left out.
func counts(n News) []string {
	var parts []string
	for _, c := range []struct {
		n    int
		name string
	}{
		{n.Counts.Created, "created"}, {n.Counts.Updated, "updated"}, {n.Counts.Reactivated, "reactivated"},
		{n.Counts.Deactivated, "deactivated"}, {n.Counts.Deleted, "deleted"}, {n.Counts.Unchanged, "unchanged"},
		{n.Counts.Rejected, "rejected"}, {n.Counts.Failed, "failed"}, {n.Counts.Held, "held"},
	} {
		if c.n != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.name))
		}
	}
	if parts == nil {
		return nil
	}
	return []string{strings.Join(parts, ", ")}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func written(t time.Time) string { return t.UTC().Format("Monday, 2 January 2006 at 15:04 UTC") }

// The templates get nothing but a shown. html/template escapes for the place where a value stands.
var (
	//go:embed templates/mail.html
	mailHTMLTemplate string
	//go:embed templates/mail.txt
	mailTextTemplate string
)

// Render returns m as an e-mail: the subject, one line, and the body as plain text and as HTML, of which either will do.
// It is the same for every attempt, and the same whoever sends it. A message without news is an error.
func Render(m Message) (subjectLine, text, html string, err error) {
	if len(m.News) == 0 {
		return "", "", "", errors.New("the message is empty")
	}
	if text, err = mailText(m.News); err != nil {
		return "", "", "", err
	}
	if html, err = mailHTML(m.News); err != nil {
		return "", "", "", err
	}
	return subject(m.News), text, html, nil
}

func mailHTML(news []News) (string, error) {
	t, err := htmltemplate.New("mail.html").Parse(mailHTMLTemplate)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, show(news))
	return b.String(), err
}

func mailText(news []News) (string, error) {
	t, err := template.New("mail.txt").Parse(mailTextTemplate)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, show(news))
	return b.String(), err
}

// noteText is what an inbox shows below the title.
func noteText(n News) string {
	s := showNews(n)
	var lines []string
	for _, line := range append([]string{s.What, s.Since, s.Reason}, s.Lines...) {
		if line != "" {
			lines = append(lines, line)
		}
	}
	for _, r := range s.Table {
		lines = append(lines, "- "+rowText(r))
	}
	if s.More != "" {
		lines = append(lines, s.More)
	}
	return strings.Join(lines, "\n")
}

func rowText(r Row) string {
	if r.What == "" {
		return r.Who + ": " + r.Why
	}
	return r.Who + ": " + r.What + ": " + r.Why
}

// chatText is what chat rooms are told: what happened, how many are concerned, and where to look; no names, because more
// people read along than were chosen. Nothing in it can mention anybody or become a link of its own.
func chatText(news []News) string {
	var lines []string
	for i, n := range news {
		if i == maxTold {
			lines = append(lines, fmt.Sprintf("and %d more", len(news)-i))
			break
		}
		line := title(n) + "."
		if n.Reason != "" {
			line += " " + clean(n.Reason, 300)
		}
		for _, c := range counts(n) {
			line += " (" + c + ")"
		}
		line = plainChat(line)
		if link := webLink(n.Link); link != "" {
			line += " " + link
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// plainChat replaces the signs by which chat services find mentions, links and styles.
func plainChat(s string) string {
	return strings.NewReplacer("@", "＠", "<", "‹", ">", "›", "[", "(", "]", ")", "*", "∗", "`", "'", "~", "-").Replace(s)
}

func testMessage(channel string, to Recipient, now time.Time) Message {
	return Message{ID: rand.Text(), Channel: channel, To: to, Created: now,
		News:     []News{{Kind: Test, At: now}},
		Delivery: Delivery{Status: Waiting, Due: now}}
}
