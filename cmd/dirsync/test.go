package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/mapping"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// testView is a preview as programs read it.
type testView struct {
	Sync string `json:"sync"`
	*mapping.Preview
	Blocked    int             `json:"blocked"`
	Rejected   int             `json:"rejected"`
	Drift      map[string]int  `json:"not_synced"`
	Pending    map[string]int  `json:"references_pending"`
	Rejections []rejectionView `json:"rejections"`
}

func (a *app) testCommand() *cobra.Command {
	var user string
	var noRead bool
	var limit int
	cmd := &cobra.Command{
		Use:   "test [SYNC...]",
		Short: "Preview what the mapping makes of everybody, or of one person",
		Long: `test reads what is new in the tenant and maps everybody who is there, without writing
anything to the target: for every field how many people have a value, how many have
none, whose value is converted and whose cannot be used, with samples; and for every
person who would be rejected the field, the value and the reason, addresses that two
people want included.

With --user (an object id, user principal name, e-mail address or display name) it
shows how each field of that person comes about, and whether it would be written and
if not, why.

Exit codes: 0 everybody makes a valid user; 1 failed; 2 the command line, the
configuration or the mapping is wrong; 3 some people would be rejected.`,
		Example: "  dirsync test\n  dirsync test staff --user adele@contoso.com\n  dirsync test -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			views := []any{}
			err := a.each(cmd.Context(), args, func(w *wired) error {
				if !noRead {
					if err := a.read(cmd.Context(), w); err != nil {
						return err
					}
				}
				view, err := a.testOne(cmd.Context(), w, user, limit)
				if view != nil {
					views = append(views, view)
				}
				return err
			})
			if a.json() && len(views) > 0 {
				if err := writeJSON(a.stdout, map[string]any{"tests": views}); err != nil {
					return err
				}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "show one `person` in full")
	cmd.Flags().BoolVar(&noRead, "no-read", false, "use what was read last, without asking the tenant")
	cmd.Flags().IntVar(&limit, "limit", 50, "list at most this many rejected people; 0 lists all")
	return cmd
}

func (a *app) testOne(ctx context.Context, w *wired, user string, limit int) (any, error) {
	if user == "" {
		return a.survey(ctx, w, limit)
	}
	p, err := find(ctx, w.engine.Store, user)
	switch {
	case dirsync.KindOf(err) == dirsync.NotFound && len(w.config.From.Users.Groups) > 0:
		return nil, &dirsync.Error{Kind: dirsync.NotFound, Err: err,
			Hint: "Whoever is in none of the chosen groups is not read. " + dirsync.HintOf(err)}
	case err != nil:
		return nil, err
	}
	view, err := trace(ctx, w, p)
	if err != nil {
		return nil, fmt.Errorf("test: %w", err)
	}
	if !a.json() {
		if err := a.printTrace(view); err != nil {
			return nil, err
		}
	}
	if view.Change == changeRejected {
		return view, &exitError{code: exitPartial}
	}
	return view, nil
}

// survey maps everybody.
func (a *app) survey(ctx context.Context, w *wired, limit int) (any, error) {
	rows := []rejectionView{}
	s, err := w.engine.Survey(ctx, func(r dirsync.Rejection) error {
		if limit <= 0 || len(rows) < limit || a.json() {
			rows = append(rows, viewRejection(r))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("test: %w", err)
	}
	view := testView{w.name, s.Preview, s.Blocked, s.Rejected, s.Drift, s.Pending, rows}
	if !a.json() {
		if err := a.printSurvey(w.name, s); err != nil {
			return nil, err
		}
		if err := a.printRejections(rows, s.Rejected); err != nil {
			return nil, err
		}
	}
	if s.Rejected > 0 {
		return view, &exitError{code: exitPartial}
	}
	return view, nil
}

// preview is what the demonstration shows of test.
func (d *demo) preview(ctx context.Context, w *wired) error {
	if d.json() {
		return nil
	}
	if err := d.read(ctx, w); err != nil {
		return err
	}
	s, err := w.engine.Survey(ctx, func(dirsync.Rejection) error { return nil })
	if err != nil {
		return err
	}
	return d.printSurvey(w.name, s)
}

func (a *app) printSurvey(name string, s engine.Survey) error {
	a.printf("%s: %s at the source", clean(name), counted(s.People+s.Blocked, "person", "people"))
	for _, part := range []struct {
		n    int
		what string
	}{{s.Blocked, "may not sign in"}, {s.OutOfScope, "out of scope"}, {s.Rejected, "would be rejected"}} {
		if part.n > 0 {
			a.printf("; %s %s", number(part.n), part.what)
		}
	}
	a.printf("\n\n")
	t := NewTable(a.style, "FIELD", "TYPE", "FROM", "SET", "EMPTY", "CONVERTED", "WRONG", "SAMPLE")
	fields := s.Fields
	if s.Where != nil {
		fields = append([]mapping.FieldPreview{*s.Where}, fields...)
	}
	for _, f := range fields {
		t.Row(f.Field, string(f.Type), f.Expression, f.Set, f.Empty, f.Converted, f.Wrong, sampleWords(f))
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	for _, field := range slices.Sorted(maps.Keys(s.Drift)) {
		a.printf("\n%s: the source has another value than the target for %s. Updates of this field are off, so they stay different.\n",
			clean(field), counted(s.Drift[field], "person", "people"))
	}
	for _, field := range slices.Sorted(maps.Keys(s.Pending)) {
		a.printf("\n%s: %s to people who are not there. They are kept and resolve themselves once these people are.\n",
			clean(field), counted(s.Pending[field], "reference leads", "references lead"))
	}
	return nil
}

// sampleWords picks what is most worth seeing of a field: something wrong, or a conversion, or a value.
func sampleWords(f mapping.FieldPreview) string {
	for _, list := range [][]mapping.Sample{f.WrongSamples, f.ConvertedSamples, f.SetSamples} {
		if len(list) == 0 {
			continue
		}
		s := list[0]
		switch {
		case s.Reason != "" && s.Input != "":
			return s.Input + " " + s.Reason
		case s.Reason != "":
			return s.Reason
		case s.Input == s.Output || s.Input == "":
			return s.Output
		}
		return s.Input + " -> " + s.Output
	}
	return ""
}

// find looks a person up by object id, and otherwise by the names that people go by.
func find(ctx context.Context, s engine.Store, key string) (dirsync.Person, error) {
	p, err := s.Person(ctx, dirsync.ID(strings.ToLower(key)))
	if err == nil || dirsync.KindOf(err) != dirsync.NotFound {
		return p, err
	}
	if indexed, ok := s.(interface {
		Named(ctx context.Context, name string) ([]dirsync.Person, error)
	}); ok {
		named, err := indexed.Named(ctx, strings.TrimSpace(key))
		named = slices.DeleteFunc(named, func(p dirsync.Person) bool { return p.Gone != dirsync.Present })
		if err != nil || len(named) == 1 {
			return append(named, p)[0], err
		}
	}
	want := dirsync.Fold(strings.TrimSpace(key))
	// A user principal name names one person in a tenant; the others may name several.
	names := []string{"userPrincipalName", "userName", "mail", dirsync.EmailAddress, "displayName"}
	matches := make([][]dirsync.Person, len(names))
	var after dirsync.Seq
	for {
		people, err := s.People(ctx, after, 1000)
		if err != nil {
			return p, err
		}
		for _, p := range people {
			for i, name := range names {
				if dirsync.Fold(p.Shadow.Text(name)) == want {
					matches[i] = append(matches[i], p)
					break
				}
			}
		}
		if len(people) < 1000 {
			break
		}
		after = people[len(people)-1].Seq
	}
	var found []dirsync.Person
	for _, m := range matches {
		if len(m) == 1 {
			return m[0], nil
		}
		found = append(found, m...)
	}
	if len(found) == 0 {
		return p, &dirsync.Error{Op: "find " + key, Kind: dirsync.NotFound, Err: errors.New("nobody who was read goes by that name"),
			Hint: "Give the object id, the user principal name, the e-mail address or the display name."}
	}
	var ids []string
	for _, p := range found {
		ids = append(ids, string(p.ID))
	}
	return p, &dirsync.Error{Op: "find " + key, Kind: dirsync.Conflict, Err: fmt.Errorf("%d people go by that name", len(found)),
		Hint: "Give one of the object ids: " + strings.Join(ids, ", ")}
}

// traceView is how one person's user comes about.
type traceView struct {
	Sync    string `json:"sync"`
	ID      string `json:"id"`
	User    string `json:"user"`
	Name    string `json:"name"`
	Source  string `json:"source"`
	InScope bool   `json:"in_scope"`
	Blocked bool   `json:"blocked"`
	// Outside says why the person is not in scope, where groups decide. Groups say in which groups they are, and through
	// which others.
	Outside string       `json:"outside,omitempty"`
	Groups  []pathView   `json:"groups,omitempty"`
	Account string       `json:"account,omitempty"`
	Change  string       `json:"change"`
	Why     string       `json:"why,omitempty"`
	Fields  []tracedView `json:"fields"`
	Faults  []faultView  `json:"faults,omitempty"`
	// Sends is what the target would be sent, request by request, where it can say so; SendFault is why it would not.
	Sends     []dirsync.Sending `json:"sends,omitempty"`
	SendFault string            `json:"send_fault,omitempty"`
}

// changeRejected is the Change of somebody whose record makes no valid user.
const changeRejected = "rejected"

// tracedView is one field of it, and whether it would be written.
type tracedView struct {
	mapping.FieldTrace
	Holds   dirsync.Value `json:"target_holds"`
	Written bool          `json:"written"`
	Because string        `json:"because"`
}

type faultView struct {
	Field  string `json:"field"`
	Value  string `json:"value"`
	Reason string `json:"reason"`
}

func trace(ctx context.Context, w *wired, p dirsync.Person) (traceView, error) {
	want, d, err := w.engine.Decide(ctx, p)
	if err != nil {
		return traceView{}, err
	}
	v := w.traced(p, want, d)
	if target, ok := w.engine.Target.(dirsync.Previewer); ok && d.Change != nil {
		if v.Sends, err = target.Preview(ctx, *d.Change); err != nil {
			v.SendFault = err.Error()
		}
	}
	v.Groups, err = w.paths(ctx, p.ID)
	return v, err
}

// traced says how a user comes about of what is wanted and what would be decided.
func (w *wired) traced(p dirsync.Person, want plan.Wanted, d dirsync.Decision) traceView {
	v := traceView{
		Sync: w.name, ID: string(p.ID), User: want.User, Name: want.Name, Source: p.Gone.String(), InScope: want.InScope,
		Blocked: want.Blocked, Outside: want.Outside, Account: p.Link.Account, Change: "none",
	}
	switch {
	case d.Change != nil:
		v.Change, v.Why = d.Change.Kind.String(), d.Change.Why
	case d.Rejection != nil:
		v.Change = changeRejected
	case d.Wait && d.Next.Why == dirsync.WhyGroups:
		v.Change, v.Why = "wait", "until a group of theirs is in the target"
	case d.Wait:
		v.Change, v.Why = "wait", "until the grace period ends"
	}
	if p.Gone == dirsync.Present {
		for _, f := range want.Faults {
			v.Faults = append(v.Faults, faultView(f))
		}
	}
	for _, f := range w.mapping.Trace(p.ID, p.Shadow) {
		t := tracedView{FieldTrace: f}
		t.Holds, _ = p.Link.Held.Get(f.Field)
		t.Written, t.Because = written(f, t.Holds, p, d)
		v.Fields = append(v.Fields, t)
	}
	return v
}

// written says whether a run would write a field, and why or why not.
func written(f mapping.FieldTrace, holds dirsync.Value, p dirsync.Person, d dirsync.Decision) (bool, string) {
	switch {
	case f.Field == mapping.WhereField:
		return false, "decides who is in scope"
	case f.Fault != nil:
		return false, f.Fault.Reason
	case d.Rejection != nil:
		return false, "the person is rejected"
	case f.Kept:
		return false, "the source has no value, and the field is kept then"
	case d.Change != nil:
		if _, ok := d.Change.After.Get(f.Field); ok {
			return true, d.Change.Kind.String()
		}
		if d.Change.Kind.Destructive() {
			return false, "the account is to " + d.Change.Kind.String()
		}
	}
	switch {
	case p.Link.Account == "":
		return false, "the person gets no account"
	case f.CreateOnly && holds != f.Output:
		return false, "updates of this field are off"
	}
	return false, "unchanged"
}

func (a *app) printTrace(v traceView) error {
	a.printf("%s <%s> (%s)\n", clean(v.Name), clean(v.User), clean(v.ID))
	t := NewTable(a.style, "", "")
	t.Row("at the source", v.Source)
	t.Row("in scope", scopeWords(v))
	for _, path := range v.Groups {
		t.Row("member of", path.String())
	}
	t.Row("may sign in", yesNo(!v.Blocked))
	t.Row("account", orElse(v.Account, "none"))
	t.Row("a run would", wouldDo(explainView{traceView: v}))
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	a.printf("\n")
	t = NewTable(a.style, "FIELD", "INPUT", "EXPRESSION", "OUTPUT", "TARGET HOLDS", "WRITTEN", "BECAUSE")
	for _, f := range v.Fields {
		var in []string
		for _, i := range f.Input {
			raw := "(absent)"
			if i.Raw != nil {
				raw = string(i.Raw)
			}
			in = append(in, i.Property+" = "+raw)
		}
		t.Row(f.Field, strings.Join(in, ", "), f.Form+": "+f.Expression, f.Output.Text, f.Holds.Text, yesNo(f.Written), f.Because)
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	a.printSends(v)
	return nil
}

// scopeWords says whether somebody is one of the sync's people, and why not where that is not for the expression.
func scopeWords(v traceView) string {
	if v.Outside != "" {
		return "no: " + v.Outside
	}
	for _, path := range v.Groups {
		if path.Scope && v.InScope {
			return "yes: is in " + path.Path[len(path.Path)-1].Name
		}
	}
	return yesNo(v.InScope)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
