package notifytest

import (
	"testing"

	"dirsync/notify"
)

func TestMemory(t *testing.T) {
	t.Run("outbox", func(t *testing.T) { TestOutbox(t, func(*testing.T) notify.Outbox { return &Memory{} }) })
	t.Run("inbox", func(t *testing.T) { TestInbox(t, func(*testing.T) notify.Inbox { return &Memory{} }) })
}
