package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/store"
	"dirsync/sync/engine"
)

// groupView is a group of the embedded directory as programs read it.
type groupView struct {
	ID      string         `json:"id"`
	Source  string         `json:"source,omitempty"`
	Status  string         `json:"status"`
	Created time.Time      `json:"created,omitzero"`
	Updated time.Time      `json:"updated,omitzero"`
	Values  dirsync.Values `json:"values"`
	Members int            `json:"members"`
}

func (a *app) groupsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "groups",
		Short: "Look at the groups of the embedded directory",
		Example: `  dirsync groups list
  dirsync groups show Sales
  dirsync groups show g00000001 --limit 0 -o json`,
	}
	cmd.AddCommand(a.groupsListCommand(), a.groupsShowCommand())
	return cmd
}

func (a *app) groupsListCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List groups",
		Long: `list shows the groups of the embedded directory in the order in which they came, with
the number of users in each.

Exit codes: 0 listed; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync groups list --limit 0\n  dirsync groups list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.directory(func(d *store.Directory) error { return a.listGroups(cmd.Context(), d.Groups(), limit) })
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most this many; 0 shows all")
	return cmd
}

func (a *app) listGroups(ctx context.Context, groups *store.Groups, limit int) error {
	t, views := NewTable(a.style, "ID", "STATUS", "NAME", "DESCRIPTION", "MAIL", "USERS"), []groupView{}
	more := false
	for after := ""; !more; {
		const page = 500
		batch, err := groups.List(ctx, after, page)
		if err != nil {
			return fmt.Errorf("list groups: %w", err)
		}
		for _, g := range batch {
			if more = limit > 0 && len(views) == limit; more {
				break
			}
			after = g.ID
			v := viewGroup(g)
			views = append(views, v)
			t.Row(v.ID, v.Status, field(g.Account, engine.GroupName), field(g.Account, engine.GroupDescription), field(g.Account, engine.GroupMail), v.Members)
		}
		if len(batch) < page {
			break
		}
	}
	if a.json() {
		return writeJSON(a.stdout, map[string]any{"groups": views})
	}
	if len(views) == 0 {
		a.printf("The directory has no groups. Which ones it gets is said by groups, under from, in the configuration.\n")
		return nil
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if more {
		a.printf("… and more; --limit 0 shows all.\n")
	}
	return nil
}

// field is the text of one value of an account.
func field(a dirsync.Account, name string) string {
	v, _ := a.Values.Get(name)
	return v.Text
}

func (a *app) groupsShowCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "show GROUP",
		Short: "Show one group and who is in it",
		Long: `show prints one group of the embedded directory, found by the directory's id, the object
id at the source, or the name, and the users who are in it.

Exit codes: 0 shown; 1 failed, or there is no such group, or several have the name;
2 the command line or the configuration is wrong.`,
		Example: "  dirsync groups show Sales\n  dirsync groups show g00000001 --limit 0 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.directory(func(d *store.Directory) error {
				g, err := findGroup(cmd.Context(), d.Groups(), args[0])
				if err != nil {
					return err
				}
				return a.printGroup(cmd.Context(), d, g, limit)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most this many users; 0 shows all")
	return cmd
}

// findGroup finds a group of the directory by an id, or by a name that only one has.
func findGroup(ctx context.Context, groups *store.Groups, key string) (dirsync.Account, error) {
	var named []dirsync.Account
	var exact *dirsync.Account
	err := groups.Users(ctx, func(g dirsync.Account) error {
		switch {
		case g.ID == strings.ToLower(key), g.Source != "" && string(g.Source) == strings.ToLower(key):
			exact = &g
			return errEnough
		case dirsync.Fold(field(g, engine.GroupName)) == dirsync.Fold(strings.TrimSpace(key)):
			named = append(named, g)
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return dirsync.Account{}, fmt.Errorf("find group %s: %w", key, err)
	case exact != nil:
		return *exact, nil
	case len(named) == 1:
		return named[0], nil
	case len(named) == 0:
		return dirsync.Account{}, &dirsync.Error{Op: "find group " + key, Kind: dirsync.NotFound, Hint: "dirsync groups list shows the groups that there are."}
	}
	var ids []string
	for _, g := range named {
		ids = append(ids, g.ID)
	}
	return dirsync.Account{}, &dirsync.Error{Op: "find group " + key, Kind: dirsync.Conflict, Err: fmt.Errorf("%d groups have that name", len(named)),
		Hint: "Give one of the ids: " + strings.Join(ids, ", ")}
}

func viewGroup(g store.Group) groupView {
	return groupView{g.ID, string(g.Source), statusWord(g.Account), g.Created, g.Updated, g.Values, g.Members}
}

// eachMember calls fn for every user in a group of the directory.
func eachMember(ctx context.Context, groups *store.Groups, id string, fn func(dirsync.Account) error) error {
	const limit = 1000
	after := ""
	for {
		batch, err := groups.Members(ctx, id, after, limit)
		if err != nil {
			return fmt.Errorf("list the users in group %s: %w", id, err)
		}
		for _, u := range batch {
			if err := fn(u); err != nil {
				return err
			}
		}
		if len(batch) < limit {
			return nil
		}
		after = batch[len(batch)-1].ID
	}
}

// printGroup shows a group and at most limit of its users; zero is all.
func (a *app) printGroup(ctx context.Context, d *store.Directory, g dirsync.Account, limit int) error {
	size, err := d.Groups().Size(ctx, g.ID)
	if err != nil {
		return err
	}
	v, users := viewGroup(store.Group{Account: g, Members: size}), []userView{}
	err = eachMember(ctx, d.Groups(), g.ID, func(u dirsync.Account) error {
		if limit > 0 && len(users) == limit {
			return errEnough
		}
		users = append(users, viewUser(u))
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	if a.json() {
		return writeJSON(a.stdout, struct {
			groupView
			Users []userView `json:"users"`
		}{v, users})
	}
	t := NewTable(a.style, "FIELD", "VALUE")
	t.Row("id", v.ID)
	t.Row("status", v.Status)
	for _, f := range []string{engine.GroupName, engine.GroupDescription, engine.GroupMail} {
		t.Row(f, field(g, f))
	}
	t.Row("object id at the source", v.Source)
	t.Row("users", number(v.Members))
	if err := t.Write(a.stdout); err != nil || len(users) == 0 {
		return err
	}
	a.printf("\n")
	t = NewTable(a.style, "ID", "STATUS", "FIRST_NAME", "LAST_NAME", "EMAIL")
	for _, u := range users {
		row := []any{u.ID, u.Status}
		for _, f := range mandatoryFields() {
			value, _ := u.Values.Get(f)
			row = append(row, value.Text)
		}
		t.Row(row...)
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if more := v.Members - len(users); more > 0 {
		a.printf("… and %s more; --limit 0 shows all.\n", number(more))
	}
	return nil
}

// hasGroups tells whether the directory has any group.
func hasGroups(ctx context.Context, d *store.Directory) (bool, error) {
	err := d.Groups().Users(ctx, func(dirsync.Account) error { return errEnough })
	if err != nil && !errors.Is(err, errEnough) {
		return false, fmt.Errorf("list the groups: %w", err)
	}
	return err != nil, nil
}

// directoryGroups says what the groups that a user of the directory is in are called. The groups are read when the first
// of them is asked for.
func directoryGroups(ctx context.Context, d *store.Directory) func(dirsync.Account) ([]string, error) {
	var known map[string]string
	return func(u dirsync.Account) ([]string, error) {
		v, _ := u.Values.Get(dirsync.GroupsField)
		ids := v.List()
		if len(ids) > 0 && known == nil {
			known = map[string]string{}
			err := d.Groups().Users(ctx, func(g dirsync.Account) error {
				known[string(g.Source)] = field(g, engine.GroupName)
				return nil
			})
			if err != nil {
				return nil, fmt.Errorf("list the groups: %w", err)
			}
		}
		names := make([]string, len(ids))
		for i, id := range ids {
			if names[i] = known[id]; names[i] == "" {
				names[i] = id
			}
		}
		slices.Sort(names)
		return names, nil
	}
}
