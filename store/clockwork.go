package store

import (
	"bytes"
	"context"
)

// bucketClockwork holds small values by name, for what must survive a restart and is no row of anything: when a sync runs
// next, whether it is paused, a fingerprint of the configuration.
const bucketClockwork = "clockwork"

// Note returns the value that SetNote kept under a name last; nil when there is none. It belongs to the caller.
func (s *Store) Note(ctx context.Context, name string) (value []byte, err error) {
	if len(name) > maxName {
		return nil, ctx.Err() // nothing is called that
	}
	err = s.view(ctx, "read note", func(t *tx) error {
		body, err := get(t.b.Bucket([]byte(bucketClockwork)), []byte(name))
		value = bytes.Clone(body)
		return err
	})
	return value, err
}

// SetNote keeps a small value under a name of 1 to 4,096 bytes, durably, in one transaction; an empty value removes it.
// Keeping what is kept already writes nothing. The value is any bytes, at most 16 megabytes, and no secret: everything in
// the file lies there as it is. A name or a value that cannot be kept is an error of kind Invalid.
func (s *Store) SetNote(ctx context.Context, name string, value []byte) error {
	return unchanged(s.update(ctx, "keep note", func(t *tx) error {
		if err := checkName("name of the note", name); err != nil {
			return err
		}
		if err := checkBody("note", value); err != nil {
			return err
		}
		b, err := t.top(bucketClockwork)
		if err != nil {
			return err
		}
		was, err := get(b, []byte(name))
		switch {
		case err != nil:
			return err
		case bytes.Equal(was, value):
			return errUnchanged
		case len(value) == 0:
			return storageError(b.Delete([]byte(name)))
		}
		return put(b, []byte(name), bytes.Clone(value))
	}))
}

// clockwork checks what Verify promises of the notes that have names.
func (v *verifier) clockwork(t *tx) error {
	b := t.b.Bucket([]byte(bucketClockwork))
	if b == nil {
		return nil
	}
	return b.ForEach(func(k, row []byte) error {
		if _, err := unseal(k, row); err != nil {
			v.found("note %q: %v", k, err)
		}
		return v.ctx.Err()
	})
}
