package engine

import (
	"context"
	"fmt"
	"hash/maphash"

	"dirsync"
	"dirsync/mapping"
	"dirsync/sync/plan"
)

// Survey is what the mapping makes of everybody at the source, as far as it was read, and of everybody together.
type Survey struct {
	*mapping.Preview
	// Blocked counts the people in scope who may not sign in; what their records are like does not matter until they may,
	// so they are not in the Preview.
	Blocked int
	// Rejected counts the people in scope whose records make no valid user, those included who want what another person
	// has.
	Rejected int
	// Drift counts, by field, the accounts that differ from the source in a field that is written only once.
	Drift map[string]int
	// Pending counts, by field, the references to people who have no account and would get none (yet). They reject nobody.
	Pending map[string]int
}

// Survey maps everybody and calls fn for each person who would be rejected, with the reasons. It writes nothing, and
// it needs the same few megabytes for any number of people.
func (e *Engine) Survey(ctx context.Context, fn func(dirsync.Rejection) error) (Survey, error) {
	s := Survey{Preview: e.Mapping.NewPreview(), Drift: map[string]int{}, Pending: map[string]int{}}
	fields, err := e.Target.Fields(ctx)
	if err != nil {
		return s, err
	}
	uniq := newUniqueness(fields)
	c, err := e.circle(ctx)
	if err != nil {
		return s, err
	}
	reject := func(r dirsync.Rejection) error {
		s.Rejected++
		return fn(r)
	}
	err = e.each(ctx, c, func(p dirsync.Person, w plan.Wanted) error {
		uniq.count(holding(p, w))
		switch {
		case p.Gone != dirsync.Present:
			return nil
		case w.InScope && w.Blocked:
			s.Blocked++
			return nil
		}
		if w.Outside != "" {
			s.People++
			s.OutOfScope++
			return nil
		}
		if s.Add(p.ID, p.Shadow); !w.InScope {
			return nil
		}
		_, after := plan.Drift(p, w)
		for _, f := range after {
			s.Drift[f.Field]++
		}
		if len(w.Faults) > 0 {
			return reject(dirsync.Rejection{ID: p.ID, User: w.User, Name: w.Name, Faults: w.Faults})
		}
		return e.pending(ctx, &s, w, c)
	})
	if err != nil || !uniq.suspicious() {
		return s, err
	}
	// Only now is it worth while to remember who wants what, and only of those few whose values may collide.
	err = e.each(ctx, c, func(p dirsync.Person, w plan.Wanted) error {
		uniq.remember(p, w, holding(p, w))
		return nil
	})
	if err != nil {
		return s, err
	}
	for _, r := range uniq.rejections() {
		if err := reject(r); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Decide is what a run would decide about p now, and what it would base that on.
func (e *Engine) Decide(ctx context.Context, p dirsync.Person) (plan.Wanted, dirsync.Decision, error) {
	pl, err := e.begin(ctx, &tally{})
	if err != nil {
		return plan.Wanted{}, dirsync.Decision{}, err
	}
	w, _, err := e.wantedAll(ctx, []dirsync.Person{p}, pl.circle)
	if err != nil {
		return plan.Wanted{}, dirsync.Decision{}, err
	}
	d, err := pl.decide(ctx, []dirsync.Person{p})
	if err != nil {
		return plan.Wanted{}, dirsync.Decision{}, err
	}
	return w[0], d[0], nil
}

// each calls fn for everybody who was ever read, with what becomes of them.
func (e *Engine) each(ctx context.Context, c *circle, fn func(dirsync.Person, plan.Wanted) error) error {
	return e.eachPerson(ctx, e.now(), func(people []dirsync.Person) error {
		wanted, _, err := e.wantedAll(ctx, people, c)
		if err != nil {
			return err
		}
		for i, p := range people {
			if err := fn(p, wanted[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// holding are the values that p will hold in the target: those that they want, or, if they get no change, those that
// their account has.
func holding(p dirsync.Person, w plan.Wanted) dirsync.Values {
	if p.Gone != dirsync.Present || !w.InScope || w.Blocked || len(w.Faults) > 0 {
		return p.Link.Held
	}
	return w.Values
}

// pending counts the references to people who are not there.
func (e *Engine) pending(ctx context.Context, s *Survey, w plan.Wanted, c *circle) error {
	for _, f := range w.Values {
		if f.Value.Type != dirsync.Reference {
			continue
		}
		other, err := e.Store.Person(ctx, dirsync.ID(f.Value.Text))
		switch {
		case err != nil && dirsync.KindOf(err) != dirsync.NotFound:
			return err
		case err != nil:
			s.Pending[f.Field]++
			continue
		}
		there, err := e.willBeThere(ctx, other, c)
		if err != nil {
			return err
		}
		if !there {
			s.Pending[f.Field]++
		}
	}
	return nil
}

// willBeThere tells whether somebody has an account, or would get one.
func (e *Engine) willBeThere(ctx context.Context, p dirsync.Person, c *circle) (bool, error) {
	if p.Link.Account != "" || p.Gone != dirsync.Present {
		return p.Link.Account != "", nil
	}
	w, _, err := e.wantedAll(ctx, []dirsync.Person{p}, c)
	return err == nil && w[0].InScope && !w[0].Blocked && len(w[0].Faults) == 0, err
}

// uniqueness finds values of unique fields that several people want, in two walks: the first marks hashes of values in
// a table of a fixed size, the second looks only at values whose mark was met twice.
type uniqueness struct {
	fields      []string
	seed        maphash.Seed
	once, twice []uint64
	groups      map[wish][]claim
	order       []wish
	met         bool
}

// wish is a value of a field that people want for themselves alone.
type wish struct{ field, value string }

// claim is one person's wish.
type claim struct {
	rejection dirsync.Rejection // of this person, if somebody else comes first
	written   string            // the value as this person writes it
	holds     bool              // the target holds it for them already
	final     bool              // they get no change, so nothing can be refused to them
}

// marks is the number of marks, a power of two. At a million people one value in fifteen shares a mark by chance.
const marks = 1 << 24

func newUniqueness(fields []dirsync.Field) *uniqueness {
	u := &uniqueness{seed: maphash.MakeSeed(), groups: map[wish][]claim{}}
	for _, f := range fields {
		if f.Unique {
			u.fields = append(u.fields, f.Name)
		}
	}
	if len(u.fields) > 0 {
		u.once, u.twice = make([]uint64, marks/64), make([]uint64, marks/64)
	}
	return u
}

func (u *uniqueness) suspicious() bool { return u.met }

func (u *uniqueness) mark(w wish) (word, bit uint64) {
	h := maphash.String(u.seed, w.field+"\x00"+w.value) & (marks - 1)
	return h / 64, 1 << (h % 64)
}

// wishes calls fn for every unique value of values.
func (u *uniqueness) wishes(values dirsync.Values, fn func(w wish, written string)) {
	for _, field := range u.fields {
		if v, ok := values.Get(field); ok && !v.IsNull() {
			fn(wish{field, dirsync.Fold(v.Text)}, v.Text)
		}
	}
}

func (u *uniqueness) count(values dirsync.Values) {
	u.wishes(values, func(w wish, _ string) {
		word, bit := u.mark(w)
		if u.once[word]&bit != 0 {
			u.twice[word] |= bit
			u.met = true
		}
		u.once[word] |= bit
	})
}

func (u *uniqueness) remember(p dirsync.Person, w plan.Wanted, values dirsync.Values) {
	u.wishes(values, func(want wish, written string) {
		if word, bit := u.mark(want); u.twice[word]&bit == 0 {
			return
		}
		if u.groups[want] == nil {
			u.order = append(u.order, want)
		}
		held, _ := p.Link.Held.Get(want.field)
		u.groups[want] = append(u.groups[want], claim{
			rejection: dirsync.Rejection{ID: p.ID, User: w.User, Name: w.Name},
			written:   written,
			holds:     p.Link.Account != "" && dirsync.Fold(held.Text) == want.value,
			final:     p.Gone != dirsync.Present || !w.InScope || w.Blocked || len(w.Faults) > 0,
		})
	})
}

// rejections says who would be refused what another person has, in the order of people. Whoever the target holds the
// value for keeps it; otherwise it goes to whoever was met first.
func (u *uniqueness) rejections() []dirsync.Rejection {
	var out []dirsync.Rejection
	for _, want := range u.order {
		group := u.groups[want]
		keeper := 0
		for i, c := range group {
			if c.holds {
				keeper = i
				break
			}
		}
		for i, c := range group {
			if i == keeper || c.final {
				continue
			}
			k := group[keeper].rejection
			r := c.rejection
			r.Faults = []dirsync.Fault{{Field: want.field, Value: c.written, Reason: fmt.Sprintf("is wanted by %s <%s> (%s) too, who comes first", k.Name, k.User, k.ID)}}
			if group[keeper].holds {
				r.Faults[0].Reason = fmt.Sprintf("is already used by %s <%s> (%s)", k.Name, k.User, k.ID)
			}
			out = append(out, r)
		}
	}
	return out
}
