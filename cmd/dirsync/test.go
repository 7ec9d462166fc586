package main

import (
	"context"

	"github.com/spf13/cobra"

	"dirsync"
)

func (a *app) testCommand() *cobra.Command {
	return &cobra.Command{Use: "test [SYNC...]", Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, args []string) error { return nil }}
}

func (a *app) preview(ctx context.Context, w *wired) error {
	n, bad := 0, 0
	err := w.engine.Source.Read(ctx, "", func(p dirsync.Page) error {
		for _, r := range p.Records {
			n++
			if m := w.mapping.Map(r.ID, r.Attrs); len(m.Faults) > 0 {
				bad++
			}
		}
		return nil
	})
	if !a.json() {
		a.printf("%d people, %d rejected\n", n, bad)
	}
	return err
}
