package dirsync

import "time"

// Restorer is a Target that keeps deleted accounts for a while and can bring them back.
type Restorer interface {
	// Restores says for how long a deleted account is kept at the most; zero means that none is. While it is kept, a
	// Create whose Account names it, for a person who has no other account there, brings it back: under its id, active,
	// with the values it had, overlaid by Change.Writes. If another account has one of its unique values meanwhile, or if
	// it belonged to another person, that is a Conflict. A Create whose Account names one that is kept no more makes a new
	// account, as for any Account that is not there.
	Restores() time.Duration
}
