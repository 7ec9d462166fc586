package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"dirsync/sync/engine"
)

// driftView is an account that is not as its sync left it, as programs read it.
type driftView struct {
	settledView
	Account string `json:"account"`
	// What is other values, missing, deactivated or woken; several are separated by commas.
	What string `json:"what"`
	// Was is what the account was given, Is what it holds.
	Was any `json:"was,omitempty"`
	Is  any `json:"is,omitempty"`
	// Then is what a full run would do about it.
	Then string `json:"then"`
}

// comparedView sums up the comparison of one sync, as programs read it.
type comparedView struct {
	Sync     string `json:"sync"`
	Accounts int    `json:"accounts"`
	Foreign  int    `json:"foreign"`
	Differ   int    `json:"differing"`
	Missing  int    `json:"missing"`
	Slept    int    `json:"deactivated_there"`
	Woken    int    `json:"woken_there"`
}

func (v comparedView) drifted() int { return v.Differ + v.Missing + v.Slept + v.Woken }

func (a *app) compareCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "compare [SYNC...]",
		Short: "Tell which accounts are not as they were left",
		Long: `compare lists all accounts of the target and compares each with what this sync has
left there: other values, accounts that are missing, and accounts that somebody else
has deactivated or woken. It only tells, and it writes nothing. dirsync run --full puts
right what can be, unless drift: report says otherwise.

Accounts that no sync has made, or another one, are foreign: they are counted and never
touched. An account that somebody has put to sleep there is not woken.

Exit codes: 0 all accounts are as they were left; 1 failed; 2 the command line or the
configuration is wrong; 3 some are not.`,
		Example: "  dirsync compare\n  dirsync compare staff -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.joined(cmd.Context(), args, comparing, func(ws []*wired) error { return a.compare(cmd.Context(), ws, limit) })
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most this many; 0 shows all")
	return cmd
}

func (a *app) compare(ctx context.Context, ws []*wired, limit int) error {
	var doc *jsonList
	if a.json() {
		doc = newJSONList(a.stdout)
		doc.list("drift")
	}
	t, total := NewTable(a.style, "SYNC", "ACCOUNT", "USER", "NAME", "WHAT", "VALUES", "RUN --FULL"), 0
	sums := []comparedView{}
	for _, w := range ws {
		n, err := w.engine.Compare(ctx, false, func(d engine.Drift) error {
			v := viewDrift(w, d)
			if doc != nil {
				return doc.item(v)
			}
			if total++; limit <= 0 || total <= limit {
				t.Row(v.Sync, v.Account, v.User, v.Name, v.What, driftValues(d), v.Then)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("compare %s: %w", w.name, err)
		}
		sums = append(sums, comparedView{w.name, n.Accounts, n.Foreign, n.Differing, n.Missing, n.Slept, n.Woken})
	}
	drifted := 0
	for _, v := range sums {
		drifted += v.drifted()
	}
	if doc != nil {
		doc.close()
		doc.field("syncs", sums)
		if err := doc.finish(); err != nil {
			return err
		}
	} else if err := a.printCompared(t, total, sums); err != nil {
		return err
	}
	if drifted > 0 {
		return &exitError{code: exitPartial}
	}
	return nil
}

func (a *app) printCompared(t *Table, total int, sums []comparedView) error {
	for _, v := range sums {
		a.printf("%s: %s of this sync compared", clean(v.Sync), counted(v.Accounts-v.Foreign, "account", "accounts"))
		if v.Foreign > 0 {
			a.printf(", %s foreign", number(v.Foreign))
		}
		if v.drifted() == 0 {
			a.printf("; all are as they were left\n")
			continue
		}
		a.printf("; %s other values, %s missing, %s deactivated there, %s woken there\n", number(v.Differ), number(v.Missing), number(v.Slept), number(v.Woken))
	}
	if total == 0 {
		return nil
	}
	a.printf("\n")
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if t.Len() < total {
		a.printf("… and %s more; --limit 0 shows all.\n", number(total-t.Len()))
	}
	return nil
}

func viewDrift(w *wired, d engine.Drift) driftView {
	v := driftView{settledView: viewSettled(w, d.Person), Account: d.Person.Link.Account}
	var what, then []string
	add := func(on bool, is, does string) {
		if on {
			what, then = append(what, is), append(then, does)
		}
	}
	add(len(d.Was) > 0, "other values", "writes again what is kept in step")
	add(d.Missing, "missing", "plans the person again")
	add(d.Woken, "woken", "deactivates it again")
	add(d.Slept, "deactivated", "leaves it: somebody there has decided so")
	if len(d.Was) > 0 {
		v.Was, v.Is = d.Was, d.Is
	}
	v.What, v.Then = strings.Join(what, ", "), strings.Join(then, ", ")
	if w.config.Drift == ReportDrift {
		v.Then = "only tells (drift: report)"
	}
	return v
}

// driftValues says what an account was given and what it holds.
func driftValues(d engine.Drift) string {
	var parts []string
	for _, was := range d.Was {
		is, _ := d.Is.Get(was.Field)
		parts = append(parts, was.Field+": "+orNothing(was.Value)+" -> "+orNothing(is))
	}
	return strings.Join(parts, ", ")
}
