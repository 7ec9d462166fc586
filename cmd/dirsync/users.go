package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/store"
)

// userView is an account of the embedded directory as programs read it.
type userView struct {
	ID      string         `json:"id"`
	Source  string         `json:"source,omitempty"`
	Status  string         `json:"status"`
	Created time.Time      `json:"created,omitzero"`
	Updated time.Time      `json:"updated,omitzero"`
	Values  dirsync.Values `json:"values"`
}

func viewUser(u dirsync.Account) userView {
	return userView{u.ID, string(u.Source), statusWord(u), u.Created, u.Updated, u.Values}
}

func statusWord(u dirsync.Account) string {
	if u.Active {
		return "active"
	}
	return "inactive"
}

func (a *app) usersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "users",
		Short: "Look at the users of the embedded directory, and change its own",
		Example: `  dirsync users list --inactive
  dirsync users add first_name=Ada last_name=King email=ada@contoso.com
  dirsync users show adele@contoso.com
  dirsync users export --format csv > users.csv`,
	}
	cmd.AddCommand(a.usersListCommand(), a.usersShowCommand(), a.usersExportCommand(), a.usersAddCommand(), a.usersSetCommand())
	cmd.AddCommand(a.usersFateCommands()...)
	return cmd
}

// directory opens the embedded directory for looking.
func (a *app) directory(fn func(*store.Directory) error) error {
	return a.look(nil, func(cfg *Config, st *store.Store, _ []string) error {
		d, err := st.Directory(cfg.Directory.FieldList()...)
		if err != nil {
			return err
		}
		return fn(d)
	})
}

var errEnough = errors.New("enough")

func (a *app) usersListCommand() *cobra.Command {
	var limit int
	var inactive bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List users",
		Long: `list shows the users of the embedded directory in the order in which they came.

Exit codes: 0 listed; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync users list --limit 0\n  dirsync users list --inactive -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.directory(func(d *store.Directory) error { return a.listUsers(cmd.Context(), d, limit, inactive) })
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "show at most this many; 0 shows all")
	cmd.Flags().BoolVar(&inactive, "inactive", false, "only those who are not active")
	return cmd
}

func (a *app) listUsers(ctx context.Context, d *store.Directory, limit int, inactive bool) error {
	fields, err := d.Fields(ctx)
	if err != nil {
		return err
	}
	titles := []string{"ID", "STATUS"}
	for _, f := range fields {
		titles = append(titles, strings.ToUpper(f.Name))
	}
	grouped, err := hasGroups(ctx, d)
	if err != nil {
		return err
	}
	if grouped {
		titles = append(titles, strings.ToUpper(dirsync.GroupsField))
	}
	names := directoryGroups(ctx, d)
	t, views, total := NewTable(a.style, titles...), []userView{}, 0
	err = d.Users(ctx, func(u dirsync.Account) error {
		if inactive && u.Active {
			return nil
		}
		if total++; limit > 0 && total > limit {
			return errEnough
		}
		if a.json() {
			views = append(views, viewUser(u))
			return nil
		}
		row := []any{u.ID, statusWord(u)}
		for _, f := range fields {
			v, _ := u.Values.Get(f.Name)
			row = append(row, v.Text)
		}
		if grouped {
			groups, err := names(u)
			if err != nil {
				return err
			}
			row = append(row, strings.Join(groups, ", "))
		}
		t.Row(row...)
		return nil
	})
	more := errors.Is(err, errEnough)
	if err != nil && !more {
		return fmt.Errorf("list users: %w", err)
	}
	if a.json() {
		return writeJSON(a.stdout, struct {
			Users []userView `json:"users"`
		}{views})
	}
	if err := t.Write(a.stdout); err != nil {
		return err
	}
	if more {
		a.printf("… and more; --limit 0 shows all.\n")
	}
	return nil
}

func (a *app) usersShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show USER",
		Short: "Show one user",
		Long: `show prints one user, found by the directory's id, the e-mail address, or the object
id at the source, and the last request of SCIM clients about them.

Exit codes: 0 shown; 1 failed, or there is no such user; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync users show adele@contoso.com\n  dirsync users show u00000007 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.directory(func(d *store.Directory) error {
				u, err := d.Lookup(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				last, err := a.lastRequest(u.ID)
				if err != nil {
					return err
				}
				if a.json() {
					return writeJSON(a.stdout, struct {
						userView
						LastRequest *pushEntry `json:"last_scim_request,omitempty"`
					}{viewUser(u), last})
				}
				if err := a.printUser(cmd.Context(), d, u); err != nil || last == nil {
					return err
				}
				a.printf("\nLast SCIM request: %s\n", clean(requestWords(last.SCIMRequest, a.now())))
				return nil
			})
		},
	}
}

func (a *app) printUser(ctx context.Context, d *store.Directory, u dirsync.Account) error {
	if a.json() {
		return writeJSON(a.stdout, viewUser(u))
	}
	fields, err := d.Fields(ctx)
	if err != nil {
		return err
	}
	t := NewTable(a.style, "FIELD", "VALUE")
	t.Row("id", u.ID)
	t.Row("status", statusWord(u))
	for _, f := range fields {
		v, _ := u.Values.Get(f.Name)
		text := v.Text
		if v.Type == dirsync.Reference {
			if text, err = referee(ctx, d, v); err != nil {
				return err
			}
		}
		t.Row(f.Name, text)
	}
	groups, err := directoryGroups(ctx, d)(u)
	if err != nil {
		return err
	}
	if len(groups) > 0 {
		t.Row(dirsync.GroupsField, strings.Join(groups, ", "))
	}
	t.Row("object id at the source", string(u.Source))
	t.Row("created", stamp(u.Created, time.UTC))
	t.Row("updated", stamp(u.Updated, time.UTC))
	return t.Write(a.stdout)
}

// referee says whom a reference means. References are kept as object ids of the source, so they may lead to somebody
// who comes later, and mean them as soon as they are there.
func referee(ctx context.Context, d *store.Directory, v dirsync.Value) (string, error) {
	u, err := d.Lookup(ctx, v.Text)
	switch {
	case dirsync.KindOf(err) == dirsync.NotFound:
		return v.Text + " (not in the directory)", nil
	case err != nil:
		return "", err
	}
	first, _ := u.Values.Get(dirsync.FirstName)
	last, _ := u.Values.Get(dirsync.LastName)
	return fmt.Sprintf("%s %s (%s)", first.Text, last.Text, u.ID), nil
}

func (a *app) usersExportCommand() *cobra.Command {
	var format, file string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all users as CSV or JSON",
		Long: `export writes every user of the embedded directory, as CSV with a header line (for
spreadsheets) or as JSON lines, one object a line (for programs). Where the directory
has groups, CSV has a column with the names of each user's groups. Texts that a
spreadsheet would take for a formula get an apostrophe in front in CSV. With --file
the file appears only once it is complete.

Exit codes: 0 exported; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync users export --format csv --file users.csv\n  dirsync users export --format json | jq .values.email",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "csv" && format != "json" {
				return usageError("--format %s: the format is either csv or json", format)
			}
			return a.directory(func(d *store.Directory) error {
				write := func(w io.Writer) error { return exportUsers(cmd.Context(), d, format, w) }
				if file == "" {
					return write(a.stdout)
				}
				return writeFile(a.path(file), write)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "csv", "csv or json")
	cmd.Flags().StringVar(&file, "file", "", "write to this `file` instead of standard output")
	return cmd
}

func exportUsers(ctx context.Context, d *store.Directory, format string, w io.Writer) error {
	fields, err := d.Fields(ctx)
	if err != nil {
		return err
	}
	if format == "json" {
		return d.Users(ctx, func(u dirsync.Account) error { return writeJSONLine(w, viewUser(u)) })
	}
	out := csv.NewWriter(w)
	head := []string{"id", "source", "status", "created", "updated"}
	for _, f := range fields {
		head = append(head, f.Name)
	}
	grouped, err := hasGroups(ctx, d)
	if err != nil {
		return err
	}
	if grouped {
		head = append(head, dirsync.GroupsField)
	}
	names := directoryGroups(ctx, d)
	if err := out.Write(head); err != nil {
		return fmt.Errorf("export users: %w", err)
	}
	err = d.Users(ctx, func(u dirsync.Account) error {
		row := []string{u.ID, string(u.Source), statusWord(u), u.Created.UTC().Format(time.RFC3339), u.Updated.UTC().Format(time.RFC3339)}
		for _, f := range fields {
			v, _ := u.Values.Get(f.Name)
			row = append(row, harmless(v))
		}
		if grouped {
			groups, err := names(u)
			if err != nil {
				return err
			}
			row = append(row, harmless(dirsync.Value{Type: dirsync.Text, Text: strings.Join(groups, "; ")}))
		}
		return out.Write(row)
	})
	if err != nil {
		return fmt.Errorf("export users: %w", err)
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("export users: %w", err)
	}
	return nil
}

// harmless is a value that no spreadsheet executes. Numbers and telephone numbers begin with a sign by right.
func harmless(v dirsync.Value) string {
	if v.Text == "" || v.Type == dirsync.Number || v.Type == dirsync.Phone || !strings.ContainsRune("=+-@\t\r", rune(v.Text[0])) {
		return v.Text
	}
	return "'" + v.Text
}

// writeFile makes a file appear complete or not at all, readable by its owner only: it holds people's data.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
