package main

import (
	"context"
	"fmt"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
)

// systemd tells the service manager how the daemon stands, in the protocol of sd_notify(3). Where nobody listens every
// method does nothing, and nobody is worse off if a message is lost.
type systemd struct{}

func (systemd) send(state string) { _, _ = sdnotify.SdNotify(false, state) }

// ready says that the daemon does its work, also after a reload.
func (s systemd) ready(status string) { s.send(sdnotify.SdNotifyReady + "\nSTATUS=" + status) }

// reloading begins a reload; ready ends it. Type=notify-reload wants the time as well.
func (s systemd) reloading() {
	s.send(sdnotify.SdNotifyReloading + "\n" + sdnotify.SdNotifyMonotonicUsec())
}

func (s systemd) stopping() { s.send(sdnotify.SdNotifyStopping + "\nSTATUS=stopping") }

func (s systemd) status(text string) { s.send("STATUS=" + text) }

func (s systemd) alive() { s.send(sdnotify.SdNotifyWatchdog) }

// watchdog says how often to say that the daemon is alive; zero for never.
func (systemd) watchdog() time.Duration {
	every, err := sdnotify.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return every / 2
}

// statusLine says in one line how the daemon stands.
func (d *daemon) statusLine(now time.Time) string {
	d.mu.Lock()
	problem := d.problem
	d.mu.Unlock()
	if problem != "" {
		return "the changed configuration has faults; the old one is in use"
	}
	var running, paused int
	var next time.Time
	var first string
	for _, w := range d.all() {
		s, p := w.state()
		switch {
		case !s.Run.Began.IsZero():
			running++
		case p != nil:
			paused++
		case !s.Next.IsZero() && (next.IsZero() || s.Next.Before(next)):
			next, first = s.Next, w.name
		}
	}
	switch {
	case running > 0:
		return counted(running, "sync runs", "syncs run") + " now"
	case paused > 0:
		return counted(paused, "schedule is paused", "schedules are paused") + "; dirsync status says why"
	case next.IsZero():
		return "waiting for somebody to ask for a run"
	}
	return fmt.Sprintf("next: %s %s", first, when(next, now))
}

// Ready implements web.Ready: the store answers, and every loop has looked at the clock lately. A daemon whose store is being
// replaced is ready: nobody should restart it for that.
func (d *daemon) Ready(ctx context.Context) error {
	leave, err := d.rest.enter()
	if err != nil {
		return nil // replacing the store is work, too
	}
	defer leave()
	if _, err := d.st.Syncs(ctx); err != nil {
		return err
	}
	return d.awake()
}

// awake is the part of Ready that asks nobody.
func (d *daemon) awake() error {
	now := d.now()
	for _, w := range d.all() {
		if !w.alive(now) {
			return fmt.Errorf("the schedule of %s has not been looked at for minutes", w.name)
		}
	}
	return nil
}
