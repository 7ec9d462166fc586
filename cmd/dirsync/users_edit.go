package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/mapping"
	"dirsync/store"
)

const ownPeopleHelp = `Only the directory's own people can be changed here: those whom no sync and no
provisioning client has made. USER is the directory's id or the e-mail address.`

const fieldsHelp = `FIELD is a field of the directory (dirsync fields, or users list), VALUE what a mapping
would take as a constant for it: a date in the field's format, one of a choice's options.
A reference, such as a manager, is somebody in the directory. FIELD= leaves it empty.`

const editExits = `
Exit codes: 0 done; 1 refused or failed, and nothing was changed; 2 the command line or
the configuration is wrong.`

func (a *app) usersAddCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add FIELD=VALUE...",
		Short: "Add one of the directory's own people",
		Long: `add makes a user of the embedded directory who comes from no source. Syncs from the
directory take them along at their next run, and no sync into the directory touches them,
unless it finds somebody with the same value of a field that it joins by.

` + fieldsHelp + "\n" + editExits,
		Example: "  dirsync users add first_name=Ada last_name=King email=ada@contoso.com office=Berlin",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.editDirectory(cmd.Context(), func(e *directoryEdit) error {
				values, err := e.values(cmd.Context(), args, true)
				if err != nil {
					return err
				}
				return e.apply(cmd.Context(), dirsync.Change{Kind: dirsync.Create, After: values})
			})
		},
	}
}

func (a *app) usersSetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "set USER FIELD=VALUE...",
		Short: "Change one of the directory's own people",
		Long: `set changes some fields of a user of the embedded directory and leaves the others.

` + ownPeopleHelp + "\n\n" + fieldsHelp + "\n" + editExits,
		Example: "  dirsync users set ada@contoso.com last_name=Lovelace office=",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.editDirectory(cmd.Context(), func(e *directoryEdit) error {
				u, err := e.own(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				values, err := e.values(cmd.Context(), args[1:], false)
				if err != nil {
					return err
				}
				return e.apply(cmd.Context(), dirsync.Change{Kind: dirsync.Update, Account: u.ID, After: values})
			})
		},
	}
}

// usersFateCommands change whether somebody is there, and whether they are active.
func (a *app) usersFateCommands() []*cobra.Command {
	var out []*cobra.Command
	for _, c := range []struct {
		verb, short, long string
		kind              dirsync.ChangeKind
	}{
		{"deactivate", "Deactivate one of the directory's own people", "deactivate makes a user of the embedded directory inactive. Nothing about them is lost.", dirsync.Deactivate},
		{"reactivate", "Make one of the directory's own people active again", "reactivate makes an inactive user of the embedded directory active again.", dirsync.Reactivate},
		{"delete", "Delete one of the directory's own people", "delete deletes a user of the embedded directory. What that does elsewhere is for the\nsyncs from the directory to say (when_deleted).", dirsync.Delete},
	} {
		out = append(out, &cobra.Command{
			Use:     c.verb + " USER",
			Short:   c.short,
			Long:    c.long + "\n\n" + ownPeopleHelp + "\n" + editExits,
			Example: "  dirsync users " + c.verb + " ada@contoso.com",
			Args:    cobra.ExactArgs(1),
			RunE: func(cmd *cobra.Command, args []string) error {
				return a.editDirectory(cmd.Context(), func(e *directoryEdit) error {
					u, err := e.own(cmd.Context(), args[0])
					if err != nil {
						return err
					}
					e.was = u
					return e.apply(cmd.Context(), dirsync.Change{Kind: c.kind, Account: u.ID})
				})
			},
		})
	}
	return out
}

// directoryEdit is one change of the embedded directory by hand.
type directoryEdit struct {
	a   *app
	cfg *Config
	st  *store.Store
	d   *store.Directory
	// was is the user as they were; zero if that does not matter.
	was dirsync.Account
}

func (a *app) editDirectory(ctx context.Context, fn func(*directoryEdit) error) error {
	cfg, _, err := a.load(nil)
	if err != nil {
		return err
	}
	st, err := a.openStore(cfg, false)
	if err != nil {
		return err
	}
	d, err := st.Directory(cfg.Directory.FieldList()...)
	if err == nil {
		err = fn(&directoryEdit{a: a, cfg: cfg, st: st, d: d})
	}
	return errors.Join(err, a.closeStore(st))
}

// apply makes the change, and shows what the user then is.
func (e *directoryEdit) apply(ctx context.Context, c dirsync.Change) error {
	u, err := e.d.Apply(ctx, c)
	if err != nil {
		return err
	}
	if c.Kind != dirsync.Delete {
		return e.a.printUser(ctx, e.d, u)
	}
	if e.a.json() {
		return writeJSON(e.a.stdout, map[string]userView{"deleted": viewUser(e.was)})
	}
	e.a.printf("deleted: %s\n", e.was.ID)
	return nil
}

// own finds one of the directory's own people, or somebody whom no sync keeps any more.
func (e *directoryEdit) own(ctx context.Context, key string) (dirsync.Account, error) {
	u, err := e.d.Lookup(ctx, key)
	if err != nil || u.Source == "" {
		return u, err
	}
	names, err := e.st.Syncs(ctx)
	if err != nil {
		return u, err
	}
	for _, name := range names {
		sc := e.cfg.Syncs[name]
		if sc != nil && !sc.To.Directory {
			continue
		}
		switch p, err := e.st.Sync(name).Person(ctx, u.Source); {
		case dirsync.KindOf(err) == dirsync.NotFound:
		case err != nil:
			return u, err
		case sc == nil && p.Link.Account != u.ID: // it may have been about somebody else, elsewhere
		case sc == nil:
			return u, &dirsync.Error{Op: "change user " + key, Kind: dirsync.Conflict,
				Err:  fmt.Errorf("the account %s is kept by the sync %s, which the configuration does not have any more", u.ID, name),
				Hint: "Give the sync its name back, or let go of its people: dirsync forget " + name + "."}
		default:
			return u, &dirsync.Error{Op: "change user " + key, Kind: dirsync.Conflict,
				Err:  fmt.Errorf("the account %s is kept by the sync %s, which would change it back", u.ID, name),
				Hint: "Change the person in " + sc.From.String() + ", where they come from."}
		}
	}
	return u, nil
}

// values reads FIELD=VALUE by the same rules as the constants of a mapping. A whole user needs all required fields.
func (e *directoryEdit) values(ctx context.Context, args []string, whole bool) (dirsync.Values, error) {
	all, err := e.d.Fields(ctx)
	if err != nil {
		return nil, err
	}
	var specs []mapping.Spec
	var references dirsync.Values
	spoken := map[string]bool{} // of fields of which nothing else need be said
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usageError("%q is no FIELD=VALUE", arg)
		}
		at := slices.IndexFunc(all, func(f dirsync.Field) bool { return f.Name == name })
		if at < 0 || all[at].Type != dirsync.Reference || value == "" {
			specs = append(specs, mapping.Spec{Field: name, Value: &value})
			continue
		}
		other, err := e.d.Lookup(ctx, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		references, spoken[name] = references.Set(name, dirsync.Value{Type: dirsync.Reference, Text: other.ID}), true
	}
	all = slices.DeleteFunc(slices.Clone(all), func(f dirsync.Field) bool {
		given := slices.ContainsFunc(specs, func(s mapping.Spec) bool { return s.Field == f.Name })
		return spoken[f.Name] || !whole && f.Required && !given
	})
	m, problems := mapping.Compile(specs, mapping.Expression{}, nil, all)
	if len(problems) > 0 {
		var faults []string
		for _, p := range problems {
			faults = append(faults, problemWords(p))
		}
		return nil, usageError("%s", strings.Join(faults, "\n"))
	}
	return m.Map("", nil).Values.With(references), nil
}

// problemWords says what is wrong with a value, to somebody who has typed it.
func problemWords(p mapping.Problem) string {
	if strings.HasSuffix(p.Message, "is required, but is not mapped") {
		return p.Field + " is required; add " + p.Field + "=VALUE"
	}
	if strings.HasSuffix(p.Message, "is required, but the constant is empty") {
		return p.Field + " is required, and cannot be left empty"
	}
	message := strings.TrimPrefix(strings.Replace(p.Message, "the target has", "the directory has", 1), "the constant ")
	if message != p.Message && !strings.HasPrefix(message, "the directory") {
		message = p.Field + ": " + message
	}
	if p.Hint != "" {
		message += "; " + p.Hint
	}
	return message
}
