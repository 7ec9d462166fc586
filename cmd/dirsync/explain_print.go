package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"dirsync"
)

// explainWidth is how many columns an explanation takes at most, so that it can be read on most screens.
const explainWidth = 100

// fact prints one labelled line, and more of them below where the text is too long for one.
func (a *app) fact(label, format string, args ...any) {
	const indent = 16
	for i, line := range wrapped(clean(fmt.Sprintf(format, args...)), explainWidth-indent) {
		if i > 0 {
			label = ""
		}
		a.printf("  %-13s %s\n", label, line)
	}
}

// wrapped breaks a text into lines of at most width columns, between words where it can.
func wrapped(s string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		for len(word) > width { // in bytes, which costs nothing to count
			head := prefix(word, width)
			if len(head) == len(word) {
				break
			}
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines, word = append(lines, head), word[len(head):]
		}
		switch {
		case line == "":
			line = word
		case textWidth(line)+1+textWidth(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// fit cuts a clean text to at most width columns.
func fit(s string, width int) string {
	if textWidth(s) <= width {
		return s
	}
	return prefix(s, width-1) + "…"
}

// prefix is the beginning of a text that takes at most width columns, but at least its first character.
func prefix(s string, width int) string {
	end, columns := 0, 0
	for i, r := range s {
		if columns += textWidth(string(r)); i > 0 && columns > width {
			break
		}
		end = i + max(1, utf8.RuneLen(r))
	}
	// Some characters are wider together than one by one.
	for textWidth(s[:end]) > width {
		_, last := utf8.DecodeLastRuneInString(s[:end])
		if last == end {
			break
		}
		end -= last
	}
	return s[:end]
}

func (a *app) printExplanation(v explainView, group func(string) string) error {
	a.printFacts(v)
	if err := a.printRecord(v); err != nil {
		return err
	}
	if err := a.printTraced(v); err != nil {
		return err
	}
	return a.printChanges(v, a.now(), group)
}

// printFacts prints who somebody is, and what stands between them and a run.
func (a *app) printFacts(v explainView) {
	now := a.now()
	a.printf("%s <%s>\n%s in sync %s\n\n", clean(v.Name), clean(v.User), clean(v.ID), clean(v.Sync))
	if v.GoneSince.IsZero() {
		a.fact("at the source", "%s%s", v.Source, map[bool]string{true: ", but may not sign in"}[v.Blocked])
	} else {
		a.fact("at the source", "%s, since %s (%s)", v.Source, day(v.GoneSince, now), when(v.GoneSince, now))
	}
	a.fact("in scope", "%s: %s", yesNo(v.InScope), v.ScopeBecause)
	for _, way := range v.MemberOf {
		a.fact("member of", "%s", way)
	}
	a.printAccount(v, now)
	a.printStanding(v, now)
	if v.LastRequest != nil {
		a.fact("last request", "of SCIM clients: %s", requestWords(*v.LastRequest, now))
	}
	a.fact("a run would", "%s", wouldDo(v))
}

func wouldDo(v explainView) string {
	switch {
	case v.Change == "none":
		return "do nothing"
	case v.Change == changeRejected && v.Account == "" && v.Doubt == "":
		return "reject the record, and make no account"
	case v.Change == changeRejected:
		return "reject the record, and leave the account as it is"
	case v.Why == "":
		return v.Change
	case len(v.HeldIn) > 0:
		return v.Change + ", because this person " + v.Why + "; but that is held"
	case v.Change == "wait":
		return v.Change + " " + v.Why
	}
	return v.Change + ", because this person " + v.Why
}

func (a *app) printAccount(v explainView, now time.Time) {
	switch {
	case v.Account == "" && v.Doubt == "":
		a.fact("account", "none")
	case v.Account == "":
		a.fact("account", "none is known, but there may be one")
	default:
		status := v.Status
		if !v.DeactivatedAt.IsZero() {
			status += " since " + day(v.DeactivatedAt, now)
		}
		a.fact("account", "%s, %s; %s", v.Account, status, v.Joined)
	}
	if v.Doubt != "" {
		certain := "the next run makes certain"
		if v.Change == "none" || v.Change == "wait" || v.Change == changeRejected {
			certain = "that stays open, because a run would leave the account as it is"
		}
		a.fact("in doubt", "whether the last %s took effect; %s", v.Doubt, certain)
	}
	if !v.GraceEnds.IsZero() {
		a.fact("grace", "the account will be deleted on %s (%s), unless they come back", day(v.GraceEnds, now), when(v.GraceEnds, now))
	}
}

// printStanding says what stands between a person and a run.
func (a *app) printStanding(v explainView, now time.Time) {
	if v.Protected != "" {
		a.fact("protected", "the account is never deactivated or deleted: %s", v.Protected)
	}
	if o := v.Owed; o != nil {
		text := fmt.Sprintf("a look, since %s: %s", when(o.Since, now), o.Why)
		if o.Attempts > 0 {
			text += "; " + counted(o.Attempts, "attempt", "attempts") + " failed"
		}
		if o.NextTry.After(now) {
			text += "; next try " + when(o.NextTry, now)
		}
		a.fact("owed", "%s", text)
		if o.Error != "" {
			a.fact("last error", "%s", o.Error)
		}
	}
	for _, f := range v.Rejected {
		value := ""
		if f.Value != "" {
			value = " (" + f.Value + ")"
		}
		a.fact("rejected", "%s%s %s", f.Field, value, f.Reason)
	}
	for _, h := range v.HeldIn {
		a.fact("held", "in %s: %s; dirsync approve %s or dirsync reject %s --reason TEXT decides", h.Hold, h.Reason, h.Hold, h.Hold)
	}
	for _, m := range v.Marks {
		a.fact(m.Decision, "%s", m.words(now))
	}
}

// words says for people who decided what, and until when it means something.
func (m markView) words(now time.Time) string {
	text := fmt.Sprintf("%s, by %s %s", m.About, m.By, when(m.At, now))
	if m.Decision == dirsync.Kept.String() {
		text = fmt.Sprintf("as they are (%s), by %s %s", m.About, m.By, when(m.At, now))
	}
	if m.Hold != "" {
		text += " about hold " + m.Hold
	}
	if m.Why != "" {
		text += ": " + m.Why
	}
	switch {
	case m.Void && m.Decision == dirsync.Approved.String():
		return text + "; this was applied, or something else is known of them now"
	case m.Void:
		return text + "; this means nothing any more, because something else is known of them now"
	}
	if m.Decision == dirsync.Kept.String() {
		return text + "; until the source has something else to say of them"
	}
	return text + "; the next run applies it"
}

// day writes a moment's day, and its time where that is near.
func day(t, now time.Time) string { return t.In(now.Location()).Format("2006-01-02 15:04") }

func (a *app) printRecord(v explainView) error {
	if len(v.Record) == 0 {
		return nil
	}
	a.printf("\nThe record as last read:\n\n")
	t := NewTable(a.style, "PROPERTY", "VALUE")
	names := make([]string, 0, len(v.Record))
	for name := range v.Record {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Row(fit(clean(name), 40), fit(clean(string(v.Record[name])), explainWidth-44))
	}
	return t.Write(a.stdout)
}

// printTraced prints how each field comes about: what goes in, what comes out, and what the target holds.
func (a *app) printTraced(v explainView) error {
	a.printf("\nHow each field comes about:\n\n")
	t := NewTable(a.style, "FIELD", "FROM", "OUTPUT", "TARGET HOLDS", "A RUN")
	var long []string
	for _, f := range v.Fields {
		var in []string
		for _, i := range f.Input {
			raw := "(absent)"
			if i.Raw != nil {
				raw = string(i.Raw)
			}
			in = append(in, i.Property+" = "+raw)
		}
		from := strings.Join(in, ", ")
		switch f.Form {
		case "from":
		case "value":
			from = "the same for everybody"
		default: // an expression stands below the table, with what goes into it
			long = append(long, f.Field+" = "+f.Form+": "+strings.Join(strings.Fields(f.Expression), " ")+" of "+from)
			from = f.Form
		}
		does := f.Because
		if f.Written {
			does = "writes it: " + f.Because
		}
		t.Row(fit(clean(f.Field), 16), fit(clean(from), 26), fit(clean(f.Output.Text), 18), fit(clean(f.Holds.Text), 18), fit(clean(does), 22))
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	for _, text := range long {
		for i, line := range wrapped(clean(text), explainWidth-4) {
			a.printf("  %s%s\n", strings.Repeat(" ", 2*min(i, 1)), line)
		}
	}
	return nil
}

func (a *app) printChanges(v explainView, now time.Time, group func(string) string) error {
	if len(v.Changes) == 0 {
		a.printf("\nNo change of theirs is on record.\n")
		return nil
	}
	a.printf("\nThe latest changes:\n\n")
	for _, c := range v.Changes {
		what := fmt.Sprintf("run %s %s, asked for by %s: %s, %s", c.Run, when(c.Time, now), c.AskedBy, c.Kind, c.Result)
		if c.Error != "" {
			what += " (" + c.Error + ")"
		}
		what += "; " + c.Why
		if values := diff(c.change, group); values != "" {
			what += "; " + values
		}
		for i, line := range wrapped(clean(what), explainWidth-4) {
			a.printf("  %s%s\n", strings.Repeat(" ", 2*min(i, 1)), line)
		}
	}
	return nil
}
