package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/mapping"
	"dirsync/sync/engine"
	"dirsync/web"
)

// explainView is everything that is known of one person, as programs read it.
type explainView struct {
	traceView
	// GoneSince is when it was first known that they are gone.
	GoneSince time.Time `json:"gone_since,omitzero"`
	// ScopeBecause says by which rule or groups they are one of the sync's people, or are not.
	ScopeBecause string `json:"in_scope_because"`
	// MemberOf are the ways from their groups to chosen ones.
	MemberOf []wayView `json:"member_of,omitempty"`
	// Record is what the source last said of them.
	Record map[string]json.RawMessage `json:"record"`
	// Joined says how the account was found: "made by dirsync", or by which field it was found.
	Joined        string         `json:"account_joined,omitempty"`
	Status        string         `json:"account_status,omitempty"`
	DeactivatedAt time.Time      `json:"deactivated_at,omitzero"`
	Doubt         string         `json:"in_doubt,omitempty"`
	Holds         dirsync.Values `json:"target_holds,omitempty"`
	Owed          *owedView      `json:"owed,omitempty"`
	Protected     string         `json:"protected,omitempty"`
	Rejected      []faultView    `json:"rejected,omitempty"`
	Marks         []markView     `json:"decided,omitempty"`
	HeldIn        []heldView     `json:"held,omitempty"`
	// GraceEnds is when the account is deleted, unless they come back.
	GraceEnds time.Time      `json:"grace_ends,omitzero"`
	Changes   []exportedView `json:"changes"`
	// LastRequest is the latest request of a SCIM client about their account that was no mere look.
	LastRequest *web.SCIMRequest `json:"last_request,omitempty"`
}

// wayView leads from a group that somebody is a direct member of to a chosen one, if Chosen.
type wayView struct {
	Path   []groupRef `json:"path"`
	Chosen bool       `json:"chosen"`
	// Gone says that one of them was deleted at the source.
	Gone bool `json:"gone,omitempty"`
}

func (v wayView) String() string {
	s := pathView{Path: v.Path}.arrows(" → ")
	if v.Gone {
		s += " (deleted)"
	}
	return s
}

type owedView struct {
	Why      string    `json:"why"`
	Since    time.Time `json:"since"`
	NextTry  time.Time `json:"next_try,omitzero"`
	Attempts int       `json:"attempts,omitempty"`
	Error    string    `json:"error,omitempty"`
}

// markView is what somebody has decided about a person, as programs read it.
type markView struct {
	Decision string    `json:"decision"`
	About    string    `json:"about"`
	Hold     string    `json:"hold,omitempty"`
	Undone   string    `json:"undone_by_run,omitempty"`
	By       string    `json:"by"`
	Why      string    `json:"why,omitempty"`
	At       time.Time `json:"at"`
	// Void says that the decision means nothing any more, because the source has something else to say of them.
	Void bool `json:"void,omitempty"`
}

func viewMark(m dirsync.Mark) markView {
	v := markView{Decision: m.Kind.String(), About: m.Danger.String(), By: m.By, Why: m.Why, At: m.At}
	if m.Danger == 0 {
		v.About = "everything"
	}
	if m.Hold != 0 {
		v.Hold = strconv.FormatUint(uint64(m.Hold), 10)
	}
	if m.Undone != 0 {
		v.Undone = strconv.FormatUint(uint64(m.Undone), 10)
	}
	return v
}

func (a *app) explainCommand() *cobra.Command {
	var sync string
	cmd := &cobra.Command{
		Use:   "explain USER",
		Short: "Say everything about one person, and why it is so",
		Long: `explain shows what is known of one person: whether they are one of the sync's people
and by which rule or groups, the record as it was last read, how each field comes
about, their account and how it became theirs, what they are owed and since when, what
was held, decided, protected or rejected, when a grace period ends, what a run would do
now, and the latest changes with the runs that made them.

USER is an object id, the account's id or e-mail address in the directory, or a user
principal name, e-mail address or display name at the source. Ids and addresses of
accounts are found at once, however many people there are; for other names everybody
is looked at. Nobody is asked: it goes by what was read last.

Of somebody whom SCIM clients push it shows which token made them, the account, what waits
for approval, who changed them last, and the latest requests. They are found by id,
userName, externalId, e-mail address and display name; of those who are not there any
more it shows what the history remembers.

Exit codes: 0 explained; 1 failed, or nobody goes by that name; 2 the command line or
the configuration is wrong.`,
		Example: "  dirsync explain adele@contoso.com\n  dirsync explain u00000012 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var pushed []web.Pushed
			if sync == "" {
				var err error
				if pushed, err = a.explainPushed(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			return a.explainBoth(cmd.Context(), args[0], only(sync), pushed)
		},
	}
	cmd.Flags().StringVar(&sync, "sync", "", "look in this `sync` only")
	return cmd
}

// explainBoth explains somebody whom syncs know, together with what is known of those whom clients push.
func (a *app) explainBoth(ctx context.Context, key string, syncs []string, pushed []web.Pushed) error {
	return a.joined(ctx, syncs, looking, func(ws []*wired) error {
		found, err := whose(ctx, ws, key, false)
		if dirsync.KindOf(err) == dirsync.NotFound && len(pushed) == 1 && len(ws) > 0 {
			found, err = whose(ctx, ws, pushed[0].ID, false) // Syncs know nothing of the names that clients give.
		}
		if dirsync.KindOf(err) == dirsync.NotFound && (len(pushed) > 0 || len(ws) == 0) {
			err = nil
		}
		switch {
		case err != nil:
			return err
		case len(found)+len(pushed) == 0:
			return errNobodyPushed(key)
		}
		views := []explainView{}
		for _, who := range found {
			v, err := a.explain(ctx, who.w, who.p)
			if err != nil {
				return fmt.Errorf("explain %s: %w", key, err)
			}
			views = append(views, v)
		}
		if a.json() {
			return writeJSON(a.stdout, struct {
				Explanations []explainView `json:"explanations"`
				Pushed       []web.Pushed  `json:"pushed,omitempty"`
			}{views, pushed})
		}
		for i, v := range pushed {
			if i > 0 {
				a.printf("\n")
			}
			a.printPushed(v)
		}
		for i, v := range views {
			if i+len(pushed) > 0 {
				a.printf("\n")
			}
			if err := a.printExplanation(v, groupNames(ctx, found[i].w.sync)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) explain(ctx context.Context, w *wired, p dirsync.Person) (explainView, error) {
	x, err := w.engine.Explain(ctx, p)
	if err != nil {
		return explainView{}, err
	}
	v := explainView{traceView: w.traced(p, x.Wanted, x.Decision), Record: map[string]json.RawMessage{}, Doubt: doubtWord(p.Link),
		Protected: w.protection.why(p), GraceEnds: x.GraceEnds, Changes: []exportedView{}}
	for _, path := range x.Member {
		v.MemberOf = append(v.MemberOf, viewWay(path))
	}
	v.ScopeBecause = scopeBecause(w, v, p)
	for _, attr := range p.Shadow {
		v.Record[attr.Name] = attr.Raw
	}
	// What an expression hides is hidden here as well.
	for _, f := range v.Fields {
		for _, in := range f.Input {
			if name, _, _ := strings.Cut(in.Property, "/"); string(in.Raw) == hiddenValue && v.Record[name] != nil {
				v.Record[name] = in.Raw
			}
		}
	}
	if p.Gone != dirsync.Present {
		v.GoneSince = p.GoneAt
	}
	if p.Link.Account != "" {
		v.Status, v.Joined, v.DeactivatedAt, v.Holds = "inactive", "made by dirsync or found by object id", p.Link.DeactivatedAt, p.Link.Held
		if p.Link.Active {
			v.Status = "active"
		}
		if p.Link.Joined != "" {
			v.Joined = "was there before, and was found by " + p.Link.Joined
		}
	}
	if o := p.Owed; o.Why != 0 {
		v.Owed = &owedView{o.Why.String(), o.Since, o.Due, o.Attempts, o.Error}
	}
	standing, _, err := w.sync.Rejections(ctx, p.Seq-1, 1)
	if err != nil {
		return v, err
	}
	if len(standing) == 1 && standing[0].ID == p.ID {
		for _, f := range standing[0].Faults {
			v.Rejected = append(v.Rejected, faultView(f))
		}
	}
	for _, m := range x.Marks {
		mv := viewMark(m)
		mv.Void = slices.ContainsFunc(x.Decision.Void, func(void dirsync.Mark) bool { return void.Danger == m.Danger && void.Kind == m.Kind })
		v.Marks = append(v.Marks, mv)
		for i, f := range v.Fields {
			if m.Kind == dirsync.Kept && !mv.Void && f.Field != mapping.WhereField && !f.Written && !f.Output.Same(f.Holds) {
				v.Fields[i].Because = "kept as it is, by " + m.By
			}
		}
	}
	for _, h := range x.Holds {
		v.HeldIn = append(v.HeldIn, viewHeld(h, a.now()))
	}
	for _, c := range x.Changes {
		v.Changes = append(v.Changes, viewExported(x.Runs[c.Run], c.Run, c.Outcome, x.Runs[c.Run].Holds))
	}
	if w.directory != nil && p.Link.Account != "" {
		last, err := a.lastRequest(p.Link.Account)
		if err != nil {
			return v, err
		}
		if last != nil {
			r := last.SCIMRequest
			v.LastRequest = &r
		}
	}
	return v, nil
}

// hiddenValue is what a trace has in the place of a value that an expression hides; see mapping.Mapping.Trace.
const hiddenValue = `"[Redact]"`

func viewWay(path engine.GroupPath) wayView {
	v := wayView{Chosen: path.Chosen}
	for _, g := range path.Groups {
		name := strings.Join(strings.Fields(g.Name), " ")
		if name == "" {
			name = string(g.ID)
		}
		v.Path = append(v.Path, groupRef{string(g.ID), name})
		v.Gone = v.Gone || g.Gone
	}
	return v
}

func doubtWord(l dirsync.Link) string {
	if !l.InDoubt() {
		return ""
	}
	return l.Doubt.String()
}

// scopeBecause says by what somebody is one of the sync's people, or is not.
func scopeBecause(w *wired, v explainView, p dirsync.Person) string {
	where := w.config.Where.Text
	switch {
	case p.Gone != dirsync.Present:
		return "is gone from the source"
	case v.Outside != "":
		return v.Outside
	case !v.InScope:
		return "where is false of them: " + where
	}
	var because []string
	if len(w.config.From.Users.Groups) > 0 {
		for _, way := range v.MemberOf {
			if way.Chosen {
				because = append(because, "is in "+way.String())
				break
			}
		}
	}
	if where != "" {
		because = append(because, "where is true of them: "+where)
	}
	if len(because) == 0 {
		return "this sync is about everybody"
	}
	return strings.Join(because, "; ")
}
