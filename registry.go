package pgpool

import (
	"sync"

	"github.com/pgpool-go/pgpool/internal/physical"
)

// registry holds the living pools of one driver name.
type registry struct {
	mu    sync.Mutex
	pools []*sharedPool
}

// open returns the pool that config describes, with one more hold on it.
func (r *registry) open(config *Config, opts *options) (*sharedPool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.pools {
		if !samePool(p.config, config) {
			continue
		}
		if err := difference(p.config, config); err != nil {
			return nil, err
		}
		p.holds++
		return p, nil
	}
	p, err := newSharedPool(config, opts, pgDial(config, opts))
	if err != nil {
		return nil, err
	}
	p.registry = r
	r.pools = append(r.pools, p)
	return p, nil
}

// drop takes one hold away and tells whether it was the last. Then nobody finds
// the pool any more.
func (r *registry) drop(p *sharedPool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.holds--
	if p.holds > 0 {
		return false
	}
	for i, other := range r.pools {
		if other == p {
			r.pools = append(r.pools[:i], r.pools[i+1:]...)
			break
		}
	}
	return true
}

// samePool tells whether two configurations mean one pool: the same connection
// and the same pool_name.
func samePool(a, b *Config) bool {
	if a.Name != b.Name || a.source.registered != b.source.registered {
		return false
	}
	return a.source.registered != "" || physical.SameConfig(a.source.parsed, b.source.parsed)
}
