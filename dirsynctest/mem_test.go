package dirsynctest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"dirsync"
	"dirsync/dirsynctest"
	"dirsync/sync/engine"
)

func TestMemoryStore(t *testing.T) {
	dirsynctest.TestStore(t, func(*testing.T) engine.Store { return dirsynctest.NewStore() })
}

func TestStoreFaults(t *testing.T) {
	ctx, now := context.Background(), time.Unix(0, 0)
	before, after := errors.New("before"), errors.New("after")
	for _, test := range []struct {
		name          string
		before, after error
		want          error
		people        int
	}{
		{"none", nil, nil, nil, 1},
		{"without effect", before, nil, before, 0},
		{"having taken effect", nil, after, after, 1},
		{"both", before, after, before, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := dirsynctest.NewStore()
			s.Fault = func(op string) (error, error) {
				if op == "Merge" {
					return test.before, test.after
				}
				return nil, nil
			}
			m, err := s.Merge(ctx, []dirsync.Record{{ID: "p"}}, engine.ReadState{Round: 1}, now)
			if err != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if err != nil && m != (engine.Merged{}) {
				t.Errorf("got %v beside an error", m)
			}
			totals, err := s.Totals(ctx)
			if err != nil || totals.People != test.people {
				t.Errorf("got %d people and %v, want %d", totals.People, err, test.people)
			}
		})
	}
}
