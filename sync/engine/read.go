package engine

import (
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
func (e *Engine) read(ctx context.Context, r *dirsync.Run) error {
	state, err := e.Store.ReadState(ctx)
	if err != nil {
		return err
	}
	r.Counts.Read = state.Fresh
	if state.Confirming { // a process died between a full round and its look-ups
		if err := e.confirm(ctx, r, &state); err != nil {
			return err
		}
	}
	for restarts := 0; ; restarts++ {
		if restarts > maxRestarts {
			return &dirsync.Error{Op: "read users", Kind: dirsync.Unavailable,
				Err:  fmt.Errorf("the source asked %d times to begin again", restarts),
				Hint: "Nothing is lost: the next run goes on from the last complete reading."}
		}
		if !state.Open {
			state.Open, state.Page = true, ""
			state.Full = state.Base == ""
			state.Asked = ""
			if a, ok := e.Source.(dirsync.Asker); ok {
				state.Asked = strings.Join(slices.Sorted(slices.Values(a.Asked())), " ")
			}
			state.Round++
		}
		err := e.round(ctx, r, &state)
		switch {
		case err == nil:
			if state.Confirming {
				return e.confirm(ctx, r, &state)
			}
			return nil
		case errors.Is(err, dirsync.ErrPageExpired):
			r.Notes = append(r.Notes, "a page of the round had expired; the round was begun again")
			state.Open = false
		case errors.Is(err, dirsync.ErrCursorExpired) && state.Base+state.Page != "":
			r.Notes = append(r.Notes, "everybody was read again, because "+err.Error())
			state.Base, state.Open = "", false
		default:
			return err
		}
		e.Log.Info().Str("sync", e.Sync).Err(err).Msg("reading begins again")
	}
}

// round reads one round from where state says, and leaves state as it was last written. Pages are merged in batches,
// each in one transaction with the cursor behind it: whatever stops the reading, what was merged needs no second look.
func (e *Engine) round(ctx context.Context, r *dirsync.Run, state *dirsync.ReadState) error {
	from := state.Page
	if from == "" {
		from = state.Base
	}
	// Fetching and merging overlap. The channel is what bounds memory.
	pages := make(chan dirsync.Page, 8)
	merged := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		err := e.mergePages(ctx, r, state, pages)
		if err != nil {
			close(stop)
		}
		merged <- err
	}()
	readErr := e.Source.Read(ctx, from, func(p dirsync.Page) error {
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
		return &dirsync.Error{Op: "read users", Kind: dirsync.Unavailable, Err: errors.New("the source stopped before the end of the round")}
	}
	return nil
}

// errMergeFailed stops a source; the reason is what mergePages returns.
var errMergeFailed = errors.New("the shadow could not be written")

func (e *Engine) mergePages(ctx context.Context, r *dirsync.Run, state *dirsync.ReadState, pages <-chan dirsync.Page) error {
	var batch []dirsync.Record
	next := *state
	flush := func() error {
		if next == *state && len(batch) == 0 {
			return nil
		}
		next.Fresh = state.Fresh + len(batch)
		// A cancelled run still writes down what it has read.
		if _, err := e.Store.Merge(context.WithoutCancel(ctx), batch, next, e.now()); err != nil {
			return err
		}
		r.Counts.Read = next.Fresh
		*state = next
		clear(batch)
		batch = batch[:0]
		e.progress(dirsync.PhaseRead, r.Counts.Read, 0)
		return nil
	}
	for p := range pages {
		batch = append(batch, p.Records...)
		next.Page = p.Next
		if p.Complete {
			next.Base, next.Page, next.Open = p.Next, "", false
			next.Confirming = next.Full
			if !next.Full {
				next.Completed = e.now()
			}
		}
		if len(batch) >= e.batch() || p.Complete {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// confirm looks up everybody whom the full round that has just ended did not mention, or mentioned without values that
// were there before. A full reading never reports what was deleted before it began, so these may be gone; and it shows
// no snapshot, so they may as well be there. Only their own answer counts.
func (e *Engine) confirm(ctx context.Context, r *dirsync.Run, state *dirsync.ReadState) error {
	var after dirsync.Seq
	for {
		candidates, err := e.Store.Unconfirmed(ctx, state.Round, after, 200)
		if err != nil {
			return err
		}
		if len(candidates) == 0 {
			break
		}
		after = candidates[len(candidates)-1].Seq
		ids := make([]dirsync.ID, len(candidates))
		for i, c := range candidates {
			ids[i] = c.ID
		}
		records := make([]dirsync.Record, 0, len(ids))
		err = e.Source.LookUp(ctx, ids, func(rec dirsync.Record) error {
			records = append(records, rec)
			return nil
		})
		if err != nil {
			return fmt.Errorf("look up %d people whom the source did not mention: %w", len(ids), err)
		}
		if len(records) != len(ids) {
			return &dirsync.Error{Op: "look up users", Kind: dirsync.Unavailable,
				Err: fmt.Errorf("%d were asked for and %d answered", len(ids), len(records))}
		}
		next := *state
		next.Fresh += len(records)
		if _, err := e.Store.Merge(ctx, records, next, e.now()); err != nil {
			return err
		}
		*state, r.Counts.Read = next, next.Fresh
	}
	next := *state
	next.Confirming, next.Completed = false, e.now()
	if err := e.Store.EndRound(ctx, next); err != nil {
		return err
	}
	*state = next
	return nil
}
