package graph

import (
	"context"
	"sync"
	"sync/atomic"
)

// inParallel does something with every item, some at a time, and calls use for one result at a time, in the order in
// which they come. What is done with an item may send any number of results, and gives up when send says so. The first
// error of do or use ends it all, and is returned as it is; when ctx ends first, the error is that of ended.
func inParallel[T, R any](ctx context.Context, atATime int, items []T,
	do func(ctx context.Context, item T, send func(R) bool) error, use func(R) error, ended func() error) error {
	type result struct {
		value R
		err   error
	}
	inner, cancel := context.WithCancel(ctx)
	var (
		todo    = make(chan T)
		results = make(chan result)
		workers sync.WaitGroup
		done    atomic.Int64
	)
	pass := func(r result) bool {
		select {
		case results <- r:
			return true
		case <-inner.Done():
			return false
		}
	}
	for range min(atATime, len(items)) {
		workers.Go(func() {
			for item := range todo {
				passed := true
				err := do(inner, item, func(r R) bool { passed = passed && pass(result{value: r}); return passed })
				if err != nil {
					pass(result{err: err})
				}
				if err != nil || !passed {
					return
				}
				done.Add(1)
			}
		})
	}
	go func() {
		defer close(results)
		defer workers.Wait()
		defer close(todo)
		for _, item := range items {
			select {
			case todo <- item:
			case <-inner.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range results { // until the workers have ended
		}
	}()
	for r := range results {
		if r.err != nil {
			return r.err
		}
		if ctx.Err() != nil {
			return ended()
		}
		if err := use(r.value); err != nil {
			return err
		}
	}
	if done.Load() < int64(len(items)) {
		return ended()
	}
	return nil
}
