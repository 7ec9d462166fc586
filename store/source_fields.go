package store

import (
	"context"

	"dirsync"
)

// SourceFields lists what a mapping may use of the directory as a source, if it has these fields; see Directory.Source and
// Store.Directory.
func SourceFields(fields ...dirsync.Field) []dirsync.Field {
	a := newAccounts(&Store{}, "user", bucketDirectory, bucketUsers, wholeSchema(fields))
	out, _ := newSource(a, "").Fields(context.Background()) // it asks nobody, and cannot fail
	return out
}
