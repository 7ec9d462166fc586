package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"dirsync"
)

var _ Daemon = (*Client)(nil)

// Status is Observer.Status.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status", nil)
}

// Sync is Observer.Sync.
func (c *Client) Sync(ctx context.Context, name string) (SyncStatus, error) {
	return get[SyncStatus](ctx, c, syncPath(name, ""), nil)
}

// SyncNow is Observer.SyncNow.
func (c *Client) SyncNow(ctx context.Context, sync, by string) error {
	_, err := post[Asked](ctx, c, syncPath(sync, "/sync-now"), wish{by})
	return err
}

// Progress is Observer.Progress. Its channel is closed, too, when the daemon stops or the connection breaks.
func (c *Client) Progress(ctx context.Context, sync string) (<-chan Progress, error) {
	res, err := c.send(ctx, http.MethodGet, syncPath(sync, "/progress"), nil, nil) //nolint:bodyclose // the goroutine closes it
	if err != nil {
		return nil, err
	}
	news := make(chan Progress)
	go func() {
		defer close(news)
		defer res.Body.Close()
		event := ""
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "event":
				event = value
			case name == "data" && event == "progress":
				var p Progress
				if json.Unmarshal([]byte(value), &p) != nil {
					return
				}
				select {
				case news <- p:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return news, nil
}

// Runs is Journal.Runs.
func (c *Client) Runs(ctx context.Context, sync string, before dirsync.RunID, limit int) ([]Run, error) {
	return list(ctx, c, syncPath(sync, "/runs"), nil, from(before), limit, func(p Runs) ([]Run, string) { return p.Runs, p.Next })
}

// Run is Journal.Run.
func (c *Client) Run(ctx context.Context, id dirsync.RunID) (Run, error) {
	return get[Run](ctx, c, runPath(id, ""), nil)
}

// Changes is Journal.Changes.
func (c *Client) Changes(ctx context.Context, run dirsync.RunID, after dirsync.PlanKey, limit int) ([]Change, error) {
	return list(ctx, c, runPath(run, "/changes"), nil, from(after), limit, func(p Changes) ([]Change, string) { return p.Changes, p.Next })
}

// undoBody leaves out a list of people that is nil; null would be refused.
func undoBody(u Undo) any {
	return struct {
		Digest string       `json:"digest,omitempty"`
		People []dirsync.ID `json:"people,omitzero"`
		All    bool         `json:"all"`
		By     string       `json:"by,omitempty"`
		Reason string       `json:"reason,omitempty"`
	}{u.Digest, u.People, u.All, u.By, u.Why}
}

// PreviewUndo is Journal.PreviewUndo.
func (c *Client) PreviewUndo(ctx context.Context, u Undo) (UndoPreview, error) {
	return post[UndoPreview](ctx, c, runPath(u.Run, "/undo/preview"), undoBody(u))
}

// Undo is Journal.Undo.
func (c *Client) Undo(ctx context.Context, u Undo) (Run, error) {
	return post[Run](ctx, c, runPath(u.Run, "/undo"), undoBody(u))
}

// Holds is Safety.Holds.
func (c *Client) Holds(ctx context.Context, sync string, status dirsync.HoldStatus, before dirsync.HoldID, limit int) ([]Hold, error) {
	q := url.Values{}
	if sync != "" {
		q.Set("sync", sync)
	}
	if status != "" {
		q.Set("status", string(status))
	}
	return list(ctx, c, "/v1/holds", q, from(before), limit, func(p Holds) ([]Hold, string) { return p.Holds, p.Next })
}

// Hold is Safety.Hold.
func (c *Client) Hold(ctx context.Context, id dirsync.HoldID) (Hold, error) {
	return get[Hold](ctx, c, holdPath(id, ""), nil)
}

// HeldChanges is Safety.HeldChanges.
func (c *Client) HeldChanges(ctx context.Context, id dirsync.HoldID, after dirsync.PlanKey, limit int) ([]HeldChange, error) {
	return list(ctx, c, holdPath(id, "/changes"), nil, from(after), limit, func(p HeldChanges) ([]HeldChange, string) { return p.Changes, p.Next })
}

// Approve is Safety.Approve.
func (c *Client) Approve(ctx context.Context, v Verdict) (int, error) {
	return c.decide(ctx, "/approve", v)
}

// Reject is Safety.Reject.
func (c *Client) Reject(ctx context.Context, v Verdict) (int, error) {
	return c.decide(ctx, "/reject", v)
}

func (c *Client) decide(ctx context.Context, as string, v Verdict) (int, error) {
	body := struct {
		People []dirsync.ID `json:"people,omitzero"`
		By     string       `json:"by,omitempty"`
		Reason string       `json:"reason,omitempty"`
	}{v.People, v.By, v.Why}
	d, err := post[Decided](ctx, c, holdPath(v.Hold, "-"+url.PathEscape(v.Digest)+as), body)
	return d.People, err
}

// Explain is People.Explain.
func (c *Client) Explain(ctx context.Context, sync, person string) (Explanation, error) {
	return get[Explanation](ctx, c, syncPath(sync, "/explain"), url.Values{"person": {person}})
}

// ExplainPushed is People.ExplainPushed.
func (c *Client) ExplainPushed(ctx context.Context, person string) ([]Pushed, error) {
	v, err := get[PushedPeople](ctx, c, "/v1/scim/explain", url.Values{"person": {person}})
	return v.Pushed, err
}

// Inbox is People.Inbox.
func (c *Client) Inbox(ctx context.Context, user string, after NoteKey, limit int) (Inbox, error) {
	var v Inbox
	notes, err := list(ctx, c, "/v1/inbox", url.Values{"user": {user}}, from(after), limit, func(p Inbox) ([]Note, string) {
		v = p
		return p.Notes, p.Next
	})
	v.Notes, v.Next = notes, ""
	return v, err
}

// MarkNotes is People.MarkNotes.
func (c *Client) MarkNotes(ctx context.Context, user string, ids []string, read bool) (int, error) {
	m, err := post[Marked](ctx, c, "/v1/inbox/mark", marking{user, ids, read})
	return m.Unread, err
}

// Ready is Ready.Ready.
func (c *Client) Ready(ctx context.Context) error {
	_, err := get[Health](ctx, c, "/readyz", nil)
	return err
}

// Exec has the daemon run a command line, passes its output on as it comes, and returns its exit code. If stderr is a Stepper
// it is shown steps; cmd.Progress is set by that. When ctx ends the
// connection is closed, by which the daemon knows that nobody waits any more; the error is then that of ctx. An error means
// that the code is not known: the daemon could not be asked, has ended, or the output could not be written.
func (c *Client) Exec(ctx context.Context, cmd Command, stdout, stderr io.Writer) (int, error) {
	shows, progress := stderr.(Stepper)
	cmd.Progress = progress
	res, err := c.send(ctx, http.MethodPost, "/v1/exec", nil, cmd)
	if err != nil {
		return -1, err
	}
	defer res.Body.Close()
	lines := bufio.NewReaderSize(res.Body, 2*maxFrame)
	for {
		text, err := lines.ReadSlice('\n')
		switch {
		case ctx.Err() != nil:
			return -1, ctx.Err()
		case errors.Is(err, bufio.ErrBufferFull):
			return -1, &dirsync.Error{Op: "ask the daemon", Kind: dirsync.Unavailable, Err: errors.New("its answer has a frame that is too long")}
		case err != nil:
			return -1, &dirsync.Error{Op: "ask the daemon", Kind: dirsync.Unavailable, Err: errors.New("it ended before the command did"),
				Hint: "Look at what has become of the command with: dirsync status"}
		}
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			return -1, &dirsync.Error{Op: "ask the daemon", Kind: dirsync.Unavailable, Err: errors.New("its answer has a frame that cannot be read"),
				Hint: "Are the daemon and this command of the same version?"}
		}
		if len(f.Stdout) > 0 {
			if _, err := stdout.Write(f.Stdout); err != nil {
				return -1, err
			}
		}
		if len(f.Stderr) > 0 {
			if _, err := stderr.Write(f.Stderr); err != nil {
				return -1, err
			}
		}
		if f.Step != nil && progress {
			shows.Step(*f.Step)
		}
		if f.Exit != nil {
			return *f.Exit, nil
		}
	}
}
