package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/textproto"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dirsync/graph/graphtest"
)

// demoService is the rest of the configuration for a demonstration of the daemon. Schedules have minutes at least, so it is
// the demonstration itself that asks for a run every few seconds.
const demoService = `    schedule: every 15 minutes

# A mail server in the same process shows what people are told.
notify:
  smtp: { host: 127.0.0.1, port: %s, tls: none, from: dirsync@contoso.com }
  recipients: [it@contoso.com]
  window: 0s

serve: { log: console }
`

// serveDemo runs the daemon on a simulated tenant in which something happens all the time, until somebody stops it.
func (d *demo) serveDemo(ctx context.Context, every time.Duration) (err error) {
	// A signal must not end the process before it has cleaned up.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, daemonSignals()...)
	defer signal.Stop(signals)
	if d.dir == "" {
		if d.dir, err = os.MkdirTemp("", "dirsync-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	}
	server, err := graphtest.Start(d.tenant)
	if err != nil {
		return err
	}
	defer server.Close()
	sink, err := startMailSink(func(to, subject string) { d.printf("mail to %s: %s\n", clean(to), clean(subject)) })
	if err != nil {
		return err
	}
	defer sink.Close()
	if err := d.configure(server); err != nil {
		return err
	}
	d.configPath = filepath.Join(d.dir, "config.yaml")
	text, err := os.ReadFile(d.configPath)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.configPath, fmt.Appendf(text, demoService, sink.port()), 0o600); err != nil {
		return err
	}
	return d.serve(context.WithoutCancel(ctx), signals, func(service *daemon) {
		d.explainService(service)
		service.loops.Go(func() { d.live(service, every) })
	})
}

// explainService says how to press sync now.
func (d *demo) explainService(service *daemon) {
	command, path := clean(itself()), clean(shellWord(d.configPath))
	d.printf(`The daemon runs on a tenant that is simulated in this process; nothing leaves this machine.
Something happens in the tenant all the time. To have a run at once,
in another terminal:

  kill -USR1 %d
  %s sync-now -c %s
  curl -sS --unix-socket %s -X POST -H 'Content-Type: application/json' -d '{}' http://dirsync/v1/syncs/staff/sync-now

While it runs, all other commands work, too:

  %s status -c %s
  %s users list -c %s

Ctrl-C stops it.

`, os.Getpid(), command, path, clean(shellWord(socketPath(service.config()))), command, path, command, path)
}

// live makes something happen in the tenant every so often, and asks for a run.
func (d *demo) live(service *daemon, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 1; ; n++ {
		if err := service.syncNow(service.ctx, nil, "demo"); err != nil && service.ctx.Err() == nil {
			service.log.Error().Err(err).Msg("the demonstration could not ask for a run")
		}
		select {
		case <-service.ctx.Done():
			return
		case <-tick.C:
		}
		d.printf("in the tenant: %s\n", clean(d.happens(n)))
	}
}

// happens makes one thing happen, and says what.
func (d *demo) happens(n int) string {
	users := candidates(d.tenant.Users())
	if len(users) == 0 || n%4 == 0 {
		name := fmt.Sprintf("new%d", n)
		mail := name + "@" + d.tenant.Identity().Domain
		d.tenant.Add(graphtest.User{"givenName": "New", "surname": fmt.Sprint("Number ", n), "displayName": fmt.Sprint("New Number ", n),
			"userPrincipalName": mail, "mail": mail, "department": "Sales"})
		return mail + " is hired"
	}
	u := users[rand.IntN(len(users))]
	id, name := text(u, "id"), text(u, "displayName")
	switch n % 4 {
	case 1:
		d.tenant.Update(id, map[string]any{"department": fmt.Sprint("Department ", n)})
		return name + " moves to another department"
	case 2:
		d.tenant.Delete(id)
		return name + " is deleted"
	default:
		d.tenant.Update(id, map[string]any{"givenName": nil})
		return name + " loses the first name, which is mandatory"
	}
}

// mailSink is a mail server that takes everything, on this machine's loopback address, and shows it.
type mailSink struct {
	listener net.Listener
	show     func(to, subject string)
	wg       sync.WaitGroup
}

func startMailSink(show func(to, subject string)) (*mailSink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &mailSink{listener: l, show: show}
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(time.Minute)) // one message is enough
				s.talk(textproto.NewConn(conn))
			})
		}
	})
	return s, nil
}

func (s *mailSink) port() string {
	_, port, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil { // it is an address of this machine
		return ""
	}
	return port
}

// Close stops listening and waits for whoever is talking.
func (s *mailSink) Close() {
	_ = s.listener.Close()
	s.wg.Wait()
}

// talk is the server's side of RFC 5321, as far as a client without wishes needs it.
func (s *mailSink) talk(c *textproto.Conn) {
	say := func(line string) bool { return c.PrintfLine("%s", line) == nil }
	to := ""
	if !say("220 dirsync demo") {
		return
	}
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		answer := "250 OK"
		switch strings.ToUpper(verb) {
		case "QUIT":
			say("221 bye")
			return
		case "EHLO", "HELO":
			answer = "250 dirsync demo"
		case "RCPT":
			_, to, _ = strings.Cut(rest, "<")
			to, _, _ = strings.Cut(to, ">")
		case "DATA":
			if !say("354 go on") {
				return
			}
			body := c.DotReader()
			header, _ := textproto.NewReader(bufio.NewReader(body)).ReadMIMEHeader()
			if _, err := io.Copy(io.Discard, body); err != nil {
				return
			}
			s.show(to, header.Get("Subject"))
		}
		if !say(answer) {
			return
		}
	}
}
