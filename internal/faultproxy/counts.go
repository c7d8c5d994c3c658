package faultproxy

// Counts say how often something has happened since the proxy was made.
type Counts struct {
	// Connections are those whose client asked for a session.
	Connections int
	// Open are the Connections that are open now.
	Open int
	// Cancels are the connections that brought a cancel request. pgx sends one,
	// in the background, for every connection that it finds broken.
	Cancels int
	// Encryption counts the requests for TLS or GSS, all of them denied.
	Encryption int
	// Refused are the connections that [Proxy.Refuse] has turned away, unread:
	// those of cancel requests are among them.
	Refused int
	// Groups are the groups of messages that were forwarded.
	Groups int
	// Faults are those that have fired.
	Faults int
}

// Counts returns the counts as of now.
func (p *Proxy) Counts() Counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts
}

// count changes the counts.
func (p *Proxy) count(change func(*Counts)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.counts)
}
