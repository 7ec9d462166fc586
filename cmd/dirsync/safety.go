package main

import "github.com/spf13/cobra"

// safetyCommands are the commands by which people decide, find out why, take back, and keep the store safe.
func (a *app) safetyCommands() []*cobra.Command {
	return []*cobra.Command{
		a.holdsCommand(), a.approveCommand(), a.rejectCommand(), a.explainCommand(), a.undoCommand(),
		a.retryCommand(), a.ignoreCommand(), a.unignoreCommand(), a.ignoredCommand(), a.compareCommand(),
		a.backupCommand(), a.verifyCommand(), a.compactCommand(), a.restoreCommand(),
	}
}
