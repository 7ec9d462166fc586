package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dirsync"
	"dirsync/scim/server"
)

// newTokenView is a new token as programs read it: what identity providers ask for.
type newTokenView struct {
	BaseURL string `json:"baseUrl"`
	Token   string `json:"token"`
}

// tokenView is a token as programs read it.
type tokenView struct {
	Name    string         `json:"name"`
	Scopes  []server.Scope `json:"scopes"`
	Created time.Time      `json:"created"`
	By      string         `json:"by"`
	Expires time.Time      `json:"expires,omitzero"`
	Used    time.Time      `json:"last_used,omitzero"`
	// BeforeEnds is until when the token before the last rotation is good.
	BeforeEnds time.Time `json:"previous_expires,omitzero"`
	Expired    bool      `json:"expired"`
}

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make and end the tokens of SCIM clients",
		Long: `token is about who may use the SCIM server (serve: { scim: … }): identity providers
that push users into the embedded directory, and applications that read it. Of a token
its SHA-256 is kept and nothing else, so it is shown once and never again.`,
		Example: `  dirsync token create entra
  dirsync token create crm --scopes users:read --expires 180d
  dirsync token list`,
	}
	cmd.AddCommand(a.tokenCreateCommand(), a.tokenListCommand(), a.tokenRotateCommand(), a.tokenRevokeCommand())
	return cmd
}

// withTokens opens the tokens.
func (a *app) withTokens(cmd *cobra.Command, readOnly bool, fn func(*Config, *tokenBook) error) error {
	cfg, _, err := a.load(nil)
	if err != nil {
		return err
	}
	if cfg.Serve.SCIM == nil {
		return &exitError{code: exitUsage, err: &dirsync.Error{Op: "find the SCIM server", Kind: dirsync.NotFound,
			Err: errors.New("the configuration has none"), Hint: "Write serve: { scim: { listen: 127.0.0.1:8443 } }; docs/scim-server.md has the steps."}}
	}
	if a.host != nil && a.host.pushing != nil {
		return fn(cfg, a.host.pushing.tokens)
	}
	st, err := a.openStore(cfg, readOnly)
	if err != nil {
		return err
	}
	book, err := openTokens(cmd.Context(), st, a.now)
	if err == nil {
		err = fn(cfg, book)
	}
	return errors.Join(err, a.closeStore(st))
}

func (a *app) tokenCreateCommand() *cobra.Command {
	var scopes []string
	var expires string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a token, and show it once",
		Long: `create makes a token and prints it together with the base URL: in Microsoft Entra ID
these are "Secret Token" and "Tenant URL". Neither this program nor anybody else can
show the token again.

Scopes are users:read, users:write, groups:read and groups:write; whoever may write may
also read. The default is all of them, or reading alone while syncs fill the directory
(directory.fed_by), because nobody may write then.

Exit codes: 0 made; 1 failed, or there is a token of that name; 2 the command line or
the configuration is wrong.`,
		Example: "  dirsync token create entra --expires 180d\n  dirsync token create entra -o json > entra.json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !plainName(args[0]) {
				return usageError("%q is no name for a token: 1 to 63 small letters, digits, - and _, beginning with a letter", args[0])
			}
			t := scimToken{Name: args[0], By: a.decider()}
			life, err := lifetime("--expires", expires)
			if err != nil {
				return err
			}
			if life > 0 {
				t.Expires = a.now().UTC().Add(life)
			}
			return a.withTokens(cmd, false, func(cfg *Config, book *tokenBook) error {
				if t.Scopes, err = chosenScopes(scopes, cfg.Directory.FedBy); err != nil {
					return err
				}
				text, err := book.create(cmd.Context(), t)
				if err != nil {
					return err
				}
				return a.printToken(cfg, t, text)
			})
		},
	}
	cmd.Flags().StringSliceVar(&scopes, "scopes", nil, "what it may do, as a list: users:read,groups:read")
	cmd.Flags().StringVar(&expires, "expires", "", "after which `time` it ends: 180d; it does not by default")
	return cmd
}

// lifetime reads a length of time as the configuration writes it; none is zero.
func lifetime(flag, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, ok := parseDuration(text)
	if !ok {
		return 0, usageError("%s %s: write a length of time in days, hours, minutes or seconds: 180d, 24h", flag, text)
	}
	return time.Duration(d), nil
}

// chosenScopes checks scopes, and knows those that nobody has chosen.
func chosenScopes(names []string, by FedBy) ([]server.Scope, error) {
	if len(names) == 0 && by != FedBySCIM {
		return []server.Scope{server.UsersRead, server.GroupsRead}, nil
	}
	if len(names) == 0 {
		return server.Scopes(), nil
	}
	var out []server.Scope
	for _, name := range names {
		scope := server.Scope(strings.TrimSpace(name))
		if !slices.Contains(server.Scopes(), scope) {
			return nil, usageError("--scopes %s: the scopes are users:read, users:write, groups:read and groups:write", name)
		}
		if !slices.Contains(out, scope) {
			out = append(out, scope)
		}
	}
	return out, nil
}

// printToken shows a new token, the only time that anybody sees it.
func (a *app) printToken(cfg *Config, t scimToken, text string) error {
	view := newTokenView{a.scimURL(cfg), text}
	if a.json() {
		return writeJSON(a.stdout, view)
	}
	a.printf("Base URL:  %s\nToken:     %s\n\n", clean(view.BaseURL), text)
	a.printf("The token is called %s, may %s", t.Name, joinScopes(t.Scopes))
	if !t.Expires.IsZero() {
		a.printf(", ends on %s", t.Expires.Format(time.DateOnly))
	}
	a.printf(", and is not shown again.\n")
	if !t.BeforeEnds.IsZero() {
		a.printf("The one before it is good until %s.\n", stamp(t.BeforeEnds, time.UTC))
	}
	return nil
}

func joinScopes(scopes []server.Scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

// scimURL is the address that clients use. Only the daemon knows the port that it was given, where the configuration leaves
// it to the system.
func (a *app) scimURL(cfg *Config) string {
	if a.host != nil {
		return a.host.scimURL(cfg)
	}
	return cfg.Serve.SCIM.baseURL(hostPort(cfg.Serve.SCIM.Listen))
}

// scimURL is the address that clients use, with the port that the daemon was given.
func (d *daemon) scimURL(cfg *Config) string {
	at := cfg.Serve.SCIM.Listen
	if d.entrance != nil {
		at = d.entrance.Addr()
	}
	return cfg.Serve.SCIM.baseURL(hostPort(at))
}

func (a *app) tokenListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tokens, with their ends and last uses",
		Long: `list shows the tokens of the SCIM server: what each may do, when it was made and by
whom, when it was used last, and when it ends. Last uses are to the minute.

Exit codes: 0 listed; 1 failed; 2 the command line or the configuration is wrong.`,
		Example: "  dirsync token list\n  dirsync token list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withTokens(cmd, true, func(_ *Config, book *tokenBook) error { return a.listTokens(book.list()) })
		},
	}
}

func (a *app) listTokens(tokens []scimToken) error {
	now := a.now()
	views := []tokenView{}
	t := NewTable(a.style, "NAME", "MAY", "CREATED", "BY", "LAST USED", "ENDS")
	for _, k := range tokens {
		views = append(views, tokenView{Name: k.Name, Scopes: k.Scopes, Created: k.Created, By: k.By, Expires: k.Expires, Used: k.Used,
			BeforeEnds: k.BeforeEnds, Expired: k.expired(now)})
		ends := endOf(k.Expires, k.expired(now))
		if k.BeforeEnds.After(now) {
			ends.value = fmt.Sprint(ends.value, " (the one before: ", when(k.BeforeEnds, now), ")")
		}
		t.Row(k.Name, joinScopes(k.Scopes), when(k.Created, now), k.By, when(k.Used, now), ends)
	}
	if a.json() {
		return writeJSON(a.stdout, map[string]any{"tokens": views})
	}
	if len(tokens) == 0 {
		a.printf("There are no tokens, so nobody can use the SCIM server. dirsync token create NAME makes one.\n")
		return nil
	}
	return t.Write(a.stdout)
}

// endOf says when a token ends.
func endOf(expires time.Time, expired bool) painted {
	switch {
	case expired:
		return painted{red, "has ended"}
	case expires.IsZero():
		return painted{plain, "never"}
	}
	return painted{plain, expires.Format(time.DateOnly)}
}

func (a *app) tokenRotateCommand() *cobra.Command {
	var overlap string
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Make a new token in the place of one",
		Long: `rotate makes a new token of the same name and with the same scopes, and prints it. The
old one is good for --overlap, so that there is time to put the new one where it is
used; 0s ends it at once. A token that ends gets as long a life again.

Exit codes: 0 made; 1 failed, or there is no such token; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync token rotate entra --overlap 24h",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			both, err := lifetime("--overlap", overlap)
			if err != nil {
				return err
			}
			return a.withTokens(cmd, false, func(cfg *Config, book *tokenBook) error {
				text, t, err := book.rotate(cmd.Context(), args[0], a.decider(), both)
				if err != nil {
					return err
				}
				return a.printToken(cfg, t, text)
			})
		},
	}
	cmd.Flags().StringVar(&overlap, "overlap", "24h", "for how long the old one is good; 0s ends it, and all before it, at once")
	return cmd
}

func (a *app) tokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke NAME",
		Short: "End a token at once",
		Long: `revoke ends a token, and the one before it that may still be good, at once.

Exit codes: 0 ended; 1 failed, or there is no such token; 2 the command line or the
configuration is wrong.`,
		Example: "  dirsync token revoke crm",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withTokens(cmd, false, func(_ *Config, book *tokenBook) error {
				if err := book.revoke(cmd.Context(), args[0]); err != nil {
					return err
				}
				if a.json() {
					return writeJSON(a.stdout, map[string]string{"revoked": args[0]})
				}
				a.printf("The token %s has ended.\n", args[0])
				return nil
			})
		},
	}
}
