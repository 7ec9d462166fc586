package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/store"
)

func (a *app) backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the whole store into a file",
		Long: `backup writes a copy of the store, as it is at one moment, into a new file: everything
that dirsync remembers, and the embedded directory. The file appears only once it is
complete and safe on the disk; one that is there already is never replaced. It holds
people's data, and only its owner may read it.

Other commands may look at the store meanwhile. A run that was started by hand has the
store to itself; then backup says so, and is started again later.

Exit codes: 0 written; 1 failed, or the file is there already; 2 the command line or
the configuration is wrong.`,
		Example: "  dirsync backup /backup/dirsync-$(date +%F).db\n  dirsync verify /backup/dirsync-2026-03-01.db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(nil, func(_ *Config, st *store.Store, _ []string) error {
				return a.backup(cmd.Context(), st, args[0])
			})
		},
	}
}

func (a *app) backup(ctx context.Context, st *store.Store, path string) error {
	size, err := newFile(a.path(path), func(w io.Writer) error { return st.Backup(ctx, w) })
	if err != nil {
		return err
	}
	if a.json() {
		return writeJSON(a.stdout, map[string]any{"backup": path, "bytes": size})
	}
	a.printf("%s: %s written. dirsync verify %s looks whether all of it fits together.\n", clean(path), bytesWords(size), clean(path))
	return nil
}

// newFile makes a file appear complete and durable or not at all, readable by its owner only. It never replaces one.
func newFile(path string, write func(io.Writer) error) (size int64, err error) {
	op := "write " + path
	if _, err := os.Lstat(path); err == nil {
		return 0, &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: errors.New("there is a file of this name already"), Hint: "Choose another name, or move that file away."}
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, plainFileError(err))
	}
	defer func() { _ = os.Remove(f.Name()) }()
	counted := &countingWriter{w: f}
	if err := errors.Join(write(counted), f.Sync(), f.Close()); err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	// A link, unlike a renaming, does not replace what somebody may have put there in the meantime.
	switch err := os.Link(f.Name(), path); {
	case errors.Is(err, fs.ErrExist):
		return 0, &dirsync.Error{Op: op, Kind: dirsync.Conflict, Err: errors.New("there is a file of this name already"), Hint: "Choose another name."}
	case err != nil:
		if err := os.Rename(f.Name(), path); err != nil {
			return 0, fmt.Errorf("%s: %w", op, err)
		}
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync() // not every file system can, and that is not worth stopping for
		_ = dir.Close()
	}
	return counted.n, nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// bytesWords writes a size for people: "812 KB", "1.2 GB".
func bytesWords(n int64) string {
	const kb = 1 << 10
	switch {
	case n < kb:
		return counted(int(n), "byte", "bytes")
	case n < kb*kb:
		return fmt.Sprintf("%d KB", (n+kb-1)/kb)
	case n < kb*kb*kb:
		return fmt.Sprintf("%.1f MB", float64(n)/(kb*kb))
	}
	return fmt.Sprintf("%.1f GB", float64(n)/(kb*kb*kb))
}

func (a *app) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Look whether everything in the store, or in a backup, fits together",
		Long: `verify reads the whole store, or a backup, and names everything in it that does not
fit together: rows that cannot be read, indexes that miss a row, two accounts with one
address, figures that are not the sum of what they count. It changes nothing.

Exit codes: 0 sound; 1 failed, or something does not fit together; 2 the command line
or the configuration is wrong.`,
		Example: "  dirsync verify\n  dirsync verify /backup/dirsync-2026-03-01.db",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(nil, func(cfg *Config, st *store.Store, _ []string) (err error) {
				if len(args) > 0 {
					opts := storeOptions(cfg)
					opts.ReadOnly = true
					if st, err = store.Open(a.path(args[0]), opts); err != nil {
						return err
					}
					defer func() { err = errors.Join(err, st.Close()) }()
				}
				return a.verifyStore(cmd.Context(), cfg, st)
			})
		},
	}
}

func (a *app) verifyStore(ctx context.Context, cfg *Config, st *store.Store) error {
	if _, err := st.Directory(cfg.Directory.FieldList()...); err != nil {
		return err
	}
	findings, err := st.Verify(ctx)
	if err != nil {
		return err
	}
	findings = append(st.Notes(), findings...)
	if a.json() {
		if err := writeJSON(a.stdout, map[string]any{"store": st.Path(), "sound": len(findings) == 0, "findings": append([]string{}, findings...)}); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			a.printf("%s\n", clean(f))
		}
		if len(findings) == 0 {
			a.printf("%s: sound\n", clean(st.Path()))
		}
	}
	if len(findings) == 0 {
		return nil
	}
	return &dirsync.Error{Op: "verify " + st.Path(), Kind: dirsync.Corrupt, Err: fmt.Errorf("what does not fit together: %d", len(findings)),
		Hint: "Keep this file, and put the newest sound backup in its place: dirsync restore BACKUP --replace."}
}

func (a *app) compactCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compact",
		Short: "Make the store's file as small as it can be",
		Long: `compact copies the store without what has become free in it, compares the copy, and
puts it in the store's place. What becomes free is used again anyway, so this is worth
while only after much was deleted. The disk needs room for the copy. A daemon waits for
the end of the runs that are under way, rests meanwhile, and goes on by itself.

Exit codes: 0 done; 1 failed, and the store is as it was; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync compact",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := a.load(nil)
			if err != nil {
				return err
			}
			var c store.Compaction
			err = a.swap(cmd.Context(), func() (err error) {
				c, err = store.Compact(cmd.Context(), cfg.Store.Path, storeOptions(cfg))
				return err
			})
			if err != nil {
				return err
			}
			if a.json() {
				return writeJSON(a.stdout, map[string]any{"store": cfg.Store.Path, "bytes_before": c.Before, "bytes_after": c.After})
			}
			a.printf("%s: %s before, %s now\n", clean(cfg.Store.Path), bytesWords(c.Before), bytesWords(c.After))
			return nil
		},
	}
}

func (a *app) restoreCommand() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use:   "restore BACKUP",
		Short: "Put a backup in the store's place",
		Long: `restore verifies a backup and puts a copy of it in the store's place. A store that is
there is replaced only with --replace, and even then kept beside it. A daemon waits for
the end of the runs that are under way, rests meanwhile, and goes on by itself, at
once; stop it first if you want to look before anything runs.

What has happened since the backup is not forgotten by the tenant: the next run reads
what has changed since then, or everybody, and puts the accounts right. SCIM clients do
not know of it; have them provision everybody again. Their tokens stay those of the
store that is replaced, where it can be read.

Exit codes: 0 restored; 1 failed, and the store is as it was; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync restore /backup/dirsync-2026-03-01.db --replace",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, _, err := a.load(nil)
			if err != nil {
				return err
			}
			opts := storeOptions(cfg)
			opts.Now = a.now
			var kept string
			err = a.swap(cmd.Context(), func() (err error) {
				opts.RestoredNotes = tokensOfNow(cmd.Context(), cfg.Store.Path)
				kept, err = store.Restore(cmd.Context(), a.path(args[0]), cfg.Store.Path, replace, opts)
				return err
			})
			switch {
			case dirsync.KindOf(err) == dirsync.Conflict && !replace:
				return &dirsync.Error{Kind: dirsync.Conflict, Err: err, Hint: "With --replace it is replaced, and kept beside the new one."}
			case err != nil:
				return err
			case a.json():
				return writeJSON(a.stdout, map[string]any{"store": cfg.Store.Path, "backup": args[0], "kept": kept})
			}
			a.printf("%s: restored from %s\n", clean(cfg.Store.Path), clean(args[0]))
			if kept != "" {
				a.printf("What was there is kept as %s.\n", clean(kept))
			}
			if kept != "" && opts.RestoredNotes == nil {
				a.printf("Tokens of SCIM clients that were ended since the backup are good again, if there were any: dirsync token list.\n")
			}
			a.printf("Look before the next run changes anything: dirsync read, and then dirsync plan.\n" +
				"dirsync run --full then makes certain of what was done to the targets since the backup.\n")
			return nil
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "replace the store that is there, and keep it beside the new one")
	return cmd
}

// tokensOfNow are the tokens of SCIM clients in the store that is about to be replaced: a token that was ended since the backup
// must not be good again. It is nil if the store cannot be read, or never had any; then those of the backup are all there is.
func tokensOfNow(ctx context.Context, path string) map[string][]byte {
	st, err := store.Open(path, store.Options{ReadOnly: true})
	if err != nil {
		return nil
	}
	text, err := st.Note(ctx, noteTokens)
	if err = errors.Join(err, st.Close()); err != nil || text == nil {
		return nil
	}
	return map[string][]byte{noteTokens: text}
}

// storeOptions are the options by which the store of a configuration is opened for writing.
func storeOptions(cfg *Config) store.Options {
	return store.Options{KeepRuns: cfg.Store.History.Runs, KeepSummaries: time.Duration(cfg.Store.History.Keep)}
}
