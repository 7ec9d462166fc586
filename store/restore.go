package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// Restore puts a backup in the place of a store. It copies the backup beside path, verifies all of the copy, makes it
// durable, and only then gives it the name. Whenever the process dies, there is a whole store at path, if there was one.
//
// If there is a file at path it is refused as an *dirsync.Error of kind Conflict, unless replace says otherwise; then the
// file, whatever is in it, is kept beside it under the name that is returned, and empty if there was none. No process may
// have it open: that is Locked. Readers of the directory begin anew; see Directory.Source. A backup that is damaged, or in which something does not fit together, is Corrupt, and
// then nothing was changed. Of opts, Now names the file that is kept,
// and LockTimeout and RestoredNotes are looked at.
func Restore(ctx context.Context, backup, path string, replace bool, opts Options) (kept string, err error) {
	op := "restore " + path + " from " + backup
	opts = opts.withDefaults()
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	old, err := os.OpenFile(path, os.O_RDWR, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", named(op, fileError(err))
	default:
		// The lock is kept until the new file has the name.
		defer old.Close()
		if err := replaceable(old, backup, replace, opts); err != nil {
			return "", named(op, err)
		}
	}
	temp := path + ".restore"
	defer os.Remove(temp)
	if err := copyFile(ctx, backup, temp); err != nil {
		return "", named(op, err)
	}
	if err := renewFile(temp, opts); err != nil {
		return "", named(op, err)
	}
	if err := verifyFile(ctx, temp, opts); err != nil {
		return "", named(op, err)
	}
	if old != nil {
		// A second name first, so that there is a store under its own at every moment.
		if kept, err = keepBeside(path, opts); err != nil {
			return "", named(op, fileError(err))
		}
		err = os.Rename(temp, path)
	} else if err = os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return "", named(op, exists())
	}
	if err != nil {
		return "", named(op, fileError(err))
	}
	return kept, named(op, fileErrorOrNil(syncFolder(filepath.Dir(path))))
}

// keepBeside gives a file a second name, which tells when that was, and which nothing has yet.
func keepBeside(path string, opts Options) (string, error) {
	name := path + ".replaced-" + opts.Now().UTC().Format("20060102T150405Z")
	for n := 1; ; n++ {
		kept := name
		if n > 1 {
			kept = fmt.Sprintf("%s-%d", name, n)
		}
		if err := os.Link(path, kept); !errors.Is(err, fs.ErrExist) {
			return kept, err
		}
	}
}

func exists() error {
	return &dirsync.Error{Kind: dirsync.Conflict, Err: errors.New("there is a store already"), Hint: "Say that it may be replaced. It is kept beside the new one."}
}

// replaceable tells whether the file that is there may be replaced, and locks it.
func replaceable(old *os.File, backup string, replace bool, opts Options) error {
	info, err := old.Stat()
	if err != nil {
		return fileError(err)
	}
	if b, err := os.Stat(backup); err == nil && os.SameFile(info, b) {
		return &dirsync.Error{Kind: dirsync.Invalid, Err: errors.New("the backup is the store itself"), Hint: "Name the backup, and then the store."}
	}
	if !info.Mode().IsRegular() {
		return &dirsync.Error{Kind: dirsync.Invalid, Err: errors.New("that is no regular file")}
	}
	if !replace {
		return exists()
	}
	if err := lock(old, true, opts.LockTimeout); err != nil {
		return fileError(err)
	}
	return nil
}

// copyFile copies a file and makes the copy durable. A file that is there is replaced.
func copyFile(ctx context.Context, from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return backupError(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fileError(err)
	}
	_, err = io.Copy(contextWriter{ctx, out}, in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil && ctx.Err() == nil {
		return fileError(err)
	}
	return err
}

func backupError(err error) error {
	err = fileError(err)
	if e, ok := errors.AsType[*dirsync.Error](err); ok && e.Kind == dirsync.NotFound {
		e.Hint = "Check the path of the backup."
	}
	return err
}

// aheadBy is by how much the sequences of a store that is restored are set ahead: more than can have been given since the
// backup, so that no number means two things.
const aheadBy = 1 << 32

// renewFile brings a copy of a backup to the newest schema and makes it another file than the one of the backup: between
// the backup and now things may have happened that are undone by it. Whoever has read of them reads everything again, and
// no version and no id that somebody may remember is given a second time.
func renewFile(path string, opts Options) error {
	s, err := Open(path, Options{LockTimeout: opts.LockTimeout})
	if err != nil {
		return fmt.Errorf("look at the backup: %w", err)
	}
	_, err = s.change(func(t *tx) error {
		for _, of := range [...]struct{ place, rows string }{{bucketDirectory, bucketUsers}, {bucketDirectoryGroups, bucketGroups}} {
			parent, err := t.top(of.place)
			if err != nil {
				return err
			}
			if b := parent.Bucket([]byte(bucketChanges)); b != nil {
				if err := b.SetSequence(b.Sequence() + aheadBy); err != nil {
					return fileError(err)
				}
			}
			if err := t.passNumbers(parent, of.rows); err != nil {
				return err
			}
		}
		return fileErrorOrNil(writeIdentity(t.b))
	})
	for name, value := range opts.RestoredNotes {
		if err == nil {
			err = s.SetNote(context.Background(), name, value)
		}
	}
	return errors.Join(err, s.Close())
}

// numbersAhead is how many numbers of accounts are never given in a store that is restored: more than can have been given
// since the backup. A client that remembers an id from then must not find somebody else under it.
const numbersAhead = 1 << 20

// passNumbers passes over the numbers of accounts that may have been given since the backup, as though all of these were
// deleted.
func (t *tx) passNumbers(parent *bolt.Bucket, rows string) error {
	b, err := t.bucket(parent, rows)
	if err != nil {
		return err
	}
	holes, err := t.bucket(parent, bucketHoles)
	if err != nil {
		return err
	}
	first := b.Sequence() + 1
	end := first + numbersAhead
	for at := first; at < end; {
		block := at / holeBlock
		next := min((block+1)*holeBlock, end)
		n, err := holesIn(holes, block)
		if err != nil {
			return err
		}
		if err := putHoles(holes, block, n+next-at); err != nil {
			return err
		}
		at = next
	}
	return fileErrorOrNil(b.SetSequence(end - 1))
}

// verifyFile opens a copy of a backup for looking only, and reads all of it.
func verifyFile(ctx context.Context, path string, opts Options) error {
	s, err := Open(path, Options{ReadOnly: true, LockTimeout: opts.LockTimeout})
	if err != nil {
		return fmt.Errorf("look at the backup: %w", err)
	}
	var findings []string
	// Which of the directory's fields are unique is for the configuration to say; what every directory has is enough here.
	if _, err = s.Directory(); err == nil {
		findings, err = s.Verify(ctx)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return fmt.Errorf("verify the backup: %w", err)
	}
	if len(findings) == 0 {
		return nil
	}
	more := ""
	if n := len(findings); n > 3 {
		more = fmt.Sprintf("; and %d more", n-3)
		findings = findings[:3]
	}
	return &dirsync.Error{Kind: dirsync.Corrupt, Err: errors.New("the backup does not fit together: " + strings.Join(findings, "; ") + more),
		Hint: "Take an older backup."}
}
