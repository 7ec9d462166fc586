// Package dirsync holds the words that the rest of the program is written in: records, people, values, changes,
// plans and runs, and the interfaces Source and Target that join them. It defines and never acts: no I/O, no clock,
// no goroutine, and it imports nothing of this module, so that every other package may import it.
//
// The life of one person, in these words: a Source delivers a Record; the store merges it into the person's shadow
// and marks the person owed; a run maps the shadow to typed Values, decides on at most one Change, writes it down,
// applies it to the Target and settles what came of it.
package dirsync
