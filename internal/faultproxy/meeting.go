package faultproxy

import "sync"

// meeting is the one group that something waits for.
type meeting struct {
	match func(Group) bool

	// mu is held while match runs and guards taken.
	mu    sync.Mutex
	taken bool
	// group is written when taken is and not after.
	group Group
}

// claim tells whether the meeting is with g and was with no group before it.
func (m *meeting) claim(g Group) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.taken || !m.match(g) {
		return false
	}
	m.taken, m.group = true, g
	return true
}

// cancel tells whether there has been no meeting; there will be none.
func (m *meeting) cancel() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	inTime := !m.taken
	m.taken = true
	return inTime
}
