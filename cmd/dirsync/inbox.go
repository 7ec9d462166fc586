package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/notify"
	"dirsync/store"
)

// noteView is one message of somebody's inbox, as programs read it.
type noteView struct {
	ID    string    `json:"id"`
	User  string    `json:"user"`
	Kind  string    `json:"kind"`
	Title string    `json:"title"`
	Text  string    `json:"text,omitempty"`
	Link  string    `json:"link,omitempty"`
	At    time.Time `json:"at"`
	Read  bool      `json:"read"`
}

func (a *app) inboxCommand() *cobra.Command {
	var who string
	var limit int
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "Show what people were told in the application",
		Long: `inbox shows the messages in the inboxes of those who are told of the syncs: of
everybody whom the configuration names by an account of the directory (user), or with
--for of one of them. Unread ones come first.

Exit codes: 0 shown; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync inbox\n  dirsync inbox --for ann@contoso.com -o json\n  dirsync inbox read --for ann@contoso.com --all",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.look(nil, func(cfg *Config, st *store.Store, _ []string) error {
				users, err := inboxUsers(cmd.Context(), cfg, st, who)
				if err != nil {
					return err
				}
				return a.showInbox(cmd.Context(), newNotifyStore(st), users, limit)
			})
		},
	}
	cmd.PersistentFlags().StringVar(&who, "for", "", "the inbox of this account: its e-mail `address` or id")
	cmd.Flags().IntVar(&limit, "limit", 20, "show at most this many of each person; 0 shows all")
	cmd.AddCommand(a.inboxReadCommand(&who))
	return cmd
}

func (a *app) inboxReadCommand(who *string) *cobra.Command {
	var all, unread bool
	cmd := &cobra.Command{
		Use:   "read [ID...]",
		Short: "Mark messages as read",
		Long: `read marks messages as read, by the ids that dirsync inbox shows, or with --all all of
them; with --unread as not read.

Exit codes: 0 marked; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync inbox read K3J2-0\n  dirsync inbox read --for ann@contoso.com --all",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usageError("inbox read needs either the ids of messages or --all")
			}
			return a.writing(func(cfg *Config, st *store.Store) error {
				users, err := inboxUsers(cmd.Context(), cfg, st, *who)
				if err != nil {
					return err
				}
				return a.markInbox(cmd.Context(), newNotifyStore(st), users, args, !unread)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all messages")
	cmd.Flags().BoolVar(&unread, "unread", false, "mark as not read")
	return cmd
}

// writing opens the store for writing what no sync is concerned by.
func (a *app) writing(fn func(*Config, *store.Store) error) error {
	cfg, _, err := a.load(nil)
	if err != nil {
		return err
	}
	st, err := a.openStore(cfg, false)
	if err != nil {
		return err
	}
	return errors.Join(fn(cfg, st), a.closeStore(st))
}

// inboxUsers finds whose inboxes are meant: one, or those of everybody whom the configuration names.
func inboxUsers(ctx context.Context, cfg *Config, st *store.Store, who string) ([]string, error) {
	d, err := st.Directory(cfg.Directory.FieldList()...)
	if err != nil {
		return nil, err
	}
	if who != "" {
		account, err := d.Lookup(ctx, who)
		if dirsync.KindOf(err) == dirsync.NotFound {
			return []string{who}, nil // whoever is not in the directory any more may still have messages
		}
		return []string{account.ID}, err
	}
	var users []string
	seen := map[string]bool{"": true}
	add := func(list Recipients) {
		for _, r := range list {
			if !seen[r.User] {
				seen[r.User] = true
				users = append(users, r.User)
			}
		}
	}
	add(cfg.Notify.Recipients)
	for _, name := range slices.Sorted(maps.Keys(cfg.Syncs)) {
		add(cfg.Syncs[name].Notify)
	}
	return users, nil
}

// eachNote calls fn for the notes of a user, the unread first.
func eachNote(ctx context.Context, box notify.Inbox, user string, fn func(notify.Note) error) error {
	const page = 100
	var last *notify.Note
	for {
		notes, err := box.Notes(ctx, user, last, page)
		if err != nil {
			return fmt.Errorf("read the inbox of %s: %w", user, err)
		}
		for _, n := range notes {
			if err := fn(n); err != nil {
				return err
			}
		}
		if len(notes) < page {
			return nil
		}
		last = &notes[len(notes)-1]
	}
}

func (a *app) showInbox(ctx context.Context, box notify.Inbox, users []string, limit int) error {
	views := []noteView{}
	unread := 0
	for _, user := range users {
		n, err := box.Unread(ctx, user)
		if err != nil {
			return err
		}
		unread += n
		shown := 0
		err = eachNote(ctx, box, user, func(n notify.Note) error {
			if shown++; limit > 0 && shown > limit {
				return errEnough
			}
			views = append(views, noteView{n.ID, n.User, string(n.Kind), n.Title, n.Text, n.Link, n.At, n.Read})
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
	}
	if a.json() {
		return writeJSON(a.stdout, struct {
			Unread int        `json:"unread"`
			Notes  []noteView `json:"notes"`
		}{unread, views})
	}
	if len(users) == 0 {
		a.printf("Nobody has an inbox: the configuration names no account of the directory to be told (notify: [ { user: ID } ]).\n")
		return nil
	}
	t := NewTable(a.style, "ID", "USER", "AT", "", "WHAT")
	for _, v := range views {
		state := painted{yellow, "new"}
		if v.Read {
			state = painted{plain, "read"}
		}
		t.Row(v.ID, v.User, when(v.At, a.now()), state, v.Title)
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	for _, v := range views {
		if v.Text != "" && !v.Read {
			a.printf("\n%s\n", clean(v.Title))
			for line := range strings.Lines(v.Text) {
				a.printf("  %s\n", clean(strings.TrimRight(line, "\n")))
			}
		}
	}
	return nil
}

func (a *app) markInbox(ctx context.Context, box notify.Inbox, users, ids []string, read bool) error {
	marked := 0
	for _, user := range users {
		var theirs []string
		err := eachNote(ctx, box, user, func(n notify.Note) error {
			if wanted := len(ids) == 0 || slices.Contains(ids, n.ID); wanted && n.Read != read {
				theirs = append(theirs, n.ID)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := box.Mark(ctx, user, theirs, read); err != nil {
			return err
		}
		marked += len(theirs)
	}
	if a.json() {
		return writeJSON(a.stdout, map[string]int{"marked": marked})
	}
	a.printf("%s\n", counted(marked, "message was marked", "messages were marked"))
	return nil
}
