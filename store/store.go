// Package store keeps everything that must survive a restart in one file: for every sync its people, debts, plans, runs
// and the place where reading stopped (engine.Store), the embedded directory (a dirsync.Target, a dirsync.Source and a
// dirsync.ResourceStore), what people are to be told (Notifications), and small values by name (Store.Note).
//
// The file is a bbolt database. Rows lie in the order in which people arrived, because a copy-on-write tree pays for
// every page that is touched: sequential keys share pages, random ones do not. The indexes, whose keys are random by
// nature, are gathered in memory and written in sorted order now and then; until then the rows themselves are the log
// from which they are made again (index.go). What is one bit a person is kept in bitmaps (bits.go).
//
// Memory does not grow with the number of people: everything is read and written in batches that the caller chooses.
//
// A file that is cut short, damaged, of another kind, or written by a newer program is refused with a *dirsync.Error
// that says so; it never crashes the process and never turns into an empty store (check.go).
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"dirsync"
)

// Options say how to open a store. The zero Options are good for a daemon.
type Options struct {
	// ReadOnly opens the file for looking only: everything that would write fails. Several processes may look at the
	// same time, but not while another writes.
	ReadOnly bool
	// KeepRuns is for how many of its latest runs a sync keeps the plan and the outcomes; zero means 200.
	KeepRuns int
	// KeepSummaries is for how long a sync keeps its runs at all; zero means 400 days. The latest 50, and those about whose
	// plan somebody has yet to decide, are kept however old they are.
	KeepSummaries time.Duration
	// KeepDeleted is for how long the directory keeps deleted accounts, so that they can be brought back; zero means 90
	// days. MaxDeleted is how many of them it keeps of users, and how many of groups; zero means 100,000.
	KeepDeleted time.Duration
	MaxDeleted  int
	// KeepTombstones is for how long the directory remembers that it had an account, once that is deleted and again once it
	// is forgotten; zero means 90 days. Whoever reads the directory (Directory.Source) less often than that has to read all
	// of it.
	KeepTombstones time.Duration
	// LockTimeout is how long to wait for another process to let go of the file; zero means one second.
	LockTimeout time.Duration
	// Now is the clock by which the directory dates its accounts; nil means time.Now.
	Now func() time.Time
	// RestoredNotes are what notes of these names hold in a store that Restore has put in place, whatever they hold in the
	// backup; see Store.SetNote.
	RestoredNotes map[string][]byte
}

// Store is an open store. Close it. It may be used from several goroutines: one writes at a time, and readers see what
// was committed last.
type Store struct {
	path  string
	opts  Options
	sizes sizes
	db    *bolt.DB

	// write is held by whoever changes anything, from before the transaction begins until its end.
	write sync.Mutex
	// state is held while a transaction begins or ends together with the indexes, so that every reader sees indexes
	// that fit the rows.
	state     sync.Mutex
	syncs     map[place]*Sync
	directory *Directory
	identity  string // of the file, for whoever must know it again
	broken    error
	notes     []string
}

// Open opens the store at path, or makes a new one when there is no file. The folder must exist. The file is readable by
// its owner only.
//
// Errors are *dirsync.Error: Locked when another process has it open, Corrupt when it is damaged, cut short, empty or no
// store at all, Invalid when it is no file or was written by a newer version, Permission, NotFound (of a folder, or when
// ReadOnly) and Storage.
func Open(path string, opts Options) (*Store, error) {
	opts = opts.withDefaults()
	s := &Store{path: path, opts: opts, sizes: defaultSizes(), syncs: map[place]*Sync{}}
	if err := s.open(); err != nil {
		return nil, named("open store "+path, err)
	}
	return s, nil
}

func (opts Options) withDefaults() Options {
	if opts.KeepRuns <= 0 {
		opts.KeepRuns = 200
	}
	if opts.KeepDeleted <= 0 {
		opts.KeepDeleted = 90 * 24 * time.Hour
	}
	if opts.MaxDeleted <= 0 {
		opts.MaxDeleted = 100_000
	}
	if opts.KeepTombstones <= 0 {
		opts.KeepTombstones = 90 * 24 * time.Hour
	}
	if opts.LockTimeout <= 0 {
		opts.LockTimeout = time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.KeepSummaries <= 0 {
		opts.KeepSummaries = 400 * 24 * time.Hour
	}
	return opts
}

// named makes err an *dirsync.Error whose Op says what was being done.
func named(op string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	//nolint:errorlint // not deeper in the chain: only the outermost may lack its Op
	if e, ok := err.(*dirsync.Error); ok {
		if e.Op != "" {
			return e
		}
		copied := *e
		copied.Op = op
		return &copied
	}
	return &dirsync.Error{Op: op, Kind: dirsync.KindOf(err), Hint: dirsync.HintOf(err), Err: err}
}

func (s *Store) open() error {
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && s.opts.ReadOnly:
		return &dirsync.Error{Kind: dirsync.NotFound, Err: errors.New("there is no such file"), Hint: "It is made by the first dirsync check, plan or run."}
	case errors.Is(err, fs.ErrNotExist):
		if err := create(s.path); err != nil {
			return err
		}
	case err != nil:
		return fileError(err)
	case !info.Mode().IsRegular():
		return &dirsync.Error{Kind: dirsync.Invalid, Err: errors.New("that is no regular file"), Hint: "Name a file inside of the folder, such as dirsync.db."}
	}
	flag := os.O_RDWR
	if s.opts.ReadOnly {
		flag = os.O_RDONLY
	}
	for {
		f, err := os.OpenFile(s.path, flag, 0)
		if err != nil {
			return fileError(err)
		}
		err = s.openFile(f)
		if err == nil {
			return nil
		}
		if s.db != nil {
			s.db.Close()
		}
		f.Close()
		if !errors.Is(err, errReplaced) {
			return err
		}
	}
}

// errReplaced says that while we waited for a file another one has taken its name.
var errReplaced = errors.New("the file was replaced")

// openFile locks the file, checks it, and gives it to bbolt.
func (s *Store) openFile(f *os.File) error {
	if err := lock(f, !s.opts.ReadOnly, s.opts.LockTimeout); err != nil {
		return fileError(err)
	}
	info, err := f.Stat()
	if err != nil {
		return fileError(err)
	}
	if there, err := os.Stat(s.path); err != nil || !os.SameFile(info, there) {
		return errReplaced // by Compact or Restore in another process
	}
	if info.Size() == 0 {
		return corrupt(errors.New("the file is empty"))
	}
	switch err := checkFile(f, info.Size()); {
	case errors.Is(err, errFallback):
		s.notes = append(s.notes, "one of the two header pages of the store is damaged; the last transaction before the damage may be missing")
	case err != nil:
		return err
	}
	room := 0
	if !s.opts.ReadOnly {
		room = reserve()
	}
	err = guard(func() error {
		db, err := bolt.Open(s.path, 0o600, &bolt.Options{
			Timeout:         s.opts.LockTimeout,
			ReadOnly:        s.opts.ReadOnly,
			NoFreelistSync:  true,
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: room,
			OpenFile:        func(string, int, os.FileMode) (*os.File, error) { return f, nil },
		})
		s.db = db
		return err
	})
	if err != nil {
		return fileError(err)
	}
	if err := guard(s.countFree); err != nil {
		return fileError(err)
	}
	return guard(s.load)
}

// create makes an empty store beside path and then gives it its name, so that a crash cannot leave half a store.
func create(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return fileError(err)
	}
	temp := f.Name()
	defer os.Remove(temp)
	if err := f.Close(); err != nil {
		return fileError(err)
	}
	db, err := bolt.Open(temp, 0o600, &bolt.Options{NoFreelistSync: true, FreelistType: bolt.FreelistMapType})
	if err != nil {
		return fileError(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		if err := writeIdentity(tx); err != nil {
			return err
		}
		return writeSchema(tx, schemaVersion)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return fileError(err)
	}
	// A link, unlike a renaming, does not replace what another process may have put there in the meantime.
	if err := os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(temp, path); err != nil {
			return fileError(err)
		}
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a new name in a folder durable. Not every file system can, and that is not worth stopping for.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err == nil {
		_ = d.Sync()
		err = d.Close()
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// fileError classifies an error of the operating system or of bbolt.
func fileError(err error) error {
	if _, ok := errors.AsType[*dirsync.Error](err); ok {
		return err
	}
	e := &dirsync.Error{Kind: dirsync.Storage, Err: err, Hint: "Check the disk, and that it has free space."}
	switch {
	case errors.Is(err, errLocked) || errors.Is(err, bolterrors.ErrTimeout):
		e.Kind, e.Err, e.Hint = dirsync.Locked, errLocked, "Wait for the other process or stop it: one at a time uses the store."
	case errors.Is(err, fs.ErrPermission):
		e.Kind, e.Hint = dirsync.Permission, "Run as the user to whom the file belongs, or give this user the right to read and write it and its folder."
	case errors.Is(err, fs.ErrNotExist):
		e.Kind, e.Hint = dirsync.NotFound, "Make the folder first, or correct the path."
	case errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch):
		e.Kind, e.Hint = dirsync.Corrupt, "Put the newest backup in its place."
	case errors.Is(err, bolterrors.ErrDatabaseReadOnly) || errors.Is(err, bolterrors.ErrTxNotWritable):
		e.Kind, e.Hint = dirsync.Invalid, "The store is open for looking only."
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		e.Kind, e.Hint = dirsync.Invalid, ""
	}
	return e
}

// Close lets go of the file. It waits for transactions under way. Closing twice is no error.
func (s *Store) Close() error {
	s.write.Lock()
	defer s.write.Unlock()
	for _, ix := range s.indexes() {
		// What is not written now is read again when the store is opened, which takes longer for whoever waits then.
		if ix.table.len() >= s.sizes.table/16 && !s.opts.ReadOnly && s.broken == nil {
			_ = s.flush(ix)
		}
	}
	if err := s.db.Close(); err != nil {
		return named("close store "+s.path, fileError(err))
	}
	return nil
}

func (s *Store) indexes() []*index {
	s.state.Lock()
	defer s.state.Unlock()
	var out []*index
	for _, y := range s.syncs {
		out = append(out, y.ids)
	}
	if s.directory != nil {
		out = append(out, s.directory.keys, s.directory.groups.keys)
	}
	return out
}

// Path returns the path under which the store was opened.
func (s *Store) Path() string { return s.path }

// Notes are what was found wrong when the store was opened, and did not stop it, as sentences for people.
func (s *Store) Notes() []string { return append([]string(nil), s.notes...) }

// Backup writes a copy of the whole store, as it is at this moment, to w. It can be used like any store. Others may
// read and write meanwhile. What they free is not used again until the backup has ended, so a slow w makes the file grow;
// and where the address space is small or limited, or the system is not Linux, everybody waits for the backup when the
// file outgrows its place in memory.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	return s.view(ctx, "back up store", func(tx *tx) error {
		_, err := tx.b.WriteTo(contextWriter{ctx, w})
		return err
	})
}

type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c contextWriter) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}

// Sync returns the part of the store that belongs to one sync. The name is not empty. A sync that was never heard of
// is empty, and is made when something is first written to it.
func (s *Store) Sync(name string) *Sync { return s.part(place{bucketSyncs, name}) }

// Syncs lists the names of the syncs that something is kept of, sorted. Their groups and memberships are no syncs.
func (s *Store) Syncs(ctx context.Context) ([]string, error) {
	var names []string
	err := s.view(ctx, "list syncs", func(tx *tx) error {
		if b := tx.b.Bucket([]byte(bucketSyncs)); b != nil {
			return b.ForEachBucket(func(k []byte) error {
				names = append(names, string(k))
				return nil
			})
		}
		return nil
	})
	return names, err
}

func errNo(what string, n uint64) error {
	return &dirsync.Error{Kind: dirsync.NotFound, Err: fmt.Errorf("there is no %s %d", what, n)}
}
