package web

import (
	"net/netip"
	"sync"
	"time"
)

// Wrong tokens of the API are forgiven one by one: an address may send maxFailures at once, and then one every forgiveEvery.
const (
	maxFailures  = 10
	forgiveEvery = 6 * time.Second
	// maxAddresses bounds what is remembered.
	maxAddresses = 4096
)

// Guesses remember from where wrong tokens come, so that whoever tries tokens can be kept waiting. An address may send Most of
// them at once, and then one every Every. An IPv4 address counts as one, and so does a /64 of IPv6, because that is what one
// attacker has at least. At most 4,096 addresses are remembered, those with the most wrong tokens the longest. The methods may
// be called from several goroutines.
type Guesses struct {
	// Most and Every are 10 and six seconds unless they are set. They must not change any more once a method was called.
	Most  int
	Every time.Duration

	mu sync.Mutex
	// until is, for each address, when all its wrong tokens are forgiven.
	until map[netip.Prefix]time.Time
	swept time.Time
}

func (g *Guesses) bounds() (most int, every time.Duration) {
	most, every = g.Most, g.Every
	if most <= 0 {
		most = maxFailures
	}
	if every <= 0 {
		every = forgiveEvery
	}
	return most, every
}

// network is what one attacker has: an IPv4 address, or a /64 of IPv6. What is no address counts as one.
func network(remote string) netip.Prefix {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// Wait says how long wrong tokens from an address are not looked at; zero means that they are. The address has a port, as that
// of an http.Request.
func (g *Guesses) Wait(remote string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, known := g.until[network(remote)]
	if !known {
		return 0
	}
	most, every := g.bounds()
	return max(0, until.Add(-time.Duration(most-1)*every).Sub(now))
}

// Wrong counts a wrong token from an address.
func (g *Guesses) Wrong(remote string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until == nil {
		g.until = map[netip.Prefix]time.Time{}
	}
	key := network(remote)
	if _, known := g.until[key]; !known && len(g.until) >= maxAddresses && !g.forget(now) {
		return
	}
	from := g.until[key]
	if from.Before(now) {
		from = now
	}
	_, every := g.bounds()
	g.until[key] = from.Add(every)
}

// forget makes room: it forgets all who are forgiven, or soon will be. Whoever fails often stays. Looking through them takes
// its time, so it happens once a second at most; whoever comes anew while there is no room is not remembered, which tokens
// that cannot be guessed survive.
func (g *Guesses) forget(now time.Time) bool {
	if now.Sub(g.swept) < time.Second && !now.Before(g.swept) {
		return false
	}
	g.swept = now
	_, every := g.bounds()
	for key, until := range g.until {
		if !until.After(now.Add(every)) {
			delete(g.until, key)
		}
	}
	return len(g.until) < maxAddresses
}
