package engine_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dirsync"
	"dirsync/sync/engine"
	"dirsync/sync/plan"
)

// Where the target cannot say whose its accounts are, everything holds that holds where it can, as long as nobody takes the
// address by which somebody else's account is found.
func TestFaultsForgetful(t *testing.T) {
	m := testMapping(t)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.Uint64Min(1).Draw(t, "unkindness"))
		w.target.Forget, w.join = true, []string{dirsync.EmailAddress}
		action := plan.Action(rapid.IntRange(0, 1).Draw(t, "policy"))
		w.policy = plan.Policy{WhenDeleted: action, WhenOutOfScope: action}
		everyone := append(ids("safe", 5), ids("risk", 5)...)
		for i, id := range everyone {
			w.src.Put(id, person(fmt.Sprint("P", i), fmt.Sprintf("p%d@x.org", i)))
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "changes") {
				w.mutateOwn(t, everyone)
			}
			w.now = w.now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "hours")) * time.Hour)
			w.faults.arm(rapid.Uint64().Draw(t, "faults"), rapid.SampledFrom([]int{0, 3, 15, 40}).Draw(t, "percent"), rapid.SampledFrom([]int{0, 10, 50, 150}).Draw(t, "dying"))
			_, err := w.engine(m).Run(context.Background(), engine.Options{RetryNow: rapid.Bool().Draw(t, "retry now")})
			_ = err // the run may fail; what it leaves behind may not be wrong
			w.faults.disarm()
			w.check(t.Fatalf)
		}
		for range 3 {
			if _, err := w.engine(m).Run(context.Background(), engine.Options{RetryNow: true}); err != nil {
				t.Fatalf("without faults: %v", err)
			}
			w.check(t.Fatalf)
		}
		w.settled(func(format string, args ...any) {
			t.Fatalf(format+"\n%s\n%v", append(args, w.src, w.target.Accounts())...)
		})
	})
}

func (w *world) mutateOwn(t *rapid.T, everyone []dirsync.ID) {
	for range rapid.IntRange(1, 4).Draw(t, "mutations") {
		id := rapid.SampledFrom(everyone).Draw(t, "who")
		switch what := rapid.IntRange(0, 8).Draw(t, "what"); {
		case what == 0:
			w.src.Put(id, map[string]any{"department": rapid.SampledFrom([]any{nil, "Sales", "Legal"}).Draw(t, "department")})
		case what == 1:
			w.src.Put(id, map[string]any{"givenName": rapid.SampledFrom([]any{nil, "Ana", "Bo"}).Draw(t, "given name")})
		case what == 2 && !safe(id):
			w.src.Remove(id)
		case what == 3 && !safe(id):
			w.src.Put(id, map[string]any{"accountEnabled": rapid.Bool().Draw(t, "enabled")})
		case what == 4:
			w.src.ExpireCursors()
		case what == 5:
			w.src.ExpirePages()
		case what > 5: // an address that nobody else ever has
			w.src.Put(id, map[string]any{"mail": fmt.Sprintf("%s-%d@x.org", id, rapid.IntRange(0, 2).Draw(t, "address"))})
		}
	}
}

// The creation of an account is not answered, and before it is made again its person leaves, or is renamed. The account is
// found by what it was made with.
func TestAccountThatNobodyLearnedOf(t *testing.T) {
	for name, then := range map[string]func(*world){
		"left":    func(w *world) { w.src.Remove("risk-00") },
		"renamed": func(w *world) { w.src.Put("risk-00", map[string]any{"mail": "new@x.org"}) },
	} {
		t.Run(name, func(t *testing.T) {
			w, m := newWorld(0), testMapping(t)
			w.target.Forget, w.join = true, []string{dirsync.EmailAddress}
			w.src.Put("risk-00", person("Ada", "old@x.org"))
			w.target.FaultChange = func(dirsync.Change) (error, error) { return nil, errFault }
			if r := w.run(t, m); r.Counts.Failed != 1 || active(w) != 1 {
				t.Fatalf("got %+v", r.Counts)
			}
			w.target.FaultChange = nil
			then(w)
			w.run(t, m)
			accounts := w.target.Accounts()
			if len(accounts) != 1 || accounts[0].Active != (name == "renamed") {
				t.Errorf("there are %+v", accounts)
			}
		})
	}
}

// Neither is the account lost when it was found again, and its person is renamed once more before anybody knows whether the
// first renaming took effect, or after the target has refused it again and again.
func TestAccountThatWasFoundAgain(t *testing.T) {
	for name, then := range map[string]func(dirsync.Change) (error, error){
		"it took effect": func(dirsync.Change) (error, error) { return nil, errFault },
		"it did not":     func(dirsync.Change) (error, error) { return errFault, nil },
		"it was refused": func(dirsync.Change) (error, error) {
			return &dirsync.Error{Kind: dirsync.Conflict, Err: errFault}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, m := newWorld(0), testMapping(t)
			w.target.Forget, w.join = true, []string{dirsync.EmailAddress}
			w.src.Put("risk-00", person("Ada", "a@x.org"))
			w.target.FaultChange = func(dirsync.Change) (error, error) { return nil, errFault }
			w.run(t, m)
			w.src.Put("risk-00", map[string]any{"mail": "b@x.org"})
			w.target.FaultChange = then
			for range 12 { // more often than is looked back
				w.run(t, m)
			}
			w.src.Put("risk-00", map[string]any{"mail": "c@x.org"})
			w.target.FaultChange = nil
			w.run(t, m)
			accounts := w.target.Accounts()
			if len(accounts) != 1 {
				t.Fatalf("there are %+v", accounts)
			}
			if mail, _ := accounts[0].Values.Get(dirsync.EmailAddress); mail.Text != "c@x.org" {
				t.Errorf("the address is %s", mail.Text)
			}
		})
	}
}
