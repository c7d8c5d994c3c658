package physical

import (
	"database/sql/driver"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Texts counts, for a whole pool, the prepared statements that applications
// hold open, by text. It is safe for concurrent use.
type Texts struct {
	released atomic.Uint64 // grows when a text loses its last reference

	mu   sync.Mutex
	refs map[string]int
}

// NewTexts returns an empty count.
func NewTexts() *Texts { return &Texts{refs: make(map[string]int)} }

// Hold adds a reference to text.
func (t *Texts) Hold(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refs[text]++
}

// Drop takes one reference away. It does no I/O: a connection that has a text
// prepared which nobody refers to deallocates it before it is lent again.
func (t *Texts) Drop(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.refs[text]--; t.refs[text] <= 0 {
		delete(t.refs, text)
		t.released.Add(1)
	}
}

// unreferenced returns those of texts that nobody holds.
func (t *Texts) unreferenced(texts []string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var dead []string
	for _, text := range texts {
		if t.refs[text] == 0 {
			dead = append(dead, text)
		}
	}
	return dead
}

// prepared is what one connection has prepared, by text.
type prepared struct {
	texts *Texts
	max   int
	seen  uint64 // Texts.released when it was last compared
	stmts *simplelru.LRU[string, driver.Stmt]
}

func newPrepared(texts *Texts, max int) prepared {
	return prepared{texts: texts, max: max}
}

// get returns the statement for text, nil if there is none.
func (p *prepared) get(text string) driver.Stmt {
	if p.stmts == nil {
		return nil
	}
	stmt, _ := p.stmts.Get(text)
	return stmt
}

// add takes ownership of stmt. The caller has made room.
func (p *prepared) add(text string, stmt driver.Stmt) {
	if p.stmts == nil {
		p.stmts, _ = simplelru.NewLRU[string, driver.Stmt](p.max, nil)
	}
	p.stmts.Add(text, stmt)
}

// makeRoom closes the statement that was used longest ago if there is no room
// for one more.
func (p *prepared) makeRoom() error {
	if p.stmts == nil || p.stmts.Len() < p.max {
		return nil
	}
	_, stmt, _ := p.stmts.RemoveOldest()
	return stmt.Close()
}

// forget closes the statement for text.
func (p *prepared) forget(text string) error {
	stmt := p.get(text)
	if stmt == nil {
		return nil
	}
	p.stmts.Remove(text)
	return stmt.Close()
}

// clear closes all statements.
func (p *prepared) clear() {
	for p.stmts != nil && p.stmts.Len() > 0 {
		_, stmt, _ := p.stmts.RemoveOldest()
		_ = stmt.Close()
	}
}

// dead returns the texts that nobody refers to any more.
func (p *prepared) dead() []string {
	if p.stmts == nil || p.stmts.Len() == 0 {
		return nil
	}
	released := p.texts.released.Load()
	if p.seen == released {
		return nil
	}
	dead := p.texts.unreferenced(p.stmts.Keys())
	if len(dead) == 0 {
		p.seen = released
	}
	return dead
}

// sweep closes the statements that nobody refers to and tells whether there
// were any.
func (p *prepared) sweep() (bool, error) {
	dead := p.dead()
	for _, text := range dead {
		if err := p.forget(text); err != nil {
			return true, err
		}
	}
	return len(dead) > 0, nil
}
