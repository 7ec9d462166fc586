package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// healthTimeout is how long the daemon may take to answer.
const healthTimeout = 5 * time.Second

func (a *app) healthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Ask the daemon whether it does its work",
		Long: `health asks the daemon of this configuration whether it is alive and does its work:
whether its store answers and its schedule runs. It is meant for a container's health
check and for monitoring.

Exit codes: 0 it does; 1 it does not, or no daemon is running; 2 the command line or
the configuration is wrong.`,
		Example: "  dirsync health\n  HEALTHCHECK CMD [\"dirsync\", \"health\"]",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, _, err := a.daemonOf(nil)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			if err := client.Ready(ctx); err != nil {
				return err
			}
			if a.json() {
				return writeJSON(a.stdout, map[string]string{"status": "ready"})
			}
			a.printf("ready\n")
			return nil
		},
	}
}
