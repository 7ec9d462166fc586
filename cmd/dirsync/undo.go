package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/sync/engine"
)

// takenBackView is one line of an undoing as programs read it.
type takenBackView struct {
	// Was is the change that was made, Back the one that takes it back, if one does.
	Was  changeView  `json:"was"`
	Back *changeView `json:"back,omitempty"`
	// Since are the fields, or "the account", that have changed since.
	Since []string `json:"changed_since,omitempty"`
	// Nothing says why there is nothing to do.
	Nothing string `json:"nothing,omitempty"`
	Groups  bool   `json:"groups,omitempty"`
}

// undoSummaryView is what an undoing comes to, as programs read it.
type undoSummaryView struct {
	Run     string         `json:"run"`
	Sync    string         `json:"sync"`
	Confirm string         `json:"confirm"`
	Counts  map[string]int `json:"counts"`
	Nothing int            `json:"nothing_to_do"`
	Since   int            `json:"changed_since"`
	// Runs are those that took it back, when it was confirmed.
	Runs []runView `json:"runs,omitempty"`
}

func (a *app) undoCommand() *cobra.Command {
	var all bool
	var confirm string
	var limit int
	cmd := &cobra.Command{
		Use:   "undo RUN [PERSON...]",
		Short: "Take back what a run has done",
		Long: `undo takes back what a run has done, to everybody or only to the people who are named
by object id, user name or e-mail address: values become what they were, whoever was
deactivated or deleted has an account again, and whoever got one is deactivated. Where
groups are synced, what the run did to groups is taken back first.

Without --confirm it shows what it would do, and changes nobody. What has changed since
is left out and named; --all takes it back as well. The command that it prints at the
end confirms exactly that list, and nothing happens if it would do anything else by
then. Whoever is taken back stays as they then are until the source has something else
to say of them; dirsync unignore ends that.

Exit codes: 0 shown, or taken back; 1 failed, there is no such run, or there is nothing
to take back; 2 the command line or the configuration is wrong; 3 taken back, but some
changes failed.`,
		Example: "  dirsync undo 12\n  dirsync undo 12 adele@contoso.com --all\n  dirsync undo 12 --confirm 1a2b3c4d",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := runNumber("undo", args[0])
			if err != nil {
				return err
			}
			how := looking
			if confirm != "" {
				if confirm = strings.ToLower(confirm); !undoDigest.MatchString(confirm) {
					return usageError("--confirm %s: that is none of the words that dirsync undo %s prints", confirm, args[0])
				}
				how = takingBack
			}
			return a.joined(cmd.Context(), nil, how, func(ws []*wired) error {
				u, err := a.findUndo(cmd.Context(), ws, id, args[1:], all)
				switch {
				case err != nil:
					return err
				case confirm == "":
					return a.previewUndo(cmd.Context(), u, args[1:], limit)
				}
				return a.undo(cmd.Context(), u, confirm)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "take back what has changed since, too")
	cmd.Flags().StringVar(&confirm, "confirm", "", "do what the preview with this `word` has shown")
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most this many changes; 0 shows all")
	return cmd
}

// undoDigest is how an undoing is confirmed: by the beginning of its list's digest, and where there are groups of both
// lists'.
var undoDigest = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{8})?$`)

func runNumber(verb, s string) (dirsync.RunID, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil || id == 0 {
		return 0, usageError("%s %q: a run is named by its number; dirsync history lists them", verb, s)
	}
	return dirsync.RunID(id), nil
}

// undoing is a run that is to be taken back: its part about groups, if it had one, and its part about people.
type undoing struct {
	w     *wired
	run   dirsync.Run
	parts []undoPart
}

type undoPart struct {
	part
	taking  engine.Taking
	preview engine.UndoPreview
}

// findUndo finds a run and what there is to take back of it.
func (a *app) findUndo(ctx context.Context, ws []*wired, id dirsync.RunID, people []string, all bool) (*undoing, error) {
	for _, w := range ws {
		r, found, err := findRun(ctx, w.sync, id)
		if err != nil {
			return nil, fmt.Errorf("find the run: %w", err)
		}
		if !found {
			continue
		}
		u := &undoing{w: w, run: r}
		ps, err := parts(ctx, []*wired{w})
		if err != nil {
			return nil, err
		}
		slices.Reverse(ps) // groups first: whoever is put into one finds it there
		for _, p := range ps {
			up := undoPart{part: p, taking: engine.Taking{Run: r.ID, All: all, By: a.decider()}}
			if p.groups {
				if r.Groups == nil || len(people) > 0 {
					continue
				}
				up.taking.Run = r.Groups.Run
			}
			u.parts = append(u.parts, up)
		}
		if len(people) > 0 {
			if err := u.name(ctx, people); err != nil {
				return nil, err
			}
		}
		return u, u.look(ctx, nil)
	}
	return nil, &dirsync.Error{Op: fmt.Sprintf("undo run %d", id), Kind: dirsync.NotFound, Hint: "dirsync history lists the runs that there are."}
}

// name limits an undoing to some people.
func (u *undoing) name(ctx context.Context, keys []string) error {
	p := &u.parts[len(u.parts)-1]
	ids := map[string][]dirsync.ID{}
	_, err := p.engine.PreviewUndo(ctx, p.taking, func(b engine.TakenBack) error {
		for _, key := range keys {
			if folded := dirsync.Fold(key); folded == dirsync.Fold(string(b.Was.Person)) || folded == dirsync.Fold(b.Was.User) {
				ids[key] = append(ids[key], b.Was.Person)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		ids[key] = slices.Compact(ids[key])
	}
	p.taking.People, err = p.part.named(ctx, keys, ids)
	return err
}

// look previews all parts and calls fn, which may be nil, for each line.
func (u *undoing) look(ctx context.Context, fn func(undoPart, engine.TakenBack) error) error {
	for i := range u.parts {
		p := &u.parts[i]
		var err error
		p.preview, err = p.engine.PreviewUndo(ctx, p.taking, func(b engine.TakenBack) error {
			if fn == nil {
				return nil
			}
			return fn(*p, b)
		})
		if err != nil {
			return fmt.Errorf("undo run %d: %w", u.run.ID, err)
		}
	}
	return nil
}

// digest is the word that confirms the undoing; empty when there is nothing to take back.
func (u *undoing) digest() string {
	var words []string
	for _, p := range u.parts {
		if p.preview.Digest != "" {
			words = append(words, p.preview.Digest[:8])
		}
	}
	return strings.Join(words, "-")
}

func (u *undoing) summary() undoSummaryView {
	v := undoSummaryView{Run: strconv.FormatUint(uint64(u.run.ID), 10), Sync: u.run.Sync, Confirm: u.digest(), Counts: map[string]int{}}
	for _, p := range u.parts {
		for kind, n := range p.preview.Counts {
			v.Counts[kind.String()] += n
		}
		v.Nothing += p.preview.Nothing
		v.Since += p.preview.Since
	}
	return v
}

// previewUndo shows what an undoing would do, and how to confirm it.
func (a *app) previewUndo(ctx context.Context, u *undoing, people []string, limit int) error {
	sum := u.summary()
	if a.json() {
		doc := newJSONList(a.stdout)
		doc.field("undo", sum)
		doc.list("changes")
		err := u.look(ctx, func(p undoPart, b engine.TakenBack) error { return doc.item(viewTakenBack(p, b)) })
		return errors.Join(err, doc.end())
	}
	group := groupNames(ctx, u.w.sync)
	t, total := NewTable(a.style, "WAY BACK", "USER OR GROUP", "NAME", "VALUES", "CHANGED SINCE"), 0
	err := u.look(ctx, func(_ undoPart, b engine.TakenBack) error {
		if total++; limit > 0 && total > limit {
			return nil
		}
		since := strings.Join(b.Back.Since, ", ")
		if c := b.Back.Change; c != nil {
			t.Row(painted{kindColor(c.Kind), c.Kind.String()}, b.Was.User, b.Was.Name, diff(*c, group), since)
		} else {
			t.Row("none", b.Was.User, b.Was.Name, b.Back.Nothing, since)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if total == 0 {
		return u.nothing()
	}
	changes := 0
	for _, n := range sum.Counts {
		changes += n
	}
	a.printf("run %d of sync %s, %s: %s to take it back\n\n", u.run.ID, clean(u.run.Sync), when(u.run.Started, a.now()), counted(changes, "change", "changes"))
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if t.Len() < total {
		a.printf("… and %s more; --limit 0 shows all.\n", number(total-t.Len()))
	}
	if sum.Since > 0 {
		a.printf("\nFor %s something has changed since.", counted(sum.Since, "person", "people"))
		if u.parts[0].taking.All {
			a.printf(" That is taken back as well.\n")
		} else {
			a.printf(" That is left out; --all takes it back as well.\n")
		}
	}
	if sum.Confirm == "" {
		a.printf("\nThere is nothing to take back.\n")
		return nil
	}
	a.printf("\nNothing was changed yet. To do exactly this:\n  %s\n", clean(u.command(people, sum.Confirm)+a.sameConfig()))
	return nil
}

// command is the command line that confirms the undoing.
func (u *undoing) command(people []string, digest string) string {
	words := []string{"dirsync", "undo", strconv.FormatUint(uint64(u.run.ID), 10)}
	for _, p := range people {
		if strings.ContainsAny(p, " '\"\\$`!*?&;|<>()#") {
			p = "'" + strings.ReplaceAll(p, "'", `'\''`) + "'"
		}
		words = append(words, p)
	}
	if u.parts[0].taking.All {
		words = append(words, "--all")
	}
	return strings.Join(append(words, "--confirm", digest), " ")
}

// sameConfig is what a command line needs behind it to be about the same configuration as this one.
func (a *app) sameConfig() string {
	usual := os.Getenv("DIRSYNC_CONFIG")
	if usual == "" {
		usual = defaultConfigPath
	}
	if a.configPath == usual {
		return ""
	}
	return " -c " + a.configPath
}

// nothing says why there is nothing to take back.
func (u *undoing) nothing() error {
	e := &dirsync.Error{Op: fmt.Sprintf("undo run %d", u.run.ID), Kind: dirsync.Conflict, Err: errors.New("it has changed nobody")}
	switch {
	case len(u.parts[len(u.parts)-1].taking.People) > 0:
		e.Err = errors.New("it has changed nobody of these")
	case u.run.Counts.Changed() > 0 || u.run.Groups != nil && u.run.Groups.Counts.Changed() > 0:
		e.Err = errors.New("what it has changed is not kept any more")
		e.Hint = "A backup from before has what the accounts held then."
	}
	return e
}

func viewTakenBack(p undoPart, b engine.TakenBack) takenBackView {
	v := takenBackView{Was: viewChange(b.Was), Since: b.Back.Since, Nothing: b.Back.Nothing, Groups: p.groups}
	if b.Back.Change != nil {
		back := viewChange(*b.Back.Change)
		v.Back = &back
	}
	return v
}

// undo takes a run back as it was confirmed.
func (a *app) undo(ctx context.Context, u *undoing, confirm string) error {
	sum := u.summary()
	op := fmt.Sprintf("undo run %d", u.run.ID)
	if sum.Confirm == "" {
		return u.nothing()
	}
	if confirm != sum.Confirm {
		return &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: errors.New("it would not do what was shown"),
			Hint: "Look at what it would do now with dirsync undo " + sum.Run + ", and confirm that."}
	}
	partly := false
	for _, p := range u.parts {
		if p.preview.Digest == "" {
			continue
		}
		p.taking.Digest = p.preview.Digest
		p.engine.Progress = a.follow(ctx, p.w)
		r, err := p.engine.Undo(ctx, p.taking)
		a.followed(ctx, p.w, r, err)
		if r.ID != 0 {
			sum.Runs = append(sum.Runs, viewRun(r))
			partly = partly || r.Status != dirsync.Success && r.Counts.Failed > 0
			if !a.json() {
				if err := a.printRun(r); err != nil {
					return err
				}
			}
		}
		if err != nil {
			return err
		}
	}
	if a.json() {
		if err := writeJSON(a.stdout, map[string]any{"undo": sum}); err != nil {
			return err
		}
	} else {
		a.printf("Whoever was taken back stays as they are until the source has something else to say of them.\n")
	}
	if partly {
		return &exitError{code: exitPartial}
	}
	return nil
}
