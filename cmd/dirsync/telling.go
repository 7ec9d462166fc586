package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/notify"
	"dirsync/store"
)

// triedView is what came of a test through one channel, as programs read it.
type triedView struct {
	Channel string `json:"channel"`
	To      string `json:"to,omitempty"`
	Answer  string `json:"answer,omitempty"`
	Error   string `json:"error,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

func (a *app) notifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "notify",
		Short:   "Try out how people are told",
		Example: "  dirsync notify test ann@contoso.com\n  dirsync notify test",
	}
	cmd.AddCommand(a.notifyTestCommand())
	return cmd
}

func (a *app) notifyTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test [RECIPIENT]",
		Short: "Send a test message now, and show what the other side said",
		Long: `test sends a test message at once, without retries: to one recipient, an e-mail
address or the id of an account of the directory; or without one to every chat,
channel of Teams and webhook of the configuration. One that succeeds also lets a
channel go on that had stopped.

Exit codes: 0 everything was taken; 1 something was not; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync notify test ann@contoso.com\n  dirsync notify test -o json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.writing(func(cfg *Config, st *store.Store) error {
				to := notify.Recipient{}
				if len(args) > 0 {
					to = notify.Recipient{User: args[0]}
					if isAddress(args[0]) {
						to = notify.Recipient{Address: args[0]}
					}
				}
				n, err := a.notifier(cfg, st)
				if err != nil {
					return err
				}
				return a.notifyTest(cmd.Context(), n, to)
			})
		},
	}
}

// notifier is the daemon's own, or one that is made for this command.
func (a *app) notifier(cfg *Config, st *store.Store) (*notify.Notifier, error) {
	if a.host != nil {
		a.host.mu.Lock()
		defer a.host.mu.Unlock()
		return a.host.teller.Notifier, nil
	}
	return newNotifier(a, cfg, newNotifyStore(st))
}

func (a *app) notifyTest(ctx context.Context, n *notify.Notifier, to notify.Recipient) error {
	tried := n.Test(ctx, a.now(), to)
	if len(tried) == 0 {
		return usageError("the configuration has no chat, channel of Teams or webhook; name a recipient: dirsync notify test ann@example.com")
	}
	views := []triedView{}
	var errs []error
	for _, t := range tried {
		v := triedView{Channel: t.Channel, To: to.Address + to.User, Answer: t.Answer}
		if t.Err != nil {
			v.Error, v.Hint = t.Err.Error(), dirsync.HintOf(t.Err)
			errs = append(errs, t.Err)
		}
		views = append(views, v)
	}
	if a.json() {
		if err := writeJSON(a.stdout, map[string]any{"tried": views}); err != nil {
			return err
		}
	} else {
		for _, v := range views {
			if v.Error != "" {
				a.printf("%s: %s: %s\n", clean(v.Channel), a.style.paint(red, "not taken"), clean(v.Error))
				if v.Hint != "" {
					a.printf("  %s\n", clean(v.Hint))
				}
				continue
			}
			a.printf("%s: %s: %s\n", clean(v.Channel), a.style.paint(green, "taken"), clean(v.Answer))
		}
	}
	if errors.Join(errs...) != nil {
		return &exitError{code: exitFailed}
	}
	return nil
}
