package client

import (
	"context"

	"dirsync"
)

// Reach makes sure, with one request that changes nothing, that the application is there and lets us in.
func (c *Client) Reach(ctx context.Context) error {
	_, err := c.count(ctx, "reach "+c.name, "/Users")
	return err
}

var _ dirsync.Forgetful = (*Client)(nil)

// Forgets implements dirsync.Forgetful: an application without externalId cannot say whose its accounts are.
func (c *Client) Forgets() bool { return c.profile.NoExternalID }
