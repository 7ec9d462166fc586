package main

import (
	"strconv"
	"time"

	"dirsync"
)

// exportedView is one change of one person and the run that made it, as programs read it.
type exportedView struct {
	Time    time.Time `json:"time"`
	Run     string    `json:"run"`
	Sync    string    `json:"sync"`
	AskedBy string    `json:"asked_by"`
	// Undoes is the run that this one took back, if it did.
	Undoes string `json:"undoes,omitempty"`
	// Groups says that the change is of a group and not of a person.
	Groups bool `json:"groups,omitempty"`
	changeView
	change dirsync.Change
}

// viewExported says what a run did to somebody. run may be unknown; then only its number is.
func viewExported(r dirsync.Run, id dirsync.RunID, o dirsync.Outcome, holds []dirsync.Hold) exportedView {
	v := exportedView{Time: r.Started, Run: strconv.FormatUint(uint64(id), 10), Sync: r.Sync, AskedBy: r.AskedBy, changeView: viewChange(o.Change), change: o.Change}
	v.Result, v.Error = resultOf(o, holds), o.Error
	if !r.Ended.IsZero() {
		v.Time = r.Ended
	}
	if r.Undoes != 0 {
		v.Undoes = strconv.FormatUint(uint64(r.Undoes), 10)
	}
	return v
}
