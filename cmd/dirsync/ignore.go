package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/store"
)

// settledView is what was decided about one person, as programs read it.
type settledView struct {
	Sync string `json:"sync"`
	ID   string `json:"id"`
	User string `json:"user"`
	Name string `json:"name"`
}

func viewSettled(w *wired, p dirsync.Person) settledView {
	return settledView{w.name, string(p.ID), sourceName(p), p.Shadow.Text("displayName")}
}

// sourceName is what an administrator would look for at the source.
func sourceName(p dirsync.Person) string {
	for _, attr := range []string{"userPrincipalName", "userName", "mail"} {
		if s := p.Shadow.Text(attr); s != "" {
			return s
		}
	}
	return string(p.ID)
}

// settle finds people and calls fn with those of each sync.
func (a *app) settle(ctx context.Context, sync string, keys []string, fn func(*wired, []dirsync.Person) error) ([]settledView, error) {
	views := []settledView{}
	err := a.joined(ctx, only(sync), deciding, func(ws []*wired) error {
		found, err := people(ctx, ws, keys)
		if err != nil {
			return err
		}
		for i, of := range found {
			if len(of) == 0 {
				continue
			}
			if err := fn(ws[i], of); err != nil {
				return err
			}
			for _, p := range of {
				views = append(views, viewSettled(ws[i], p))
			}
		}
		return nil
	})
	return views, err
}

// printSettled says what was done about people. then is what comes of it.
func (a *app) printSettled(verb, then string, views []settledView) error {
	if a.json() {
		return writeJSON(a.stdout, map[string]any{verb: views})
	}
	for _, v := range views {
		a.printf("%s: %s <%s> in sync %s\n", verb, clean(v.Name), clean(v.User), clean(v.Sync))
	}
	a.printf("%s\n", then)
	return nil
}

const whoHelp = `USER is an object id, the account's id or e-mail address in the directory, or a user
principal name, e-mail address or display name at the source. Whoever could be meant
by a name besides somebody else is named by an id.`

func (a *app) retryCommand() *cobra.Command {
	var sync string
	cmd := &cobra.Command{
		Use:   "retry USER...",
		Short: "Have the next run look at people again",
		Long: `retry owes people a look: the next run plans them again, however long they would have
to wait for their next try.

` + whoHelp + `

Exit codes: 0 done; 1 failed, or nobody goes by that name; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync retry adele@contoso.com",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			views, err := a.settle(cmd.Context(), sync, args, func(w *wired, of []dirsync.Person) error { return w.engine.TryAgain(cmd.Context(), of) })
			if err != nil {
				return err
			}
			return a.printSettled("owed", "The next run looks at them.", views)
		},
	}
	cmd.Flags().StringVar(&sync, "sync", "", "look in this `sync` only")
	return cmd
}

func (a *app) ignoreCommand() *cobra.Command {
	var sync, reason string
	cmd := &cobra.Command{
		Use:   "ignore USER... --reason TEXT",
		Short: "Leave people as they are, whatever is wrong with them",
		Long: `ignore leaves people as they are in the target and out of the figures of what is
rejected: a meeting room without a first name, somebody whose change fails and does
not matter. It ends when the source has something else to say of them, or with
dirsync unignore; dirsync ignored lists whom it concerns.

` + whoHelp + `

Exit codes: 0 done; 1 failed, or nobody goes by that name; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync ignore room7@contoso.com --reason 'a meeting room'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usageError("ignore needs --reason TEXT, for whoever wonders later why nobody looks at these people")
			}
			ctx := cmd.Context()
			views, err := a.settle(ctx, sync, args, func(w *wired, of []dirsync.Person) error {
				// They are owed a look, so that what stands against them is lifted.
				return errors.Join(w.engine.Ignore(ctx, of, a.decider(), reason), w.engine.TryAgain(ctx, of))
			})
			if err != nil {
				return err
			}
			return a.printSettled("ignored", "They stay as they are until the source has something else to say of them.", views)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; required")
	cmd.Flags().StringVar(&sync, "sync", "", "look in this `sync` only")
	return cmd
}

func (a *app) unignoreCommand() *cobra.Command {
	var sync string
	cmd := &cobra.Command{
		Use:   "unignore USER...",
		Short: "Take back whatever was decided about people",
		Long: `unignore takes back what was decided about people: that they are ignored, that a hold
was rejected or approved for them, and that they stay as an undoing has left them. The
next run looks at them again.

` + whoHelp + `

Exit codes: 0 done; 1 failed, or nobody goes by that name; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync unignore room7@contoso.com",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			views, err := a.settle(cmd.Context(), sync, args, func(w *wired, of []dirsync.Person) error { return w.engine.Unignore(cmd.Context(), of) })
			if err != nil {
				return err
			}
			return a.printSettled("unignored", "The next run looks at them again.", views)
		},
	}
	cmd.Flags().StringVar(&sync, "sync", "", "look in this `sync` only")
	return cmd
}

// ignoredView is somebody who stays as they are, as programs read it.
type ignoredView struct {
	settledView
	markView
}

func (a *app) ignoredCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "ignored [SYNC...]",
		Short: "List whom people have decided to leave as they are",
		Long: `ignored lists everybody of whom somebody has decided that they stay as they are: with
dirsync ignore, by rejecting a hold, or by taking a run back. It ends when the source
has something else to say of them, or with dirsync unignore.

Exit codes: 0 listed; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync ignored\n  dirsync ignored staff -o json",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.joined(cmd.Context(), args, looking, func(ws []*wired) error { return a.listIgnored(cmd.Context(), ws, limit) })
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most this many; 0 shows all")
	return cmd
}

func (a *app) listIgnored(ctx context.Context, ws []*wired, limit int) error {
	t, total := NewTable(a.style, "SYNC", "USER", "NAME", "KEPT", "BY", "SINCE", "WHY"), 0
	var doc *jsonList
	if a.json() {
		doc = newJSONList(a.stdout)
		doc.list("ignored")
	}
	for _, w := range ws {
		list := func(p dirsync.Person, m dirsync.Mark) error {
			v := ignoredView{viewSettled(w, p), viewMark(m)}
			if doc != nil {
				return doc.item(v)
			}
			if total++; limit <= 0 || total <= limit {
				t.Row(v.Sync, v.User, v.Name, v.About, v.By, when(m.At, a.now()), v.Why)
			}
			return nil
		}
		for _, of := range []*store.Sync{w.sync, w.sync.Groups()} {
			if err := eachKept(ctx, of, list); err != nil {
				return fmt.Errorf("list who is ignored: %w", err)
			}
		}
	}
	switch {
	case doc != nil:
		return doc.end()
	case total == 0:
		a.printf("Nobody is ignored.\n")
		return nil
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if t.Len() < total {
		a.printf("… and %s more; --limit 0 shows all.\n", number(total-t.Len()))
	}
	return nil
}

// eachKept calls fn for each decision that somebody, or a group, stays as they are.
func eachKept(ctx context.Context, s *store.Sync, fn func(dirsync.Person, dirsync.Mark) error) error {
	const limit = 500
	for after := dirsync.Seq(0); ; {
		marks, err := s.Marked(ctx, after, limit)
		if err != nil || len(marks) == 0 {
			return err
		}
		for _, m := range marks {
			after = m.Seq
			if m.Kind != dirsync.Kept {
				continue
			}
			p, err := s.People(ctx, m.Seq-1, 1)
			if err != nil {
				return err
			}
			if len(p) == 1 && p[0].Seq == m.Seq {
				if err := fn(p[0], m); err != nil {
					return err
				}
			}
		}
	}
}
