package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"dirsync/scim/server"
	"dirsync/web"
)

// The bounds of the history of requests. Requests that only look are many, and remembered in files of their own, so that
// they cannot push out those that have changed something.
const (
	pushLogKeep  = 30 * 24 * time.Hour
	pushLogFile  = 16 << 20 // bytes, after which another file is begun
	pushLogFiles = 8        // of each sort; the oldest goes first
	pushLogEvery = time.Second
	pushLogSoon  = 256 << 10 // bytes that are not kept waiting for pushLogEvery
	pushLogWait  = 16 << 20  // bytes that may wait to be written
)

// The sorts of files.
const (
	pushLogWrites = "writes"
	pushLogReads  = "reads"
)

// pushEntry is one request in the history: who, what, and what came of it.
type pushEntry struct {
	web.SCIMRequest
	// Took is in milliseconds.
	Took float64 `json:"ms"`
}

func viewEvent(e server.Event) pushEntry {
	out := pushEntry{web.SCIMRequest{Time: e.Time.UTC(), Token: e.Token, Method: e.Method, Resource: e.Resource, ID: e.ID, Name: e.Name, Operation: e.Operation,
		Status: e.Status, SCIMType: e.SCIMType, Detail: e.Detail, Changed: e.Changed, Held: e.Held}, float64(e.Duration.Microseconds()) / 1000}
	for _, q := range e.Quirks {
		out.Quirks = append(out.Quirks, web.SCIMQuirk{Code: string(q.Code), Text: q.Text})
	}
	return out
}

// looks tells requests that have changed nothing, and of which nothing is odd.
func (e *pushEntry) looks() bool {
	return (e.Method == "GET" || e.Method == "HEAD" || e.Method == "OPTIONS" || e.Resource == ".search") && e.Status < 400 && len(e.Quirks) == 0
}

// pushLog is the history of requests: files of JSON lines in a folder beside the store, which only its owner can read. It is
// written every second, off the path of the requests: what changed is in the store whatever becomes of its history. A process
// that is killed takes the last second of it along.
type pushLog struct {
	dir string
	now func() time.Time
	log zerolog.Logger

	// mu guards what waits; lost counts requests that found no room there.
	mu     sync.Mutex
	waits  [2]bytes.Buffer
	lost   int
	closed bool

	// news says that something waits, where nothing did before, because an idle daemon is to sleep; much says that much waits.
	news  chan struct{}
	much  chan struct{}
	stop  chan struct{}
	syncs chan chan error
	ended chan struct{}
	files [2]pushFile // those that are being written; only the writer has them
}

// pushFile is a file that is being written.
type pushFile struct {
	sort  string
	file  *os.File
	size  int64
	began time.Time
}

// openPushLog makes the folder, and begins to write what it is given.
func openPushLog(dir string, now func() time.Time, log zerolog.Logger) (*pushLog, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for the history of SCIM requests: %w", err)
	}
	l := &pushLog{dir: dir, now: now, log: log, news: make(chan struct{}, 1), much: make(chan struct{}, 1), stop: make(chan struct{}), syncs: make(chan chan error), ended: make(chan struct{})}
	l.files[0].sort, l.files[1].sort = pushLogWrites, pushLogReads
	for _, f := range l.files {
		l.prune(f.sort, now().UTC())
	}
	go l.write()
	return l, nil
}

// add remembers a request. It does not wait.
func (l *pushLog) add(ev server.Event) {
	e := viewEvent(ev)
	line, err := json.Marshal(e)
	if err != nil {
		return // There are texts and numbers in it only.
	}
	i := 0
	if e.looks() {
		i = 1
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.waits[i].Len()+len(line) > pushLogWait {
		l.lost++
		return
	}
	before := l.waits[i].Len()
	l.waits[i].Write(line)
	l.waits[i].WriteByte('\n')
	wake := l.news
	switch after := l.waits[i].Len(); {
	case before < pushLogSoon && after >= pushLogSoon:
		wake = l.much
	case before > 0:
		return
	}
	select {
	case wake <- struct{}{}:
	default:
	}
}

// write writes what waits until it is stopped.
func (l *pushLog) write() {
	defer close(l.ended)
	var soon <-chan time.Time
	for {
		last, waiting := false, chan error(nil)
		select {
		case <-l.news:
			if soon == nil {
				soon = time.After(pushLogEvery)
			}
			continue
		case <-soon:
			soon = nil
		case <-l.much:
		case waiting = <-l.syncs:
		case <-l.stop:
			last = true
		}
		err := l.flush()
		if err != nil {
			l.log.Error().Err(err).Msg("the history of SCIM requests could not be written")
		}
		if waiting != nil {
			waiting <- err
		}
		if last {
			return
		}
	}
}

// flush writes what waits.
func (l *pushLog) flush() error {
	var texts [2][]byte
	l.mu.Lock()
	for i := range l.waits {
		texts[i] = bytes.Clone(l.waits[i].Bytes())
		l.waits[i].Reset()
	}
	lost := l.lost
	l.lost = 0
	l.mu.Unlock()
	if lost > 0 {
		l.log.Warn().Int("requests", lost).Msg("more SCIM requests came than the history takes; these are not in it")
	}
	var errs []error
	for i := range texts {
		if len(texts[i]) > 0 {
			errs = append(errs, l.append(&l.files[i], texts[i]))
		}
	}
	return errors.Join(errs...)
}

// append writes to the newest file of a sort, or begins another one.
func (l *pushLog) append(f *pushFile, text []byte) error {
	now := l.now().UTC()
	if f.file != nil && (f.size >= pushLogFile || now.Sub(f.began) >= pushLogKeep/pushLogFiles) {
		_ = f.file.Close()
		f.file = nil
	}
	if f.file == nil {
		name := filepath.Join(l.dir, f.sort+"-"+now.Format("20060102T150405.000000000")+".jsonl")
		file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		f.file, f.size, f.began = file, 0, now
		l.prune(f.sort, now)
	}
	n, err := f.file.Write(text)
	f.size += int64(n)
	return err
}

// sync returns when everything that was added is in the files.
func (l *pushLog) sync() error {
	done := make(chan error, 1)
	select {
	case l.syncs <- done:
		return <-done
	case <-l.ended:
		return nil
	}
}

// prune removes what is too old, or too much.
func (l *pushLog) prune(sort string, now time.Time) {
	names := pushLogNames(l.dir, sort)
	for i, name := range names {
		info, err := os.Stat(name)
		if err == nil && (i < len(names)-pushLogFiles || now.Sub(info.ModTime()) >= pushLogKeep) {
			_ = os.Remove(name) // the next time, then
		}
	}
}

// pushLogNames lists the files of a sort, oldest first.
func pushLogNames(dir, sort string) []string {
	names, err := filepath.Glob(filepath.Join(dir, sort+"-*.jsonl"))
	if err != nil { // only a bad pattern is an error
		return nil
	}
	slices.Sort(names)
	return names
}

// close writes the rest. It may be called on nil.
func (l *pushLog) close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if was {
		return nil
	}
	close(l.stop)
	<-l.ended
	var errs []error
	for i := range l.files {
		if l.files[i].file != nil {
			errs = append(errs, l.files[i].file.Close())
		}
	}
	return errors.Join(errs...)
}

// pushQuery says which requests are asked for.
type pushQuery struct {
	// ids and names are those of a resource, any of them; none: all. Names are compared by letter.
	ids, names []string
	// reads asks for requests that only look, too; quirks for odd ones only, failed for those that were refused.
	reads, quirks, failed bool
	limit                 int
}

func (q *pushQuery) wants(e *pushEntry) bool {
	switch {
	case q.quirks && len(e.Quirks) == 0, q.failed && e.Status < 400:
		return false
	case len(q.ids)+len(q.names) == 0:
		return true
	}
	return slices.Contains(q.ids, e.ID) || slices.ContainsFunc(q.names, func(name string) bool { return name != "" && strings.EqualFold(name, e.Name) })
}

// readPushLog returns the latest requests that are asked for, newest first.
func readPushLog(dir string, q pushQuery) ([]pushEntry, error) {
	sorts := []string{pushLogWrites}
	if q.reads {
		sorts = append(sorts, pushLogReads)
	}
	var out []pushEntry
	for _, sort := range sorts {
		found := 0
		names := pushLogNames(dir, sort)
		for i := len(names) - 1; i >= 0 && found < q.limit; i-- {
			some, err := readPushFile(names[i], q)
			if errors.Is(err, fs.ErrNotExist) {
				continue // it has just been pruned
			}
			if err != nil {
				return nil, fmt.Errorf("read the history of SCIM requests: %w", err)
			}
			found += len(some)
			out = append(out, some...)
		}
	}
	slices.SortStableFunc(out, func(a, b pushEntry) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Operation, a.Operation)) })
	return out[:min(len(out), q.limit)], nil
}

// pushLogTail is how much of the end of the history is read for the last request of each token.
const pushLogTail = 256 << 10

// lastOfTokens are the last requests of tokens, as far as they are in the end of the history.
func lastOfTokens(dir string) map[string]pushEntry {
	last := map[string]pushEntry{}
	for _, sort := range []string{pushLogWrites, pushLogReads} {
		names := pushLogNames(dir, sort)
		if len(names) == 0 {
			continue
		}
		for line := range bytes.Lines(tailOf(names[len(names)-1], pushLogTail)) {
			var e pushEntry
			if json.Unmarshal(line, &e) == nil && e.Token != "" && e.Operation == 0 && !e.Time.Before(last[e.Token].Time) {
				last[e.Token] = e
			}
		}
	}
	return last
}

// tailOf is the end of a file; nothing if it cannot be read.
func tailOf(name string, size int64) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	if _, err := f.Seek(-size, io.SeekEnd); err != nil {
		_, err = f.Seek(0, io.SeekStart) // it is shorter than that
		if err != nil {
			return nil
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, size))
	if err != nil {
		return nil
	}
	return text
}

// readPushFile returns the last requests of a file that are asked for, newest first. Lines that are no entries, such as one
// that was cut off by a crash, are passed over.
func readPushFile(name string, q pushQuery) ([]pushEntry, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var found []pushEntry
	lines := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) { // no entry is as long as that
				_, err = lines.ReadSlice('\n')
			}
			continue
		}
		if err != nil {
			break
		}
		if !q.mayWant(line) {
			continue
		}
		var e pushEntry
		if json.Unmarshal(line, &e) != nil || !q.wants(&e) {
			continue
		}
		if found = append(found, e); len(found) > 2*q.limit {
			found = slices.Clone(found[len(found)-q.limit:])
		}
	}
	slices.Reverse(found)
	return found[:min(len(found), q.limit)], nil
}

// mayWant passes lines over that need not be read: most have neither the id nor anything odd in them.
func (q *pushQuery) mayWant(line []byte) bool {
	if q.quirks && !bytes.Contains(line, []byte(`"quirks":`)) {
		return false
	}
	if len(q.names) > 0 || len(q.ids) == 0 {
		return true
	}
	return slices.ContainsFunc(q.ids, func(id string) bool { return bytes.Contains(line, []byte(id)) })
}
