package web

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"dirsync"
)

// routes are all paths of all doors. openapi.yaml describes each of them.
func routes() []route {
	api, local := []place{socketDoor, tcpDoor}, []place{socketDoor}
	every := []place{socketDoor, tcpDoor, metricsDoor}
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{method: get, path: "/livez", doors: every, open: true, free: true, serve: (*handler).livez},
		{method: get, path: "/readyz", doors: every, open: true, free: true, serve: (*handler).readyz},
		{method: get, path: "/metrics", doors: every, free: true, serve: (*handler).metrics},
		{method: get, path: "/v1/openapi.yaml", doors: api, free: true, serve: (*handler).openAPI},
		{method: get, path: "/v1/status", doors: api, serve: (*handler).status},
		{method: get, path: "/v1/syncs", doors: api, serve: (*handler).syncs},
		{method: get, path: "/v1/syncs/{sync}", doors: api, serve: (*handler).sync},
		{method: get, path: "/v1/syncs/{sync}/runs", doors: api, serve: (*handler).runs},
		{method: get, path: "/v1/syncs/{sync}/progress", doors: api, free: true, serve: (*handler).progress},
		{method: get, path: "/v1/syncs/{sync}/explain", doors: api, serve: (*handler).explain},
		{method: get, path: "/v1/scim/explain", doors: api, serve: (*handler).explainPushed},
		{method: post, path: "/v1/syncs/{sync}/sync-now", doors: api, changes: true, serve: (*handler).syncNow},
		{method: get, path: "/v1/runs/{run}", doors: api, serve: (*handler).run},
		{method: get, path: "/v1/runs/{run}/changes", doors: api, serve: (*handler).changes},
		{method: post, path: "/v1/runs/{run}/undo/preview", doors: api, serve: (*handler).previewUndo},
		{method: post, path: "/v1/runs/{run}/undo", doors: api, changes: true, serve: (*handler).undo},
		{method: get, path: "/v1/holds", doors: api, serve: (*handler).holds},
		{method: get, path: "/v1/holds/{hold}", doors: api, serve: (*handler).hold},
		{method: get, path: "/v1/holds/{hold}/changes", doors: api, serve: (*handler).heldChanges},
		{method: post, path: "/v1/holds/{hold}/approve", doors: api, changes: true, serve: (*handler).approve},
		{method: post, path: "/v1/holds/{hold}/reject", doors: api, changes: true, serve: (*handler).reject},
		{method: get, path: "/v1/inbox", doors: api, serve: (*handler).inbox},
		{method: post, path: "/v1/inbox/mark", doors: api, changes: true, serve: (*handler).markNotes},
		{method: post, path: "/v1/exec", doors: local, changes: true, free: true, serve: (*handler).exec},
	}
}

func (h *handler) ok(w http.ResponseWriter, v any) { h.send(w, http.StatusOK, "application/json", v) }

func (h *handler) livez(w http.ResponseWriter, _ *http.Request) error {
	h.ok(w, Health{"alive"})
	return nil
}

func (h *handler) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := h.server.ready(r.Context()); err != nil {
		return err
	}
	h.ok(w, Health{"ready"})
	return nil
}

func (h *handler) metrics(w http.ResponseWriter, r *http.Request) error {
	if h.server.Metrics == nil {
		return &refusal{code: codeNoSuchPath, detail: "the daemon keeps no metrics"}
	}
	h.server.Metrics.Handler().ServeHTTP(w, r)
	return nil
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	s, err := h.server.Daemon.Status(r.Context())
	if err != nil {
		return err
	}
	h.ok(w, s)
	return nil
}

func (h *handler) syncs(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	s, err := h.server.Daemon.Status(r.Context())
	if err != nil {
		return err
	}
	h.ok(w, Syncs{s.Syncs})
	return nil
}

// syncName reads the name of a sync from the path.
func syncName(r *http.Request) (string, error) {
	name := r.PathValue("sync")
	if name == "" {
		return "", badRequest("the name of the sync is empty", "")
	}
	return name, line("the name of the sync", name, maxText)
}

func (h *handler) sync(w http.ResponseWriter, r *http.Request) error {
	name, err := syncName(r)
	if err != nil {
		return err
	}
	if _, err := parameters(r); err != nil {
		return err
	}
	s, err := h.server.Daemon.Sync(r.Context(), name)
	if err != nil {
		return err
	}
	h.ok(w, s)
	return nil
}

// wish is the body of a request for a run.
type wish struct {
	By string `json:"by"`
}

func (h *handler) syncNow(w http.ResponseWriter, r *http.Request) error {
	name, err := syncName(r)
	if err != nil {
		return err
	}
	if _, err := parameters(r); err != nil {
		return err
	}
	var body wish
	if err := decode(w, r, &body); err != nil {
		return err
	}
	if err := line("by", body.By, maxText); err != nil {
		return err
	}
	if err := h.server.Daemon.SyncNow(r.Context(), name, author(w, body.By)); err != nil {
		return err
	}
	h.send(w, http.StatusAccepted, "application/json", Asked{name, true})
	return nil
}

func (h *handler) runs(w http.ResponseWriter, r *http.Request) error {
	name, err := syncName(r)
	if err != nil {
		return err
	}
	var before dirsync.RunID
	limit, err := page(r, &before)
	if err != nil {
		return err
	}
	runs, err := h.server.Daemon.Runs(r.Context(), name, before, limit+1)
	if err != nil {
		return err
	}
	var v Runs
	v.Runs, v.Next = cut(runs, limit, func(r Run) any { return numberOf(r.ID) })
	h.ok(w, v)
	return nil
}

// page reads limit and after, and refuses other parameters.
func page(r *http.Request, after any, others ...string) (int, error) {
	q, err := parameters(r, append([]string{"limit", "after"}, others...)...)
	if err != nil {
		return 0, err
	}
	if err := q.after(after); err != nil {
		return 0, err
	}
	return q.limit()
}

func runID(r *http.Request) (dirsync.RunID, error) {
	id, err := strconv.ParseUint(r.PathValue("run"), 10, 64)
	if err != nil || id == 0 {
		return 0, badRequest("a run is named by its number", "/v1/syncs/{sync}/runs lists them.")
	}
	return dirsync.RunID(id), nil
}

func (h *handler) run(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	if _, err := parameters(r); err != nil {
		return err
	}
	run, err := h.server.Daemon.Run(r.Context(), id)
	if err != nil {
		return err
	}
	h.ok(w, run)
	return nil
}

func (h *handler) changes(w http.ResponseWriter, r *http.Request) error {
	id, err := runID(r)
	if err != nil {
		return err
	}
	var after dirsync.PlanKey
	limit, err := page(r, &after)
	if err != nil {
		return err
	}
	changes, err := h.server.Daemon.Changes(r.Context(), id, after, limit+1)
	if err != nil {
		return err
	}
	var v Changes
	v.Changes, v.Next = cut(changes, limit, func(c Change) any { return c.planKey() })
	h.ok(w, v)
	return nil
}

// undoing is the body of a request to take a run back, and of one to show what that would do.
type undoing struct {
	Digest string   `json:"digest"`
	People []string `json:"people"`
	All    bool     `json:"all"`
	By     string   `json:"by"`
	Reason string   `json:"reason"`
}

// undoOf reads what is to be taken back.
func undoOf(w http.ResponseWriter, r *http.Request) (Undo, error) {
	id, err := runID(r)
	if err != nil {
		return Undo{}, err
	}
	if _, err := parameters(r); err != nil {
		return Undo{}, err
	}
	var body undoing
	if err := decode(w, r, &body); err != nil {
		return Undo{}, err
	}
	for _, err := range []error{names("people", body.People), line("by", body.By, maxText), line("reason", body.Reason, maxReason)} {
		if err != nil {
			return Undo{}, err
		}
	}
	return Undo{Run: id, People: idsOf(body.People), All: body.All, Digest: body.Digest, By: author(w, body.By), Why: body.Reason}, nil
}

func idsOf(list []string) []dirsync.ID {
	var ids []dirsync.ID
	for _, text := range list {
		ids = append(ids, dirsync.ID(text))
	}
	return ids
}

func (h *handler) previewUndo(w http.ResponseWriter, r *http.Request) error {
	u, err := undoOf(w, r)
	if err != nil {
		return err
	}
	u.Digest, u.By, u.Why = "", "", ""
	v, err := h.server.Daemon.PreviewUndo(r.Context(), u)
	if err != nil {
		return err
	}
	h.ok(w, v)
	return nil
}

func (h *handler) undo(w http.ResponseWriter, r *http.Request) error {
	u, err := undoOf(w, r)
	if err != nil {
		return err
	}
	if !digest.MatchString(u.Digest) {
		return badRequest("the digest of the preview is missing", "Ask for the preview first, look at it, and send its digest.")
	}
	// An undoing that has begun is not stopped because nobody waits for the answer.
	run, err := h.server.Daemon.Undo(context.WithoutCancel(r.Context()), u)
	if err != nil {
		return err
	}
	h.send(w, http.StatusAccepted, "application/json", run)
	return nil
}

// digest is what identifies a list, or the beginning of that.
var digest = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

// holdName reads the name of a hold: its number, and the beginning of its digest unless decided is false.
func holdName(r *http.Request, decide bool) (dirsync.HoldID, string, error) {
	number, seen, named := strings.Cut(r.PathValue("hold"), "-")
	id, err := strconv.ParseUint(number, 10, 64)
	if err != nil || id == 0 || named && !digest.MatchString(seen) {
		return 0, "", badRequest("a hold is named by its number and the beginning of its digest", "/v1/holds lists their names.")
	}
	if decide && !named {
		return 0, "", badRequest("the name of the hold has no digest", fmt.Sprintf("Look at /v1/holds/%d, and decide about the name that it has.", id))
	}
	return dirsync.HoldID(id), seen, nil
}

func (h *handler) holds(w http.ResponseWriter, r *http.Request) error {
	var before dirsync.HoldID
	limit, err := page(r, &before, "sync", "status")
	if err != nil {
		return err
	}
	q := r.URL.Query()
	status := dirsync.HoldStatus(q.Get("status"))
	switch status {
	case "", dirsync.HoldOpen, dirsync.HoldApproved, dirsync.HoldRejected, dirsync.HoldReplaced, dirsync.HoldOver, dirsync.HoldExpired:
	default:
		return badRequest("there is no such status of holds", "It is one of open, approved, rejected, replaced, over, expired.")
	}
	holds, err := h.server.Daemon.Holds(r.Context(), q.Get("sync"), status, before, limit+1)
	if err != nil {
		return err
	}
	var v Holds
	v.Holds, v.Next = cut(holds, limit, func(h Hold) any { return numberOf(h.ID) })
	h.ok(w, v)
	return nil
}

// named finds the hold that a path names, and makes sure that it is the one that was meant.
func (h *handler) named(r *http.Request) (Hold, error) {
	id, seen, err := holdName(r, false)
	if err != nil {
		return Hold{}, err
	}
	hold, err := h.server.Daemon.Hold(r.Context(), id)
	if err == nil && !strings.HasPrefix(hold.Digest, seen) {
		err = &dirsync.Error{Op: "find hold " + r.PathValue("hold"), Kind: dirsync.NotFound, Err: fmt.Errorf("its list is not the one that was named"),
			Hint: "By now it is called " + hold.Name + "."}
	}
	return hold, err
}

func (h *handler) hold(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	v, err := h.named(r)
	if err != nil {
		return err
	}
	h.ok(w, v)
	return nil
}

func (h *handler) heldChanges(w http.ResponseWriter, r *http.Request) error {
	var after dirsync.PlanKey
	limit, err := page(r, &after)
	if err != nil {
		return err
	}
	hold, err := h.named(r)
	if err != nil {
		return err
	}
	changes, err := h.server.Daemon.HeldChanges(r.Context(), dirsync.HoldID(numberOf(hold.ID)), after, limit+1)
	if err != nil {
		return err
	}
	var v HeldChanges
	v.Changes, v.Next = cut(changes, limit, func(c HeldChange) any { return c.Change.planKey() })
	h.ok(w, v)
	return nil
}
