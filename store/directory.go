package store

import (
	"errors"
	"slices"

	"dirsync"
)

// Directory is the embedded directory: the users of an application that has no directory of its own, and their groups. It
// is a dirsync.Target of users, a dirsync.Batcher, a dirsync.Finder and a dirsync.Restorer. For provisioning clients it is a
// dirsync.ResourceStore of both, and for syncs that read it there are Source and GroupSource.
//
// The ids of users are "u" and a number of at least eight digits, which is never given to anybody else. Two users never
// share a value of a Unique field, letter case and the spelling of accents disregarded; inactive ones keep theirs. A
// deleted user is kept for a while (Options.KeepDeleted) and can be brought back.
//
// As a Target it keeps a Reference as a sync wrote it, and shows it so. Whoever reads the directory as a Source or as a
// ResourceStore is told the directory's own id of whom it means instead.
//
// Beside the fields of its schema it takes dirsync.GroupsField: the source ids of all groups that a user is in. It is not
// among the Fields, because no mapping fills it. Groups that have no source id, which others than a source have made, are
// not spoken of by it. A source id of no group is a Conflict.
type Directory struct {
	*accounts
	groups *Groups
	queue  queue
}

var (
	_ dirsync.Target   = (*Directory)(nil)
	_ dirsync.Batcher  = (*Directory)(nil)
	_ dirsync.Finder   = (*Directory)(nil)
	_ dirsync.Restorer = (*Directory)(nil)
)

const bucketDirectory = "directory"

// Directory opens the embedded directory. Its fields are first_name, last_name and email, all required and the last
// unique, whether or not fields has them, and then the other fields; none may be called dirsync.GroupsField. Which fields
// there are is for the configuration to say and may change from one opening to the next: values of fields that are no
// longer there are kept and not shown. A store has one directory: opening it again with the same fields returns the same
// one, and with other fields is an error of kind Invalid.
func (s *Store) Directory(fields ...dirsync.Field) (*Directory, error) {
	const op = "open directory"
	if slices.ContainsFunc(fields, func(f dirsync.Field) bool { return f.Name == dirsync.GroupsField }) {
		return nil, &dirsync.Error{Op: op, Kind: dirsync.Invalid, Field: dirsync.GroupsField, Err: errors.New("the directory has a field groups of its own")}
	}
	d := &Directory{accounts: newAccounts(s, "user", bucketDirectory, bucketUsers, wholeSchema(fields)), queue: queue{lead: make(chan struct{}, 1)}}
	d.groups = &Groups{newAccounts(s, "group", bucketDirectoryGroups, bucketGroups, groupSchema())}
	d.groups.indexed = []string{groupName}
	d.accounts.groups, d.groups.users = d.groups.accounts, d.accounts
	s.write.Lock()
	defer s.write.Unlock()
	if s.directory != nil {
		if !slices.EqualFunc(s.directory.schema, d.schema, sameField) {
			return nil, &dirsync.Error{Op: op, Kind: dirsync.Invalid, Err: errors.New("it is open already, with other fields")}
		}
		return s.directory, nil
	}
	for _, a := range []*accounts{d.accounts, d.groups.accounts} {
		if err := guard(a.load); err != nil {
			return nil, named(op, err)
		}
	}
	s.state.Lock()
	defer s.state.Unlock()
	s.directory = d
	return d, nil
}

func sameField(a, b dirsync.Field) bool {
	return a.Name == b.Name && a.Label == b.Label && a.Type == b.Type && a.Required == b.Required && a.Unique == b.Unique &&
		a.Format == b.Format && a.MaxLength == b.MaxLength && a.Refused == b.Refused && slices.Equal(a.Options, b.Options)
}

func wholeSchema(fields []dirsync.Field) []dirsync.Field {
	schema := []dirsync.Field{
		{Name: dirsync.FirstName, Label: "First name", Type: dirsync.Text, Required: true},
		{Name: dirsync.LastName, Label: "Last name", Type: dirsync.Text, Required: true},
		{Name: dirsync.EmailAddress, Label: "E-mail", Type: dirsync.Email, Required: true, Unique: true},
	}
	for _, f := range fields {
		i := slices.IndexFunc(schema, func(g dirsync.Field) bool { return g.Name == f.Name })
		switch {
		case i < 0:
			schema = append(schema, f)
		case i < 3:
			if f.Label != "" {
				schema[i].Label = f.Label
			}
			schema[i].MaxLength = f.MaxLength
		default:
			schema[i] = f
		}
	}
	return schema
}

// Name implements dirsync.Target.
func (d *Directory) Name() string { return "embedded directory" }

// Groups returns the directory's groups.
func (d *Directory) Groups() *Groups { return d.groups }
