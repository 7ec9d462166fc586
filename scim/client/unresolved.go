package client

import (
	"slices"

	"dirsync"
)

var _ dirsync.Referrer = (*Client)(nil)

// Unresolved implements dirsync.Referrer.
func (c *Client) Unresolved() map[dirsync.ID][]string {
	c.held.mu.Lock()
	defer c.held.mu.Unlock()
	out := map[dirsync.ID][]string{}
	for _, refs := range c.held.refs {
		for _, r := range refs {
			if r.person != "" && !slices.Contains(out[r.person], r.field) {
				out[r.person] = append(out[r.person], r.field)
			}
		}
	}
	clear(c.held.refs)
	return out
}
