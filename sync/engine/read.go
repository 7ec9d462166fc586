package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dirsync"
)

// maxRestarts is how often one reading may begin its round again before it gives up until the next run.
const maxRestarts = 5

// read brings the shadow up to the source. It returns nil only when a round is complete and everybody whom a full
// round did not mention has been looked up, so that what is planned afterwards rests on no absence that was not proved.
//
// Where people come from groups, their memberships are read before the people themselves, so that whoever turns up in
// a group and is looked up is then brought up to date by what has changed since. Only the very first time the people's
// cursor is made first: it is what has to be older than anything that is looked up.
func (e *Engine) read(ctx context.Context, r *dirsync.Run) error {
	people := e.people(r)
	if e.Groups == nil {
		return people.run(ctx)
	}
	state, err := e.Store.ReadState(ctx)
	if err != nil {
		return err
	}
	if state.Base == "" || state.Open || state.Confirming {
		if err := people.run(ctx); err != nil {
			return err
		}
	}
	if err := e.readGroups(ctx, r); err != nil {
		return err
	}
	if err := e.spread(ctx, r); err != nil {
		return err
	}
	if err := people.run(ctx); err != nil {
		return err
	}
	if err := e.askDoubtful(ctx); err != nil {
		return err
	}
	return e.spread(ctx, r) // there is something left only if a doubt has ended
}

// reading is one source, and where its records go.
type reading struct {
	e    *Engine
	what string // for people: "users"
	// everybody begins a sentence: "everybody was".
	everybody string
	source    dirsync.Source
	store     Reading
	// merge keeps a batch of records together with the state behind them.
	merge func(context.Context, []dirsync.Record, dirsync.ReadState) error
	// confirm settles every doubt that a round has left.
	confirm func(context.Context, *dirsync.ReadState) error
	// fresh is told how many records were merged since they were last planned.
	fresh func(int)
	note  func(string)
}

// people is the reading of the sync's people.
func (e *Engine) people(r *dirsync.Run) *reading {
	rd := &reading{
		e: e, what: "users", everybody: "everybody was", source: e.Source, store: e.Store,
		fresh: func(n int) { r.Counts.Read = n },
		note:  func(s string) { r.Notes = append(r.Notes, s) },
	}
	rd.merge = func(ctx context.Context, records []dirsync.Record, state dirsync.ReadState) error {
		_, err := e.Store.Merge(ctx, records, state, e.now())
		return err
	}
	rd.confirm = func(ctx context.Context, state *dirsync.ReadState) error {
		if err := rd.lookUp(ctx, state); err != nil || !state.Full || e.Groups == nil || len(e.Groups.Scope) == 0 {
			return err
		}
		// Nobody is mentioned who was not known, and nobody who came back.
		if err := rd.lookUpGone(ctx, state); err != nil {
			return err
		}
		return rd.lookUpUnknown(ctx, state)
	}
	return rd
}

// lookUpGone looks up everybody who was there once. They may have come back while nobody read.
func (rd *reading) lookUpGone(ctx context.Context, state *dirsync.ReadState) error {
	return rd.e.eachBatch(ctx, rd.e.Store, func(people []dirsync.Person) error {
		var ids []dirsync.ID
		for _, p := range people {
			if p.Gone != dirsync.Present {
				ids = append(ids, p.ID)
			}
		}
		if len(ids) == 0 {
			return nil
		}
		return rd.ask(ctx, ids, state)
	})
}

// lookUpUnknown looks up whoever is in a group and is not known, because they were not there when they were looked up. They
// are told of when they come, but a reading that begins anew tells nothing of what was before it. It leaves out nobody:
// whoever may have left the group has to be known, too, before anybody can ask about that.
func (rd *reading) lookUpUnknown(ctx context.Context, state *dirsync.ReadState) error {
	g := rd.e.Groups
	return rd.e.eachIn(ctx, g.Store, func(group dirsync.Person) error {
		for after := dirsync.Seq(0); ; {
			members, last, err := g.Members.MembersOf(ctx, group.ID, after, lookUpBatch)
			if err != nil || len(members) == 0 {
				return err
			}
			after = last
			var unknown []dirsync.ID
			for _, m := range members {
				if m.Kind != dirsync.KindUser {
					continue
				}
				switch _, err := rd.e.Store.Person(ctx, m.Member); {
				case dirsync.KindOf(err) == dirsync.NotFound:
					unknown = append(unknown, m.Member)
				case err != nil:
					return err
				}
			}
			if len(unknown) == 0 {
				continue
			}
			if err := rd.ask(ctx, unknown, state); err != nil {
				return err
			}
		}
	})
}

// run reads to the end of a round, and settles what it leaves in doubt.
func (rd *reading) run(ctx context.Context) error {
	state, err := rd.store.ReadState(ctx)
	if err != nil {
		return err
	}
	rd.fresh(state.Fresh)
	if state.Confirming { // a process died between a round and its look-ups
		if err := rd.end(ctx, &state); err != nil {
			return err
		}
	}
	for restarts := 0; ; restarts++ {
		if restarts > maxRestarts {
			return &dirsync.Error{Op: "read " + rd.what, Kind: dirsync.Unavailable,
				Err:  fmt.Errorf("the source asked %d times to begin again", restarts),
				Hint: "Nothing is lost: the next run goes on from the last complete reading."}
		}
		if !state.Open {
			rd.begin(&state)
		}
		err := rd.round(ctx, &state)
		switch {
		case err == nil:
			if state.Confirming {
				return rd.end(ctx, &state)
			}
			return nil
		case errors.Is(err, dirsync.ErrPageExpired):
			rd.note("a page of the round had expired; the round was begun again")
			state.Redo = !state.Full && (state.Redo || state.Page != "")
			state.Open = false
		case errors.Is(err, dirsync.ErrCursorExpired) && state.Base+state.Page+state.Begin != "":
			rd.note(rd.everybody + " read again, because " + err.Error())
			begin := dirsync.Cursor("")
			if g, ok := rd.source.(dirsync.GroupSource); ok && state.Base+state.Page != "" {
				begin = cmp.Or(g.Again(state.Base), g.Again(state.Page), state.Begin)
			}
			state.Begin = begin
			state.Base, state.Open, state.Redo = "", false, false
		default:
			return err
		}
		rd.e.Log.Info().Str("sync", rd.e.Sync).Err(err).Msg("reading begins again")
	}
}

// Prime marks the beginning of the first reading, if that makes it faster and nothing was read yet, and says whether it
// is marked, by this call or an earlier one. Whatever goes wrong with it, the first reading only takes longer. It must
// not be called while the sync is read.
func (e *Engine) Prime(ctx context.Context) (bool, error) {
	p, ok := e.Source.(dirsync.Primer)
	if !ok {
		return false, nil
	}
	state, err := e.Store.ReadState(ctx)
	switch {
	case err != nil || state.Open || state.Base+state.Page != "":
		return false, err
	case state.Begin != "":
		return true, nil
	}
	begin, err := p.Prime(ctx)
	if err != nil || begin == "" {
		return false, err
	}
	// The answer has taken its time. What was read meanwhile counts, and this beginning does not.
	now, err := e.Store.ReadState(ctx)
	if err != nil || now != state {
		return false, err
	}
	state.Begin = begin
	return true, e.Store.SetReadState(ctx, state)
}

// begin begins a round where the last one ended.
func (rd *reading) begin(state *dirsync.ReadState) {
	state.Open, state.Page = true, ""
	state.Full = state.Base == ""
	state.Asked = ""
	if a, ok := rd.source.(dirsync.Asker); ok {
		state.Asked = strings.Join(slices.Sorted(slices.Values(a.Asked())), " ")
	}
	state.Round++
}

// end settles the doubts about a complete round, and closes it.
func (rd *reading) end(ctx context.Context, state *dirsync.ReadState) error {
	if err := rd.confirm(ctx, state); err != nil {
		return err
	}
	next := *state
	next.Confirming, next.Redo, next.Completed = false, false, rd.e.now()
	if err := rd.store.EndRound(ctx, next); err != nil {
		return err
	}
	*state = next
	return nil
}

// round reads one round from where state says, and leaves state as it was last written. Pages are merged in batches,
// each in one transaction with the cursor behind it: whatever stops the reading, what was merged needs no second look.
func (rd *reading) round(ctx context.Context, state *dirsync.ReadState) error {
	from := cmp.Or(state.Page, state.Base, state.Begin)
	// Fetching and merging overlap. The channel is what bounds memory.
	pages := make(chan dirsync.Page, 8)
	merged := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		err := rd.mergePages(ctx, state, pages)
		if err != nil {
			close(stop)
		}
		merged <- err
	}()
	readErr := rd.source.Read(ctx, from, func(p dirsync.Page) error {
		select {
		case pages <- p:
			return nil
		case <-stop:
			return errMergeFailed
		}
	})
	close(pages)
	if err := <-merged; err != nil {
		return err
	}
	if readErr != nil {
		return readErr
	}
	if state.Open {
		return &dirsync.Error{Op: "read " + rd.what, Kind: dirsync.Unavailable, Err: errors.New("the source stopped before the end of the round")}
	}
	return nil
}

// errMergeFailed stops a source; the reason is what mergePages returns.
var errMergeFailed = errors.New("the shadow could not be written")

func (rd *reading) mergePages(ctx context.Context, state *dirsync.ReadState, pages <-chan dirsync.Page) error {
	var batch []dirsync.Record
	weight := 0
	next := *state
	flush := func() error {
		if next == *state && len(batch) == 0 {
			return nil
		}
		next.Fresh = state.Fresh + len(batch)
		// A cancelled run still writes down what it has read.
		if err := rd.merge(context.WithoutCancel(ctx), batch, next); err != nil {
			return err
		}
		rd.fresh(next.Fresh)
		*state = next
		clear(batch)
		batch, weight = batch[:0], 0
		rd.e.progress(dirsync.PhaseRead, next.Fresh, 0)
		return nil
	}
	for p := range pages {
		batch = append(batch, p.Records...)
		for _, rec := range p.Records {
			weight += 1 + len(rec.Members)
		}
		next.Page = p.Next
		if p.Complete {
			next.Base, next.Page, next.Open = p.Next, "", false
			next.Confirming = next.Full || next.Redo
			if !next.Confirming {
				next.Completed = rd.e.now()
			}
		}
		if weight >= rd.e.batch() || p.Complete {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// lookUp looks up everybody whom a full round did not mention, or mentioned without values that were there before. A
// full reading never reports what was deleted before it began, so these may be gone; and it shows no snapshot, so they
// may as well be there. Only their own answer counts. After a round that was redone, it looks up everybody whom any of
// its attempts mentioned.
func (rd *reading) lookUp(ctx context.Context, state *dirsync.ReadState) error {
	var after dirsync.Seq
	for {
		candidates, err := rd.store.Unconfirmed(ctx, state.Round, after, lookUpBatch)
		if err != nil {
			return err
		}
		if len(candidates) == 0 {
			return nil
		}
		after = candidates[len(candidates)-1].Seq
		ids := make([]dirsync.ID, len(candidates))
		for i, c := range candidates {
			ids[i] = c.ID
		}
		if err := rd.ask(ctx, ids, state); err != nil {
			return err
		}
	}
}

// lookUpBatch is how many people are looked up before what was said is written down.
const lookUpBatch = 1000

// ask looks people up by id and keeps what the source says of them.
func (rd *reading) ask(ctx context.Context, ids []dirsync.ID, state *dirsync.ReadState) error {
	records := make([]dirsync.Record, 0, len(ids))
	err := rd.source.LookUp(ctx, ids, func(rec dirsync.Record) error {
		records = append(records, rec)
		return nil
	})
	if err != nil {
		return fmt.Errorf("look up %d %s of whom the source did not say enough: %w", len(ids), rd.what, err)
	}
	if len(records) != len(ids) {
		return &dirsync.Error{Op: "look up " + rd.what, Kind: dirsync.Unavailable,
			Err: fmt.Errorf("%d were asked for and %d answered", len(ids), len(records))}
	}
	// In an order that does not depend on which answer came first: whoever is new is numbered by it.
	slices.SortFunc(records, func(a, b dirsync.Record) int { return cmp.Compare(a.ID, b.ID) })
	next := *state
	next.Fresh += len(records)
	if err := rd.merge(ctx, records, next); err != nil {
		return err
	}
	*state = next
	rd.fresh(next.Fresh)
	return nil
}
