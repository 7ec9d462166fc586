package main

import (
	"context"
	"errors"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/sync/engine"
)

// decisionView is what was decided, as programs read it.
type decisionView struct {
	Hold     string        `json:"hold"`
	Sync     string        `json:"sync"`
	Decision string        `json:"decision"`
	People   int           `json:"people"`
	By       string        `json:"by"`
	Changed  []changedView `json:"changed,omitempty"`
	// ChangedCount counts the people for whom a run would do something else by now; then nothing was decided.
	ChangedCount int      `json:"changed_count,omitempty"`
	Run          *runView `json:"run,omitempty"`
}

// changedView is somebody of whom a hold's list is not true any more, as programs read it.
type changedView struct {
	ID   string `json:"id"`
	User string `json:"user"`
	Name string `json:"name"`
	Now  string `json:"now"`
}

func (a *app) approveCommand() *cobra.Command {
	var reason string
	var run bool
	cmd := &cobra.Command{
		Use:   "approve HOLD [PERSON...]",
		Short: "Let the next run do what a hold's list says",
		Long: `approve lets through what was held back: everybody on the list, or only the people
who are named by object id, user name or e-mail address. It approves exactly this
list. If a run would do something else by now for anybody concerned, it says for whom
and approves nothing; and whoever changes before the next run is not touched by it.

Nothing is applied yet: the next run does that, and --run makes one now. What SCIM
clients have asked for is done at once.

Exit codes: 0 approved; 1 failed, or the list is not true any more and nothing was
approved; 2 the command line or the configuration is wrong. With --run, 3 says that
the run left somebody rejected, held back or failed.`,
		Example: "  dirsync approve 3-1a2b3c4d\n  dirsync approve 3-1a2b3c4d adele@contoso.com --run",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if done, err := a.decidePushed(cmd.Context(), args, decision{approve: true, why: reason}); done || err != nil {
				return err
			}
			how := deciding
			if run {
				how = running
			}
			return a.joined(cmd.Context(), nil, how, func(ws []*wired) error {
				return a.decide(cmd.Context(), ws, args, decision{approve: true, why: reason, run: run})
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever wonders later")
	cmd.Flags().BoolVar(&run, "run", false, "make a run of the sync now")
	return cmd
}

func (a *app) rejectCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "reject HOLD --reason TEXT [PERSON...]",
		Short: "Leave the people on a hold's list as they are",
		Long: `reject leaves the people on a hold's list as they are in the target: all of them, or
those who are named by object id, user name or e-mail address. That holds until the
source has something else to say of them; dirsync unignore ends it at once, and
dirsync ignored lists whom it concerns. What SCIM clients have asked for is dropped:
they see these people again as they were.

Exit codes: 0 rejected; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync reject 3-1a2b3c4d --reason 'the group was emptied by mistake'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usageError("reject needs --reason TEXT, for whoever wonders later why these people still have what they have")
			}
			if done, err := a.decidePushed(cmd.Context(), args, decision{why: reason}); done || err != nil {
				return err
			}
			return a.joined(cmd.Context(), nil, deciding, func(ws []*wired) error {
				return a.decide(cmd.Context(), ws, args, decision{why: reason})
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; required")
	return cmd
}

// decision is what is decided about a hold, and whether a run follows.
type decision struct {
	approve bool
	why     string
	run     bool
}

func (d decision) word() string {
	if d.approve {
		return "approved"
	}
	return "rejected"
}

// decide decides about a hold, args[0], for everybody or for the people named behind it.
func (a *app) decide(ctx context.Context, ws []*wired, args []string, d decision) error {
	h, err := findHold(ctx, ws, args[0], true)
	if err != nil {
		return err
	}
	v := engine.Verdict{Hold: h.hold.ID, Digest: h.digest, By: a.decider(), Why: d.why}
	if v.People, err = h.listed(ctx, args[1:]); err != nil {
		return err
	}
	view := decisionView{Hold: h.hold.Name(), Sync: h.hold.Sync, Decision: d.word(), By: v.By}
	if d.approve {
		view.People, err = h.engine.Approve(ctx, v)
	} else {
		view.People, err = h.engine.Reject(ctx, v)
	}
	if changed, ok := errors.AsType[*engine.ChangedError](err); ok {
		view.Decision = "none"
		return errors.Join(err, a.printChanged(changed, view))
	}
	if err != nil {
		return err
	}
	if !a.json() {
		a.printDecision(h.hold, view, d)
	}
	var runErr error
	if d.run {
		var r dirsync.Run
		if r, runErr = a.runOne(ctx, h.w, v.By); r.ID != 0 {
			rv := viewRun(r)
			view.Run = &rv
		}
	}
	if a.json() {
		return errors.Join(runErr, writeJSON(a.stdout, view))
	}
	return runErr
}

func (a *app) printDecision(h dirsync.Hold, v decisionView, d decision) {
	who := "everybody on it"
	if v.People < h.People {
		who = number(v.People) + " of the " + number(h.People) + " on it"
	}
	a.printf("hold %s: %s for %s, by %s.\n", v.Hold, v.Decision, who, clean(v.By))
	switch {
	case !d.approve:
		a.printf("They stay as they are until the source has something else to say of them; dirsync ignored lists them.\n")
	case d.run:
		a.printf("\n")
	default:
		a.printf("Nothing was applied yet: the next run does that, and dirsync run %s makes one now.\n", clean(v.Sync))
	}
}

// printChanged shows of whom a list is not true any more.
func (a *app) printChanged(changed *engine.ChangedError, view decisionView) error {
	view.ChangedCount = changed.Count
	t := NewTable(a.style, "USER", "NAME", "A RUN WOULD NOW")
	for _, c := range changed.People {
		view.Changed = append(view.Changed, changedView{string(c.ID), c.User, c.Name, c.Now})
		t.Row(c.User, c.Name, "do "+c.Now)
	}
	if a.json() {
		return writeJSON(a.stdout, view)
	}
	a.printf("Nothing was approved, because the list is not true any more of %s:\n\n", counted(changed.Count, "person", "people"))
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if more := changed.Count - len(changed.People); more > 0 {
		a.printf("… and %s more.\n", number(more))
	}
	return nil
}

// listed finds people on a hold's list: by object id, or by the names that the list has, and otherwise by any name that
// they go by. It is nil when nobody is named, which means everybody.
func (h foundHold) listed(ctx context.Context, keys []string) ([]dirsync.ID, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	ids := map[string][]dirsync.ID{}
	err := h.engine.HeldChanges(ctx, h.hold, func(c engine.HeldChange) error {
		for _, key := range keys {
			if folded := dirsync.Fold(key); folded == dirsync.Fold(string(c.Change.Person)) || folded == dirsync.Fold(c.Change.User) {
				ids[key] = append(ids[key], c.Change.Person)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h.part.named(ctx, keys, ids)
}

// named resolves keys to people: those in ids already, and the others by any name that they go by.
func (p part) named(ctx context.Context, keys []string, ids map[string][]dirsync.ID) ([]dirsync.ID, error) {
	seen := map[dirsync.ID]bool{}
	var out []dirsync.ID
	for _, key := range keys {
		found := ids[key]
		switch {
		case len(found) > 1:
			return nil, &dirsync.Error{Op: "find " + key, Kind: dirsync.Conflict, Err: errors.New(strconv.Itoa(len(found)) + " on the list go by that name"),
				Hint: "Give an object id."}
		case len(found) == 0 && p.groups:
			found = []dirsync.ID{dirsync.ID(dirsync.Fold(key))}
		case len(found) == 0:
			person, err := p.w.person(ctx, key, true)
			if err != nil {
				return nil, err
			}
			found = []dirsync.ID{person.ID}
		}
		if !seen[found[0]] {
			seen[found[0]] = true
			out = append(out, found[0])
		}
	}
	return out, nil
}

// decider says who works at the command line, for those who wonder later who decided.
func decider() string {
	name := os.Getenv("SUDO_USER")
	if name == "" {
		name = "uid " + strconv.Itoa(os.Getuid())
		if u, err := user.Current(); err == nil && u.Username != "" {
			name = u.Username
		}
	}
	return name + " at the command line"
}
