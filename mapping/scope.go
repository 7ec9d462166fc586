package mapping

import "dirsync"

// scope says who is to be in the target.
type scope struct{}

// inScope tells whether a person is in scope. When nobody can tell, they are, with a fault.
func (m *Mapping) inScope(p *person) (bool, *dirsync.Fault) {
	return true, nil
}
