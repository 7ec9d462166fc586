package dirsynctest

import (
	"context"
	"fmt"
	"slices"

	"dirsync"
)

var _ dirsync.Finder = (*Target)(nil)

// Find implements dirsync.Finder, for every Unique field.
func (t *Target) Find(ctx context.Context, field string, values []dirsync.Value) ([][]dirsync.Account, error) {
	before, after := t.fault(ctx, "Find")
	if before != nil {
		return nil, before
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.ContainsFunc(t.schema, func(f dirsync.Field) bool { return f.Name == field && f.Unique }) {
		return nil, &dirsync.Error{Op: "find accounts", Kind: dirsync.Invalid, Field: field, Err: fmt.Errorf("accounts cannot be found by %s", field)}
	}
	out := make([][]dirsync.Account, len(values))
	for i, v := range values {
		for _, a := range t.accounts {
			held, _ := a.Values.Get(field)
			if !v.IsNull() && dirsync.Fold(held.Text) == dirsync.Fold(v.Text) && len(out[i]) < 3 {
				out[i] = append(out[i], t.told(cloneAccount(a)))
			}
		}
	}
	return out, after
}
