package physical

import "github.com/jackc/pgx/v5"

// PGX returns the connection as pgx knows it.
func (c *PG) PGX() *pgx.Conn { return c.conn }

// PGX returns nil.
func (c *Wrapped) PGX() *pgx.Conn { return nil }
