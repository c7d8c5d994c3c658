package faultproxy

import "sync"

// gate lets everything pass while it is open.
type gate struct {
	mu sync.Mutex
	// way is closed while the gate is open.
	way      chan struct{}
	isClosed bool
}

func newGate() *gate {
	g := &gate{way: make(chan struct{})}
	close(g.way)
	return g
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.isClosed {
		g.isClosed, g.way = true, make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.isClosed {
		g.isClosed = false
		close(g.way)
	}
}

// pass waits until the gate is open; false means that ended came first.
func (g *gate) pass(ended <-chan struct{}) bool {
	g.mu.Lock()
	way := g.way
	g.mu.Unlock()
	select {
	case <-ended:
		return false
	case <-way:
		return true
	}
}
