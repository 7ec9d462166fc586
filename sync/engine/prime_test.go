package engine_test

import (
	"context"
	"errors"
	"testing"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/sync/engine"
)

// primer is a source that can be primed: its beginning is a cursor of its own, and read as the zero one.
type primer struct {
	*dirsynctest.Source
	primed, read int
	// ahead is called while it is asked to prime, and err is what it then says.
	ahead func()
	err   error
}

const beginning = dirsync.Cursor("primed")

func (p *primer) Prime(context.Context) (dirsync.Cursor, error) {
	p.primed++
	if p.ahead != nil {
		p.ahead()
	}
	if p.err != nil {
		return "", p.err
	}
	return beginning, nil
}

func (p *primer) Read(ctx context.Context, since dirsync.Cursor, fn func(dirsync.Page) error) error {
	if since == beginning {
		p.read++
		since = ""
	}
	return p.Source.Read(ctx, since, fn)
}

// The first reading begins where it was primed, once, and is a whole one all the same.
func TestPrime(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.src.Put("safe-1", person("Ada", "ada@x.org"))
	src := &primer{Source: w.src}
	prime := func() bool {
		t.Helper()
		e := w.engine(m)
		e.Source = src
		primed, err := e.Prime(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return primed
	}
	if first, second := prime(), prime(); !first || !second || src.primed != 1 {
		t.Errorf("primed %d times, want once, and said so twice", src.primed)
	}
	e := w.engine(m)
	e.Source = src
	if r, err := e.Run(t.Context(), engine.Options{}); err != nil || r.Counts.Created != 1 || src.read != 1 {
		t.Errorf("got %+v, %v, read from the beginning that was primed %d times", r.Counts, err, src.read)
	}
	if prime() || src.primed != 1 {
		t.Error("primed again, after everybody was read")
	}
	if primed, err := w.engine(m).Prime(t.Context()); primed || err != nil { // its source cannot be primed
		t.Errorf("got %v, %v", primed, err)
	}
}

// A beginning is not kept when it is refused, or when everybody has been read while it was asked for.
func TestPrimeKeepsNothing(t *testing.T) {
	w, m := newWorld(0), testMapping(t)
	w.src.Put("safe-1", person("Ada", "ada@x.org"))
	src := &primer{Source: w.src, err: errors.New("refused")}
	e := w.engine(m)
	e.Source = src
	if primed, err := e.Prime(t.Context()); primed || !errors.Is(err, src.err) {
		t.Errorf("refused: got %v, %v", primed, err)
	}
	var read dirsync.ReadState
	src.err, src.ahead = nil, func() {
		w.run(t, m)
		var err error
		if read, err = w.store.ReadState(t.Context()); err != nil || read.Base == "" {
			t.Fatalf("got %+v, %v", read, err)
		}
	}
	if primed, err := e.Prime(t.Context()); primed || err != nil {
		t.Errorf("read meanwhile: got %v, %v", primed, err)
	}
	if state, err := w.store.ReadState(t.Context()); err != nil || state != read {
		t.Errorf("got %+v, %v, want %+v as the reading left it", state, err, read)
	}
}
