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
			m, err := s.Merge(ctx, []dirsync.Record{{ID: "p"}}, dirsync.ReadState{Round: 1}, now)
			if err != test.want {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if err != nil && m != (dirsync.Merged{}) {
				t.Errorf("got %v beside an error", m)
			}
			totals, err := s.Totals(ctx)
			if err != nil || totals.People != test.people {
				t.Errorf("got %d people and %v, want %d", totals.People, err, test.people)
			}
		})
	}
}

func TestMemoryTarget(t *testing.T) {
	dirsynctest.TestTarget(t, func(*testing.T) dirsync.Target { return dirsynctest.NewTarget() })
}

func TestTargetFaults(t *testing.T) {
	ctx, fault := context.Background(), errors.New("fault")
	values := dirsync.Values{
		{Field: dirsync.EmailAddress, Value: dirsync.Value{Type: dirsync.Email, Text: "a@a.example"}},
		{Field: dirsync.FirstName, Value: dirsync.Value{Type: dirsync.Text, Text: "A"}},
		{Field: dirsync.LastName, Value: dirsync.Value{Type: dirsync.Text, Text: "A"}},
	}
	create := dirsync.Change{Kind: dirsync.Create, Person: "p", After: values}
	for _, test := range []struct {
		name     string
		set      func(*dirsynctest.Target)
		accounts int
	}{
		{"before the call", func(t *dirsynctest.Target) { t.Fault = func(string) (error, error) { return fault, nil } }, 0},
		{"after the call", func(t *dirsynctest.Target) { t.Fault = func(string) (error, error) { return nil, fault } }, 1},
		{"before the change", func(t *dirsynctest.Target) {
			t.FaultChange = func(dirsync.Change) (error, error) { return fault, nil }
		}, 0},
		{"after the change", func(t *dirsynctest.Target) {
			t.FaultChange = func(dirsync.Change) (error, error) { return nil, fault }
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, apply := range map[string]func(*dirsynctest.Target) error{
				"Apply":    func(target *dirsynctest.Target) error { _, err := target.Apply(ctx, create); return err },
				"ApplyAll": func(target *dirsynctest.Target) error { return target.ApplyAll(ctx, []dirsync.Change{create})[0].Err },
			} {
				target := dirsynctest.NewTarget()
				test.set(target)
				if err := apply(target); err != fault {
					t.Errorf("%s: got %v, want the fault", name, err)
				}
				if got := len(target.Accounts()); got != test.accounts {
					t.Errorf("%s: got %d accounts, want %d", name, got, test.accounts)
				}
				if got := len(target.Applied()); name == "Apply" && test.name != "before the call" && got != 1 {
					t.Errorf("%s: got %d changes, want 1", name, got)
				}
			}
		})
	}
}

func TestTargetSeeds(t *testing.T) {
	target := dirsynctest.NewTarget(dirsync.Field{Name: "office", Type: dirsync.Text})
	a := target.Put(dirsync.Account{Active: true, Values: dirsync.Values{{Field: dirsync.FirstName, Value: dirsync.Value{Type: dirsync.Text, Text: "A"}}}})
	if got := target.Accounts(); len(got) != 1 || got[0].ID != a.ID || len(got[0].Values) != 4 {
		t.Errorf("got %v, want the account that was put there, with all four fields", got)
	}
	target.Remove(a.ID)
	target.Remove(a.ID)
	if got := target.Accounts(); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}
