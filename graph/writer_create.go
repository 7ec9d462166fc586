package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"dirsync"
)

// create makes an account, or adopts the one that is there: first the person's own, which an earlier try may have made,
// then the one that the change names, which may have been deleted.
func (k *work) create() (dirsync.Account, error) {
	mine, err := k.mine()
	if err != nil {
		return dirsync.Account{}, err
	}
	if mine != nil {
		return k.adopt(*mine)
	}
	id := strings.ToLower(k.ch.Account)
	if !isGUID(id) {
		return k.post()
	}
	r, there, err := k.w.get(k.p, id)
	if err == nil && !there {
		var kept bool
		if r, kept, err = k.binned(id); err == nil && kept {
			if err := k.free(r); err != nil {
				return dirsync.Account{}, err
			}
			return k.restore(r)
		}
		if err == nil {
			r, there, err = k.heardOf(id)
		}
	}
	switch {
	case err != nil:
		return dirsync.Account{}, k.wrap(err)
	case !there:
		return k.post()
	}
	if err := k.free(r); err != nil {
		return dirsync.Account{}, err
	}
	return k.adopt(r)
}

// mine finds the person's own account: the one that this process has written, or the one that has their anchor.
func (k *work) mine() (*dirsync.Record, error) {
	if id := k.w.known.of(k.ch.Person); id != "" {
		r, there, err := k.w.get(k.p, id)
		if err != nil {
			return nil, k.wrap(err)
		}
		// An account that somebody has given to another person since is theirs no more, unless the tenant has not heard yet
		// whose it is.
		if there && (k.w.cfg.Anchor == "" || k.w.owner(r) == k.ch.Person || k.w.owner(r) == "" && k.w.known.young(id, k.w.client.cfg.Now())) {
			return &r, nil
		}
		k.w.known.forget(k.ch.Person)
	}
	return k.owned()
}

// free refuses an account that is another person's.
func (k *work) free(r dirsync.Record) error {
	owner := k.w.owner(r)
	if owner == "" || owner == k.ch.Person {
		return nil
	}
	e := k.fault(dirsync.Conflict, fmt.Errorf("account %s belongs to %s", r.ID, owner))
	e.Field, e.Value, e.Other = k.w.cfg.Anchor, string(owner), string(owner)
	return e
}

// adopt makes an account that is there the person's, and gives it what may be written. It is made active only where people
// may be blocked as well: otherwise who may sign in is none of our business, and somebody whom the tenant's own
// administrators have blocked stays blocked.
func (k *work) adopt(r dirsync.Record) (dirsync.Account, error) {
	m := modification{id: string(r.ID), values: k.ch.Writes(), enabled: k.woken(), before: &r,
		claim: k.w.cfg.Anchor != "" && k.ch.Person != "" && k.w.owner(r) != k.ch.Person}
	if err := k.check(m.values, false, k.w.account(r).Values); err != nil {
		return dirsync.Account{}, err
	}
	a, err := k.modify(m)
	switch {
	case dirsync.KindOf(err) == dirsync.NotFound && !k.effect:
		k.w.known.forget(k.ch.Person)
		return k.post() // somebody has removed it meanwhile
	case err == nil:
		k.w.known.met(k.ch.Person, a.ID)
	}
	return a, err
}

// woken is the status that an account gets that is adopted: active, or nil for the one that it has.
func (k *work) woken() *bool {
	if !k.w.cfg.AllowBlock {
		return nil
	}
	active := true
	return &active
}

// putAnchor makes a document say whose the account is.
func (w *Writer) putAnchor(doc map[string]any, person dirsync.ID) {
	if w.cfg.Anchor == "" || person == "" {
		return
	}
	outer, inner, nested := strings.Cut(w.cfg.Anchor, "/")
	object, ok := doc[outer].(map[string]any)
	switch {
	case !nested:
		doc[outer] = string(person)
	case ok:
		object[inner] = string(person)
	default:
		doc[outer] = map[string]any{inner: string(person)}
	}
}

// birth is an account on its way into the tenant.
type birth struct {
	doc map[string]any
	// upn is its user principal name; nickname says that its nickname was made of that.
	upn      string
	nickname bool
	// began is when it was first sent, by the service's clock. Whoever was made before is somebody else.
	began time.Time
	// lost says that it may be there although nobody said so, and doubted that this was so before it was sent this time.
	lost, doubted bool
}

// mostTries is how often an account is sent: after a lost answer, with another password, or with another nickname.
const mostTries = 6

// post sends a new account. When the answer is lost, the account is looked for before it is sent again.
func (k *work) post() (dirsync.Account, error) {
	b, err := k.conceive()
	if err != nil {
		return dirsync.Account{}, err
	}
	for n := 0; ; n++ {
		body, err := json.Marshal(b.doc)
		if err != nil {
			return dirsync.Account{}, k.fault(dirsync.Invalid, errors.New("the values cannot be written as JSON"))
		}
		a, err := k.p.ask(&parcel{method: http.MethodPost, path: "/users", body: body})
		switch {
		case errors.Is(err, errUnsure):
			b.lost = true
			if r, lookErr := k.born(b); r != nil || lookErr != nil {
				return k.recovered(b, r, lookErr)
			}
			if n+1 >= mostTries || k.p.pause(backOff(n)) != nil {
				return dirsync.Account{}, k.undecided(b, err)
			}
			continue
		case err != nil:
			if b.lost {
				return dirsync.Account{}, k.undecided(b, err)
			}
			return dirsync.Account{}, k.wrap(err)
		case a.status/100 == 2:
			return k.posted(b, a)
		}
		switch again, err := k.mend(b, a, n); {
		case err != nil:
			return dirsync.Account{}, err
		case !again:
			return k.taken(b, a)
		}
	}
}

// conceive makes the document of a new account, password included.
func (k *work) conceive() (*birth, error) {
	b, err := k.draft()
	if err != nil {
		return nil, err
	}
	if err := k.newSecret(b); err != nil {
		return nil, err
	}
	b.began = k.w.client.cfg.Now().Add(k.w.client.clockSkew())
	if d, doubted := k.w.known.doubt(k.ch.Person); doubted {
		b.began, b.lost, b.doubted = d.since, true, true
	}
	return b, nil
}

// draft is the document of a new account, without a password.
func (k *work) draft() (*birth, error) {
	values := k.ch.After
	if err := k.check(values, true, nil); err != nil {
		return nil, err
	}
	name, _ := values.Get(principalName)
	b := &birth{doc: k.w.document(values, true), upn: name.Text}
	local, _, _ := strings.Cut(name.Text, "@")
	if nickname, _ := values.Get(nicknameName); nickname.IsNull() {
		b.nickname = true
		b.doc[nicknameName] = local
	}
	b.doc[enabledName] = true
	k.w.putAnchor(b.doc, k.ch.Person)
	return b, nil
}

// newSecret gives the account a password that nobody knows yet.
func (k *work) newSecret(b *birth) error {
	local, _, _ := strings.Cut(b.upn, "@")
	var err error
	if k.secret, err = newPassword(k.w.cfg.Passwords.length(), local); err != nil {
		return k.fault(dirsync.Unavailable, errors.New("no password could be made up"))
	}
	b.doc["passwordProfile"] = profile(string(k.secret))
	return nil
}

// profile is what is said of a first password: whoever signs in with it must choose another.
func profile(password string) map[string]any {
	return map[string]any{"password": password, "forceChangePasswordNextSignIn": true}
}

// mend changes what the service does not like of an account and what we have made up ourselves, and tells whether it is
// worth sending again.
func (k *work) mend(b *birth, a answer, n int) (bool, error) {
	r := parseRefusal(a.body)
	switch {
	case n+1 >= mostTries:
		return false, nil
	case r.duplicate() && b.nickname && (r.property() == nicknameName || r.property() == "" && k.nameFree(b)):
		b.nickname = r.property() != "" // of what may have been another conflict, one try is enough
		suffix, err := below(0xfffff)
		if err != nil {
			return false, k.fault(dirsync.Unavailable, errors.New("no nickname could be made up"))
		}
		local, _, _ := strings.Cut(b.upn, "@")
		b.doc[nicknameName] = fmt.Sprintf("%s-%05x", local[:min(len(local), 58)], suffix)
		return true, nil
	case a.status == http.StatusBadRequest && r.aboutPassword():
		return true, k.newSecret(b)
	}
	return false, nil
}

// nameFree tells whether nobody is seen to have the user principal name.
func (k *work) nameFree(b *birth) bool {
	_, there, err := k.w.get(k.p, b.upn)
	return !there && err == nil
}

// taken deals with an account that was refused. What a name conflicts with may be the account itself, which an earlier try
// has made, and which the tenant does not show everywhere yet.
func (k *work) taken(b *birth, a answer) (dirsync.Account, error) {
	r := parseRefusal(a.body)
	give := func(err error) (dirsync.Account, error) {
		if b.lost {
			err = k.undecided(b, err)
		}
		return dirsync.Account{}, err
	}
	if !r.duplicate() {
		return give(k.refused(a, k.ch.After, ""))
	}
	about := r.property()
	for n, waited := 0, time.Duration(0); ; n++ {
		holder, there, err := k.w.get(k.p, b.upn)
		switch {
		case err != nil:
			return dirsync.Account{}, k.undecided(b, err)
		case there && k.mayBe(b, holder):
			return k.recovered(b, &holder, nil)
		case there:
			return dirsync.Account{}, k.heldBy(principalName, b.upn, string(holder.ID), nil)
		case about != "" && about != principalName || waited+backOff(n) > patience:
			return give(k.refused(a, k.ch.After, ""))
		}
		waited += backOff(n)
		if err := k.p.pause(backOff(n)); err != nil {
			return dirsync.Account{}, k.undecided(b, err)
		}
	}
}

// slack is by how much the clocks of the service may differ among one another.
const slack = time.Minute

// born looks for an account that may have been made: by its user principal name, which is taken at once. Nil without an
// error is nobody, or somebody else.
func (k *work) born(b *birth) (*dirsync.Record, error) {
	r, there, err := k.w.get(k.p, b.upn)
	if err != nil || !there || !k.mayBe(b, r) {
		return nil, err
	}
	return &r, nil
}

// mayBe tells whether an account is the one that is wanted. Without an anchor, one that was there before is somebody
// else's.
func (k *work) mayBe(b *birth, r dirsync.Record) bool {
	if k.w.cfg.Anchor != "" && k.ch.Person != "" {
		return k.w.owner(r) == k.ch.Person
	}
	title, _ := k.ch.After.Get(displayName)
	return b.lost && b.ours(r) && decode(title.Type, inside(r.Attrs, displayName)) == title
}

// ours tells whether an account can have been made by what was sent.
func (b *birth) ours(r dirsync.Record) bool {
	made, err := time.Parse(time.RFC3339, r.Attrs.Text("createdDateTime"))
	return err == nil && !made.Before(b.began.Add(-slack))
}

// recovered goes on with an account that was found after its answer was lost, or that was there already.
func (k *work) recovered(b *birth, r *dirsync.Record, err error) (dirsync.Account, error) {
	if err != nil {
		return dirsync.Account{}, k.undecided(b, err)
	}
	id := string(r.ID)
	k.w.known.met(k.ch.Person, id)
	if b.lost && b.ours(*r) {
		k.effect = true
		k.w.known.appeared(id, k.w.client.cfg.Now())
		if b.doubted {
			// It was made by an earlier try, with a password that was not kept.
			k.w.client.cfg.Log.Warn().Str("account", id).Msg("nobody knows the first password of a new account; reset it")
			k.secret = ""
		}
		if err := k.deliver(b, id); err != nil {
			return dirsync.Account{}, err
		}
	}
	return k.adopt(*r)
}

// undecided says that an account may have been made, and remembers it.
func (k *work) undecided(b *birth, err error) error {
	k.w.known.doubted(k.ch.Person, b.began, k.w.client.cfg.Now())
	wrapped := k.wrap(err)
	return k.partly(wrapped)
}

// posted understands the answer to an account that was made.
func (k *work) posted(b *birth, a answer) (dirsync.Account, error) {
	k.effect = true
	var made struct{ ID, CreatedDateTime string }
	if json.Unmarshal(a.body, &made) != nil || !isGUID(made.ID) {
		b.lost = true
		r, err := k.born(b)
		if r == nil && err == nil {
			err = k.fault(dirsync.Unavailable, errors.New("the account was made, but the answer does not say which it is"))
		}
		return k.recovered(b, r, err)
	}
	id := strings.ToLower(made.ID)
	k.w.known.met(k.ch.Person, id)
	k.w.known.appeared(id, k.w.client.cfg.Now())
	if err := k.deliver(b, id); err != nil {
		return dirsync.Account{}, err
	}
	k.wish(id, k.ch.After)
	if k.boss != nil && k.boss.IsNull() {
		k.boss = nil // a new account has none
	}
	account := dirsync.Account{ID: id, Source: k.ch.Person, Active: true, Values: slices.Clone(k.ch.After)}
	account.Created, _ = time.Parse(time.RFC3339, made.CreatedDateTime)
	return account, nil
}

// deliver tells the password of a new account, once.
func (k *work) deliver(b *birth, id string) error {
	secret, tell := k.secret, k.w.cfg.Passwords.Deliver
	k.secret = ""
	b.doc["passwordProfile"] = nil
	if tell == nil || secret == "" {
		return nil
	}
	if err := tell(k.ctx, id, b.upn, string(secret)); err != nil {
		e := k.fault(dirsync.Unavailable, errors.New("the account was made, but its first password could not be delivered: "+secret.hide(clip(err.Error()))))
		e.Hint = "Reset the password of " + b.upn + ": nobody knows it."
		return e
	}
	return nil
}

// binned reads an account that was deleted and is kept for a while. The second result is false when there is none, or
// when the application may not look.
func (k *work) binned(id string) (dirsync.Record, bool, error) {
	selected, _ := k.w.selected()
	path := "/directory/deletedItems/" + id + "/microsoft.graph.user" + query("$select", strings.Join(selected, ","))
	a, err := k.p.ask(&parcel{method: http.MethodGet, path: path})
	if err == nil && notPermitted(a) {
		return dirsync.Record{}, false, nil
	}
	r, there, err := k.w.taken(k.p, a, err)
	if !there {
		return dirsync.Record{}, false, err
	}
	// While it is deleted, its id stands before its name, so that others can have the name.
	name := r.Attrs.Text(principalName)
	prefix := strings.ReplaceAll(id, "-", "")
	if len(name) > len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
		raw, _ := json.Marshal(name[len(prefix):]) // a text always marshals
		r.Attrs = r.Attrs.Merge(dirsync.Attributes{{Name: principalName, Raw: raw}})
	}
	return r, true, nil
}

// restore brings a deleted account back, under the name that is wanted, and makes it the person's.
func (k *work) restore(r dirsync.Record) (dirsync.Account, error) {
	values := k.ch.Writes()
	if err := k.check(values, false, k.w.account(r).Values); err != nil {
		return dirsync.Account{}, err
	}
	old := r.Attrs.Text(principalName)
	wanted, said := values.Get(principalName)
	if !said {
		wanted = dirsync.Value{Type: dirsync.Email, Text: old}
	}
	other, there, err := k.w.get(k.p, wanted.Text)
	if err != nil {
		return dirsync.Account{}, k.wrap(err)
	}
	if there && other.ID != r.ID && k.w.cfg.Anchor != "" && k.ch.Person != "" && k.w.owner(other) == k.ch.Person {
		return k.adopt(other) // they have another one by now, of which we had not heard
	}
	if there && other.ID != r.ID {
		return dirsync.Account{}, k.heldBy(principalName, wanted.Text, string(other.ID), nil)
	}
	doc := map[string]any{}
	if dirsync.Fold(wanted.Text) != dirsync.Fold(old) {
		doc["newUserPrincipalName"] = wanted.Text
	}
	body, _ := json.Marshal(doc) // texts always marshal
	id := string(r.ID)
	l := &parcel{method: http.MethodPost, path: "/directory/deletedItems/" + id + "/restore", body: body, again: true}
	a, err := k.p.ask(l)
	switch {
	case err != nil:
		return dirsync.Account{}, k.wrap(err)
	case a.status/100 == 2:
		return k.restored(id)
	}
	if l.tries > 0 || isNowhere(a) {
		// It may have come back at an earlier try, or by somebody else's hand.
		if l.tries > 0 {
			k.w.known.appeared(id, k.w.client.cfg.Now())
		}
		_, there, err := k.w.get(k.p, id)
		switch {
		case err != nil:
			return dirsync.Account{}, k.wrap(err)
		case there:
			return k.restored(id)
		case isNowhere(a):
			return k.post() // it is kept no more
		}
	}
	return dirsync.Account{}, k.refused(a, dirsync.Values{{Field: principalName, Value: wanted}}, id)
}

// restored goes on with an account that has come back.
func (k *work) restored(id string) (dirsync.Account, error) {
	k.effect = true
	k.w.known.appeared(id, k.w.client.cfg.Now())
	k.w.known.met(k.ch.Person, id)
	r, there, err := k.w.get(k.p, id)
	if err == nil && !there {
		err = k.fault(dirsync.Unavailable, fmt.Errorf("account %s was brought back and is not there yet", id))
	}
	if err != nil {
		return dirsync.Account{}, k.wrap(err)
	}
	return k.adopt(r)
}
