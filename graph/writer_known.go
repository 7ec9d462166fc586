package graph

import (
	"sync"
	"time"

	"dirsync"
)

const (
	// mostKnown is how many people each of the two generations remembers, some two hundred bytes each.
	mostKnown = 50_000
	// patience is how long an account that was just made may stay unknown to a part of the service. Microsoft promises no
	// bound; seconds to minutes are what is reported.
	patience = 3 * time.Minute
)

// acquaintances remember whose account is whose, of those whom this process has written: the tenant itself may take
// minutes to tell, and without an anchor it never does.
type acquaintances struct {
	mu sync.Mutex
	// recent and older are the accounts by their people. When recent is full, older is forgotten.
	recent, older map[dirsync.ID]string
	// made says when an account was made or brought back, gone when it was deleted, as long as somebody may not have heard.
	made, gone map[string]time.Time
	swept      time.Time
	// doubts are people who may have an account that nobody has confirmed.
	doubts map[dirsync.ID]doubt
	// last is when an account was last sent that may be there.
	last time.Time
}

// doubt says when an account was first sent that may be there, and when last.
type doubt struct{ since, last time.Time }

func newAcquaintances() *acquaintances {
	return &acquaintances{recent: map[dirsync.ID]string{}, older: map[dirsync.ID]string{}, made: map[string]time.Time{}, gone: map[string]time.Time{},
		doubts: map[dirsync.ID]doubt{}}
}

// met notes whose an account is.
func (k *acquaintances) met(person dirsync.ID, account string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if person == "" {
		return
	}
	if len(k.recent) >= mostKnown {
		k.recent, k.older = map[dirsync.ID]string{}, k.recent
	}
	k.recent[person] = account
	delete(k.doubts, person)
}

// doubted notes that an account may have been made for somebody since a moment, and doubt says so.
func (k *acquaintances) doubted(person dirsync.ID, since, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = now
	if d, known := k.doubts[person]; known {
		since = d.since
	}
	if person != "" && len(k.doubts) < mostKnown {
		k.doubts[person] = doubt{since, now}
	}
}

// uncertain is when something was last made of which not everybody need have heard, if that was after a moment.
func (k *acquaintances) uncertain(since time.Time) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last.After(since) {
		return k.last
	}
	return since
}

func (k *acquaintances) doubt(person dirsync.ID) (doubt, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	d, ok := k.doubts[person]
	return d, ok
}

// appeared notes that an account was made, or has come back, and left that it was deleted.
func (k *acquaintances) appeared(account string, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sweep(now)
	k.made[account] = now
	delete(k.gone, account)
}

func (k *acquaintances) left(account string, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sweep(now)
	k.gone[account] = now
	delete(k.made, account)
}

// sweep forgets what everybody has heard of by now.
func (k *acquaintances) sweep(now time.Time) {
	if age := now.Sub(k.swept); age >= 0 && age < patience {
		return
	}
	k.swept = now
	for _, times := range []map[string]time.Time{k.made, k.gone} {
		for account, at := range times {
			if !within(at, now) {
				delete(times, account)
			}
		}
	}
}

func within(at, now time.Time) bool {
	age := now.Sub(at)
	return age >= 0 && age < patience
}

// of returns a person's account, "" if none is known.
func (k *acquaintances) of(person dirsync.ID) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	account, ok := k.recent[person]
	if !ok {
		account = k.older[person]
	}
	if _, deleted := k.gone[account]; deleted {
		return ""
	}
	return account
}

// forget takes back that somebody has an account.
func (k *acquaintances) forget(person dirsync.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.recent, person)
	delete(k.older, person)
}

// young tells an account that was made so lately that it may not be known everywhere, and deleted one that was deleted so
// lately.
func (k *acquaintances) young(account string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.made[account]
	return ok && within(at, now)
}

func (k *acquaintances) deleted(account string, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.gone[account]
	return ok && within(at, now)
}

// awaited are the accounts that wait for a manager who has none yet, by their ids. They are kept in memory only, until
// somebody asks for them (Writer.Unresolved): who still waits when the program ends is seen, as a difference, when the
// target is compared.
type awaited struct {
	mu sync.Mutex
	by map[string]subordinate
}

// subordinate is a person who is to have somebody as their manager.
type subordinate struct{ person, boss dirsync.ID }

func newAwaited() *awaited { return &awaited{by: map[string]subordinate{}} }

func (a *awaited) add(account string, w subordinate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.by[account] = w
}

// remove says that an account waits for nobody.
func (a *awaited) remove(account string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.by, account)
}

// ready takes out who waits for people who are there now.
func (a *awaited) ready(there func(dirsync.ID) bool) map[string]subordinate {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[string]subordinate{}
	for account, w := range a.by {
		if there(w.boss) {
			out[account] = w
			delete(a.by, account)
		}
	}
	return out
}

// Unresolved implements dirsync.Referrer: these are the people whose manager could not be written, because the manager has
// no account yet.
func (w *Writer) Unresolved() map[dirsync.ID][]string {
	out := map[dirsync.ID][]string{}
	for _, waiting := range w.held.ready(func(dirsync.ID) bool { return true }) {
		out[waiting.person] = []string{managerName}
	}
	return out
}

// Waiting counts the managers that could not be written, because they have no account yet.
func (w *Writer) Waiting() int {
	w.held.mu.Lock()
	defer w.held.mu.Unlock()
	return len(w.held.by)
}
