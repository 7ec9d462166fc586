package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/sync/engine"
)

// heldView is a hold as programs read it.
type heldView struct {
	// Hold is its name, by which it is decided.
	Hold   string `json:"hold"`
	Sync   string `json:"sync"`
	Groups bool   `json:"groups,omitempty"`
	Kind   string `json:"kind"`
	// Count is how much would be taken away, People whom it is about.
	Count   int    `json:"count"`
	People  int    `json:"people"`
	Allowed int    `json:"allowed"`
	Reason  string `json:"reason"`
	// Run is the run that made it; empty for what SCIM clients have asked for.
	Run     string    `json:"run"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Status  string    `json:"status"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at,omitzero"`
	Why     string    `json:"why,omitempty"`
}

func viewHeld(h dirsync.Hold, now time.Time) heldView {
	return heldView{
		Hold: h.Name(), Sync: h.Sync, Groups: h.Groups, Kind: h.Kind.String(), Count: h.Count, People: h.People, Allowed: h.Allowed,
		Reason: h.Reason, Run: runName(h.Run), Created: h.Created, Expires: h.Expires,
		Status: string(holdStatus(h, now)), By: h.By, At: h.At, Why: h.Why,
	}
}

// holdStatus is what became of a hold. One that nobody decided in time is expired, although the next run has yet to write
// that down.
func holdStatus(h dirsync.Hold, now time.Time) dirsync.HoldStatus {
	if h.Status == dirsync.HoldOpen && !now.Before(h.Expires) {
		return dirsync.HoldExpired
	}
	return h.Status
}

func (a *app) holdsCommand() *cobra.Command {
	var all bool
	var limit int
	cmd := &cobra.Command{
		Use:   "holds [HOLD]",
		Short: "List what was held back, and who is on a list",
		Long: `holds lists what the limits have held back and nobody has decided yet: deletions,
deactivations, ended memberships and blanked values. With --all it lists those that
were decided, too.

With the name of a hold it shows the list: who would lose what, why, and what was
decided about them. Decide with dirsync approve or dirsync reject. The name has the
beginning of the list's digest in it, so that nobody decides about another list than
the one that they have seen.

Exit codes: 0 shown; 1 failed, or there is no such hold; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync holds\n  dirsync holds 3-1a2b3c4d --limit 0\n  dirsync holds --all -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var others []dirsync.Hold
			var err error
			if len(args) == 0 {
				if others, err = a.pushedHolds(cmd.Context(), all); err != nil {
					return err
				}
			} else {
				done, err := a.withPushedHold(cmd.Context(), args[0], false, func(p *pushing, h dirsync.Hold, _ string) error {
					return a.showPushedHold(cmd.Context(), p, h, limit)
				})
				if done || err != nil {
					return err
				}
			}
			return a.joined(cmd.Context(), nil, looking, func(ws []*wired) error {
				if len(args) == 0 {
					return a.listHolds(cmd.Context(), ws, all, others)
				}
				h, err := findHold(cmd.Context(), ws, args[0], false)
				if err != nil {
					return err
				}
				return a.showHold(cmd.Context(), h, limit)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "list decided and expired ones, too")
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most this many people of a hold; 0 shows all")
	return cmd
}

// eachHold calls fn for the holds of one engine, newest first.
func eachHold(ctx context.Context, e *engine.Engine, fn func(dirsync.Hold) error) error {
	for before := dirsync.HoldID(0); ; {
		batch, err := e.Store.Holds(ctx, before, 100)
		if err != nil {
			return fmt.Errorf("list the holds: %w", err)
		}
		for _, h := range batch {
			before = h.ID
			if err := fn(h); err != nil {
				return err
			}
		}
		if len(batch) < 100 {
			return nil
		}
	}
}

// listHolds lists the holds of syncs, and others that there are.
func (a *app) listHolds(ctx context.Context, ws []*wired, all bool, holds []dirsync.Hold) error {
	ps, err := parts(ctx, ws)
	if err != nil {
		return err
	}
	for _, p := range ps {
		err := eachHold(ctx, p.engine, func(h dirsync.Hold) error {
			if all || holdStatus(h, a.now()) == dirsync.HoldOpen {
				holds = append(holds, h)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(holds, func(x, y dirsync.Hold) int { return int(y.ID) - int(x.ID) })
	if a.json() {
		views := []heldView{}
		for _, h := range holds {
			views = append(views, viewHeld(h, a.now()))
		}
		return writeJSON(a.stdout, map[string]any{"holds": views})
	}
	if len(holds) == 0 {
		a.printf("Nothing is held back.\n")
		return nil
	}
	now := a.now()
	t := NewTable(a.style, "HOLD", "SYNC", "WHAT", "PEOPLE", "ALLOWED", "SINCE", "EXPIRES", "STATUS")
	for _, h := range holds {
		t.Row(h.Name(), h.Sync, heldWhat(h), h.People, h.Allowed, when(h.Created, now), when(h.Expires, now), paintedHold(h, now))
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	a.printf("\nWho that is: dirsync holds HOLD. Then: dirsync approve HOLD, or dirsync reject HOLD --reason TEXT.\n")
	return nil
}

func paintedHold(h dirsync.Hold, now time.Time) painted {
	status := holdStatus(h, now)
	if status == dirsync.HoldOpen {
		return painted{yellow, string(status)}
	}
	return painted{plain, string(status)}
}

// heldWhat says what would be taken away: "6 deactivations", "2 deletions of groups".
func heldWhat(h dirsync.Hold) string {
	words := map[dirsync.Danger][2]string{
		dirsync.Deletion: {"deletion", "deletions"}, dirsync.Deactivation: {"deactivation", "deactivations"},
		dirsync.Removal:  {"removal from a group", "removals from groups"},
		dirsync.Blanking: {"blanked value", "blanked values"},
	}[h.Kind]
	what := counted(h.Count, words[0], words[1])
	if h.Groups {
		what += " of groups"
	}
	return what
}

// foundHold is a hold and whose it is.
type foundHold struct {
	part
	hold dirsync.Hold
	// digest is the part of it that was named.
	digest string
}

var holdName = regexp.MustCompile(`^([1-9][0-9]{0,18})(?:-([0-9a-f]{8,64}))?$`)

// findHold finds a hold by its name. exact refuses a bare number: who decides must have seen the list.
func findHold(ctx context.Context, ws []*wired, name string, exact bool) (foundHold, error) {
	m := holdName.FindStringSubmatch(strings.ToLower(name))
	if m == nil {
		return foundHold{}, usageError("%q is no hold; a hold is named by its number and the beginning of its digest, 3-1a2b3c4d, as dirsync holds lists it", name)
	}
	id, err := strconv.ParseUint(m[1], 10, 64)
	if err != nil {
		return foundHold{}, usageError("%q is no hold: %w", name, err)
	}
	if exact && m[2] == "" {
		return foundHold{}, usageError("%s is only the number of a hold, and its list may be another one by now; look at it with dirsync holds %s, and name it "+
			"as it is named there, with the digest", name, name)
	}
	ps, err := parts(ctx, ws)
	if err != nil {
		return foundHold{}, err
	}
	for _, p := range ps {
		h, err := p.engine.Hold(ctx, dirsync.HoldID(id))
		switch {
		case dirsync.KindOf(err) == dirsync.NotFound:
		case err != nil:
			return foundHold{}, err
		case !exact && !strings.HasPrefix(h.Digest, m[2]):
			return foundHold{}, &dirsync.Error{Op: "show hold " + name, Kind: dirsync.Conflict, Err: errors.New("hold " + m[1] + " has another list than this name says"),
				Hint: "It is named " + h.Name() + "."}
		default:
			return foundHold{p, h, m[2]}, nil
		}
	}
	return foundHold{}, &dirsync.Error{Op: "find hold " + name, Kind: dirsync.NotFound, Hint: "dirsync holds lists them, and with --all those that were decided."}
}

// heldChangeView is one line of a hold's list as programs read it.
type heldChangeView struct {
	changeView
	Takes   string `json:"would_lose"`
	Decided string `json:"decided,omitempty"`
}

// showHold streams a hold's list, of which there may be a million lines.
func (a *app) showHold(ctx context.Context, h foundHold, limit int) error {
	group := groupNames(ctx, h.w.sync)
	if a.json() {
		doc := newJSONList(a.stdout)
		doc.field("hold", viewHeld(h.hold, a.now()))
		doc.list("changes")
		err := h.engine.HeldChanges(ctx, h.hold, func(c engine.HeldChange) error {
			return doc.item(heldChangeView{viewChange(c.Change), takes(c.Change, h.hold.Kind, group), c.Decided})
		})
		return errors.Join(err, doc.end())
	}
	a.printHold(h.hold)
	t, total, undecided := NewTable(a.style, "USER", "NAME", "WOULD LOSE", "WHY", "DECIDED"), 0, 0
	err := h.engine.HeldChanges(ctx, h.hold, func(c engine.HeldChange) error {
		if c.Decided == "" {
			undecided++
		}
		if total++; limit <= 0 || total <= limit {
			t.Row(c.Change.User, c.Change.Name, takes(c.Change, h.hold.Kind, group), c.Change.Why, c.Decided)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("show hold %s: %w", h.hold.Name(), err)
	}
	if total == 0 {
		a.printf("\nIts list is not kept any more.\n")
		return nil
	}
	a.printf("\n")
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if t.Len() < total {
		a.printf("… and %s more; --limit 0 shows all.\n", number(total-t.Len()))
	}
	switch {
	case holdStatus(h.hold, a.now()) != dirsync.HoldOpen:
	case undecided == 0:
		a.printf("\nEverybody on it is decided; the next run closes it.\n")
	default:
		a.printf("\nDecide about all of them, or name some behind the hold:\n  dirsync approve %[1]s\n  dirsync reject %[1]s --reason TEXT\n", h.hold.Name())
	}
	return nil
}

func (a *app) printHold(h dirsync.Hold) {
	now := a.now()
	of := "sync " + h.Sync
	if h.Run == 0 {
		of = "what SCIM clients asked for"
	}
	a.printf("hold %s of %s: %s\n", h.Name(), clean(of), heldWhat(h))
	a.printf("  %s\n", clean(h.Reason))
	made := "made"
	if h.Run != 0 {
		made = "made by run " + runName(h.Run)
	}
	a.printf("  %s %s; %s", made, when(h.Created, now), a.style.paint(paintedHold(h, now).color, string(holdStatus(h, now))))
	switch holdStatus(h, now) {
	case dirsync.HoldOpen:
		a.printf(", and can be decided until %s", stamp(h.Expires, now.Location()))
	case dirsync.HoldApproved, dirsync.HoldRejected:
		a.printf(" by %s %s", clean(h.By), when(h.At, now))
		if h.Why != "" {
			a.printf(": %s", clean(h.Why))
		}
	}
	a.printf("\n")
}

// takes says what of one danger a change takes away. group says what a group is called.
func takes(c dirsync.Change, d dirsync.Danger, group func(id string) string) string {
	switch d {
	case dirsync.Removal:
		var names []string
		for _, id := range c.Removed() {
			names = append(names, group(id))
		}
		slices.Sort(names)
		return "membership in " + strings.Join(names, ", ")
	case dirsync.Blanking:
		var values []string
		for _, field := range c.Blanked() {
			before, _ := c.Before.Get(field)
			values = append(values, field+" ("+before.Text+")")
		}
		return strings.Join(values, ", ")
	case dirsync.Deactivation:
		return "use of the account " + c.Account
	default:
		return "the account " + c.Account
	}
}
