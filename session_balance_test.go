package pgpool_test

import (
	"context"
	"database/sql"
	"errors"
	"testing/synctest"
	"time"

	"github.com/pgpool-go/pgpool"
)

// compare sets what the pool says beside what the callers hold.
func (m *machine) compare() {
	s, err := pgpool.Stats(m.db)
	if err != nil {
		m.failf("Stats: %v", err)
		return
	}
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	held, waiting, pinging := 0, 0, 0
	for _, c := range m.callers {
		switch {
		case c.call == nil || c.call.local || c.call.inside:
			if c.call != nil && c.call.inside || c.checkout != nil && c.checkout.bound {
				held++
			}
		case c.call.pings:
			pinging = 1 // all share one
		default:
			waiting++
		}
	}
	admitted := s.Active - s.Leased - s.Closing // and without a connection
	open := s.Idle + s.Leased + s.Dialing + s.Closing
	switch {
	case s.Leased != held:
		m.failf("%d connections are leased, the callers hold %d: %+v", s.Leased, held, s)
	case admitted+s.Queued != waiting+pinging:
		m.failf("%d admitted and %d queued, while %d callers and %d pings wait: %+v", admitted, s.Queued, waiting, pinging, s)
	case s.Queued > 0 && s.Active < s.Max:
		m.failf("callers queue while a slot is free: %+v", s)
	case admitted > 0 && s.Idle > 0:
		m.failf("an admitted caller waits while a connection is idle: %+v", s)
	case admitted > 0 && s.Dialing == 0 && s.LastDialError == "" && open < s.Max:
		m.failf("an admitted caller waits while nobody dials: %+v", s)
	case s.Idle > 0 && open-s.Closing > s.Max:
		m.failf("a connection above the cap is idle: %+v", s)
	case open > m.fake.most:
		m.failf("%d connections in the books, the cap was never above %d", open, m.fake.most)
	case len(m.fake.open) > open:
		m.failf("%d connections are open, the books have %d", len(m.fake.open), open)
	}
}

// end lets everything go, and looks whether anything is left.
func (m *machine) end() {
	m.fake.mu.Lock()
	m.fake.dials = nil
	m.fake.mu.Unlock()
	time.Sleep(6 * time.Second) // longer than any pause between dials
	m.rest()
	if s, _ := pgpool.Stats(m.db); !m.closed && s.Active > s.Leased+s.Closing && s.Leased < s.Max && s.Dialing == 0 {
		m.failf("an admitted caller waits and nobody dials: %+v", s)
	}
	for range 2 * callers {
		for _, c := range m.callers {
			c.letGo()
		}
		m.rest()
	}
	for _, shared := range m.stmts {
		shared.Close()
	}
	time.Sleep(time.Second) // work in the background
	for i, c := range m.callers {
		if c.call != nil || c.checkout != nil {
			m.failf("caller %d does not come to its end: %+v, %+v", i, c.call, c.checkout)
		}
	}
	if !m.closed {
		m.rest()
		m.atEase()
		m.close()
		time.Sleep(time.Second)
		synctest.Wait()
	}
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	for _, wrong := range m.fake.wrongs {
		m.failf("%s", wrong)
	}
	if n := len(m.fake.open); n > 0 {
		m.failf("%d connections are open after Close", n)
	}
	for _, w := range m.writes {
		w.verify(m)
	}
}

// atEase checks a pool that nobody uses: it has all its slots, and nothing in
// its connections is left over.
func (m *machine) atEase() {
	var s pgpool.PoolStats
	for range 30 { // a connection that has aged may be closing just now
		if s, _ = pgpool.Stats(m.db); s.Active == 0 {
			break
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
	}
	if s.Active+s.Leased+s.Queued+s.Dialing+s.Closing != 0 || s.Available != s.Max {
		m.failf("not at ease: %+v", s)
		return
	}
	for range s.Max {
		conn, err := m.lease()
		if err != nil {
			m.failf("a pool at ease does not serve: %v", err)
			return
		}
		defer conn.Close()
	}
	m.fake.mu.Lock()
	defer m.fake.mu.Unlock()
	for c := range m.fake.open {
		if c.stmts > 0 {
			m.failf("connection %d holds %d prepared statements that are closed", c.id, c.stmts)
		}
	}
}

// lease takes a connection. Those that are dead and cannot tell go first.
func (m *machine) lease() (*sql.Conn, error) {
	for {
		conn, err := m.db.Conn(context.Background())
		if err != nil {
			return nil, err
		}
		if _, err = conn.ExecContext(context.Background(), "insert into t values (1)"); err == nil {
			return conn, nil
		}
		conn.Close()
		if !errors.Is(err, pgpool.ErrDidNotRun) {
			return nil, err
		}
		time.Sleep(m.fake.closeTime)
		synctest.Wait()
	}
}

func (m *machine) close() {
	m.closed = true
	m.fake.mu.Lock()
	m.fake.ending = true
	m.fake.mu.Unlock()
	go m.db.Close()
}
