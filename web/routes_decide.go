package web

import (
	"context"
	"net/http"
)

// deciding is the body of a request that decides about a hold.
type deciding struct {
	People []string `json:"people"`
	By     string   `json:"by"`
	Reason string   `json:"reason"`
}

// verdictOf reads what somebody decides.
func verdictOf(w http.ResponseWriter, r *http.Request) (Verdict, error) {
	id, seen, err := holdName(r, true)
	if err != nil {
		return Verdict{}, err
	}
	if _, err := parameters(r); err != nil {
		return Verdict{}, err
	}
	var body deciding
	if err := decode(w, r, &body); err != nil {
		return Verdict{}, err
	}
	for _, err := range []error{names("people", body.People), line("by", body.By, maxText), line("reason", body.Reason, maxReason)} {
		if err != nil {
			return Verdict{}, err
		}
	}
	return Verdict{Hold: id, Digest: seen, People: idsOf(body.People), By: author(w, body.By), Why: body.Reason}, nil
}

func (h *handler) approve(w http.ResponseWriter, r *http.Request) error {
	return h.decide(w, r, h.server.Daemon.Approve)
}

func (h *handler) reject(w http.ResponseWriter, r *http.Request) error {
	return h.decide(w, r, h.server.Daemon.Reject)
}

func (h *handler) decide(w http.ResponseWriter, r *http.Request, as func(context.Context, Verdict) (int, error)) error {
	v, err := verdictOf(w, r)
	if err != nil {
		return err
	}
	// A decision is written down whole, whether or not its maker still waits for the answer.
	n, err := as(context.WithoutCancel(r.Context()), v)
	if err != nil {
		return err
	}
	h.ok(w, Decided{n})
	return nil
}

func (h *handler) explain(w http.ResponseWriter, r *http.Request) error {
	name, err := syncName(r)
	if err != nil {
		return err
	}
	q, err := parameters(r, "person")
	if err != nil {
		return err
	}
	person, err := q.required("person")
	if err != nil {
		return err
	}
	x, err := h.server.Daemon.Explain(r.Context(), name, person)
	if err != nil {
		return err
	}
	h.ok(w, x)
	return nil
}

func (h *handler) explainPushed(w http.ResponseWriter, r *http.Request) error {
	q, err := parameters(r, "person")
	if err != nil {
		return err
	}
	person, err := q.required("person")
	if err != nil {
		return err
	}
	found, err := h.server.Daemon.ExplainPushed(r.Context(), person)
	if err != nil {
		return err
	}
	h.ok(w, PushedPeople{found})
	return nil
}

func (h *handler) inbox(w http.ResponseWriter, r *http.Request) error {
	var after NoteKey
	limit, err := page(r, &after, "user")
	if err != nil {
		return err
	}
	user := r.URL.Query().Get("user")
	if user == "" {
		return badRequest(`the parameter "user" is missing`, "It is the id of an account in the directory.")
	}
	v, err := h.server.Daemon.Inbox(r.Context(), user, after, limit+1)
	if err != nil {
		return err
	}
	v.Notes, v.Next = cut(v.Notes, limit, func(n Note) any { return NoteKey{n.ID, n.Read, n.At} })
	h.ok(w, v)
	return nil
}

// marking is the body of a request that marks notes.
type marking struct {
	User string   `json:"user"`
	IDs  []string `json:"ids"`
	Read bool     `json:"read"`
}

func (h *handler) markNotes(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	body := marking{Read: true}
	if err := decode(w, r, &body); err != nil {
		return err
	}
	switch {
	case body.User == "":
		return badRequest("the field user is missing", "It is the id of an account in the directory.")
	case len(body.IDs) == 0:
		return badRequest("the field ids is missing or empty", "It lists the ids of notes.")
	}
	for _, err := range []error{line("user", body.User, maxText), names("ids", body.IDs)} {
		if err != nil {
			return err
		}
	}
	n, err := h.server.Daemon.MarkNotes(r.Context(), body.User, body.IDs, body.Read)
	if err != nil {
		return err
	}
	h.ok(w, Marked{n})
	return nil
}
