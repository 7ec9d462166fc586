package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"dirsync"
)

// The schema's number lies in meta/schema. It is the number of steps that the file has been through.
const (
	bucketMeta = "meta"
	keySchema  = "schema"
	// schemaVersion is the newest schema, which a new store has at once. It is 1 and one more for every step.
	schemaVersion = 3
	// keyProgress holds how far the step under way has come.
	keyProgress = "progress"
	// keyIdentity holds 16 random bytes, by which a file is known again.
	keyIdentity = "identity"
)

// step brings a file from one schema to the next.
type step struct {
	// name says what the step does, for the error when it fails: "number the accounts".
	name string
	// run does a part of the step, in a transaction of its own, and returns how far it has come: what the next part begins
	// behind, or 0 when all is done. The first part begins behind 0.
	run func(t *tx, after uint64) (uint64, error)
}

// steps are all steps in order: the first leads from schema 1 to schema 2.
func steps() []step {
	return []step{
		{"number the changes of the directory", func(t *tx, _ uint64) (uint64, error) { return 0, numberChanges(t.b) }},
		{"show references as the directory's own ids", renewReferences},
	}
}

func writeSchema(tx *bolt.Tx, version uint64) error {
	b, err := tx.CreateBucketIfNotExists([]byte(bucketMeta))
	if err != nil {
		return err
	}
	return put(b, []byte(keySchema), appendUint([]byte{rowVersion}, version))
}

func readSchema(tx *bolt.Tx) (uint64, error) {
	body, err := get(tx.Bucket([]byte(bucketMeta)), []byte(keySchema))
	if err != nil {
		return 0, err
	}
	if body == nil {
		return 0, &dirsync.Error{Kind: dirsync.Corrupt, Err: errors.New("this is a database of another program, or its beginning is damaged"),
			Hint: "Check the path."}
	}
	d := decode(body)
	version := d.uint()
	if err := d.end(); err != nil {
		return 0, corrupt(fmt.Errorf("the schema's number: %w", err))
	}
	return version, nil
}

// writeIdentity makes a file another one than any other.
func writeIdentity(tx *bolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists([]byte(bucketMeta))
	if err != nil {
		return err
	}
	identity := make([]byte, 16, 20)
	rand.Read(identity)
	return put(b, []byte(keyIdentity), identity)
}

func readIdentity(tx *bolt.Tx) (string, error) {
	body, err := get(tx.Bucket([]byte(bucketMeta)), []byte(keyIdentity))
	if err == nil && len(body) != 16 {
		err = corrupt(errors.New("the file's identity is missing"))
	}
	return hex.EncodeToString(body), err
}

// load brings the file to the newest schema and reads what is kept in memory.
func (s *Store) load() error {
	if err := s.migrate(steps()); err != nil {
		return err
	}
	var places []place
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		if s.identity, err = readIdentity(tx); err != nil {
			return err
		}
		places, err = placesIn(tx)
		return err
	})
	if err != nil {
		return err
	}
	for _, at := range places {
		if err := s.reload(s.part(at).ids); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) reload(ix *index) error {
	s.state.Lock()
	defer s.state.Unlock()
	return s.replay(ix)
}

// migrate runs the steps that the file has not been through. Each transaction also keeps how far it has come, so that an
// interrupted migration goes on where it stopped.
func (s *Store) migrate(steps []step) error {
	newest := uint64(len(steps)) + 1
	var version uint64
	err := s.db.View(func(tx *bolt.Tx) (err error) {
		version, err = readSchema(tx)
		return err
	})
	switch {
	case err != nil:
		return err
	case version == 0:
		return corrupt(errors.New("schema 0, which there never was"))
	case version > newest:
		return &dirsync.Error{Kind: dirsync.Invalid, Err: fmt.Errorf("schema %d, and this program knows only up to %d", version, newest),
			Hint: "The file was written by a newer version of dirsync: use that version, or restore the backup made before the upgrade."}
	case version < newest && s.opts.ReadOnly:
		return &dirsync.Error{Kind: dirsync.Invalid, Err: fmt.Errorf("schema %d is older than this program's, %d", version, newest),
			Hint: "Start the daemon once; it brings the store up to date."}
	}
	for version < newest {
		step, next := steps[version-1], uint64(0)
		_, err := s.change(func(t *tx) (err error) {
			if next, err = runPart(t, step, version); err == nil && next == 0 {
				err = writeSchema(t.b, version+1)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("bring the store to schema %d: %s: %w", version+1, step.name, fileError(err))
		}
		if next == 0 {
			version++
		}
	}
	return nil
}

// runPart runs a part of a step, and keeps how far it has come.
func runPart(t *tx, step step, version uint64) (next uint64, err error) {
	b := t.b.Bucket([]byte(bucketMeta))
	body, err := get(b, []byte(keyProgress))
	if err != nil {
		return 0, err
	}
	after := uint64(0)
	if body != nil {
		d := decode(body)
		if after = d.uint(); d.end() != nil {
			return 0, corrupt(fmt.Errorf("how far the step from schema %d has come: %w", version, d.end()))
		}
	}
	if next, err = step.run(t, after); err != nil {
		return 0, err
	}
	if next == 0 {
		return 0, storageError(b.Delete([]byte(keyProgress)))
	}
	return next, put(b, []byte(keyProgress), appendUint([]byte{rowVersion}, next))
}
